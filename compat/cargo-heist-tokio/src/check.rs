//! What in a dependency tree would not run on the crate over heist.

use std::path::Path;

use crate::flags;
use crate::layout;
use crate::manifest;
use crate::project::{Graph, Project};
use crate::supported;

/// Features of heist that depend on `tokio`, and so on the crate over heist.
const CYCLIC: [&str; 2] = ["tokio-io", "hyper"];

/// Refuses features of heist that would make the crates depend on each other.
pub(crate) fn refuse_cycles(graph: &Graph) -> Result<(), String> {
    let heist = graph.named("heist");
    let active = heist.iter().flat_map(|heist| &heist.features);
    match active.into_iter().find(|feature| CYCLIC.contains(&feature.as_str())) {
        None => Ok(()),
        Some(feature) => Err(format!(
            "heist's feature `{feature}` is active, and depends on `tokio`, which would depend on heist: remove the feature; through the \
             patch, `tokio::net` implements the traits of `tokio::io`"
        )),
    }
}

/// Returns an error unless the only `tokio` 1 of the tree is the crate over heist.
pub(crate) fn prove(graph: &Graph, folder: &Path) -> Result<(), String> {
    let folder = folder
        .canonicalize()
        .map_err(|error| format!("{}: {error}; run `cargo heist-tokio setup` again", folder.display()))?;
    for tokio in graph.named("tokio").into_iter().filter(|tokio| tokio.version.starts_with("1.")) {
        let manifest = tokio.manifest.canonicalize().unwrap_or_default();
        if !manifest.starts_with(&folder) {
            return Err(format!(
                "tokio {} stays in the dependency tree beside the patched one ({}): a Cargo.toml requires exactly that version (`=`). Find \
                 it with `cargo tree -i tokio`, and relax its requirement",
                tokio.version, tokio.id
            ));
        }
    }
    if folder.join("src/runtime/scheduler").exists() {
        return Err(format!("{} has Tokio's scheduler; run `cargo heist-tokio setup` again", folder.display()));
    }
    Ok(())
}

/// Returns that nothing keeps the workspace from running on heist.
///
/// # Errors
///
/// What would not run, one line each.
pub(crate) fn report(project: &Project) -> Result<String, String> {
    if manifest::is_patched(&project.root_manifest())? && !project.facade_folder().join("Cargo.toml").exists() {
        return Err(format!(
            "{} is missing, and Cargo.toml patches `tokio` with it; run `cargo heist-tokio setup`",
            layout::FOLDER
        ));
    }
    manifest::refuse_other_patch(&project.root_manifest())?;
    let graph = project.graph()?;
    let mut lines = Vec::new();
    lines.extend(flags::refuse_unstable(project.root()).err());
    lines.extend(refuse_cycles(&graph).err());
    let tokios = graph.named("tokio");
    if tokios.is_empty() {
        lines.push("no package depends on tokio: there is nothing to patch".to_owned());
    }
    for tokio in tokios {
        match &tokio.source {
            Some(_) if !tokio.version.starts_with("1.") => {
                lines.push(format!(
                    "tokio {} is older than 1.0 and is not patched: it runs on its own threads",
                    tokio.version
                ));
            }
            Some(_) if supported::find(&tokio.version).is_none() => lines.push(supported::refusal(&tokio.version)),
            _ => {}
        }
        for feature in
            tokio.features.iter().filter(|feature| ["io-uring", "taskdump", "tracing"].contains(&feature.as_str()))
        {
            lines.push(format!(
                "tokio's feature `{feature}` exists by name, and has no effect: it is an unstable part of Tokio"
            ));
        }
    }
    for package in graph.named("tokio-uring") {
        lines.push(format!(
            "tokio-uring {} uses the inside of Tokio's runtime; it does not run on heist",
            package.version
        ));
    }
    if !lines.is_empty() {
        return Err(lines.join("\n"));
    }
    if !manifest::is_patched(&project.root_manifest())? {
        return Ok(
            "nothing keeps this workspace from running on heist; `cargo heist-tokio setup` patches it".to_owned()
        );
    }
    prove(&graph, &project.facade_folder())?;
    Ok(format!("this workspace runs on heist: `tokio` is patched with {}", layout::FOLDER))
}
