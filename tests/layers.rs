//! Holds `src/` and `benches/` to the layers of `docs/architecture.md`.
//!
//! The test reads sources as text, without compiling them. Comments, strings and code under
//! `cfg(test)` do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[path = "layers/inspection.rs"]
mod inspection;
#[path = "layers/reader.rs"]
mod reader;
use reader::{Token, is_name, tokens, without_tests};

/// The layers, lowest first. A row names files by their module path, or whole folders; the longest
/// name that fits decides.
const LAYERS: [(&str, &[&str]); 7] = [
    ("0 platform", &["network", "primitive", "util"]),
    (
        "1 parts",
        &[
            "clock",
            "context::budget",
            "context::messages",
            "context::thread_role",
            "metrics",
            "phase",
            "queue",
            "raw_task",
            "recorder",
            "spin",
            "task_alloc",
            "timer::wheel",
        ],
    ),
    (
        "2 protocols",
        &[
            "block_in_place::blocked_workers",
            "blocking",
            "drain::gate",
            "drain::deadline_thread",
            "drain::outcome_counts",
            "drain::state",
            "group",
            "idle",
            "park",
            "pool::current_task",
            "pool::local",
            "pool::peer_observer",
            "pool::poll_time",
            "pool::recent_steals",
            "reactor",
            "shutdown::live_threads",
            "timer",
            "watchdog::sleep",
            "watchdog::stall",
            "worker_set",
            "worker_set::seat_state",
        ],
    ),
    ("3 pool", &["pool"]),
    (
        "4 workers",
        &["block_in_place", "context", "drain::counts", "drain::worker", "scheduler", "watchdog", "worker_set::spares"],
    ),
    (
        "5 lifecycle",
        &["blocking::task", "drain", "shutdown", "worker_set::cpu_quota", "worker_set::resize", "worker_set::threads"],
    ),
    ("6 public API", &["facade", "hyper", "internals", "io", "lib", "net", "runtime", "signal", "sim", "task", "time"]),
];

/// A file shorter than this is a part of another one, unless it is named here with its reason.
const LEAST_LINES: usize = 60;

const SHORT: &[(&str, &str)] = &[
    ("block_in_place", "the page is longer"),
    ("clock::pause_none", "the other half of a feature"),
    ("recorder::counter_none", "the other half of a platform"),
    ("recorder::counter_x86", "one register of a processor"),
    ("recorder::site_table", "one table of the process"),
    ("runtime::snapshot_signal", "one signal"),
    ("runtime::snapshot_signal_none", "the other half of a platform"),
    ("raw_task::refusal", "an error that three public types share"),
    ("runtime::group_scope", "the future of one method"),
    ("context::thread_role", "one mark of a thread, below everything that reads it"),
    ("drain", "lists its files"),
    ("internals", "one measurement of the benchmarks; lists its files"),
    ("io", "lists its files"),
    ("io::descriptor", "one type for all of `io`"),
    ("metrics", "lists its files"),
    ("metrics::histogram", "one type, beside its buckets"),
    ("metrics::run_delays", "one type, beside its buckets"),
    ("net::blocking_mode", "one check, for all sockets"),
    ("net::bounds", "limits of options, for all sockets"),
    ("pool::block_on_queue", "one type with a model of its own"),
    ("pool::peer_observer", "one memory of the worker"),
    ("pool::recent_steals", "one estimate of the worker"),
    ("queue", "lists its files"),
    ("reactor::poll_set_none", "another platform"),
    ("reactor::shutdown_error", "one error"),
    ("runtime::root_span_none", "the other half of a feature"),
    ("runtime::spawn_error", "one error"),
    ("scheduler", "lists its files"),
    ("primitive::baton_network", "how threads reach the network"),
    ("primitive::futex", "one platform"),
    ("primitive::membership", "one check, for every task from outside"),
    ("primitive::futex_condvar", "the other platforms"),
    ("primitive::unsimulated", "the other half of a feature"),
    ("sim::quiet", "one filter, for every panic"),
    ("sim::scaling", "what one benchmark sets and reads"),
    ("task_alloc::class", "one half of a build option"),
    ("task_alloc::class_none", "the other half of a build option"),
    ("time::pause_none", "the other half of a feature"),
    ("time::timer_span_none", "the other half of a feature"),
    ("util", "lists its files"),
    ("util::cpu_linux", "one platform"),
    ("util::cpu_unknown", "the other platforms"),
    ("util::named_thread", "one function, for every thread"),
    ("util::rate_limit", "one type, for every log"),
    ("util::rng", "one type, used everywhere"),
    ("util::scoped_cell", "one type, used everywhere"),
    ("util::thread_bound", "one type, used everywhere"),
];

