//! Tokio's own source, from the user's registry.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::layout::mirrored_version;
use crate::project::Graph;
use crate::supported;

/// The files of one version of Tokio.
pub(crate) struct CrateSource {
    pub(crate) version: String,
    /// The content by path within the package.
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
}

/// Reads the version of Tokio that the workspace uses, and checks that it is supported and whole.
pub(crate) fn find(graph: &Graph) -> Result<CrateSource, String> {
    let tokio = graph.named("tokio").into_iter().find(|package| package.version.starts_with("1."));
    let tokio = tokio.ok_or(
        "no package of this workspace depends on tokio 1; add it first (`cargo add tokio`), or run this in the right folder",
    )?;
    match &tokio.source {
        // The workspace is patched already. The folder is written anew, from the same version.
        None => {
            let version = mirrored_version(&tokio.version).ok_or(format!(
                "`tokio` is patched already, by {}, which is not heist's; remove that patch first",
                tokio.manifest.display()
            ))?;
            read(&version, &packages_folders())
        }
        Some(_) => {
            let version = tokio.version.clone();
            let beside = tokio.manifest.parent().and_then(Path::parent).and_then(cache_of);
            read(&version, &beside.into_iter().chain(packages_folders()).collect::<Vec<_>>())
        }
    }
}

/// Returns the folder of packages that belongs to a folder of unpacked sources.
fn cache_of(sources: &Path) -> Option<PathBuf> {
    let registry = sources.parent()?.parent()?;
    Some(registry.join("cache").join(sources.file_name()?))
}

/// Returns all folders of packages in Cargo's home.
fn packages_folders() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let Some(Ok(entries)) = home.map(|home| fs::read_dir(home.join("registry/cache"))) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn read(version: &str, folders: &[PathBuf]) -> Result<CrateSource, String> {
    let expected = supported::find(version).ok_or_else(|| supported::refusal(version))?;
    let name = format!("tokio-{version}.crate");
    let package = folders.iter().map(|folder| folder.join(&name)).find(|path| path.exists());
    let package = package.ok_or(format!("{name} is not in Cargo's cache; run `cargo fetch`, and this again"))?;
    let bytes = fs::read(&package).map_err(|error| format!("{} is unreadable: {error}", package.display()))?;
    let found = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if found != expected.sha256 {
        return Err(format!(
            "{} is not the package that was published: its SHA-256 is {found}, not {}; delete the file and run `cargo fetch`",
            package.display(),
            expected.sha256
        ));
    }
    let files = unpack(&bytes).map_err(|error| format!("{} cannot be unpacked: {error}", package.display()))?;
    Ok(CrateSource { version: version.to_owned(), files })
}

fn unpack(package: &[u8]) -> std::io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(package)).entries()? {
        let mut entry = entry?;
        // The first component is the package's name and version.
        let path: PathBuf = entry.path()?.components().skip(1).collect();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(path, content);
    }
    Ok(files)
}
