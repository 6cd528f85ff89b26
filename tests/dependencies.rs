//! Checks the crates that a program with heist compiles: their names, sources, licences, versions.
//!
//! Cargo's own tree is read, without network. The advisories of the field's database are not
//! checked here: `cargo audit` does that where it can fetch them.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Every crate that is compiled on Linux with all features. A new name is a decision.
const CRATES: [&str; 27] = [
    "bytes",
    "cfg-if",
    "crossbeam-utils",
    "errno",
    "futures-io",
    "heist",
    "heist-macros",
    "http",
    "http-body",
    "hyper",
    "itoa",
    "libc",
    "lock_api",
    "log",
    "mio",
    "once_cell",
    "parking_lot",
    "parking_lot_core",
    "pin-project-lite",
    "scopeguard",
    "signal-hook-registry",
    "slab",
    "smallvec",
    "socket2",
    "tokio",
    "tracing",
    "tracing-core",
];

/// Licences that a program under any licence may use.
const LICENCES: [&str; 4] = ["MIT", "Apache-2.0", "BSD-3-Clause", "Zlib"];

/// Returns the lines of `cargo tree`: name, version, licence.
fn tree() -> Vec<(String, String, String)> {
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--offline", "--locked", "--package", "heist", "--edges", "normal,build", "--all-features"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"])
        .env_remove("CARGO_TERM_COLOR")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let row = |line: &str| {
        let (package, licence) = line.split_once('|').expect("a package and its licence");
        let mut words = package.split(' ');
        let [name, version] = [words.next(), words.next()].map(|word| word.expect("a word").to_owned());
        (name, version, licence.trim().to_owned())
    };
    text.lines().filter(|line| !line.is_empty()).map(row).collect()
}

#[test]
fn crates_that_are_compiled_are_the_known_ones() {
    let found: BTreeSet<String> = tree().into_iter().map(|(name, ..)| name).collect();
    let known: BTreeSet<String> = CRATES.iter().map(|name| (*name).to_owned()).collect();
    let new: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:?}, gone: {gone:?}; review them, and correct CRATES");
}

#[test]
fn crates_that_are_compiled_have_one_version_each() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version, _) in tree() {
        versions.entry(name).or_default().insert(version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "several versions of one crate: {versions:?}");
}

#[test]
fn crates_that_are_compiled_have_permissive_licences() {
    let allowed = |licence: &str| {
        // `A OR B`, or `A/B` in older manifests. Each part of an `AND` is needed.
        let parts = licence.replace(['(', ')'], "").replace('/', " OR ");
        parts.split(" AND ").all(|all| all.split(" OR ").any(|one| LICENCES.contains(&one.trim())))
    };
    assert!(allowed("MIT OR Apache-2.0") && allowed("(MIT OR GPL-3.0) AND Zlib"));
    assert!(!allowed("GPL-3.0") && !allowed("MIT AND GPL-3.0") && !allowed(""));
    let refused: BTreeSet<_> = tree().into_iter().filter(|(.., licence)| !allowed(licence)).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// Every package of the lock file is from the registry or of this workspace, also those of tests.
/// What is from the registry has a checksum.
#[test]
fn packages_of_the_lock_file_come_from_the_registry() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let packages: Vec<&str> = text.split("[[package]]").skip(1).collect();
    assert!(packages.len() > 60, "only {} packages were read", packages.len());
    let mut sources = BTreeSet::new();
    for package in packages {
        let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        if let Some(source) = value("source") {
            assert!(source.starts_with("\"registry+"), "{package}");
            assert!(value("checksum").is_some(), "{package}");
            sources.insert(source.to_owned());
        }
    }
    assert_eq!(sources.len(), 1, "{sources:?}");
}