/// A file longer than this holds more than one noun.
const MOST_LINES: usize = 600;

/// Type names that fit everything. One of them is a public name of Tokio's.
const EMPTY_NAMES: [&str; 5] = ["Handle", "Shared", "Core", "Inner", "Context"];
const PUBLIC_NAME: (&str, &str) = ("runtime::handle", "Handle");

/// What only `primitive` may name, and what to write instead.
const BEHIND_SYNC: [(&[&str], &str); 10] = [
    (&["std", "sync"], "crate::primitive"),
    (&["core", "sync"], "crate::primitive"),
    (&["std", "thread", "spawn"], "crate::primitive::thread::Builder"),
    (&["std", "thread", "park"], "crate::park"),
    (&["std", "thread", "yield_now"], "crate::primitive::thread::yield_now"),
    (&["std", "thread", "JoinHandle"], "crate::primitive::thread::JoinHandle"),
    (&["std", "cell", "UnsafeCell"], "crate::primitive::UnsafeCell"),
    (&["core", "cell", "UnsafeCell"], "crate::primitive::UnsafeCell"),
    (&["parking_lot"], "crate::primitive"),
    (&["loom"], "crate::primitive"),
];

#[test]
fn sources_of_the_library_keep_to_the_layers() {
    let files = read_all("src");
    assert!(files.iter().any(|(path, _)| path == "lib.rs"), "no src/lib.rs");
    report(inspect(&files));
}

#[test]
fn modules_of_the_benches_form_no_cycle() {
    let files = read_all("benches/src");
    assert!(files.iter().any(|(path, _)| path == "lib.rs"), "no benches/src/lib.rs");
    let mut faults = Vec::new();
    cycles(&edges(&sources(&files), &mut faults), &mut faults);
    report(faults);
}

fn report(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{} fault(s) against docs/architecture.md:\n\n{}\n", faults.len(), faults.join("\n"));
}

/// Every Rust file below `folder`, as its path below that and its text.
fn read_all(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("a folder").map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            files.push((name, fs::read_to_string(&path).expect("source is readable")));
        }
    }
}

// The inspection.

/// Returns every fault in a set of files, each given as its path below `src/` and its text.
fn inspect(files: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    let sources = sources(files);
    for (path, text) in files {
        shape(path, text, sources.iter().any(|source| source.path == *path), &mut faults);
    }
    for source in &sources {
        if layer(&source.module).is_none() {
            faults.push(format!(
                "src/{}: the file is in no layer.\n    Add it to LAYERS (tests/layers.rs) and to docs/architecture.md: the \
                 lowest layer from which it reaches what it needs.",
                source.path
            ));
        }
        source.names(&mut faults);
        source.sync_only(&mut faults);
    }
    let edges = edges(&sources, &mut faults);
    for ((from, to), place) in &edges {
        if let (Some(here), Some(there)) = (layer(from), layer(to)) {
            if there > here {
                faults.push(format!(
                    "{place}: `{from}` (layer {}) names `{to}` (layer {}), which lies above it.\n    Imports run down. Let \
                     `{from}` define a trait that the upper layer implements, or pass the value in from above.",
                    LAYERS[here].0, LAYERS[there].0
                ));
            }
        }
    }
    cycles(&edges, &mut faults);
    faults
}

/// The files that are compiled without `cfg(test)`.
fn sources(files: &[(String, String)]) -> Vec<Source> {
    let mut sources: Vec<Source> = files.iter().map(|(path, text)| Source::read(path, text)).collect();
    let test_only: BTreeSet<String> = sources.iter().flat_map(|source| source.test_modules.iter().cloned()).collect();
    sources.retain(|source| !test_only.contains(&source.module));
    sources
}

/// Returns the place in [`LAYERS`] of the longest name that fits `module`.
fn layer(module: &str) -> Option<usize> {
    let fits = |name: &str| module == name || module.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
    let named =
        LAYERS.iter().enumerate().flat_map(|(at, (_, names))| names.iter().map(move |name| (name.len(), at, *name)));
    named.filter(|(_, _, name)| fits(name)).max().map(|(_, at, _)| at)
}

