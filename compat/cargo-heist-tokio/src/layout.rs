//! The files of the crate that is patched in.

use std::fs;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, InlineTable, Item, Value, value};

use crate::crate_source::CrateSource;
use crate::project::Graph;

/// The folder of the crate, within the workspace.
pub(crate) const FOLDER: &str = "third_party/heist-tokio";

/// The patch number is this much higher than that of the version which the crate mirrors.
const AHEAD: u64 = 900;

/// Folders and files of Tokio's that heist's stand in for.
const REPLACED: &[&str] = &[
    "src/runtime",
    "src/time",
    "src/task/coop",
    "src/task/blocking.rs",
    "src/task/builder.rs",
    "src/task/local.rs",
    "src/task/mod.rs",
    "src/task/spawn.rs",
    "src/task/yield_now.rs",
];

/// heist's part of the crate.
const OVERLAY: &[(&str, &str)] = &[
    ("src/runtime/blocking.rs", include_str!("../../tokio/src/runtime/blocking.rs")),
    ("src/runtime/context.rs", include_str!("../../tokio/src/runtime/context.rs")),
    ("src/runtime/io.rs", include_str!("../../tokio/src/runtime/io.rs")),
    ("src/runtime/mod.rs", include_str!("../../tokio/src/runtime/mod.rs")),
    ("src/runtime/park.rs", include_str!("../../tokio/src/runtime/park.rs")),
    ("src/runtime/scheduler.rs", include_str!("../../tokio/src/runtime/scheduler.rs")),
    ("src/runtime/signal.rs", include_str!("../../tokio/src/runtime/signal.rs")),
    ("src/runtime/task.rs", include_str!("../../tokio/src/runtime/task.rs")),
    ("src/task/coop/mod.rs", include_str!("../../tokio/src/task/coop/mod.rs")),
    ("src/task/local.rs", include_str!("../../tokio/src/task/local.rs")),
    ("src/task/mod.rs", include_str!("../../tokio/src/task/mod.rs")),
    ("src/task/spawn.rs", include_str!("../../tokio/src/task/spawn.rs")),
    ("src/task/yield_now.rs", include_str!("../../tokio/src/task/yield_now.rs")),
    ("src/time/error.rs", include_str!("../../tokio/src/time/error.rs")),
    ("src/time/mod.rs", include_str!("../../tokio/src/time/mod.rs")),
];

/// Returns the version of the crate that mirrors `version`.
pub(crate) fn facade_version(version: &str) -> String {
    let (minor, patch) = version.rsplit_once('.').unwrap_or((version, "0"));
    format!("{minor}.{}", patch.parse::<u64>().unwrap_or(0) + AHEAD)
}

/// Returns the version that the crate with version `facade` mirrors.
pub(crate) fn mirrored_version(facade: &str) -> Option<String> {
    let (minor, patch) = facade.rsplit_once('.')?;
    Some(format!("{minor}.{}", patch.parse::<u64>().ok()?.checked_sub(AHEAD)?))
}

/// Returns the version that the crate in `folder` mirrors.
pub(crate) fn mirrored_by(folder: &Path) -> Option<String> {
    let manifest: DocumentMut = fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()?;
    mirrored_version(manifest.get("package")?.get("version")?.as_str()?)
}

/// Returns how the crate depends on heist: on the checkout `folder`, as the workspace does, or on
/// the checkout that this program was built from.
pub(crate) fn heist_dependency(graph: &Graph, folder: Option<&Path>) -> Result<InlineTable, String> {
    let mut table = InlineTable::new();
    let path_of = |folder: &Path| Value::from(folder.display().to_string());
    if let Some(folder) = folder {
        table.insert("path", path_of(&checkout(folder)?));
        return Ok(table);
    }
    let Some(heist) = graph.named("heist").into_iter().next() else {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        match checkout(&own) {
            Ok(folder) => table.insert("path", path_of(&folder)),
            Err(_) => table.insert("version", env!("CARGO_PKG_VERSION").into()),
        };
        return Ok(table);
    };
    match &heist.source {
        None => table.insert("path", path_of(heist.manifest.parent().unwrap_or(Path::new(".")))),
        Some(source) => match source.strip_prefix("git+") {
            Some(git) => {
                let (url, revision) = git.split_once('#').unwrap_or((git, ""));
                table.insert("git", url.split('?').next().unwrap_or(url).into());
                table.insert("rev", revision.into())
            }
            None => table.insert("version", heist.version.as_str().into()),
        },
    };
    Ok(table)
}

/// Returns the absolute path of a checkout of heist.
fn checkout(folder: &Path) -> Result<PathBuf, String> {
    let refusal = |why: &str| format!("{} is no checkout of heist ({why}); name one with `--heist`", folder.display());
    let folder = folder.canonicalize().map_err(|error| refusal(&error.to_string()))?;
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).map_err(|error| refusal(&error.to_string()))?;
    let manifest: DocumentMut = manifest.parse().map_err(|_| refusal("its Cargo.toml is no manifest"))?;
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Item::as_str);
    if name == Some("heist") { Ok(folder) } else { Err(refusal("its Cargo.toml is of another package")) }
}

/// Removes a folder, and its parent if that is empty then. Returns false if there was none.
pub(crate) fn remove(folder: &Path) -> Result<bool, String> {
    if !folder.exists() {
        return Ok(false);
    }
    fs::remove_dir_all(folder).map_err(|error| format!("{} could not be removed: {error}", folder.display()))?;
    // An error says that other files are there.
    let _ = folder.parent().map(fs::remove_dir);
    Ok(true)
}

