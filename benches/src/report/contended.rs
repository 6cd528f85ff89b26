//! Writes the contended comparison: `docs/benchmarks-contended.md`.

use std::fmt::Write;

use super::page::{self, Section, measured_on};
use super::{counted_rounds, grouped};
use crate::contended::Cell;
use crate::goals::{REFERENCE, SUBJECT};
use crate::machine::{Machine, version_of};
use crate::plan::Settings;
use crate::stats::{Spread, WithWorst, by_round};
use crate::wrk::Figures;

const INTRO: &str = "\
# Benchmarks beside other work

This page is written by `cargo run --release -p heist-benches --bin compare -- --contended
--md docs/benchmarks-contended.md`; do not edit it by hand.

A hyper HTTP/1 server says hello, under `wrk -t1` on the same cores.
";

const METHOD: &str = "\
## Method

- Each turn is a fresh server process. In each round every server has one turn, and the order
  rotates from round to round.
- A ratio is the median of the round-by-round ratios. The worst round is in parentheses.
- Neither the server nor wrk is pinned.
- *Neighbours none*: only the server and wrk run.
- *Neighbours spin*: one process for each core, pinned to it, that spins at the server's nice level.
- *Neighbours quota*: the server gets SIGSTOP after 70 ms of each 100 ms, and SIGCONT at the end. A
  cgroup that has used up its `cpu.max` stops like this. wrk is not stopped.
- *Adapter native*: the feature `hyper` of heist. *Adapter TokioIo*: `hyper_util::rt::TokioIo` over
  heist's `TcpStream`, with the feature `tokio-io`. Tokio has the latter only.
- wrk is a closed loop: a connection waits for its answer before it sends again. wrk adds the
  requests that it has not sent in time to its latencies, at its mean interval.
";

/// A quantity of a run under `wrk`.
struct Quantity {
    name: &'static str,
    of: fn(&Figures) -> f64,
    more_is_better: bool,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity { name: "requests/s", of: |figures| figures.rate, more_is_better: true },
    Quantity { name: "p50", of: |figures| figures.percentiles.p50, more_is_better: false },
    Quantity { name: "p99", of: |figures| figures.percentiles.p99, more_is_better: false },
    Quantity { name: "p99.9", of: |figures| figures.percentiles.p999, more_is_better: false },
];

impl Quantity {
    fn values(&self, rounds: &[Figures]) -> Vec<f64> {
        rounds.iter().map(self.of).collect()
    }

    fn ratio(&self, ours: &[Figures], theirs: &[Figures]) -> Option<WithWorst> {
        WithWorst::of(&by_round(&self.values(ours), &self.values(theirs)), self.more_is_better)
    }

    /// Formats the ratio.
    fn shown(&self, ours: &[Figures], theirs: &[Figures]) -> String {
        self.ratio(ours, theirs).map_or("–".to_owned(), |ratio| ratio.to_string())
    }
}

/// Formats a cell for the terminal.
pub fn lines(cell: &Cell) -> String {
    let mut text = format!("{}\n", cell.conditions);
    for (server, ours, theirs) in cell.pairs() {
        let ratios = QUANTITIES.iter().map(|quantity| format!("{} {}", quantity.name, quantity.shown(ours, theirs)));
        let ratios: Vec<String> = ratios.collect();
        let _ = writeln!(text, "    {SUBJECT} ({}) / {REFERENCE}: {}", server.adapter, ratios.join(", "));
    }
    text.pop();
    text
}

/// Returns the section of this machine.
pub fn section(cells: &[Cell], settings: &Settings, machine: &Machine) -> Section {
    let mut results = measured_on(machine);
    let version = version_of(REFERENCE).unwrap_or("of an unknown version");
    let _ =
        writeln!(results, "{} of {} s; {REFERENCE} {version}.\n", counted_rounds(settings.rounds), settings.seconds);
    ratios(&mut results, cells);
    losses(&mut results, cells);
    medians(&mut results, cells);
    errors(&mut results, cells);
    Section { intro: INTRO.to_owned(), machine: machine.name(), results, closing: METHOD.to_owned() }
}

/// Writes the head of a table whose first columns are the conditions.
fn head(text: &mut String, last: &str, columns: &[&str]) {
    let _ = writeln!(text, "| neighbours | workers | connections | {last} | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|---:|---:|---|{}", "---:|".repeat(columns.len()));
}

fn begin_row(text: &mut String, cell: &Cell, last: &str) {
    let conditions = &cell.conditions;
    let _ = write!(
        text,
        "| {} | {} | {} | {last} |",
        conditions.neighbours.name(),
        conditions.workers,
        conditions.connections
    );
}