/// Where the file lies, and how long it is.
fn shape(path: &str, text: &str, counts: bool, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    let module = path.trim_end_matches(".rs").replace('/', "::");
    let reason = SHORT.iter().find(|(name, _)| *name == module);
    if lines > MOST_LINES {
        faults.push(format!(
            "src/{path}: {lines} lines, and {MOST_LINES} are the most.\n    Move its second noun to a file of its own; tests \
             may move to `{}/tests.rs`.",
            path.trim_end_matches(".rs")
        ));
    }
    if lines < LEAST_LINES && counts && reason.is_none() {
        faults.push(format!(
            "src/{path}: {lines} lines, and {LEAST_LINES} are the least.\n    Move it into the file that uses it, or name it \
             in SHORT (tests/layers.rs) with a reason."
        ));
    }
    if path.split('/').count() > 2 || path.ends_with("mod.rs") {
        faults.push(format!(
            "src/{path}: modules are `name.rs` with `name/` beside it, one folder deep and without `mod.rs`."
        ));
    }
}

type Edges = BTreeMap<(String, String), String>;

/// Which file names which other one, with the first place of each.
fn edges(sources: &[Source], faults: &mut Vec<String>) -> Edges {
    let modules: BTreeSet<&str> = sources.iter().map(|source| source.module.as_str()).collect();
    let mut edges = BTreeMap::new();
    for source in sources {
        for (at, path) in source.absolute_paths() {
            let known = (1..=path.len())
                .rev()
                .map(|parts| path[..parts].join("::"))
                .find(|module| modules.contains(module.as_str()));
            match known {
                Some(module) if module == source.module => {}
                Some(module) => {
                    edges.entry((source.module.clone(), module)).or_insert_with(|| source.place(at));
                }
                None if source.module == "lib" || source.names_macro(at, &path) => {}
                None => faults.push(format!(
                    "{}: `crate::{}` is in no file.\n    Name the thing where it is defined, not through the crate's root.",
                    source.place(at),
                    path.join("::")
                )),
            }
        }
    }
    edges
}

/// Reports each cycle that leaves its folder, once, by the way around. Inside of a folder, parent
/// and child name each other.
fn cycles(edges: &Edges, faults: &mut Vec<String>) {
    fn walk<'a>(
        module: &'a str,
        edges: &'a Edges,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
        faults: &mut Vec<String>,
    ) {
        if let Some(start) = way.iter().position(|&on_way| on_way == module) {
            let mut round: Vec<&str> = way[start..].to_vec();
            round.push(module);
            if round.iter().all(|other| folder(other) == folder(module)) {
                return;
            }
            let steps = round.windows(2).map(|step| {
                let place = &edges[&(step[0].to_owned(), step[1].to_owned())];
                format!("\n      `{}` names `{}` in {place}", step[0], step[1])
            });
            faults.push(format!(
                "cycle {}:{}\n    Remove the import that goes up: let the lower file define a trait that the upper one \
                 implements, or move what both need down.",
                round.join(" -> "),
                steps.collect::<String>()
            ));
            return;
        }
        if done.insert(module) {
            way.push(module);
            for (_, to) in edges.keys().filter(|(from, _)| from == module) {
                walk(to, edges, way, done, faults);
            }
            way.pop();
        }
    }
    let mut done = BTreeSet::new();
    for (from, _) in edges.keys() {
        walk(from, edges, &mut Vec::new(), &mut done, faults);
    }
}

