//! Compiler flags that a build of the workspace would use: environment variables and Cargo's
//! configuration files.

use std::fs;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, TableLike};

/// A variable that adds flags, and the character between two of them.
const VARIABLES: [(&str, char); 3] =
    [("RUSTFLAGS", ' '), ("CARGO_BUILD_RUSTFLAGS", ' '), ("CARGO_ENCODED_RUSTFLAGS", '\u{1f}')];

/// Refuses a build with Tokio's unstable parts.
///
/// `root` is the folder of the workspace. Its configuration files count, those of its parents, and
/// those of the user.
pub(crate) fn refuse_unstable(root: &Path) -> Result<(), String> {
    let in_environment = VARIABLES
        .iter()
        .filter(|(name, separator)| std::env::var(name).is_ok_and(|flags| has_unstable(flags.split(*separator))));
    let in_files = configuration_files(root, cargo_home().as_deref());
    let places: Vec<String> = in_environment
        .map(|(name, _)| (*name).to_owned())
        .chain(in_files.iter().flat_map(|file| keys_in(file)))
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    Err(format!(
        "`--cfg tokio_unstable` is set by {}: heist has only Tokio's stable API; remove the flag there",
        places.join(" and by ")
    ))
}

/// Returns whether these flags set `tokio_unstable`. `--check-cfg` only declares it.
fn has_unstable<'a>(flags: impl Iterator<Item = &'a str>) -> bool {
    let mut follows_cfg = false;
    for flag in flags.filter(|flag| !flag.is_empty()) {
        if flag == "--cfg=tokio_unstable" || (follows_cfg && flag == "tokio_unstable") {
            return true;
        }
        follows_cfg = flag == "--cfg";
    }
    false
}

/// Returns Cargo's configuration files for a build in `root`, the nearest first.
fn configuration_files(root: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    let folders = root.ancestors().map(|folder| folder.join(".cargo")).chain(home.map(Path::to_owned));
    for folder in folders {
        // If both exist, Cargo reads the first, which is the older name.
        let file = ["config", "config.toml"].iter().map(|name| folder.join(name)).find(|file| file.is_file());
        files.extend(file.filter(|file| !files.contains(file)));
    }
    files
}

/// Returns the folder with the user's configuration of Cargo.
fn cargo_home() -> Option<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
}

/// Returns each key of a configuration file that sets `tokio_unstable`, with the file.
fn keys_in(file: &Path) -> Vec<String> {
    // If the file is unreadable, Cargo says so itself.
    let Some(document) = fs::read_to_string(file).ok().and_then(|text| text.parse::<DocumentMut>().ok()) else {
        return Vec::new();
    };
    let flags_of = |table: &dyn TableLike| table.get("rustflags").is_some_and(sets_unstable);
    let mut keys = Vec::new();
    if document.get("build").and_then(Item::as_table_like).is_some_and(flags_of) {
        keys.push("build.rustflags".to_owned());
    }
    for (target, table) in document.get("target").and_then(Item::as_table_like).iter().flat_map(|table| table.iter()) {
        if table.as_table_like().is_some_and(flags_of) {
            keys.push(format!("target.'{target}'.rustflags"));
        }
    }
    keys.into_iter().map(|key| format!("`{key}` of {}", file.display())).collect()
}

/// Returns whether a value of `rustflags`, which is a text or a list, sets `tokio_unstable`.
fn sets_unstable(flags: &Item) -> bool {
    match (flags.as_str(), flags.as_array()) {
        (Some(text), _) => has_unstable(text.split(' ')),
        (_, Some(list)) => has_unstable(list.iter().filter_map(|flag| flag.as_str())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the keys that set the flag, in a file with this content.
    fn keys(name: &str, content: &str) -> Vec<String> {
        let file = std::env::temp_dir().join(format!("heist-flags-{name}-{}.toml", std::process::id()));
        fs::write(&file, content).unwrap();
        let keys = keys_in(&file);
        fs::remove_file(&file).unwrap();
        let path = format!(" of {}", file.display());
        keys.iter().map(|key| key.strip_suffix(&path).unwrap().to_owned()).collect()
    }

    #[test]
    fn flags_with_cfg_are_found_in_each_form() {
        assert!(has_unstable("-C opt-level=1 --cfg tokio_unstable".split(' ')));
        assert!(has_unstable("--cfg=tokio_unstable".split(' ')));
        assert!(has_unstable("--cfg\u{1f}tokio_unstable".split('\u{1f}')));
    }

    #[test]
    fn flags_without_cfg_are_accepted() {
        assert!(!has_unstable("".split(' ')));
        assert!(!has_unstable("--check-cfg=cfg(tokio_unstable) --cfg other".split(' ')));
        // Other crates have flags whose names end so.
        assert!(!has_unstable("--cfg console_without_tokio_unstable".split(' ')));
    }

    #[test]
    fn configuration_keys_with_the_flag_are_named() {
        assert_eq!(keys("list", "[build]\nrustflags = [\"--cfg\", \"tokio_unstable\"]\n"), ["`build.rustflags`"]);
        assert_eq!(keys("text", "build.rustflags = \"--cfg=tokio_unstable\"\n"), ["`build.rustflags`"]);
        let targets = "[target.x86_64-unknown-linux-gnu]\nrustflags = [\"--cfg=tokio_unstable\"]\n\
                       [target.'cfg(unix)']\nrustflags = \"--cfg tokio_unstable\"\nlinker = \"cc\"\n";
        assert_eq!(
            keys("target", targets),
            ["`target.'x86_64-unknown-linux-gnu'.rustflags`", "`target.'cfg(unix)'.rustflags`"]
        );
    }

    #[test]
    fn configuration_without_the_flag_is_accepted() {
        assert!(
            keys("none", "[build]\nrustflags = [\"-C\", \"target-cpu=native\"]\n[net]\noffline = true\n").is_empty()
        );
        assert!(keys("broken", "[build\n").is_empty());
    }

    #[test]
    fn configuration_of_a_parent_folder_is_read() {
        let parent = std::env::temp_dir().join(format!("heist-flags-parent-{}", std::process::id()));
        let root = parent.join("workspace");
        fs::create_dir_all(root.join(".cargo")).unwrap();
        fs::create_dir_all(parent.join(".cargo")).unwrap();
        fs::write(parent.join(".cargo/config.toml"), "[build]\nrustflags = [\"--cfg\", \"tokio_unstable\"]\n").unwrap();
        let refusal = refuse_unstable(&root).unwrap_err();
        let files = configuration_files(&root, Some(&parent.join(".cargo")));
        fs::remove_dir_all(&parent).unwrap();
        assert!(refusal.contains("build.rustflags` of ") && refusal.contains("remove the flag there"), "{refusal}");
        assert_eq!(files.iter().filter(|file| file.starts_with(&parent)).count(), 1, "{files:?}");
    }
}
