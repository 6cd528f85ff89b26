//! Writes the memory per idle task by the size of its future.

use std::fmt::Write;

use super::grouped;
use super::page::{self, Section, measured_on};
use crate::contenders::Entry;
use crate::goals::SUBJECT;
use crate::machine::{Machine, version_of};
use crate::memory::{Line, WORKERS};

const INTRO: &str = "\
# Benchmarks of the memory of idle tasks

This page is written by `cargo run --release -p heist-benches --bin compare -- --memory --md FILE`;
do not edit it by hand.

A task holds its future, and the runtime adds its own part.
";

const METHOD: &str = "\
## Method

- Each cell is a fresh process.
- The value is the growth of the resident set, divided by a million, when a million tasks are idle
  that have been polled once. It contains the task, the allocator's headers, lists and slabs.
- All bytes of a future are written. The join handles are kept, in memory that does not count.
- nio keeps no list of its tasks, and cannot stop them.
";

fn bytes(bytes: f64) -> String {
    format!("{} B", grouped(bytes))
}

/// Formats one size for the terminal.
pub fn line(line: &Line) -> String {
    let tasks = line.tasks.iter().map(|(name, task)| format!("{name} {}", bytes(*task)));
    format!("future of {:>7}: {}", bytes(line.future as f64), tasks.collect::<Vec<_>>().join(", "))
}

/// Returns the table, and where the subject loses.
pub fn table(lines: &[Line]) -> String {
    let names: Vec<&str> = lines.first().map_or(Vec::new(), |line| line.tasks.iter().map(|(name, _)| *name).collect());
    let mut text = format!("| future | {} |\n|---:|{}\n", names.join(" | "), "---:|".repeat(names.len()));
    let mut losses = String::new();
    for line in lines {
        let tasks: Vec<String> = line.tasks.iter().map(|(_, task)| bytes(*task)).collect();
        let _ = writeln!(text, "| {} | {} |", bytes(line.future as f64), tasks.join(" | "));
        for (name, ratio) in line.losses() {
            let _ = writeln!(losses, "- future of {}: {ratio:.2} × {name}", bytes(line.future as f64));
        }
    }
    text + &page::losses(&format!("#### Where {SUBJECT} uses more memory"), &losses)
}

/// Returns the section of this machine.
pub fn section(lines: &[Line], entries: &[Entry], machine: &Machine) -> Section {
    let mut results = measured_on(machine);
    let versions = entries.iter().filter_map(|entry| Some(format!("{} {}", entry.name, version_of(entry.name)?)));
    let _ = writeln!(results, "{WORKERS} workers; {}.\n", versions.collect::<Vec<_>>().join(", "));
    results += &table(lines);
    Section { intro: INTRO.to_owned(), machine: machine.name(), results, closing: METHOD.to_owned() }
}
