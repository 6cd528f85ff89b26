//! Writes `docs/benchmarks.md`.

use std::fmt::Write;

use super::page::{Section, measured_on};
use super::{Verdict, bars, counted_rounds, curves, shown, spread, summary};
use crate::contenders::{Entry, FLOOR};
use crate::driver::{Outcome, Series};
use crate::goals::{REFERENCE, SUBJECT, Set};
use crate::machine::{Machine, version_of};
use crate::plan::Plan;
use crate::sample::{Processors, Unit};
use crate::stats::{Spread, WithWorst};
use crate::wrk::Percentiles;
use crate::{memory, syscall_counters, wrk};

const METHOD: &str = include_str!("../../method.md");

const INTRO: &str = "\
# Benchmarks

This page is written by
`cargo run --release -p heist-benches --bin compare -- --md docs/benchmarks.md --svg docs`; do not
edit it by hand.

More tables: [hyper servers beside other work](benchmarks-contended.md),
[light loads](benchmarks-light.md).
";

/// Returns the section of this machine.
pub fn section(
    outcomes: &[Outcome],
    memory: &[memory::Line],
    entries: &[Entry],
    plan: &Plan,
    machine: &Machine,
) -> Section {
    let mut results = measured_on(machine);
    let _ = writeln!(results, "{}\n", how_much(plan));
    let _ = writeln!(results, "**{}**\n", summary(outcomes, entries, plan.goals));
    let _ = writeln!(results, "![ratios as bars]({})\n", bars::FILE);
    results += "### Results\n\n";
    table(&mut results, outcomes, entries, plan.goals);
    losses(&mut results, outcomes);
    if !memory.is_empty() {
        let title = "### Memory per idle task, by the size of its future";
        let _ = write!(results, "\n{title}\n\n{}", super::memory::table(memory));
    }
    requests(&mut results, outcomes);
    processors(&mut results, outcomes);
    switches(&mut results, outcomes, entries);
    calls(&mut results, outcomes);
    latencies(&mut results, outcomes);
    let mut closing = String::from("## The runtimes\n\n");
    for entry in entries {
        let versions = entry.packages.iter().filter_map(|name| Some(format!("{name} {}", version_of(name)?)));
        let _ = writeln!(closing, "- **{}**: {}; {}.", entry.name, versions.collect::<Vec<_>>().join(", "), entry.note);
    }
    closing.push('\n');
    Section { intro: INTRO.to_owned(), machine: machine.name(), results, closing: closing + METHOD }
}

fn how_much(plan: &Plan) -> String {
    let quick = if plan.quick { " A quick run: too short for figures to quote." } else { "" };
    let cold = if plan.cold { " Each turn is a fresh process." } else { "" };
    format!(
        "{} workers; {} of {} passes ({} of one long pass for the rows from hyper on).{cold}{quick}",
        plan.workers,
        counted_rounds(plan.rounds),
        plan.passes,
        counted_rounds(plan.rounds.div_ceil(2))
    )
}

/// Writes the heading of a table with a column per runtime.
fn heading(page: &mut String, first: &str, entries: &[Entry], last: &[&str]) {
    let names = entries.iter().map(|entry| entry.name);
    let cells: Vec<&str> = std::iter::once(first).chain(names).chain(last.iter().copied()).collect();
    let _ = writeln!(page, "| {} |\n|---|{}", cells.join(" | "), "---:|".repeat(cells.len() - 1));
}

fn table(page: &mut String, outcomes: &[Outcome], entries: &[Entry], set: Set) {
    page.push_str("Medians, in µs unless a unit is given. Ratios have their quartiles in brackets.\n\n");
    let of_reference = format!("{SUBJECT} / {REFERENCE}");
    let of_peer = format!("{SUBJECT} / best other");
    heading(page, "workload", entries, &[&of_reference, &of_peer, "goal", "verdict"]);
    for outcome in outcomes {
        let verdict = Verdict::new(outcome, set);
        let cell = |name| outcome.series_of(name).and_then(|series| series.value());
        let cells = entries
            .iter()
            .map(|entry| cell(entry.name).map_or("–".to_owned(), |value| shown(outcome.row, value.median)));
        let peer = verdict.peer.map_or("–".to_owned(), |(name, ratio)| format!("{} {name}", spread(Some(ratio))));
        let goal = verdict.goal.map_or("–".to_owned(), |goal| goal.to_string());
        let _ = writeln!(
            page,
            "| {} | {} | {} | {peer} | {goal} | {} |",
            outcome.row.title,
            cells.collect::<Vec<_>>().join(" | "),
            spread(verdict.ratio),
            verdict.word()
        );
    }
    if outcomes.iter().any(|outcome| outcome.row.unit == Unit::Rate) && !wrk::is_installed() {
        page.push_str("\nThe hyper rows were skipped: `wrk` is not installed.\n");
    }
}

/// Lists each row in which another runtime is better.
fn losses(page: &mut String, outcomes: &[Outcome]) {
    let mut lines = String::new();
    for outcome in outcomes {
        for (name, _) in outcome.series.iter().filter(|(name, _)| *name != SUBJECT && *name != FLOOR) {
            let Some(ratio) = outcome.ratio(SUBJECT, name) else { continue };
            let behind = if outcome.row.unit.more_is_better() { ratio.median < 1.0 } else { ratio.median > 1.0 };
            if behind {
                let _ = writeln!(lines, "- {}: {} × {name}", outcome.row.title, spread(Some(ratio)));
            }
        }
    }
    if !lines.is_empty() {
        let _ = write!(page, "\n#### Where {SUBJECT} loses\n\n{lines}");
    }
}

