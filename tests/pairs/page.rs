//! Reads the two pages, and compares them with the sources.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;

/// The first words of the cell of a pair that no test covers.
const NOT_COVERED: &str = "not covered, because ";

/// The first words of the cell of a case without a test.
const NO_TEST: [&str; 2] = ["cannot happen: ", "not tested: "];

/// One piece of shared state, or the list of actors, or the list of exceptions.
#[derive(Debug, Default)]
struct Section {
    line: usize,
    title: String,
    /// The rows of all its tables, without headings: the line, and the cells.
    rows: Vec<(usize, Vec<String>)>,
}

/// Returns the sections, each from its heading to the next one.
fn sections(page: &str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    let mut in_head = true;
    for (at, line) in page.lines().enumerate() {
        if let Some(title) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            found.push(Section { line: at + 1, title: title.trim().to_owned(), rows: Vec::new() });
        }
        // Names that have no room in the heading.
        if let (Some(section), true) = (found.last_mut(), line.starts_with("Also ")) {
            section.title = format!("{}, {}", section.title, line.trim_start_matches("Also ").trim_end_matches('.'));
        }
        let Some(cells) = line.strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |")) else {
            // The row before `|---|` is a heading, and so is the first row of a table.
            in_head = !line.starts_with("|-");
            continue;
        };
        if !in_head {
            if let Some(section) = found.last_mut() {
                section.rows.push((at + 1, cells.split(" | ").map(|cell| cell.trim().to_owned()).collect()));
            }
        }
    }
    found
}

/// Returns the texts between backquotes.
pub(crate) fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns every fault of the page of pairs.
pub(crate) fn inspect_pairs(page: &str, catalogue: &Catalogue) -> Vec<String> {
    let mut faults = Vec::new();
    let sections = sections(page);
    let actors: BTreeSet<&str> = sections
        .iter()
        .filter(|section| section.title == "Actors")
        .flat_map(|section| section.rows.iter().map(|(_, cells)| cells[0].as_str()))
        .collect();
    let mut listed = BTreeSet::new();
    let mut excepted = Vec::new();
    for section in &sections {
        let types: Vec<&str> = code_spans(&section.title).collect();
        if section.title == "Exceptions" {
            excepted.extend(section.rows.iter().map(|(line, cells)| (*line, cells)));
        }
        for path in types {
            if !catalogue.has_type(path) {
                faults.push(format!(
                    "line {}: there is no `{path}` in src/.\n    Name the type by its module and its name; take the section \
                     out if the state is gone.",
                    section.line
                ));
            }
            listed.insert(path.to_owned());
        }
        if section.title.contains('`') {
            inspect_state(section, &actors, catalogue, &mut faults);
        }
    }
    for (line, cells) in &excepted {
        let names: Vec<&str> = code_spans(&cells[0]).collect();
        for name in &names {
            let is_module = catalogue.shared().any(|(path, _)| path.starts_with(&format!("{name}::")));
            if !catalogue.has_type(name) && !is_module {
                faults.push(format!("line {line}: there is no shared `{name}` in src/.\n    Take the exception out."));
            }
        }
        if names.is_empty() || cells.len() < 2 || cells[1].split_whitespace().count() < 3 {
            faults.push(format!("line {line}: an exception needs a name and a reason.\n    Write both."));
        }
    }
    let is_excepted = |path: &str| {
        let mut names = excepted.iter().flat_map(|(_, cells)| code_spans(&cells[0]));
        names.any(|name| path == name || path.starts_with(&format!("{name}::")))
    };
    for (path, place) in catalogue.shared() {
        if !listed.contains(path) && !is_excepted(path) {
            faults.push(format!(
                "{place}: `{path}` has state that threads share, and is not on the page.\n    Add a section with its actors \
                 and the check of each pair, or a row under Exceptions with the reason."
            ));
        }
    }
    let named: BTreeSet<&str> = sections
        .iter()
        .flat_map(|section| section.rows.iter().filter(|(_, cells)| cells.len() == 2))
        .flat_map(|(_, cells)| code_spans(&cells[1]))
        .collect();
    for model in catalogue.models().filter(|model| !named.contains(model)) {
        faults.push(format!(
            "loom-tests/: the model `{model}` is in no row of the page.\n    Add it to the row of the pair that it covers."
        ));
    }
    faults
}

