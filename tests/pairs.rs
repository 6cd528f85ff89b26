//! Holds `docs/pairs.md` and `docs/promises.md` to the sources.
//!
//! The first page lists the actors of each piece of shared state, and the check of each pair of
//! them. The second page lists the tests of each promise and of each hard case. The test reads
//! pages and sources as text.

use std::fs;
use std::path::Path;

#[path = "pairs/catalogue.rs"]
mod catalogue;
#[path = "pairs/inspection.rs"]
mod inspection;
#[path = "pairs/page.rs"]
mod page;
#[path = "layers/reader.rs"]
mod reader;
use catalogue::Catalogue;
use page::{code_spans, inspect_pairs, inspect_promises};

/// The folders whose functions may be named as tests.
const FOLDERS: [&str; 4] = ["loom-tests", "macros", "src", "tests"];

#[test]
fn pairs_page_covers_the_shared_state_of_the_library() {
    let catalogue = catalogue();
    assert!(catalogue.shared().count() > 60, "only {} types with shared state were found", catalogue.shared().count());
    report("docs/pairs.md", inspect_pairs(&read("docs/pairs.md"), &catalogue));
}

#[test]
fn promises_page_names_tests_that_exist() {
    let page = read("docs/promises.md");
    let names = code_spans(&page).count();
    assert!(names > 200, "only {names} names were found");
    report("docs/promises.md", inspect_promises(&page, &catalogue()));
}

fn catalogue() -> Catalogue {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(root, &root.join(folder), &mut files);
    }
    let catalogue = Catalogue::read(&files);
    assert!(catalogue.tests() > 1500, "only {} tests were found", catalogue.tests());
    catalogue
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a readable page")
}

/// Adds every Rust file below `dir`, as its path below `root` and its text.
fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("a folder").map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            files.push((name, fs::read_to_string(&path).expect("source is readable")));
        }
    }
}

fn report(page: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{} fault(s) in {page}:\n\n{}\n", faults.len(), faults.join("\n"));
}