/// One line per runtime and row, with the median of the rounds and the worst round.
fn requests(page: &mut String, outcomes: &[Outcome]) {
    let loaded = |outcome: &&Outcome| outcome.series.iter().any(|(_, series)| !series.percentiles.is_empty());
    let outcomes: Vec<_> = outcomes.iter().filter(loaded).collect();
    if outcomes.is_empty() {
        return;
    }
    page.push_str(
        "\n### Latency under wrk\n\nIn ms: the median of the rounds, then the worst round.\n\n| workload | |",
    );
    for heading in Percentiles::HEADINGS {
        let _ = write!(page, " {heading} | worst |");
    }
    let _ = writeln!(page, "\n|---|---|{}", "---:|---:|".repeat(Percentiles::HEADINGS.len()));
    for outcome in outcomes {
        for (name, series) in outcome.series.iter().filter(|(_, series)| !series.percentiles.is_empty()) {
            let _ = write!(page, "| {} | {name} |", outcome.row.title);
            for at in 0..Percentiles::HEADINGS.len() {
                let rounds: Vec<f64> = series.percentiles.iter().map(|round| round.values()[at]).collect();
                let cell = WithWorst::of(&rounds, false).map(|of| format!(" {:.2} | {:.2} |", of.median, of.worst));
                page.push_str(&cell.unwrap_or_else(|| " – | – |".to_owned()));
            }
            page.push('\n');
        }
    }
}

/// One line per runtime, for the rows whose load comes from another process.
fn processors(page: &mut String, outcomes: &[Outcome]) {
    let served = |series: &Series| !series.processors.is_empty();
    let outcomes: Vec<_> = outcomes.iter().filter(|outcome| outcome.series.iter().any(|(_, s)| served(s))).collect();
    if outcomes.is_empty() {
        return;
    }
    page.push_str("\n### Shares of processor time\n\nThe number of processors that each side used, on average, and its time per request in µs.\n\n");
    page.push_str(
        "| workload | | server | wrk | server, per request | wrk, per request |\n|---|---|---:|---:|---:|---:|\n",
    );
    for outcome in outcomes {
        for (name, series) in &outcome.series {
            let Some((Processors { server, generator: wrk }, rate)) = series.processors().zip(series.value()) else {
                continue;
            };
            let (each, wrk_each) = (server * 1e6 / rate.median, wrk * 1e6 / rate.median);
            let _ = writeln!(
                page,
                "| {} | {name} | {server:.2} | {wrk:.2} | {each:.2} | {wrk_each:.2} |",
                outcome.row.title
            );
        }
    }
}

fn switches(page: &mut String, outcomes: &[Outcome], entries: &[Entry]) {
    page.push_str("\n### Voluntary context switches per operation\n\n");
    heading(page, "workload", entries, &[]);
    for outcome in outcomes.iter().filter(|outcome| outcome.series.iter().any(|(_, s)| !s.switches.is_empty())) {
        let cells = entries.iter().map(|entry| {
            let spread = outcome.series_of(entry.name).and_then(|series| Spread::of(&series.switches));
            spread.map_or("–".to_owned(), |spread| format!("{:.4}", spread.median))
        });
        let _ = writeln!(page, "| {} | {} |", outcome.row.title, cells.collect::<Vec<_>>().join(" | "));
    }
}

/// One line per runtime and row.
fn calls(page: &mut String, outcomes: &[Outcome]) {
    let counted = |outcome: &&Outcome| outcome.series.iter().any(|(_, series)| series.calls.is_some());
    let outcomes: Vec<_> = outcomes.iter().filter(counted).collect();
    if outcomes.is_empty() {
        return;
    }
    page.push_str("\n### System calls per operation\n\n");
    let _ = writeln!(page, "| workload | | {} | useless wake-ups |", syscall_counters::headings().join(" | "));
    let _ = writeln!(page, "|---|---|{}", "---:|".repeat(syscall_counters::KINDS + 1));
    let mut problem = None;
    for outcome in outcomes {
        for (name, series) in &outcome.series {
            match &series.calls {
                Some(Ok(counted)) => {
                    let cells = counted.calls.map(|count| format!("{count:.4}")).join(" | ");
                    let useless = counted.useless.map_or("–".to_owned(), |count| format!("{count:.4}"));
                    let _ = writeln!(page, "| {} | {name} | {cells} | {useless} |", outcome.row.title);
                }
                Some(Err(why)) => problem = Some(why),
                None => {}
            }
        }
    }
    if let Some(why) = problem {
        let _ = writeln!(page, "\nThe missing counts could not be taken on this machine: {why}.");
    }
}

fn latencies(page: &mut String, outcomes: &[Outcome]) {
    let with_curves: Vec<&Outcome> = outcomes.iter().filter(|outcome| curves::has_any(outcome)).collect();
    if with_curves.is_empty() {
        return;
    }
    page.push_str("\n### Latency\n\nIn µs, of all rounds together.\n");
    for outcome in with_curves {
        let _ = write!(page, "\n![{}]({})\n\n", outcome.row.id, curves::file(outcome));
        page.push_str("| | p50 | p90 | p99 | p99.9 | max | count | from the wake itself, p99 | p99.9 | generator late, p99 | p99.9 |\n");
        page.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        for (name, series) in &outcome.series {
            let Series { latency: Some(latency), served: Some(served), lateness: Some(lateness), .. } = series else {
                continue;
            };
            let _ = write!(page, "| {name} |");
            for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
                let _ = write!(page, " {:.1} |", latency.value_at_quantile(quantile) as f64 / 1e3);
            }
            let _ = write!(page, " {} |", latency.len());
            for beside in [served, lateness] {
                for quantile in [0.99, 0.999] {
                    let _ = write!(page, " {:.1} |", beside.value_at_quantile(quantile) as f64 / 1e3);
                }
            }
            page.push('\n');
        }
    }
}
