//! The `[patch.crates-io]` entry in the workspace's Cargo.toml.

use std::fs;
use std::path::Path;

use toml_edit::{DocumentMut, InlineTable, Item, Table};

use crate::layout::FOLDER;

fn read(path: &Path) -> Result<DocumentMut, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{} is unreadable: {error}", path.display()))?;
    text.parse().map_err(|error| format!("{} is no valid manifest: {error}", path.display()))
}

fn write(path: &Path, manifest: &DocumentMut) -> Result<(), String> {
    fs::write(path, manifest.to_string()).map_err(|error| format!("{} could not be written: {error}", path.display()))
}

/// Returns true if the entry is the one that [`add_patch`] makes.
fn is_ours(entry: &Item) -> bool {
    entry.get("path").and_then(Item::as_str) == Some(FOLDER)
}

/// Returns the entry that patches `tokio`.
fn patch_of(manifest: &DocumentMut) -> Option<&Item> {
    manifest.get("patch")?.get("crates-io")?.get("tokio")
}

/// Returns true if the workspace is patched with the crate over heist.
pub(crate) fn is_patched(path: &Path) -> Result<bool, String> {
    Ok(patch_of(&read(path)?).is_some_and(is_ours))
}

/// Returns an error if `tokio` has another patch.
pub(crate) fn refuse_other_patch(path: &Path) -> Result<(), String> {
    match patch_of(&read(path)?) {
        Some(entry) if !is_ours(entry) => {
            Err(format!("`tokio` has another patch in {}; remove that one first", path.display()))
        }
        _ => Ok(()),
    }
}

/// Patches `tokio` with the crate over heist.
pub(crate) fn add_patch(path: &Path) -> Result<(), String> {
    let mut manifest = read(path)?;
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let patches = manifest.entry("patch").or_insert_with(implicit);
    let patches = patches.as_table_like_mut().ok_or("`patch` in Cargo.toml is no table; correct it first")?;
    let registry = patches.entry("crates-io").or_insert_with(|| Item::Table(Table::new()));
    let registry =
        registry.as_table_like_mut().ok_or("`patch.crates-io` in Cargo.toml is no table; correct it first")?;
    let mut entry = InlineTable::new();
    entry.insert("path", FOLDER.into());
    registry.insert("tokio", Item::Value(entry.into()));
    write(path, &manifest)
}

/// Removes the patch. Returns false if there was none.
pub(crate) fn remove_patch(path: &Path) -> Result<bool, String> {
    let mut manifest = read(path)?;
    let Some(patches) = manifest.get_mut("patch").and_then(Item::as_table_like_mut) else { return Ok(false) };
    let Some(registry) = patches.get_mut("crates-io").and_then(Item::as_table_like_mut) else { return Ok(false) };
    if !registry.get("tokio").is_some_and(is_ours) {
        return Ok(false);
    }
    registry.remove("tokio");
    // A table with a comment of the user's stays.
    let has_comment = |item: Option<&Item>| {
        let prefix =
            item.and_then(Item::as_table).and_then(|table| table.decor().prefix()?.as_str().map(str::to_owned));
        prefix.is_some_and(|prefix| !prefix.trim().is_empty())
    };
    if registry.is_empty() && !has_comment(patches.get("crates-io")) {
        patches.remove("crates-io");
    }
    if patches.is_empty() {
        manifest.remove("patch");
    }
    write(path, &manifest)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds the patch to `before`, and removes it again.
    fn round_trip(name: &str, before: &str) -> (String, String) {
        let path = std::env::temp_dir().join(format!("heist-manifest-{name}-{}.toml", std::process::id()));
        fs::write(&path, before).unwrap();
        add_patch(&path).unwrap();
        let patched = fs::read_to_string(&path).unwrap();
        assert!(is_patched(&path).unwrap());
        assert!(remove_patch(&path).unwrap() && !remove_patch(&path).unwrap());
        let after = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        (patched, after)
    }

    #[test]
    fn patch_removed_again_leaves_the_manifest_as_it_was() {
        let before = "[package]\nname = \"app\" # mine\n\n[dependencies]\ntokio = \"1\"\n";
        let (patched, after) = round_trip("plain", before);
        assert!(patched.ends_with("[patch.crates-io]\ntokio = { path = \"third_party/heist-tokio\" }\n"), "{patched}");
        assert_eq!(after, before);
    }

    #[test]
    fn patch_beside_others_and_comments_leaves_these() {
        let before = "[package]\nname = \"app\"\n\n# mine\n[patch.crates-io]\nlibc = { path = \"libc\" }\n";
        assert_eq!(round_trip("beside", before).1, before);
        let before = "[package]\nname = \"app\"\n\n# mine\n[patch.crates-io]\n# libc = { path = \"libc\" }\n";
        assert_eq!(round_trip("comment", before).1, before);
    }

    #[test]
    fn patch_of_another_kind_is_refused() {
        let path = std::env::temp_dir().join(format!("heist-manifest-other-{}.toml", std::process::id()));
        fs::write(&path, "[patch.crates-io]\ntokio = { git = \"https://example.com/tokio\" }\n").unwrap();
        assert!(refuse_other_patch(&path).unwrap_err().contains("remove that one first"));
        assert!(!remove_patch(&path).unwrap());
        fs::remove_file(&path).unwrap();
    }
}
