//! Checks that the mutants of `mutants/*.txt` still fit the code, as text only. `scripts/mutants`
//! runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, mem};

/// The least number of mutants with a killer.
const LEAST: usize = 120;

const ENGINES: [&str; 4] = ["loom", "unit", "integration", "simulation"];

/// One block of a file of mutants. docs/mutants.md describes the format.
#[derive(Debug, Default, Clone)]
struct Mutant {
    id: String,
    file: String,
    bug: String,
    engine: String,
    killer: String,
    equivalent: String,
    blind: String,
    /// File, old text, and new text of each change.
    changes: Vec<[String; 3]>,
}

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

/// Returns the mutants of a file's text.
fn parse(text: &str) -> Vec<Mutant> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let (mut part, mut old, mut new) = ("", Vec::new(), Vec::new());
    for line in text.lines() {
        match (line, part) {
            ("--- old", "") => part = "old",
            ("--- new", "old") => part = "new",
            ("--- end", "new") => {
                let mutant = mutants.last_mut().expect("a change belongs to a mutant");
                let lines = [mem::take(&mut old), mem::take(&mut new)].map(|lines: Vec<&str>| lines.join("\n"));
                let [old, new] = lines;
                mutant.changes.push([mutant.file.clone(), old, new]);
                part = "";
            }
            (line, "old") => old.push(line),
            (line, "new") => new.push(line),
            (line, _) if line.is_empty() || line.starts_with('#') => {}
            (line, _) => {
                let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("`key: value` expected: {line}"));
                if key == "mutant" {
                    mutants.push(Mutant { id: value.to_owned(), ..Mutant::default() });
                    continue;
                }
                let mutant = mutants.last_mut().unwrap_or_else(|| panic!("a mutant begins with `mutant: ID`: {line}"));
                let place = match key {
                    "file" => &mut mutant.file,
                    "bug" => &mut mutant.bug,
                    "engine" => &mut mutant.engine,
                    "killer" => &mut mutant.killer,
                    "equivalent" => &mut mutant.equivalent,
                    "blind" => &mut mutant.blind,
                    _ => panic!("{}: unknown key `{key}`", mutant.id),
                };
                value.clone_into(place);
            }
        }
    }
    assert_eq!(part, "", "the last change has no `--- end`");
    mutants
}

fn all_mutants() -> Vec<Mutant> {
    let folder = fs::read_dir(root().join("mutants")).expect("the folder of the mutants");
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "txt"));
    paths.iter().flat_map(|path| parse(&fs::read_to_string(path).expect("a file of mutants"))).collect()
}

/// Returns the texts of all Rust files below `path`, which may be a file.
fn rust_sources(path: &Path) -> Vec<String> {
    if path.is_file() {
        return vec![fs::read_to_string(path).expect("a source file")];
    }
    let entries = fs::read_dir(path).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let wanted = entries.filter(|path| path.is_dir() || path.extension().is_some_and(|ext| ext == "rs"));
    wanted.flat_map(|path| rust_sources(&path)).collect()
}

/// The sources in which the tests of each target are.
#[derive(Default)]
struct TestSources(BTreeMap<String, Vec<String>>);

impl TestSources {
    fn of(&mut self, target: &str) -> &[String] {
        self.0.entry(target.to_owned()).or_insert_with(|| sources_of(target))
    }
}

/// Reads the sources in which the tests of a target are.
fn sources_of(target: &str) -> Vec<String> {
    let folders: &[String] = match target {
        "lib" => &["src".to_owned(), "loom-tests".to_owned()],
        _ => &[format!("tests/{target}.rs"), format!("tests/{target}")],
    };
    folders.iter().flat_map(|folder| rust_sources(&root().join(folder))).collect()
}