fn ratios(text: &mut String, cells: &[Cell]) {
    let _ = writeln!(text, "### {SUBJECT} / {REFERENCE}\n");
    head(text, "adapter", &QUANTITIES.map(|quantity| quantity.name));
    for cell in cells {
        for (server, ours, theirs) in cell.pairs() {
            begin_row(text, cell, server.adapter);
            for quantity in &QUANTITIES {
                let _ = write!(text, " {} |", quantity.shown(ours, theirs));
            }
            text.push('\n');
        }
    }
}

/// Lists the cells in which the subject is behind, with each quantity that is.
fn losses(text: &mut String, cells: &[Cell]) {
    let mut lines = String::new();
    for cell in cells {
        for (server, ours, theirs) in cell.pairs() {
            let behind = QUANTITIES.iter().filter_map(|quantity| {
                let ratio = quantity.ratio(ours, theirs).filter(|ratio| ratio.is_loss(quantity.more_is_better))?;
                Some(format!("{} {ratio}", quantity.name))
            });
            let behind: Vec<String> = behind.collect();
            if !behind.is_empty() {
                let _ = writeln!(lines, "- {}, {}: {}", cell.conditions, server.adapter, behind.join(", "));
            }
        }
    }
    text.push_str(&page::losses(&format!("### Where {SUBJECT} loses"), &lines));
}

fn medians(text: &mut String, cells: &[Cell]) {
    text.push_str("\n### Medians\n\nLatencies are in ms.\n\n");
    head(text, "server", &QUANTITIES.map(|quantity| quantity.name));
    for cell in cells {
        for (server, rounds) in &cell.series {
            begin_row(text, cell, &format!("{}, {}", server.runtime, server.adapter));
            for quantity in &QUANTITIES {
                let median = Spread::of(&quantity.values(rounds)).map_or(f64::NAN, |spread| spread.median);
                let _ = match quantity.more_is_better {
                    true => write!(text, " {} |", grouped(median)),
                    false => write!(text, " {median:.2} |"),
                };
            }
            text.push('\n');
        }
    }
}

/// Lists the servers that left requests without an answer.
fn errors(text: &mut String, cells: &[Cell]) {
    let mut lines = String::new();
    for cell in cells {
        for (server, rounds) in &cell.series {
            let errors: f64 = rounds.iter().map(|figures| figures.errors).sum();
            if errors > 0.0 {
                let of = format!("{}, {} ({})", cell.conditions, server.runtime, server.adapter);
                let _ = writeln!(lines, "- {of}: {}", grouped(errors));
            }
        }
    }
    if !lines.is_empty() {
        let _ = write!(text, "\n### Failed requests, in all rounds\n\n{lines}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contended::{Conditions, Server};
    use crate::neighbours::Neighbours;
    use crate::wrk::Percentiles;

    fn figures(rate: f64, latency: f64) -> Figures {
        let percentiles = Percentiles { p50: latency, p99: latency, p999: latency };
        Figures { requests: rate, rate, errors: 0.0, percentiles }
    }

    fn cell(ours: Vec<Figures>, theirs: Vec<Figures>) -> Cell {
        let conditions = Conditions { workers: 1, connections: 64, neighbours: Neighbours::Spin };
        let ours = (Server { runtime: SUBJECT, adapter: "native" }, ours);
        let theirs = (Server { runtime: REFERENCE, adapter: "TokioIo" }, theirs);
        Cell { conditions, series: vec![ours, theirs] }
    }

    #[test]
    fn losses_of_a_slower_cell_name_quantity_and_worst_round() {
        let mut text = String::new();
        let ours = vec![figures(110.0, 1.0), figures(120.0, 2.0), figures(90.0, 3.0)];
        losses(&mut text, &[cell(ours, vec![figures(100.0, 1.0); 3])]);
        assert!(text.contains("neighbours spin, native: p50 2.00 (3.00), p99 2.00 (3.00)"), "{text}");
        assert!(!text.contains("requests/s"), "{text}");
    }

    #[test]
    fn losses_without_any_say_so() {
        let mut text = String::new();
        losses(&mut text, &[cell(vec![figures(100.0, 1.0)], vec![figures(99.8, 1.0)])]);
        assert!(text.contains("- nowhere"), "{text}");
    }

    #[test]
    fn ratios_of_a_cell_have_the_worst_round_in_parentheses() {
        let mut text = String::new();
        let ours = vec![figures(110.0, 1.0), figures(120.0, 2.0), figures(90.0, 3.0)];
        ratios(&mut text, &[cell(ours, vec![figures(100.0, 2.0); 3])]);
        assert!(text.contains("| spin | 1 | 64 | native | 1.10 (0.90) | 1.00 (1.50) |"), "{text}");
    }
}
