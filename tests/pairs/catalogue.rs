//! What the sources define: tests, functions, types, and which types have state that threads share.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::{Token, is_name, tokens, without_tests};

/// Types by which threads share state. An alias of one of them counts as well.
const SHARED: [&str; 19] = [
    "AtomicBool",
    "AtomicI64",
    "AtomicI8",
    "AtomicIsize",
    "AtomicPtr",
    "AtomicU128",
    "AtomicU16",
    "AtomicU32",
    "AtomicU64",
    "AtomicU8",
    "AtomicUsize",
    "Condvar",
    "Futex",
    "IntervalTimer",
    "LazyLock",
    "Mutex",
    "OnceLock",
    "RwLock",
    "UnsafeCell",
];

/// What is defined in a set of files.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    tests: BTreeSet<String>,
    /// The tests that are models.
    models: BTreeSet<String>,
    functions: BTreeSet<String>,
    /// The methods of each type and trait.
    methods: BTreeSet<(String, String)>,
    /// Structs, enums, traits, aliases and statics of the library, as `module::Name`.
    types: BTreeSet<String>,
    /// Those of them with shared state, and where each is.
    shared: BTreeMap<String, String>,
    /// All names in the library.
    words: BTreeSet<String>,
}

impl Catalogue {
    /// Reads files, given as their paths and texts. Those below `src/` are the library.
    pub(crate) fn read(files: &[(String, String)]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        let mut library = Vec::new();
        let mut test_modules = BTreeSet::new();
        for (path, text) in files {
            let tokens = tokens(text);
            let tests = tests_in(&tokens);
            // The canary has races that loom must find, and no pair.
            if path.starts_with("loom-tests/") && !path.ends_with("canary.rs") {
                catalogue.models.extend(tests.iter().cloned());
            }
            catalogue.tests.extend(tests);
            let Some(below) = path.strip_prefix("src/") else { continue };
            let module = below.trim_end_matches(".rs").replace('/', "::");
            let (tokens, declared) = without_tests(tokens);
            test_modules.extend(declared.into_iter().map(|name| format!("{module}::{name}")));
            library.push((path, module, tokens));
        }
        for (path, module, tokens) in &library {
            if !test_modules.contains(module) {
                catalogue.add_library(path, module, tokens);
            }
        }
        catalogue
    }

    pub(crate) fn tests(&self) -> usize {
        self.tests.len()
    }

    pub(crate) fn has_test(&self, name: &str) -> bool {
        self.tests.contains(name)
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(String::as_str)
    }

    pub(crate) fn has_type(&self, path: &str) -> bool {
        self.types.contains(path)
    }

    /// Returns true if the library has a word of this name.
    pub(crate) fn has_word(&self, name: &str) -> bool {
        self.words.contains(name)
    }

    /// Returns true if the library has this function, given as `name` or `Type::name`.
    pub(crate) fn has_function(&self, name: &str) -> bool {
        match name.rsplit_once("::") {
            None => self.functions.contains(name),
            Some((of, method)) => {
                let of = of.rsplit("::").next().unwrap_or(of);
                self.methods.contains(&(of.to_owned(), method.to_owned()))
            }
        }
    }

    /// Returns each type and static with shared state, and where it is.
    pub(crate) fn shared(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shared.iter().map(|(path, place)| (path.as_str(), place.as_str()))
    }