fn folder(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// One file as tokens.
struct Source {
    path: String,
    /// `folder` or `folder::file`.
    module: String,
    tokens: Vec<Token>,
    /// Modules in files of their own that exist only under `cfg(test)`.
    test_modules: Vec<String>,
}

impl Source {
    fn read(path: &str, text: &str) -> Source {
        let module = path.trim_end_matches(".rs").replace('/', "::");
        let (tokens, test_modules) = without_tests(tokens(text));
        let parent = if module == "lib" { String::new() } else { format!("{module}::") };
        let test_modules = test_modules.into_iter().map(|name| format!("{parent}{name}")).collect();
        Source { path: path.to_owned(), module, tokens, test_modules }
    }

    fn place(&self, at: usize) -> String {
        format!("src/{}:{}", self.path, self.tokens[at].line)
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// Returns true if the path that begins at `at` names a macro.
    fn names_macro(&self, at: usize, path: &[String]) -> bool {
        let last = path.last().map_or("", String::as_str);
        (at..at + 2 * path.len() + 2).any(|next| self.word(next) == last && self.word(next + 1) == "!")
    }

    /// Type names that say nothing.
    fn names(&self, faults: &mut Vec<String>) {
        for at in 0..self.tokens.len() {
            let name = self.word(at + 1);
            let declares = ["struct", "enum", "union", "type", "trait"].contains(&self.word(at));
            if declares && EMPTY_NAMES.contains(&name) && (self.module.as_str(), name) != PUBLIC_NAME {
                faults.push(format!(
                    "{}: a type called `{name}`.\n    Say what it is; our words are in docs/glossary.md.",
                    self.place(at)
                ));
            }
        }
    }

    /// What has to come through `crate::primitive`.
    fn sync_only(&self, faults: &mut Vec<String>) {
        if folder(&self.module) == "primitive" {
            return;
        }
        let imports_locals = self.paths_from("crate").any(|(_, path)| path == ["crate", "primitive", "thread_local"]);
        for at in 0..self.tokens.len() {
            if self.word(at) == "thread_local"
                && self.word(at + 1) == "!"
                && self.word(at - 1) != "::"
                && !imports_locals
            {
                faults.push(format!(
                    "{}: std's `thread_local!`.\n    Import it: `use crate::primitive::thread_local;`. The models need their own.",
                    self.place(at)
                ));
            }
        }
        // `time` and `hyper` name the library's own `Instant`.
        if !["time", "hyper"].contains(&folder(&self.module)) {
            for at in 0..self.tokens.len() {
                if ["Instant", "::", "now"].iter().enumerate().all(|(n, word)| self.word(at + n) == *word) {
                    faults.push(format!(
                        "{}: std's clock is read past `crate::primitive`.\n    Call `crate::primitive::real_now()`.",
                        self.place(at)
                    ));
                }
            }
        }
        for (banned, instead) in BEHIND_SYNC {
            for (at, path) in self.paths_from(banned[0]) {
                if path.iter().map(String::as_str).take(banned.len()).eq(banned.iter().copied()) {
                    faults.push(format!(
                        "{}: `{}` does not come through `crate::primitive`.\n    Use `{instead}`, so that the models check what a \
                         server runs.",
                        self.place(at),
                        path.join("::")
                    ));
                }
            }
        }
    }

    /// Every path that begins with `crate`, `self` or `super`, spelled from the crate's root
    /// without `crate`.
    fn absolute_paths(&self) -> Vec<(usize, Vec<String>)> {
        let own: Vec<String> = match self.module.as_str() {
            "lib" => Vec::new(),
            module => module.split("::").map(str::to_owned).collect(),
        };
        let mut paths: Vec<(usize, Vec<String>)> =
            self.paths_from("crate").map(|(at, path)| (at, path[1..].to_vec())).collect();
        for at in 0..self.tokens.len() {
            let starts =
                self.word(at) == "super" && self.word(at + 1) == "::" && (at == 0 || self.word(at - 1) != "::");
            if !starts {
                continue;
            }
            let supers = (0..).take_while(|step| self.word(at + 2 * step) == "super").count();
            let Some(up) = supers.checked_sub(self.tokens[at].inline_depth) else { continue };
            let Some(stem) = own.len().checked_sub(up).map(|length| &own[..length]) else { continue };
            for path in self.spell_out(at + 2 * (supers - 1)) {
                paths.push((at, stem.iter().chain(&path[1..]).cloned().collect()));
            }
        }
        paths.retain(|(_, path)| !path.is_empty());
        paths
    }

    /// Every path that begins with the word `first`, with groups written out, and where it begins.
    fn paths_from(&self, first: &str) -> impl Iterator<Item = (usize, Vec<String>)> {
        let starts = (0..self.tokens.len()).filter(move |&at| {
            // `$crate` begins a path too; `a::std` does not, but `::std` does.
            let after_name = at > 1 && self.word(at - 1) == "::" && is_name(self.word(at - 2));
            self.word(at) == first && self.word(at + 1) == "::" && !after_name
        });
        starts.flat_map(|at| self.spell_out(at).into_iter().map(move |path| (at, path)))
    }

    /// `a::{b::c, d}` at `at` as `[a b c] [a d]`.
    fn spell_out(&self, at: usize) -> Vec<Vec<String>> {
        fn tree(source: &Source, at: &mut usize, stem: &[String], paths: &mut Vec<Vec<String>>) {
            let mut path = stem.to_vec();
            loop {
                match source.word(*at) {
                    "{" => {
                        *at += 1;
                        while !["}", ""].contains(&source.word(*at)) {
                            let before = *at;
                            tree(source, at, &path, paths);
                            if source.word(*at) == "as" {
                                *at += 2;
                            }
                            if source.word(*at) == "," || *at == before {
                                *at += 1;
                            }
                        }
                        *at += 1;
                        return;
                    }
                    name if is_name(name) => path.push(name.to_owned()),
                    _ => break,
                }
                *at += 1;
                if source.word(*at) != "::" {
                    break;
                }
                *at += 1;
            }
            paths.push(path);
        }
        let mut paths = Vec::new();
        tree(self, &mut { at }, &[], &mut paths);
        paths
    }
}
