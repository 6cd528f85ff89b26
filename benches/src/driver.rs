//! The rounds: A B C, B C A, C A B …

use std::io::{IsTerminal, Write, stderr};

use hdrhistogram::Histogram;

use crate::calls::{self, PerOperation};
use crate::contenders::{Entry, FLOOR};
use crate::plan::Plan;
use crate::rows::{Load, Processors, Row, Sample};
use crate::stats::{Spread, ratios};

/// All that one runtime did in one row.
#[derive(Default)]
pub struct Series {
    /// The row's value, round by round.
    pub values: Vec<f64>,
    /// Voluntary context switches per operation, round by round.
    pub switches: Vec<f64>,
    /// Who had the processors, round by round, where somebody else puts the load on.
    pub processors: Vec<Processors>,
    /// System calls, counted in a pass of its own; or why they were not.
    pub calls: Option<Result<PerOperation, String>>,
    /// Of all rounds, for a row of latencies.
    pub latency: Option<Histogram<u64>>,
    /// Likewise, from the wake itself.
    pub served: Option<Histogram<u64>>,
    /// Of the generator, likewise.
    pub lateness: Option<Histogram<u64>>,
}

impl Series {
    pub fn value(&self) -> Option<Spread> {
        Spread::of(&self.values)
    }

    /// Who had the processors: the medians.
    pub fn processors(&self) -> Option<Processors> {
        let median = |share: fn(&Processors) -> f64| {
            let shares: Vec<f64> = self.processors.iter().map(share).collect();
            Spread::of(&shares).map(|spread| spread.median)
        };
        Some(Processors { server: median(|p| p.server)?, generator: median(|p| p.generator)? })
    }

    fn add(&mut self, mut passes: Vec<Sample>) {
        passes.sort_by(|a, b| a.value.total_cmp(&b.value));
        let middle = &passes[passes.len() / 2];
        self.values.push(middle.value);
        self.switches.extend(middle.switches);
        self.processors.extend(middle.processors);
        for pass in &passes {
            merge(&mut self.latency, pass.histogram.as_ref());
            merge(&mut self.served, pass.served.as_ref());
            merge(&mut self.lateness, pass.lateness.as_ref());
        }
    }
}

fn merge(all: &mut Option<Histogram<u64>>, one: Option<&Histogram<u64>>) {
    match (all, one) {
        (Some(all), Some(one)) => all.add(one).expect("the histograms have the same bounds"),
        (all @ None, Some(one)) => *all = Some(one.clone()),
        (_, None) => {}
    }
}

/// What became of a row: one series for each who took part, in their order.
pub struct Outcome {
    pub row: &'static Row,
    pub series: Vec<(&'static str, Series)>,
}

impl Outcome {
    pub fn of(&self, name: &str) -> Option<&Series> {
        let (_, series) = self.series.iter().find(|(known, _)| *known == name)?;
        (!series.values.is_empty()).then_some(series)
    }

    /// Round by round, `ours` divided by `theirs`.
    pub fn ratio(&self, ours: &str, theirs: &str) -> Option<Spread> {
        ratios(&self.of(ours)?.values, &self.of(theirs)?.values)
    }

    /// Which runtime among all but `subject` has the best median.
    pub fn best_but(&self, subject: &str) -> Option<&'static str> {
        let peers = self.series.iter().filter(|(name, _)| *name != subject && *name != FLOOR);
        let peers = peers.filter_map(|(name, series)| Some((*name, series.value()?.median)));
        let better = |a: &(&str, f64), b: &(&str, f64)| {
            let order = a.1.total_cmp(&b.1);
            if self.row.unit.more_is_better() { order.reverse() } else { order }
        };
        peers.min_by(better).map(|(name, _)| name)
    }
}

/// Runs one row. The runtimes are built and dropped outside the clock, so that while one runs the
/// others have no threads (or, where they cannot be stopped, threads that sleep).
pub fn compare(row: &'static Row, entries: &[Entry], plan: &Plan) -> Outcome {
    let load = Load { workers: plan.workers, quick: plan.quick };
    let rounds = if row.long { plan.rounds.div_ceil(2) } else { plan.rounds };
    let passes = if row.long { 1 } else { plan.passes };
    let mut series: Vec<Series> = entries.iter().map(|_| Series::default()).collect();
    let mut lacking = vec![false; entries.len()];
    for round in 0..rounds {
        for turn in 0..entries.len() {
            let at = (turn + round) % entries.len();
            if lacking[at] {
                continue;
            }
            progress(&format!("{}: round {} of {rounds}, {}", row.id, round + 1, entries[at].name));
            match one_turn(row, &entries[at], passes, &load) {
                Some(samples) => series[at].add(samples),
                None => lacking[at] = true,
            }
        }
    }
    for (entry, series) in entries.iter().zip(&mut series) {
        if plan.calls && !series.switches.is_empty() {
            progress(&format!("{}: system calls of {}", row.id, entry.name));
            series.calls = calls::of(row, entry, plan).transpose();
        }
    }
    progress("");
    Outcome { row, series: entries.iter().map(|entry| entry.name).zip(series).collect() }
}

fn one_turn(row: &Row, entry: &Entry, passes: usize, load: &Load) -> Option<Vec<Sample>> {
    let runtime = (entry.build)(load.workers);
    if !row.long {
        runtime.run(row.id, load)?;
    }
    (0..passes).map(|_| runtime.run(row.id, load)).collect()
}

/// One line that is overwritten, if somebody watches.
fn progress(text: &str) {
    if stderr().is_terminal() {
        let _ = write!(stderr(), "\r\x1b[K{text}");
        let _ = stderr().flush();
    }
}
