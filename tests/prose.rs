//! Holds the project's English, and the names of its tests, to the rules of `CONTRIBUTING.md`.
//!
//! The test reads sources and pages as text. `PROSE_ONLY=src/net cargo test --test prose` reports the faults
//! below one path.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "prose/extract.rs"]
mod extract;
use extract::{Kind, Piece, markdown, rust};

/// Folders of Rust sources, and of pages.
const SOURCES: [&str; 9] = ["src", "tests", "loom-tests", "benches", "examples", "macros", "metrics", "storm", "trace"];
const PAGES: [&str; 7] = [
    "docs",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benches/method.md",
    "metrics/README.md",
    "trace/README.md",
];

/// Words of people. The subject of a sentence is a thing: the worker, the thief, the task.
const PERSONS: [&str; 18] = [
    "who",
    "whom",
    "whoever",
    "whomever",
    "somebody",
    "someone",
    "nobody",
    "anybody",
    "anyone",
    "everybody",
    "everyone",
    "he",
    "him",
    "his",
    "himself",
    "she",
    "hers",
    "herself",
];

/// Words that the glossary and the field's terms have replaced.
const COINED: [&str; 40] = [
    "attendance",
    "attendant",
    "attendants",
    "belfry",
    "bequeath",
    "bequeathed",
    "census",
    "chairs",
    "custody",
    "glimpse",
    "glimpsed",
    "heirs",
    "insider",
    "insiders",
    "leaver",
    "leavers",
    "ledger",
    "outing",
    "outings",
    "outsider",
    "outsiders",
    "peg",
    "pegs",
    "pledge",
    "pledged",
    "roster",
    "rota",
    "sentinel",
    "sentinels",
    "sitter",
    "staff",
    "stranger",
    "strangers",
    "sweeper",
    "sweepers",
    "tenancy",
    "timekeeper",
    "vigil",
    "ward",
    "wards",
];

/// First words of a description that hide what a function returns: `Returns …` says it.
const OPENINGS: [&str; 6] = ["answers", "whether", "true", "false", "says", "said"];

/// First words of a test's name that keep its unit from being the first.
const ARTICLES: [&str; 16] = [
    "a", "an", "the", "what", "it", "there", "no", "nothing", "one", "two", "ten", "all", "every", "each", "when", "if",
];

/// Verbs that could mean anything. A function's name says of what.
const BARE_VERBS: [&str; 11] =
    ["look", "leave", "settle", "call", "close", "mind", "note", "tell", "keep", "hear", "heed"];

const MOST_WORDS: usize = 25;
const MOST_COLUMNS: usize = 100;
const MOST_NAME: usize = 90;

#[test]
fn prose_of_the_project_keeps_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    let mut files = 0;
    for path in SOURCES.iter().flat_map(|folder| below(&root.join(folder), "rs")) {
        files += 1;
        check(root, &path, rust, &mut faults);
    }
    for path in PAGES.iter().flat_map(|page| below(&root.join(page), "md")) {
        files += 1;
        check(root, &path, markdown, &mut faults);
    }
    assert!(files > 200, "only {files} files were read");
    if let Ok(only) = std::env::var("PROSE_ONLY") {
        faults.retain(|fault| fault.starts_with(&only));
    }
    assert!(faults.is_empty(), "\n{}\n{} fault(s) against CONTRIBUTING.md\n", faults.join("\n"), faults.len());
}

