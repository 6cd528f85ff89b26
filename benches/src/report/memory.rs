//! Writes the memory per idle task by the size of its future: `docs/benchmarks-memory.md`.

use std::fmt::Write;

use super::page::{Section, measured_on};
use crate::goals::SUBJECT;
use crate::machine::{Machine, version_of};
use crate::memory::{Line, WORKERS};

const INTRO: &str = "\
# Benchmarks of the memory of idle tasks

This page is written by `cargo run --release -p heist-benches --bin compare -- --memory
--md docs/benchmarks-memory.md`; do not edit it by hand.

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
    format!("{bytes:.0} B")
}

/// Formats one size for the terminal.
pub fn line(line: &Line) -> String {
    let tasks = line.tasks.iter().map(|(name, task)| format!("{name} {}", bytes(*task)));
    format!("future of {:>4} bytes: {}", line.future, tasks.collect::<Vec<_>>().join(", "))
}

/// Returns the section of this machine.
pub fn section(lines: &[Line], machine: &Machine) -> Section {
    let mut results = measured_on(machine);
    let names: Vec<&str> = lines.first().map_or(Vec::new(), |line| line.tasks.iter().map(|(name, _)| *name).collect());
    let versions = names.iter().map(|name| format!("{name} {}", version_of(name).unwrap_or("of an unknown version")));
    let _ = writeln!(results, "{WORKERS} workers; {}.\n", versions.collect::<Vec<_>>().join(", "));
    let _ = writeln!(results, "| future | {} |\n|---:|{}", names.join(" | "), "---:|".repeat(names.len()));
    let mut losses = String::new();
    for line in lines {
        let tasks: Vec<String> = line.tasks.iter().map(|(_, task)| bytes(*task)).collect();
        let _ = writeln!(results, "| {} B | {} |", line.future, tasks.join(" | "));
        for (name, ratio) in line.losses() {
            let _ = writeln!(losses, "- future of {} bytes: {ratio:.2} × {name}", line.future);
        }
    }
    let losses = if losses.is_empty() { "- nowhere\n".to_owned() } else { losses };
    let _ = write!(results, "\n### Where {SUBJECT} loses\n\n{losses}");
    Section { intro: INTRO.to_owned(), machine: machine.name(), results, closing: METHOD.to_owned() }
}