/// Writes the crate into `folder`, which is emptied first.
pub(crate) fn write(folder: &Path, source: &CrateSource, heist: &InlineTable, with_tests: bool) -> Result<(), String> {
    remove(folder)?;
    let kept = source.files.iter().filter(|(path, _)| is_kept(path) || (with_tests && path.starts_with("tests")));
    for (path, content) in kept {
        write_file(&folder.join(path), content)?;
    }
    for (path, content) in OVERLAY {
        write_file(&folder.join(path), content.as_bytes())?;
    }
    let manifest = source.files.get(Path::new("Cargo.toml")).ok_or("Tokio's package has no Cargo.toml")?;
    let manifest = manifest_of(&String::from_utf8_lossy(manifest), &source.version, heist, with_tests)?;
    write_file(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    write_file(&folder.join("README.md"), readme(&source.version).as_bytes())
}

/// Returns true for files of Tokio's that are copied: its sources without a runtime, its licence.
fn is_kept(path: &PathBuf) -> bool {
    let is_source = path.starts_with("src") && !REPLACED.iter().any(|replaced| path.starts_with(replaced));
    is_source || path == Path::new("LICENSE")
}

/// Returns the crate's manifest: Tokio's, with heist, and without tests unless they are wanted.
fn manifest_of(manifest: &str, version: &str, heist: &InlineTable, with_tests: bool) -> Result<String, String> {
    let mut manifest: DocumentMut =
        manifest.parse().map_err(|error| format!("Tokio's Cargo.toml is unreadable: {error}"))?;
    for table in ["bench", "example", "lints", "badges"] {
        manifest.remove(table);
    }
    if !with_tests {
        remove_tests(&mut manifest);
    }
    // Cargo shows the warnings of a crate in a folder. The user can do nothing about these.
    manifest["lints"]["rust"]["warnings"] = value("allow");
    let package = &mut manifest["package"];
    package["version"] = value(facade_version(version));
    package["publish"] = value(false);
    package["description"] = value("Tokio's API over the runtime heist");
    package["readme"] = value("README.md");
    package["autotests"] = value(false);
    package["autobenches"] = value(false);
    let mut heist = heist.clone();
    heist.insert("features", ["facade"].into_iter().collect::<toml_edit::Array>().into());
    manifest["dependencies"]["heist"] = Item::Value(heist.into());
    if let Some(features) = manifest["features"]["test-util"].as_array_mut() {
        features.push("heist/test-util");
    }
    Ok(manifest.to_string())
}

fn remove_tests(manifest: &mut DocumentMut) {
    manifest.remove("test");
    manifest.remove("dev-dependencies");
    let Some(targets) = manifest.get_mut("target").and_then(Item::as_table_mut) else { return };
    for (_, target) in targets.iter_mut() {
        if let Item::Table(target) = target {
            target.remove("dev-dependencies");
        }
    }
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, content));
    written.map_err(|error| format!("{} could not be written: {error}", path.display()))
}

fn readme(version: &str) -> String {
    format!(
        "# tokio over heist\n\nWritten by `cargo heist-tokio setup`; do not edit it by hand.\n\nThe files outside of src/runtime, src/time \
         and src/task are those of tokio {version}, under its licence (LICENSE). The others are heist's. This crate is not Tokio's, and \
         is not published.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_the_facade_is_ahead_and_names_the_mirrored_one() {
        assert_eq!(facade_version("1.54.1"), "1.54.901");
        assert_eq!(mirrored_version("1.54.901").as_deref(), Some("1.54.1"));
        assert_eq!(mirrored_version("1.54.1"), None);
    }

    #[test]
    fn replaced_folders_are_not_kept() {
        let is_kept = |path: &str| super::is_kept(&PathBuf::from(path));
        assert!(is_kept("src/net/tcp/stream.rs") && is_kept("LICENSE") && is_kept("src/task/join_set.rs"));
        assert!(!is_kept("src/runtime/scheduler/mod.rs") && !is_kept("tests/udp.rs") && !is_kept("src/task/mod.rs"));
    }

    #[test]
    fn overlay_has_each_replaced_module() {
        for module in
            ["src/runtime/mod.rs", "src/time/mod.rs", "src/task/mod.rs", "src/task/coop/mod.rs", "src/task/local.rs"]
        {
            assert!(OVERLAY.iter().any(|(path, _)| *path == module), "{module}");
        }
    }

    #[test]
    fn manifest_without_tests_depends_on_heist() {
        let original = "[package]\nname = \"tokio\"\nversion = \"1.54.1\"\n[[test]]\nname = \"udp\"\n[dependencies]\n\
                        [dev-dependencies]\nx = \"1\"\n[features]\ntest-util = []\n";
        let mut heist = InlineTable::new();
        heist.insert("version", "0.1.0".into());
        let manifest = manifest_of(original, "1.54.1", &heist, false).unwrap();
        let manifest: DocumentMut = manifest.parse().unwrap();
        assert_eq!(manifest["package"]["version"].as_str(), Some("1.54.901"));
        assert_eq!(manifest["dependencies"]["heist"]["features"][0].as_str(), Some("facade"));
        assert!(manifest.get("dev-dependencies").is_none() && manifest.get("test").is_none());
    }

    #[test]
    fn folder_that_is_no_checkout_is_refused() {
        let error = checkout(Path::new("/nowhere")).unwrap_err();
        assert!(error.contains("--heist"), "{error}");
    }
}
