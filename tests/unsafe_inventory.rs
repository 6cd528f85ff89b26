//! Compares the unsafe code of the library with a list, so that a change of either is a decision.
//!
//! The list is `tests/unsafe_inventory/list.tsv`. Each row is a file and the kinds of its unsafe
//! operations, with their number. Test-only code does not count. The list is written by
//! `HEIST_UPDATE=1 cargo test --test unsafe_inventory`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[allow(dead_code, reason = "this test needs a part of it")]
#[path = "layers/reader.rs"]
mod reader;
use reader::{Token, is_name, tokens, without_tests};

const LIST: &str = "tests/unsafe_inventory/list.tsv";
const HEAD: &str = "# The unsafe code of `src/`: file, number of places, and the kinds of operations.\n";
const REMEDY: &str =
    "Review the new unsafe code. Then run `HEIST_UPDATE=1 cargo test --test unsafe_inventory`, and commit the list.";

/// Returns the kind of an unsafe place. The text of a block decides, from the most special kind on.
fn kind_of(place: &[&str]) -> &'static str {
    let has = |word: &str| place.contains(&word);
    let has_any = |words: &[&str]| words.iter().any(|word| has(word));
    match place {
        ["fn", ..] | ["extern", _, "fn", ..] => "function",
        ["impl", ..] => "implementation of a trait",
        ["extern", ..] => "foreign function",
        ["trait", ..] => "trait",
        _ if has("libc") => "call of libc",
        _ if has_any(&["transmute", "transmute_copy"]) => "transmutation",
        _ if has_any(&["new_unchecked", "get_unchecked_mut", "map_unchecked_mut", "map_unchecked"]) => {
            "unchecked pin or pointer"
        }
        _ if has_any(&["assume_init", "assume_init_mut", "set_len", "zeroed", "advance", "unfilled_mut"]) => {
            "uninitialised memory"
        }
        _ if has_any(&["alloc", "dealloc", "from_raw", "increment_strong_count", "decrement_strong_count"]) => {
            "allocation or ownership"
        }
        _ if has_any(&["asm", "_rdtsc", "__rdtscp"]) => "instruction of the processor",
        ["{", "*", ..] | ["{", "&", "*", ..] | ["{", "&", "mut", "*", ..] | ["{", "&", "raw", ..] => "dereference",
        _ if has_any(&["as_ref", "as_mut", "read", "write", "replace", "swap", "drop_in_place", "add", "cast"]) => {
            "dereference"
        }
        _ => "call of an unsafe function",
    }
}

/// Returns the unsafe places of a source: for a block its tokens, and otherwise the item's first.
fn places(source: &[Token]) -> Vec<Vec<&str>> {
    let word = |at: usize| source.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for at in (0..source.len()).filter(|&at| word(at) == "unsafe") {
        let start = at + 1;
        // `unsafe fn` without a name is a type. An attribute says `unsafe(…)`.
        let is_type = (word(start) == "fn" || word(start) == "extern" && word(start + 2) == "fn")
            && !(is_name(word(start + 1)) || is_name(word(start + 3)));
        if is_type || word(start) == "(" {
            continue;
        }
        let mut end = start + 1;
        if word(start) == "{" {
            let mut depth = 1;
            while depth > 0 && end < source.len() {
                match word(end) {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                end += 1;
            }
        } else {
            end = (start + 4).min(source.len());
        }
        found.push((start..end).map(word).collect());
    }
    found
}

/// Returns the row of a file, unless it has no unsafe code.
fn row(name: &str, text: &str) -> Option<String> {
    let (source, _) = without_tests(tokens(text));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for place in places(&source) {
        *kinds.entry(kind_of(&place)).or_default() += 1;
    }
    let total: usize = kinds.values().sum();
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    (total > 0).then(|| format!("{name}\t{total}\t{}", kinds.join(", ")))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn unsafe_code_of_the_library_is_that_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    files.sort();
    assert!(files.len() > 150, "only {} files were read", files.len());
    let mut rows = Vec::new();
    for path in &files {
        let name = path.strip_prefix(root).expect("a file of this package").display().to_string();
        if name.ends_with("/tests.rs") || name.ends_with("_tests.rs") {
            continue;
        }
        rows.extend(row(&name, &fs::read_to_string(path).expect("a readable file")));
    }
    assert!(rows.len() > 40, "only {} files have unsafe code", rows.len());
    let text = format!("{HEAD}{}\n", rows.join("\n"));
    if std::env::var_os("HEIST_UPDATE").is_some() {
        fs::write(root.join(LIST), &text).expect("a writable list");
    }
    let listed = fs::read_to_string(root.join(LIST)).expect("the list");
    let new: Vec<&str> = text.lines().filter(|line| !listed.lines().any(|known| known == *line)).collect();
    let gone: Vec<&str> = listed.lines().filter(|line| !text.lines().any(|known| known == *line)).collect();
    let lines = |rows: &[&str]| rows.iter().map(|row| format!("\n  {row}")).collect::<String>();
    assert!(
        new.is_empty() && gone.is_empty(),
        "the unsafe code is not that of {LIST}.\nIn the code:{}\nIn the list:{}\n{REMEDY}",
        lines(&new),
        lines(&gone)
    );
}

#[test]
fn inspection_of_unsafe_code_finds_each_kind() {
    let source = r#"
        unsafe impl<T> Send for Cell<T> {}
        unsafe fn read(at: *const u8) -> u8 { unsafe { *at } }
        type Function = unsafe fn(u8);
        type Foreign = unsafe extern "C" fn(u8);
        #[unsafe(no_mangle)]
        fn one() {
            // An unsafe { comment }, and "unsafe { text }".
            unsafe { libc::getpid() };
            unsafe { std::mem::transmute::<u8, i8>(1) };
            unsafe { Pin::new_unchecked(&mut x) };
            unsafe { Box::from_raw(at) };
            unsafe { list.push_back(node) };
            let text = "unsafe { libc::getpid() }";
        }
        #[cfg(test)]
        mod tests { fn two() { unsafe { libc::getppid() } } }
    "#;
    let expected = "a.rs\t8\t1 × allocation or ownership, 1 × call of an unsafe function, 1 × call of libc, \
                    1 × dereference, 1 × function, 1 × implementation of a trait, 1 × transmutation, \
                    1 × unchecked pin or pointer";
    assert_eq!(row("a.rs", source).as_deref(), Some(expected));
    assert_eq!(row("b.rs", "fn safe() {}"), None);
}