    fn add_library(&mut self, path: &str, module: &str, tokens: &[Token]) {
        let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        self.words.extend(tokens.iter().filter(|token| is_name(&token.text)).map(|token| token.text.clone()));
        let mut shared: BTreeSet<String> = SHARED.iter().map(|&name| name.to_owned()).collect();
        let has_shared =
            |shared: &BTreeSet<String>, from: usize, to: usize| (from..to).any(|at| shared.contains(word(at)));
        for at in 0..tokens.len() {
            if word(at) == "type" && is_name(word(at + 1)) && has_shared(&shared, at, group_end(&word, at)) {
                shared.insert(word(at + 1).to_owned());
            }
        }
        let mut owner = None;
        for (at, token) in tokens.iter().enumerate() {
            let name = word(at + 1);
            match word(at) {
                // Elsewhere, `impl` is part of a type.
                "impl" | "trait" if at == 0 || ["}", ";", "]", ")", "pub", "unsafe"].contains(&word(at - 1)) => {
                    owner = Some((owner_of(&word, at), group_end(&word, at)));
                    if word(at) == "trait" {
                        self.types.insert(format!("{module}::{name}"));
                    }
                }
                "fn" if is_name(name) => {
                    self.functions.insert(name.to_owned());
                    if let Some((of, _)) = owner.as_ref().filter(|(_, end)| at < *end) {
                        self.methods.insert((of.clone(), name.to_owned()));
                    }
                }
                "struct" | "enum" | "union" | "type" | "static" if is_name(name) && name != "mut" => {
                    self.types.insert(format!("{module}::{name}"));
                    let end = if word(at) == "static" { value_of(&word, at) } else { group_end(&word, at) };
                    if word(at) != "type" && has_shared(&shared, at + 2, end) {
                        self.shared.insert(format!("{module}::{name}"), format!("{path}:{}", token.line));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Returns the functions with an attribute that ends in `test`, as `#[test]` and `#[heist::test]`.
fn tests_in(tokens: &[Token]) -> Vec<String> {
    let mut tests = Vec::new();
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    for at in 0..tokens.len() {
        if word(at) != "#" || word(at + 1) != "[" {
            continue;
        }
        let mut name = at + 2;
        while word(name + 1) == "::" {
            name += 2;
        }
        if word(name) != "test" {
            continue;
        }
        let mut next = behind_attributes(&word, at);
        while ["pub", "(", "crate", ")", "async"].contains(&word(next)) {
            next += 1;
        }
        if word(next) == "fn" {
            tests.push(word(next + 1).to_owned());
        }
    }
    tests
}

/// Returns the place behind the attributes that begin at `at`.
fn behind_attributes<'a>(word: &impl Fn(usize) -> &'a str, mut at: usize) -> usize {
    while word(at) == "#" {
        let mut depth = 0;
        loop {
            at += 1;
            match word(at) {
                "[" => depth += 1,
                "]" => depth -= 1,
                "" if depth == 0 => return at,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        at += 1;
    }
    at
}

/// Returns the end of the item at `at`: of its braces, or the semicolon before any.
fn group_end<'a>(word: &impl Fn(usize) -> &'a str, at: usize) -> usize {
    let mut depth = 0_usize;
    for next in at..at + 1_000_000 {
        match word(next) {
            "{" => depth += 1,
            "}" if depth <= 1 => return next,
            "}" => depth -= 1,
            ";" if depth == 0 => return next,
            _ => {}
        }
    }
    at
}

/// Returns the place of the value of the static at `at`: so its type comes before.
fn value_of<'a>(word: &impl Fn(usize) -> &'a str, at: usize) -> usize {
    (at..at + 200).find(|&next| ["=", ";"].contains(&word(next))).unwrap_or(at)
}

/// Returns the type that the `impl` at `at` is for, or the trait's name.
fn owner_of<'a>(word: &impl Fn(usize) -> &'a str, at: usize) -> String {
    if word(at) == "trait" {
        return word(at + 1).to_owned();
    }
    let (mut next, mut depth, mut name) = (at + 1, 0_i32, String::new());
    while !["{", "where", ""].contains(&word(next)) || depth > 0 {
        match word(next) {
            "<" => depth += 1,
            ">" => depth -= i32::from(word(next - 1) != "-"),
            "for" if depth == 0 => name.clear(),
            other if depth == 0 && is_name(other) && other != "dyn" => other.clone_into(&mut name),
            _ => {}
        }
        next += 1;
        if next > at + 200 {
            break;
        }
    }
    name
}
