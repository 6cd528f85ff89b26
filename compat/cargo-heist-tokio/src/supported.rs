//! The versions of Tokio that the facade is tested with.

/// A version, and the SHA-256 of its package in the registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supported {
    pub(crate) version: &'static str,
    pub(crate) sha256: &'static str,
}

/// The newest version first.
pub(crate) const SUPPORTED: &[Supported] =
    &[Supported { version: "1.54.1", sha256: "b52fd3255258d26fac7264ab5a76b53c13367136dc011d3d6ad4f8ed070396a3" }];

/// Returns the entry of `version`.
pub(crate) fn find(version: &str) -> Option<Supported> {
    SUPPORTED.iter().copied().find(|supported| supported.version == version)
}

/// Returns the error for a version that is not in the list.
pub(crate) fn refusal(version: &str) -> String {
    let versions: Vec<_> = SUPPORTED.iter().map(|supported| supported.version).collect();
    format!(
        "tokio {version} is not supported; the versions {} are: choose one with `cargo update -p tokio --precise {}`, or install a newer \
         cargo-heist-tokio",
        versions.join(", "),
        versions[0]
    )
}
