//! Writes the comparison under a light load: `docs/benchmarks-light.md`.

use std::fmt::Write;

use super::counted_rounds;
use super::page::{self, Section, measured_on};
use crate::goals::{REFERENCE, SUBJECT};
use crate::light::{Outcome, WORKERS};
use crate::machine::{Machine, version_of};
use crate::plan::Settings;
use crate::rows::light::Event;

const INTRO: &str = "\
# Benchmarks of a light load

This page is written by `cargo run --release -p heist-benches --bin compare -- --light
--md docs/benchmarks-light.md`; do not edit it by hand.

A server that has little to do should use little processor time, also if it has many workers.
";

const METHOD: &str = "\
## Method

- Each turn is a fresh process. In each round both runtimes have one turn, and the order rotates.
- One event occurs per millisecond, by a plan. The thread that generates the events sleeps between
  two of them.
- The share is the processor time of the whole process, divided by the time that has passed. It
  contains the generator's thread, which the first line shows alone. The timer needs no generator.
- A ratio is the median of the round-by-round ratios. The worst round is in parentheses.
";

fn ratio(outcome: &Outcome) -> String {
    outcome.ratio().map_or("–".to_owned(), |ratio| ratio.to_string())
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// Formats an outcome for the terminal.
pub fn line(outcome: &Outcome) -> String {
    let (ours, theirs) = outcome.medians().unwrap_or((f64::NAN, f64::NAN));
    let (title, ours, theirs) = (outcome.event.title(), percent(ours), percent(theirs));
    format!("{title:<40} {SUBJECT} {ours}, {REFERENCE} {theirs}, ratio {}", ratio(outcome))
}

/// Returns the section of this machine.
pub fn section(outcomes: &[Outcome], settings: &Settings, machine: &Machine) -> Section {
    let mut results = measured_on(machine);
    let version = version_of(REFERENCE).unwrap_or("of an unknown version");
    let _ = writeln!(
        results,
        "{WORKERS} workers; {} of {} s; {REFERENCE} {version}.\n",
        counted_rounds(settings.rounds),
        settings.seconds
    );
    let _ = writeln!(results, "| one event per millisecond | {SUBJECT} | {REFERENCE} | {SUBJECT} / {REFERENCE} |");
    results.push_str("|---|---:|---:|---:|\n");
    let mut losses = String::new();
    for outcome in outcomes {
        let Some((ours, theirs)) = outcome.medians() else { continue };
        let (title, ratio) = (outcome.event.title(), ratio(outcome));
        let _ = writeln!(results, "| {title} | {} | {} | {ratio} |", percent(ours), percent(theirs));
        let behind = outcome.ratio().is_some_and(|ratio| ratio.is_loss(false));
        if behind && outcome.event != Event::Nothing {
            let _ = writeln!(losses, "- {title}: {ratio}");
        }
    }
    results += &page::losses(&format!("### Where {SUBJECT} loses"), &losses);
    Section { intro: INTRO.to_owned(), machine: machine.name(), results, closing: METHOD.to_owned() }
}
