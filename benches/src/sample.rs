//! A row of the comparison, and what one pass through it gives.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::meter::Reading;
use crate::syscall_counters::Counts;
use crate::wrk::Percentiles;

/// The size of a run.
#[derive(Clone, Debug)]
pub struct Load {
    pub workers: usize,
    /// Shortens the rows whose length can be chosen.
    pub quick: bool,
}

/// The unit of a row's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Microseconds for the whole workload.
    Micros,
    /// Requests per second.
    Rate,
    /// Microseconds at this quantile.
    Latency(f64),
    /// Bytes per task.
    Bytes,
}

impl Unit {
    pub fn more_is_better(self) -> bool {
        self == Unit::Rate
    }
}

/// A row of the comparison.
#[derive(Debug)]
pub struct Row {
    pub id: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    /// Operations in one pass, for the figures per operation; 0 if there are none.
    pub ops: u64,
    /// Takes seconds, not milliseconds: one pass per round without a warm-up pass, and half as many
    /// rounds.
    pub long: bool,
}

/// One pass of one runtime through a row.
#[derive(Clone, Debug)]
pub struct Sample {
    /// In the row's unit.
    pub value: f64,
    /// Voluntary context switches per operation.
    pub switches: Option<f64>,
    /// System calls, if they are counted, and among how many operations.
    pub calls: Option<(Counts, f64)>,
    /// Shares of processor time, if another process generates the load.
    pub processors: Option<Processors>,
    /// Latencies of requests, if `wrk` generates the load.
    pub percentiles: Option<Percentiles>,
    /// Latencies, in nanoseconds.
    pub histogram: Option<Histogram<u64>>,
    /// The part of the latency after the wake itself, in nanoseconds.
    pub served: Option<Histogram<u64>>,
    /// The lateness of the generator itself, in nanoseconds.
    pub lateness: Option<Histogram<u64>>,
}

/// The number of processors that the server and its load generator used, on average.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    pub server: f64,
    pub generator: f64,
}

impl Processors {
    pub fn from_reading(reading: &Reading) -> Processors {
        let share = |busy: Duration| busy.as_secs_f64() / reading.elapsed.as_secs_f64();
        Processors { server: share(reading.busy), generator: share(reading.children) }
    }
}

impl Sample {
    /// The time of a pass, in microseconds.
    pub fn micros(reading: Reading, ops: u64) -> Option<Sample> {
        let value = reading.elapsed.as_secs_f64() * 1e6;
        Some(Sample::counted(value, reading, ops as f64))
    }

    /// A value with the counts of the same pass, which had `ops` operations.
    pub fn counted(value: f64, reading: Reading, ops: f64) -> Sample {
        let (switches, calls) = (Some(reading.switches as f64 / ops), reading.calls.map(|calls| (calls, ops)));
        Sample { switches, calls, ..Sample::plain(value) }
    }

    /// A value without counts.
    pub fn plain(value: f64) -> Sample {
        Sample {
            value,
            switches: None,
            calls: None,
            processors: None,
            percentiles: None,
            histogram: None,
            served: None,
            lateness: None,
        }
    }
}

/// An empty histogram of nanoseconds, for up to a minute.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound")
}
