//! Holds the code against the plan of the house: which room lies on which floor, and what a room may name.
//!
//! The plan is `docs/architecture.md`. This test reads `src/` as text, without compiling it; comments, strings and code that
//! exists only under `cfg(test)` do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[path = "floors/reader.rs"]
mod reader;
use reader::{Token, is_name, tokens, without_tests};

/// Floor by floor, from the ground up. A room may name rooms on lower floors, and neighbours on its own as long as no cycle
/// comes of it.
const FLOORS: [(&str, &[&str]); 7] = [
    (
        "F0 ground",
        &[
            "sync",
            "list",
            "rng",
            "clock",
            "stats",
            "wakes",
            "memory",
            "spin",
            "stripe",
            "restore",
            "budget",
            "duty",
            "cpu",
            "thread_bound",
        ],
    ),
    ("F1 parts", &["cell", "queue", "wheel", "phase"]),
    ("F2 protocols", &["idle", "park", "local", "reactor", "timer", "blocking", "ledger", "vigil"]),
    ("F3 pool", &["pool"]),
    ("F4 traffic", &["context", "schedule", "worker", "watchdog"]),
    ("F5 cold", &["threads", "shutdown", "resize", "drain", "quota"]),
    ("F6 street", &["runtime", "task", "time", "net", "io", "signal", "hyper", "internals", "lib"]),
];

/// A file longer than this holds more than one noun.
const MOST_LINES: usize = 600;

/// Names that say nothing, with the one room where one of them mirrors a public name.
const EMPTY_NAMES: [&str; 5] = ["Handle", "Shared", "Core", "Inner", "Context"];
const MIRRORED: (&str, &str) = ("runtime", "Handle");

/// What only the door, `sync`, may name, and what to write instead.
const BEHIND_THE_DOOR: [(&[&str], &str); 10] = [
    (&["std", "sync"], "crate::sync"),
    (&["core", "sync"], "crate::sync"),
    (&["std", "thread", "spawn"], "crate::sync::thread::Builder"),
    (&["std", "thread", "park"], "crate::park"),
    (&["std", "thread", "yield_now"], "crate::sync::thread::yield_now"),
    (&["std", "thread", "JoinHandle"], "crate::sync::thread::JoinHandle"),
    (&["std", "cell", "UnsafeCell"], "crate::sync::UnsafeCell"),
    (&["core", "cell", "UnsafeCell"], "crate::sync::UnsafeCell"),
    (&["parking_lot"], "crate::sync"),
    (&["loom"], "crate::sync"),
];

#[test]
fn the_code_keeps_to_the_plan() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.iter().any(|(path, _)| path == "lib.rs"), "no src/lib.rs under {}", root.display());
    let faults = inspect(&files);
    assert!(faults.is_empty(), "\n{} fault(s) against docs/architecture.md:\n\n{}\n", faults.len(), faults.join("\n"));
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("src is readable").map(|entry| entry.unwrap().path()).collect();
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

// ---------------------------------------------------------------------------------------------------- the inspection

/// Every fault in a set of files, each given as its path below `src/` and its text.
fn inspect(files: &[(String, String)]) -> Vec<String> {
    let mut sources: Vec<Source> = files.iter().map(|(path, text)| Source::read(path, text)).collect();
    let test_only: BTreeSet<String> = sources.iter().flat_map(|source| source.test_modules.iter().cloned()).collect();
    sources.retain(|source| !test_only.contains(&source.module));
    let rooms: BTreeSet<String> = sources.iter().map(|source| source.room().to_owned()).collect();

    let mut faults = Vec::new();
    for (path, text) in files {
        shape(path, text, &mut faults);
    }
    for room in &rooms {
        if floor(room).is_none() {
            faults.push(format!(
                "src/{room}.rs: the room `{room}` is not on the plan.\n    Give it a floor in FLOORS (tests/floors.rs) and in \
                 docs/architecture.md: the lowest one from which it still reaches what it needs."
            ));
        }
    }
    let mut edges = BTreeMap::new();
    for source in &sources {
        source.names(&mut faults);
        source.door(&mut faults);
        source.imports(&rooms, &mut edges, &mut faults);
    }
    cycles(&edges, &mut faults);
    faults
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, rooms)| rooms.contains(&room))
}