/// Adds the faults of one piece of state: its actors and operations, and its pairs.
fn inspect_state(section: &Section, actors: &BTreeSet<&str>, catalogue: &Catalogue, faults: &mut Vec<String>) {
    let mut here: Vec<(&str, bool)> = Vec::new();
    let mut pairs = BTreeSet::new();
    for (line, cells) in &section.rows {
        if cells.len() == 3 {
            let (actor, how_many) = (cells[0].as_str(), cells[1].as_str());
            if !actors.contains(actor) {
                faults.push(format!("line {line}: `{actor}` is no actor.\n    Add it to the table under Actors."));
            }
            if !["one", "many"].contains(&how_many) {
                faults.push(format!("line {line}: `{how_many}` is no number of actors.\n    Write `one` or `many`."));
            }
            for name in code_spans(&cells[2]).filter(|name| !catalogue.has_function(name)) {
                faults.push(format!(
                    "line {line}: there is no function `{name}` in src/.\n    Name what the {actor} calls today."
                ));
            }
            here.push((actor, how_many == "many"));
        } else if let Some((left, right)) = cells[0].split_once(" × ").filter(|_| cells.len() == 2) {
            for other in right.split(", ") {
                pairs.insert((left.min(other), left.max(other)));
                for actor in [left, other] {
                    if !here.iter().any(|(known, _)| *known == actor) {
                        faults.push(format!(
                            "line {line}: `{actor}` is no actor of this state.\n    Add its row, or take the pair out."
                        ));
                    }
                }
            }
            inspect_check(*line, &cells[1], NOT_COVERED, catalogue, faults);
        } else {
            faults.push(format!(
                "line {line}: the row is neither `actor | one or many | operations` nor `actor × actor | check`.\n    Write \
                 it in one of these forms."
            ));
        }
    }
    for (at, (actor, many)) in here.iter().enumerate() {
        let others = here[at + 1..].iter().map(|(other, _)| *other).chain(many.then_some(*actor));
        for other in others {
            if !pairs.contains(&(*actor.min(&other), *actor.max(&other))) {
                faults.push(format!(
                    "line {}: {}: no line for {actor} × {other}.\n    Name the model or test that covers the pair, or write \
                     \"{NOT_COVERED}…\".",
                    section.line, section.title
                ));
            }
        }
    }
    if here.is_empty() {
        faults.push(format!("line {}: {}: no actors.\n    Add a row for each.", section.line, section.title));
    }
}

/// Adds the faults of a cell that names tests, or gives a reason after the words `excuse`.
fn inspect_check(line: usize, cell: &str, excuse: &str, catalogue: &Catalogue, faults: &mut Vec<String>) {
    if let Some(reason) = cell.strip_prefix(excuse) {
        if reason.split_whitespace().count() < 3 {
            faults.push(format!("line {line}: `{cell}` gives no reason.\n    Say why, in a few words."));
        }
        for name in code_spans(reason).flat_map(|span| span.split("::")) {
            if !catalogue.has_word(name) && !catalogue.has_test(name) {
                faults.push(format!(
                    "line {line}: the sources have no `{name}`.\n    Mend the reason, or cover the pair."
                ));
            }
        }
        return;
    }
    if code_spans(cell).next().is_none() {
        faults.push(format!("line {line}: no test is named.\n    Name one, or write \"{excuse}…\"."));
    }
    for name in code_spans(cell).filter(|name| !catalogue.has_test(name)) {
        faults.push(format!(
            "line {line}: there is no test `{name}`.\n    If it was renamed, name it anew; if it is gone, name what covers \
             the same today."
        ));
    }
}

/// Returns every fault of the page of promises.
///
/// The last cell of each row names tests, or says why there is none.
pub(crate) fn inspect_promises(page: &str, catalogue: &Catalogue) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for section in sections(page) {
        for (line, cells) in &section.rows {
            let [id, .., check] = &cells[..] else {
                faults.push(format!("line {line}: a row of one cell.\n    Write the promise or case, and its tests."));
                continue;
            };
            if !ids.insert(id.clone()) {
                faults.push(format!("line {line}: `{id}` has a row already.\n    Keep one of the two."));
            }
            let excuse = NO_TEST.iter().find(|excuse| check.starts_with(**excuse)).unwrap_or(&NO_TEST[0]);
            inspect_check(*line, check, excuse, catalogue, &mut faults);
        }
    }
    for (first, count) in CASES {
        for case in (1..=count).map(|number| format!("{first}{number}")) {
            if !ids.contains(&case) {
                faults.push(format!("the page has no row for {case}.\n    Add it, with its tests or a reason."));
            }
        }
    }
    faults
}

/// The numbers of the promises and of the hard cases.
pub(crate) const CASES: [(&str, usize); 10] =
    [("P", 14), ("A", 14), ("B", 15), ("C", 29), ("D", 18), ("E", 13), ("F", 15), ("G", 15), ("H", 8), ("I", 7)];
