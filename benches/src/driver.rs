//! Runs the rounds of a row, in an order that rotates: A B C, B C A, C A B …

use std::io::{IsTerminal, Write, stderr};

use hdrhistogram::Histogram;

use crate::calls::{self, PerOperation};
use crate::contenders::{Entry, FLOOR};
use crate::plan::Plan;
use crate::sample::{Load, Processors, Row, Sample};
use crate::stats::{Spread, ratios};
use crate::turn;
use crate::wrk::Percentiles;

/// The results of one runtime in one row.
#[derive(Default)]
pub struct Series {
    /// The row's value, round by round.
    pub values: Vec<f64>,
    /// Voluntary context switches per operation, round by round.
    pub switches: Vec<f64>,
    /// Shares of processor time, round by round, if another process generates the load.
    pub processors: Vec<Processors>,
    /// Latencies of requests, round by round, if `wrk` generates the load.
    pub percentiles: Vec<Percentiles>,
    /// System calls, counted in a pass of its own; or the reason why they were not counted.
    pub calls: Option<Result<PerOperation, String>>,
    /// Latencies of all rounds, for a row of latencies.
    pub latency: Option<Histogram<u64>>,
    /// The same, from the wake itself.
    pub served: Option<Histogram<u64>>,
    /// The lateness of the generator in all rounds.
    pub lateness: Option<Histogram<u64>>,
}

impl Series {
    pub fn value(&self) -> Option<Spread> {
        Spread::of(&self.values)
    }

    /// Returns the medians of the shares of processor time.
    pub fn processors(&self) -> Option<Processors> {
        let median = |share: fn(&Processors) -> f64| {
            let shares: Vec<f64> = self.processors.iter().map(share).collect();
            Spread::of(&shares).map(|spread| spread.median)
        };
        Some(Processors { server: median(|p| p.server)?, generator: median(|p| p.generator)? })
    }

    fn add_round(&mut self, mut passes: Vec<Sample>) {
        passes.sort_by(|a, b| a.value.total_cmp(&b.value));
        let middle = &passes[passes.len() / 2];
        self.values.push(middle.value);
        self.switches.extend(middle.switches);
        self.processors.extend(middle.processors);
        self.percentiles.extend(middle.percentiles);
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

/// The results of a row: one series per runtime, in the order of the entries.
pub struct Outcome {
    pub row: &'static Row,
    pub series: Vec<(&'static str, Series)>,
}

impl Outcome {
    /// Returns the series of a runtime, if it has run the row.
    pub fn series_of(&self, name: &str) -> Option<&Series> {
        let (_, series) = self.series.iter().find(|(known, _)| *known == name)?;
        (!series.values.is_empty()).then_some(series)
    }

    /// Returns the spread of `ours` divided by `theirs`, round by round.
    pub fn ratio(&self, ours: &str, theirs: &str) -> Option<Spread> {
        ratios(&self.series_of(ours)?.values, &self.series_of(theirs)?.values)
    }

    /// Returns the runtime with the best median, without `subject` and the floor.
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

/// Runs one row.
///
/// The runtimes are built and dropped outside the clock. While one of them runs, the others have no
/// threads; a runtime that cannot be stopped has threads that sleep.
pub fn compare(row: &'static Row, entries: &[Entry], plan: &Plan) -> Outcome {
    let load = Load { workers: plan.workers, quick: plan.quick };
    let rounds = if row.long { plan.rounds.div_ceil(2) } else { plan.rounds };
    let passes = if row.long { 1 } else { plan.passes };
    let take_turn = |entry: &Entry| match plan.cold {
        true => turn::take_in_child(row, entry, passes, &load)
            .unwrap_or_else(|problem| panic!("{}, {}: {problem}", row.id, entry.name)),
        false => turn::take(row, entry, passes, &load),
    };
    let mut series: Vec<Series> = entries.iter().map(|_| Series::default()).collect();
    let mut lacking = vec![false; entries.len()];
    for round in 0..rounds {
        for turn in 0..entries.len() {
            let at = (turn + round) % entries.len();
            if lacking[at] {
                continue;
            }
            progress(&format!("{}: round {} of {rounds}, {}", row.id, round + 1, entries[at].name));
            match take_turn(&entries[at]) {
                Some(samples) => series[at].add_round(samples),
                None => lacking[at] = true,
            }
        }
    }
    for (entry, series) in entries.iter().zip(&mut series) {
        if plan.calls && !series.switches.is_empty() {
            progress(&format!("{}: system calls of {}", row.id, entry.name));
            series.calls = calls::count_in_child(row, entry, plan.workers).transpose();
        }
    }
    progress("");
    Outcome { row, series: entries.iter().map(|entry| entry.name).zip(series).collect() }
}

/// Overwrites one line of progress, if stderr is a terminal.
pub fn progress(text: &str) {
    if stderr().is_terminal() {
        let _ = write!(stderr(), "\r\x1b[K{text}");
        let _ = stderr().flush();
    }
}