/// Where the file lies, and how long it is.
fn shape(path: &str, text: &str, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > MOST_LINES {
        faults.push(format!(
            "src/{path}: {lines} lines, and {MOST_LINES} are the most.\n    Look for its second noun and give that a file of its \
             own; tests may move to `{}/tests.rs`.",
            path.trim_end_matches(".rs")
        ));
    }
    if path.split('/').count() > 2 || path.ends_with("mod.rs") {
        faults.push(format!(
            "src/{path}: rooms are `name.rs` with `name/` beside it, one folder deep and without `mod.rs`."
        ));
    }
}

/// Reports each cycle among rooms once, by the way around.
fn cycles(edges: &BTreeMap<(String, String), String>, faults: &mut Vec<String>) {
    fn walk<'a>(
        room: &'a str,
        edges: &'a BTreeMap<(String, String), String>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
        faults: &mut Vec<String>,
    ) {
        if let Some(start) = way.iter().position(|&on_way| on_way == room) {
            let mut round: Vec<&str> = way[start..].to_vec();
            round.push(room);
            let steps = round.windows(2).map(|step| {
                let place = &edges[&(step[0].to_owned(), step[1].to_owned())];
                format!("\n      `{}` names `{}` in {place}", step[0], step[1])
            });
            faults.push(format!(
                "cycle {}:{}\n    Cut the call that goes up: let the lower room define a trait that the upper one implements, \
                 or move what both need one floor down.",
                round.join(" -> "),
                steps.collect::<String>()
            ));
            return;
        }
        if done.insert(room) {
            way.push(room);
            for (_, to) in edges.keys().filter(|(from, _)| from == room) {
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

/// One file as tokens.
struct Source {
    path: String,
    /// `room` or `room::part`.
    module: String,
    tokens: Vec<Token>,
    /// Modules in files of their own that exist only under `cfg(test)`.
    test_modules: Vec<String>,
}

impl Source {
    fn read(path: &str, text: &str) -> Source {
        let module = path.trim_end_matches(".rs").replace('/', "::");
        let (tokens, test_modules) = without_tests(tokens(text));
        let test_modules = test_modules.into_iter().map(|name| format!("{module}::{name}")).collect();
        Source { path: path.to_owned(), module, tokens, test_modules }
    }

    fn room(&self) -> &str {
        self.module.split("::").next().unwrap_or(&self.module)
    }

    fn place(&self, at: usize) -> String {
        format!("src/{}:{}", self.path, self.tokens[at].line)
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// Type names that say nothing.
    fn names(&self, faults: &mut Vec<String>) {
        for at in 0..self.tokens.len() {
            let name = self.word(at + 1);
            let declares = ["struct", "enum", "union", "type", "trait"].contains(&self.word(at));
            if declares && EMPTY_NAMES.contains(&name) && (self.room(), name) != MIRRORED {
                faults.push(format!(
                    "{}: a type called `{name}`.\n    Say what it is; the words of the house are in docs/architecture.md. Only \
                     `{}::{}` mirrors a public name.",
                    self.place(at),
                    MIRRORED.0,
                    MIRRORED.1
                ));
            }
        }
    }

    /// What has to come through `crate::sync`.
    fn door(&self, faults: &mut Vec<String>) {
        if self.room() == "sync" {
            return;
        }
        let imports_locals = self.paths_from("crate").any(|(_, path)| path == ["crate", "sync", "thread_local"]);
        for at in 0..self.tokens.len() {
            if self.word(at) == "thread_local"
                && self.word(at + 1) == "!"
                && self.word(at - 1) != "::"
                && !imports_locals
            {
                faults.push(format!(
                    "{}: std's `thread_local!`.\n    Import it: `use crate::sync::thread_local;`. The models need their own.",
                    self.place(at)
                ));
            }
        }
        for (banned, instead) in BEHIND_THE_DOOR {
            for (at, path) in self.paths_from(banned[0]) {
                if path.iter().map(String::as_str).take(banned.len()).eq(banned.iter().copied()) {
                    faults.push(format!(
                        "{}: `{}` goes past the door.\n    Use `{instead}`, so that the models check what the server runs.",
                        self.place(at),
                        path.join("::")
                    ));
                }
            }
        }
    }

    /// Which rooms this file names; the first place of each goes into `edges`.
    fn imports(
        &self,
        rooms: &BTreeSet<String>,
        edges: &mut BTreeMap<(String, String), String>,
        faults: &mut Vec<String>,
    ) {
        let (own, place_of) = (self.room(), |at| self.place(at));
        let named = self.paths_from("crate").filter_map(|(at, path)| Some((at, path.into_iter().nth(1)?)));
        let climbed = self.paths_above().filter_map(|(at, path)| Some((at, path.into_iter().next()?)));
        for (at, room) in named.chain(climbed) {
            if room == own || own == "lib" {
                continue;
            }
            if !rooms.contains(&room) {
                let is_macro = (at..at + 4).any(|next| self.word(next) == room && self.word(next + 1) == "!");
                if !is_macro {
                    faults.push(format!(
                        "{}: `crate::{room}` is not a room.\n    Name the thing where it lives, not through the crate's root.",
                        place_of(at)
                    ));
                }
                continue;
            }
            edges.entry((own.to_owned(), room.clone())).or_insert_with(|| place_of(at));
            if let (Some(here), Some(there)) = (floor(own), floor(&room)) {
                if there > here {
                    faults.push(format!(
                        "{}: `{own}` ({}) names `{room}` ({}), which lies above it.\n    Imports run down. Let `{own}` define a \
                         trait that the upper floor implements, hand the value in from above, or move what both need down.",
                        place_of(at),
                        FLOORS[here].0,
                        FLOORS[there].0
                    ));
                }
            }
        }
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

    /// Every path that climbs by `super::` to the root of the crate; spelled from the root.
    fn paths_above(&self) -> impl Iterator<Item = (usize, Vec<String>)> {
        let file_depth = if self.module == "lib" { 0 } else { self.module.split("::").count() };
        let starts = (0..self.tokens.len()).filter(|&at| {
            self.word(at) == "super" && self.word(at + 1) == "::" && (at == 0 || self.word(at - 1) != "::")
        });
        starts.flat_map(move |at| {
            let supers = (0..).take_while(|step| self.word(at + 2 * step) == "super").count();
            let depth = file_depth + self.tokens[at].inline_depth;
            let paths = if supers >= depth { self.spell_out(at + 2 * (supers - 1)) } else { Vec::new() };
            paths.into_iter().map(move |path| (at, path[1..].to_vec()))
        })
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

// ------------------------------------------------------------------------------------- the inspector is itself inspected

/// The faults of a little house, given as (path, text).
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    inspect(&files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect::<Vec<_>>())
}

#[track_caller]
fn one_fault(files: &[(&str, &str)], says: &str) {
    let faults = faults(files);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].contains(says), "expected {says:?} in {}", faults[0]);
}

#[test]
fn a_sound_house_has_no_faults() {
    let idle = r##"
        //! `crate::worker` in a comment /* and */ "unclosed
        /* crate::worker /* nested */ crate::worker */
        use crate::{list::List, sync::{Arc, Mutex as Lock}};
        use crate::park;
        pub(crate) fn f<'a>(x: &'a str) -> char { let _ = ("crate::worker", r#"crate::"worker"#, b"std::sync"); '"' }
        fn g() -> char { '\'' }
        #[cfg(test)]
        use crate::worker::{Worker, Other};
        #[cfg(all(test, not(heist_loom)))]
        #[allow(unused)]
        mod tests { use crate::worker::Worker; use std::sync::mpsc; struct Core; }
        #[cfg(test)]
        mod more;
        struct Room { #[cfg(test)] seen: crate::worker::Seen, kept: u32 }
    "##;
    let files = [
        ("sync.rs", "pub(crate) use std::sync::Arc;"),
        ("list.rs", ""),
        ("park.rs", ""),
        ("idle.rs", idle),
        ("idle/more.rs", "use crate::worker::Worker;"),
        ("worker.rs", "use crate::idle; mod inner { use super::super::idle; }"),
        ("runtime.rs", "pub struct Handle;"),
        ("lib.rs", "mod idle; pub use crate::runtime::Handle;"),
    ];
    assert_eq!(faults(&files), Vec::<String>::new());
}

#[test]
fn an_import_that_goes_up_is_found() {
    for text in [
        "use crate::worker::Worker;",
        "use crate::{sync, worker};",
        "fn f() { crate::worker::go() }",
        "use super::worker::Worker;",
        "mod deep { use super::super::worker; }",
        "#[cfg(not(test))] use crate::worker::Worker;",
        "#[cfg(any(test, unix))] use crate::worker::Worker;",
        "#[cfg(test)] use crate::list; use crate::worker::Worker;",
        "#[cfg(test)] fn f() {} use crate::worker::Worker;",
        "#[cfg(feature = \"test\")] use crate::worker::Worker;",
    ] {
        one_fault(
            &[("list.rs", ""), ("sync.rs", ""), ("worker.rs", ""), ("idle.rs", text)],
            "src/idle.rs:1: `idle` (F2",
        );
    }
    one_fault(&[("worker.rs", ""), ("idle/part.rs", "\nuse super::super::worker;")], "src/idle/part.rs:2");
}

#[test]
fn neighbours_that_name_each_other_are_found() {
    let files =
        [("idle.rs", "use crate::park;"), ("park.rs", "use crate::reactor;"), ("reactor.rs", "use crate::idle;")];
    one_fault(&files, "cycle idle -> park -> reactor -> idle");
}

#[test]
fn a_room_without_a_floor_is_found() {
    one_fault(&[("attic.rs", "")], "`attic` is not on the plan");
}

#[test]
fn a_name_through_the_root_is_found() {
    one_fault(&[("idle.rs", "use crate::Thing;")], "`crate::Thing` is not a room");
}

#[test]
fn an_empty_name_is_found() {
    one_fault(&[("runtime.rs", "struct Core;")], "called `Core`");
    one_fault(&[("pool.rs", "pub(crate) struct Handle<T>(T);")], "called `Handle`");
}

#[test]
fn a_way_past_the_door_is_found() {
    for text in [
        "use std::sync::Arc;",
        "use std::{fmt, sync::{mpsc}};",
        "use std::cell::{Cell, UnsafeCell};",
        "fn f() { ::std::thread::spawn(|| ()); }",
        "use core::sync::atomic::AtomicBool;",
        "use parking_lot::Mutex;",
    ] {
        one_fault(&[("idle.rs", text)], "past the door");
    }
    one_fault(
        &[("idle.rs", "use std::cell::Cell; thread_local! { static X: Cell<u8> = Cell::new(0); }")],
        "std's `thread_local!`",
    );
    let imported = "use crate::sync::{Arc, thread_local}; thread_local! { static X: u8 = 0; }";
    assert_eq!(faults(&[("sync.rs", ""), ("idle.rs", imported)]), Vec::<String>::new());
}

#[test]
fn a_file_that_is_too_long_or_too_deep_is_found() {
    one_fault(&[("idle.rs", &"\n".repeat(601))], "601 lines");
    one_fault(&[("net.rs", ""), ("net/tcp/stream.rs", "")], "one folder deep");
    one_fault(&[("net/mod.rs", "")], "without `mod.rs`");
}