#[test]
fn vocabulary_of_retired_names_has_no_definition_left() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("tests/prose/vocabulary.tsv")).expect("the table");
    let mut rows = 0;
    let mut faults = Vec::new();
    for row in table.lines().filter(|row| !row.starts_with('#')) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [file, kind, old, new] = fields[..] else { panic!("four fields: {row}") };
        rows += 1;
        match fs::read_to_string(root.join(file)) {
            Ok(text) if extract::defines(&text, kind, old) => {
                faults.push(format!("{file}: {kind} `{old}` is called `{new}`"));
            }
            Ok(_) => {}
            Err(error) => faults.push(format!("{file}: {error}; name the file to which it has moved")),
        }
    }
    assert!(rows > 350, "only {rows} rows were read");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn ordering_comments_of_the_library_name_methods_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts: Vec<(String, String)> = below(&root.join("src"), "rs")
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read_to_string(path).expect("a readable file")))
        .collect();
    let functions: BTreeSet<&str> = texts.iter().flat_map(|(_, text)| extract::functions(text)).collect();
    let mut faults = Vec::new();
    let mut comments = 0;
    for (path, text) in &texts {
        for (line, comment) in extract::ordering_comments(text) {
            comments += 1;
            for name in extract::code_spans(&comment) {
                match name.rsplit_once("::") {
                    Some((_, method)) if method.starts_with(char::is_uppercase) || functions.contains(method) => {}
                    None if !functions.contains(name) => {}
                    Some(_) => faults.push(format!("{path}:{line}: there is no `{name}`")),
                    None => faults.push(format!("{path}:{line}: write the type of `{name}`, too")),
                }
            }
        }
    }
    assert!(comments > 100, "only {comments} comments were read");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Mentions have the form `file.rs: function` or `file.rs: Type::method`.
#[test]
fn architecture_page_names_functions_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).expect("the page");
    let (mut faults, mut mentions) = (Vec::new(), 0);
    let page: String = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for (file, name) in extract::code_spans(&page).filter_map(|span| span.split_once(".rs: ")) {
        mentions += 1;
        let function = name.rsplit("::").next().unwrap_or(name);
        match fs::read_to_string(root.join(format!("src/{file}.rs"))) {
            Ok(text) if extract::functions(&text).any(|defined| defined == function) => {}
            Ok(_) => faults.push(format!("src/{file}.rs defines no `{function}`")),
            Err(error) => faults.push(format!("src/{file}.rs: {error}")),
        }
    }
    assert!(mentions > 50, "only {mentions} mentions were read");
    assert!(faults.is_empty(), "docs/architecture.md:\n{}\n", faults.join("\n"));
}

/// Returns the file itself, or every file below the folder that ends in `.ext`.
fn below(path: &Path, ext: &str) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<PathBuf> = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(path).expect("a folder").map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            if entry.file_name().is_none_or(|name| name != "target") {
                found.extend(below(&entry, ext));
            }
        } else if entry.extension().is_some_and(|found| found == ext) {
            found.push(entry);
        }
    }
    found
}

fn check(root: &Path, path: &Path, read: fn(&str) -> Vec<Piece>, faults: &mut Vec<String>) {
    let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
    if name.starts_with("tests/prose") {
        return;
    }
    let text = fs::read_to_string(path).expect("a readable file");
    for piece in read(&text) {
        for fault in inspect(&piece) {
            faults.push(format!("{name}:{}: {fault}", piece.line));
        }
    }
}

/// Returns what is wrong with one piece of text.
fn inspect(piece: &Piece) -> Vec<String> {
    let mut faults = Vec::new();
    match piece.kind {
        Kind::Line => {
            if piece.text.chars().count() > MOST_COLUMNS {
                faults.push(format!("a line of more than {MOST_COLUMNS} columns"));
            }
            return faults;
        }
        Kind::TestName => return test_name(&piece.text),
        Kind::Function if BARE_VERBS.contains(&piece.text.as_str()) => {
            faults.push(format!("fn `{}`: name what it acts on, too", piece.text));
            return faults;
        }
        Kind::Name | Kind::Function => {
            if let Some(word) = parts(&piece.text).find(|part| COINED.contains(&part.as_str())) {
                faults.push(format!("`{}` has the retired word `{word}`", piece.text));
            }
            return faults;
        }
        Kind::Doc | Kind::Comment | Kind::Cell | Kind::Text => {}
    }
    let prose = extract::without_code(&piece.text);
    let words: BTreeSet<String> = parts(&prose).collect();
    for word in PERSONS.iter().filter(|word| words.contains(**word)) {
        faults.push(format!("`{word}` is a person; name the thing: {}", short(&piece.text)));
    }
    for word in COINED.iter().filter(|word| words.contains(**word)) {
        faults.push(format!("`{word}` is a retired word: {}", short(&piece.text)));
    }
    if piece.kind == Kind::Text {
        return faults;
    }
    if piece.kind == Kind::Doc {
        let first = parts(&prose).next().unwrap_or_default();
        if OPENINGS.contains(&first.as_str()) && !prose.trim_start().starts_with('`') {
            faults.push(format!(
                "begins with `{first}`; begin with `Returns` or with what it does: {}",
                short(&piece.text)
            ));
        }
    }
    for sentence in extract::sentences(&prose) {
        let count = sentence.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
        if count > MOST_WORDS {
            faults.push(format!("a sentence of {count} words: {}", short(&sentence)));
        }
    }
    faults
}