/// Returns what is wrong with a mutant.
fn faults(mutant: &Mutant, test_sources: &mut TestSources) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |is_right: bool, fault: String| {
        if !is_right {
            faults.push(format!("{}: {fault}", mutant.id));
        }
    };
    for [file, old, new] in &mutant.changes {
        let found = fs::read_to_string(root().join(file)).unwrap_or_default().matches(old).count();
        check(
            found == 1,
            format!("its old text occurs {found} times in {file}. Adapt it, so that it occurs once:\n{old}"),
        );
        check(old != new, "its new text is the old one. Write the bug into it.".to_owned());
    }
    check(!mutant.changes.is_empty(), "it changes nothing. Add `--- old`, `--- new` and `--- end`.".to_owned());
    check(
        mutant.bug.ends_with('.') && mutant.bug.split(' ').count() <= 25,
        "`bug` has to be one sentence of 25 words at most.".to_owned(),
    );
    let reasons = [&mutant.killer, &mutant.equivalent, &mutant.blind].into_iter().filter(|text| !text.is_empty());
    check(reasons.count() == 1, "it needs `killer`, or `equivalent`, or `blind`, and one of them.".to_owned());
    if !mutant.killer.is_empty() {
        check(ENGINES.contains(&mutant.engine.as_str()), format!("`engine` has to be one of {ENGINES:?}."));
        let (target, test) = mutant.killer.split_once(' ').unwrap_or_default();
        let function = format!("fn {}(", test.rsplit("::").next().unwrap_or_default());
        let is_there = test_sources.of(target).iter().any(|source| source.contains(&function));
        check(is_there, format!("its killer `{}` is not there. Name the test that kills it now.", mutant.killer));
        let is_model = test.starts_with("loom_tests::");
        check(is_model == (mutant.engine == "loom"), "`engine` and `killer` disagree about loom.".to_owned());
    }
    faults
}

#[test]
fn mutants_all_apply_and_have_a_killer() {
    let mut test_sources = TestSources::default();
    let faults: Vec<String> = all_mutants().iter().flat_map(|mutant| faults(mutant, &mut test_sources)).collect();
    assert!(faults.is_empty(), "{} faults in mutants/*.txt:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn mutants_are_many_and_their_ids_are_unique() {
    let mutants = all_mutants();
    let ids: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.id.as_str()).collect();
    assert_eq!(ids.len(), mutants.len(), "an id occurs twice");
    let killed = mutants.iter().filter(|mutant| !mutant.killer.is_empty()).count();
    assert!(killed >= LEAST, "{killed} mutants have a killer, and {LEAST} have to");
}

/// Each kind of fault is found in a mutant that has it.
#[test]
fn mutants_with_a_fault_are_reported() {
    let right = parse(
        "mutant: canary\nfile: Cargo.toml\nbug: Cargo finds benchmarks by itself.\nengine: integration\n\
         killer: mutants mutants_with_a_fault_are_reported\n--- old\nautobenches = false\n--- new\n\
         autobenches = true\n--- end",
    );
    let [right] = right.try_into().expect("one mutant");
    let mut test_sources = TestSources::default();
    assert_eq!(faults(&right, &mut test_sources), [""; 0]);
    let change = |old: &str, new: &str| vec![["Cargo.toml", old, new].map(str::to_owned)];
    let faulty = [
        ("new text is the old one", Mutant { changes: change("x", "x"), ..right.clone() }),
        ("occurs 0 times", Mutant { changes: change("no such text", "x"), ..right.clone() }),
        ("changes nothing", Mutant { changes: Vec::new(), ..right.clone() }),
        ("one sentence", Mutant { bug: "No full stop".to_owned(), ..right.clone() }),
        ("one of them", Mutant { blind: "A reason.".to_owned(), ..right.clone() }),
        ("has to be one of", Mutant { engine: "magic".to_owned(), ..right.clone() }),
        ("is not there", Mutant { killer: "mutants nothing_here".to_owned(), ..right.clone() }),
        ("disagree about loom", Mutant { engine: "loom".to_owned(), ..right.clone() }),
    ];
    for (expected, mutant) in faulty {
        let found = faults(&mutant, &mut test_sources);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:?}");
    }
}
