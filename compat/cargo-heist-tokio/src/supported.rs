//! The versions of Tokio that the facade is tested with.

/// A version, and the SHA-256 of its package in the registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supported {
    pub(crate) version: &'static str,
    pub(crate) sha256: &'static str,
}

/// The newest version first.
pub(crate) const SUPPORTED: &[Supported] = &[
    Supported { version: "1.54.1", sha256: "b52fd3255258d26fac7264ab5a76b53c13367136dc011d3d6ad4f8ed070396a3" },
    Supported { version: "1.53.3", sha256: "ce3335fa71841cda333a58d7615b03901380ecf09d59b3296d21f8bbac0dde4e" },
    Supported { version: "1.52.4", sha256: "317fafbbe3f02fc663dad00ea6186197de963cd4190e86a26d8d0fae095539af" },
    Supported { version: "1.51.6", sha256: "a13e32eacd0222f9658be2ccbd83b718bfd9bfb0d54b5921913c184cb86124a5" },
    Supported { version: "1.50.0", sha256: "27ad5e34374e03cfffefc301becb44e9dc3c17584f414349ebe29ed26661822d" },
];

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