fn test_name(name: &str) -> Vec<String> {
    let parts: Vec<String> = parts(name).collect();
    let mut faults = Vec::new();
    if parts.len() < 3 {
        faults.push(format!("test `{name}`: name it unit_condition_result"));
    }
    if ARTICLES.contains(&parts[0].as_str()) {
        faults.push(format!("test `{name}`: begin with the unit, not with `{}`", parts[0]));
    }
    if let Some(word) = parts.iter().find(|part| PERSONS.contains(&part.as_str()) || COINED.contains(&part.as_str())) {
        faults.push(format!("test `{name}`: name a thing, not `{word}`"));
    }
    if name.len() > MOST_NAME {
        faults.push(format!("test `{name}`: {} bytes, and {MOST_NAME} are the most", name.len()));
    }
    faults
}

/// The words of a text or a name, in lower case; `CamelCase` and `snake_case` are taken apart.
fn parts(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphabetic()).flat_map(|word| {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut before_is_lower = false;
        for c in word.chars() {
            if c.is_uppercase() && before_is_lower {
                parts.push(std::mem::take(&mut part));
            }
            before_is_lower = c.is_lowercase();
            part.extend(c.to_lowercase());
        }
        parts.push(part);
        parts.into_iter().filter(|part| !part.is_empty())
    })
}

fn short(text: &str) -> String {
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
    match text.char_indices().nth(90) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

// ------------------------------------------------------------------------------------- the inspector is itself inspected

#[track_caller]
fn one_fault(pieces: Vec<Piece>, says: &str) {
    let faults: Vec<String> = pieces.iter().flat_map(inspect).collect();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].contains(says), "expected {says:?} in {}", faults[0]);
}

#[test]
fn inspect_of_plain_prose_finds_nothing() {
    let source = "//! Queues of a worker.\n\n/// Returns the task, if `who` is a name in code.\n/// # Examples\n/// ```\n\
                  /// // nobody reads this\n/// ```\nfn pop() { f(\"no task is left\") }\n#[test]\nfn ring_full_refuses() {}\n";
    let pieces = rust(source);
    assert_eq!(pieces.iter().flat_map(inspect).collect::<Vec<_>>(), Vec::<String>::new());
    let page = "# A page\n\nOne claim. Another claim.\n\n| word | meaning |\n|---|---|\n| ring | a queue |\n";
    assert_eq!(markdown(page).iter().flat_map(inspect).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn inspect_of_each_kind_of_fault_finds_it() {
    one_fault(rust("// The lock is for whoever comes.\n"), "`whoever` is a person");
    one_fault(rust("fn f() { panic!(\"nobody may call this\") }\n"), "`nobody` is a person");
    one_fault(rust("// The sweeper drops it.\n"), "`sweeper` is a retired word");
    one_fault(rust("struct WardList;\n"), "the retired word `ward`");
    one_fault(rust("impl Lane {\n    fn close(&self) {}\n}\n"), "name what it acts on");
    one_fault(rust("/// Answers the length.\nfn f() {}\n"), "begins with `answers`");
    one_fault(rust("/// Whether it is empty.\nfn f() {}\n"), "begins with `whether`");
    one_fault(rust("#[test]\nfn a_ring_is_full() {}\n"), "begin with the unit");
    one_fault(rust("#[test]\nfn ring_full() {}\n"), "unit_condition_result");
    one_fault(rust("#[test]\nfn ring_is_full_for_nobody() {}\n"), "name a thing");
    let long = "word ".repeat(26);
    one_fault(rust(&format!("// {}\n// {}.\n", &long[..65], &long[65..129])), "a sentence of 26 words");
    one_fault(markdown(&format!("| a |\n|---|\n| {long} |\n")), "a sentence of 26 words");
    one_fault(markdown(&format!("{}\n", "x".repeat(101))), "more than 100 columns");
}
