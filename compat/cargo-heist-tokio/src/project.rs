//! The user's workspace, and what Cargo says of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use toml_edit::{DocumentMut, Item};

use crate::layout;

/// A workspace.
#[derive(Debug)]
pub(crate) struct Project {
    root: PathBuf,
}

/// The files of a workspace as they were before a change.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The content of each file; `None` if there was no such file.
    files: Vec<(PathBuf, Option<Vec<u8>>)>,
    folder: PathBuf,
    /// The place of the folder meanwhile, if there was one.
    saved: Option<PathBuf>,
}

impl Snapshot {
    /// Makes the workspace as it was.
    pub(crate) fn restore(self) -> Result<(), String> {
        layout::remove(&self.folder)?;
        if let Some(saved) = &self.saved {
            rename(saved, &self.folder)?;
        }
        for (path, content) in self.files {
            let restored = match content {
                Some(content) => fs::write(&path, content),
                None if path.exists() => fs::remove_file(&path),
                None => Ok(()),
            };
            restored.map_err(|error| format!("{} could not be restored: {error}", path.display()))?;
        }
        Ok(())
    }

    /// Removes what was saved.
    pub(crate) fn discard(self) -> Result<(), String> {
        self.saved.map_or(Ok(()), |saved| layout::remove(&saved).map(drop))
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), String> {
    let parent = to.parent().unwrap_or(Path::new("."));
    let renamed = fs::create_dir_all(parent).and_then(|()| fs::rename(from, to));
    renamed.map_err(|error| format!("{} could not be renamed to {}: {error}", from.display(), to.display()))
}

/// The resolved dependency tree of a workspace.
#[derive(Debug)]
pub(crate) struct Graph {
    packages: Vec<Package>,
}

/// A package of the tree, with the features that are active.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// The registry or repository; `None` for a folder.
    pub(crate) source: Option<String>,
    pub(crate) manifest: PathBuf,
    pub(crate) features: Vec<String>,
}

impl Project {
    /// Finds the workspace of `manifest`, or of the current folder.
    pub(crate) fn find(manifest: Option<&Path>) -> Result<Project, String> {
        let mut command = cargo();
        command.args(["locate-project", "--workspace", "--message-format", "plain"]);
        if let Some(manifest) = manifest {
            command.arg("--manifest-path").arg(manifest);
        }
        let text = run(&mut command, "find the workspace")?;
        let root = Path::new(text.trim()).parent().map(Path::to_owned);
        Ok(Project { root: root.ok_or("Cargo named no workspace; run this in a folder with a Cargo.toml")? })
    }

    /// Returns the folder of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the manifest of the workspace's root.
    pub(crate) fn root_manifest(&self) -> PathBuf {
        self.root.join("Cargo.toml")
    }

    /// Returns the folder of the crate that is patched in.
    pub(crate) fn facade_folder(&self) -> PathBuf {
        self.root.join(layout::FOLDER)
    }

    /// Saves what `setup` changes.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, String> {
        let files = [self.root_manifest(), self.root.join("Cargo.lock")];
        let files = files.into_iter().map(|path| (path.clone(), fs::read(&path).ok())).collect();
        let folder = self.facade_folder();
        let saved = folder.exists().then(|| folder.with_extension("before"));
        if let Some(saved) = &saved {
            layout::remove(saved)?;
            copy_folder(&folder, saved).map_err(|error| format!("{} could not be saved: {error}", folder.display()))?;
        }
        Ok(Snapshot { files, folder, saved })
    }

    /// Returns the version of Tokio that the crate in Cargo.lock mirrors, if that is the one over
    /// heist.
    pub(crate) fn mirrored_in_lock(&self) -> Option<String> {
        let lock: DocumentMut = fs::read_to_string(self.root.join("Cargo.lock")).ok()?.parse().ok()?;
        let packages = lock.get("package")?.as_array_of_tables()?;
        let text = |package: &toml_edit::Table, key: &str| package.get(key).and_then(Item::as_str).map(str::to_owned);
        let is_patched = |package: &&toml_edit::Table| {
            text(package, "name").as_deref() == Some("tokio") && text(package, "source").is_none()
        };
        layout::mirrored_version(&text(packages.iter().find(is_patched)?, "version")?)
    }

    /// Returns the dependency tree.
    pub(crate) fn graph(&self) -> Result<Graph, String> {
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1", "--manifest-path"]).arg(self.root_manifest());
        let text = run(&mut command, "resolve the dependencies")?;
        let json: Value =
            serde_json::from_str(&text).map_err(|error| format!("Cargo's metadata is unreadable: {error}"))?;
        Ok(Graph { packages: packages(&json) })
    }

    /// Makes the lock file name the crate that is patched in.
    pub(crate) fn use_patch(&self) -> Result<(), String> {
        let mut command = cargo();
        command.args(["update", "--quiet", "--package", "tokio", "--manifest-path"]).arg(self.root_manifest());
        run(&mut command, "put the patched `tokio` into Cargo.lock").map(drop)
    }

    /// Makes the lock file name the registry's crate again, in the version that was mirrored.
    pub(crate) fn forget_patch(&self, mirrored: Option<&str>) -> Result<(), String> {
        // Cargo drops the entry of a folder that is no dependency any more, and takes the newest
        // version of the registry in its place.
        let graph = self.graph()?;
        let Some(mirrored) = mirrored.filter(|_| !graph.named("tokio").is_empty()) else { return Ok(()) };
        let mut command = cargo();
        command.args(["update", "--quiet", "--package", "tokio", "--precise", mirrored, "--manifest-path"]);
        run(command.arg(self.root_manifest()), "put the registry's `tokio` into Cargo.lock").map(drop)
    }
}

impl Graph {
    /// Returns the packages with this name.
    pub(crate) fn named(&self, name: &str) -> Vec<&Package> {
        self.packages.iter().filter(|package| package.name == name).collect()
    }
}

fn packages(json: &Value) -> Vec<Package> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let nodes = list(&json["resolve"]["nodes"]);
    let features = |id: &str| {
        let node = nodes.iter().find(|node| node["id"] == id);
        node.map(|node| list(&node["features"]).iter().map(text).collect()).unwrap_or_default()
    };
    let package = |package: &Value| Package {
        id: text(&package["id"]),
        name: text(&package["name"]),
        version: text(&package["version"]),
        source: package["source"].as_str().map(str::to_owned),
        manifest: text(&package["manifest_path"]).into(),
        features: features(&text(&package["id"])),
    };
    list(&json["packages"]).iter().map(package).collect()
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn run(command: &mut Command, purpose: &str) -> Result<String, String> {
    let output =
        command.output().map_err(|error| format!("`cargo` did not start ({error}); install it, or set CARGO"))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(|error| format!("Cargo's output is no text: {error}"));
    }
    Err(format!("Cargo could not {purpose}:\n{}", String::from_utf8_lossy(&output.stderr).trim_end()))
}
