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
    if registry.get("tokio").is_some_and(|entry| !is_ours(entry)) {
        return Err("`tokio` has another patch in Cargo.toml already; remove that one first".to_owned());
    }
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
    if registry.is_empty() {
        patches.remove("crates-io");
    }
    if patches.is_empty() {
        manifest.remove("patch");
    }
    write(path, &manifest)?;
    Ok(true)
}
