//! The rows of the comparison: what each measures, and its workload.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::calls::Calls;
use crate::contender::{Contender, Sockets, Timers};
use crate::contenders::Run;
use crate::meter::Reading;

mod chained;
pub mod channels;
mod echo;
mod fan_out;
pub mod hello;
pub use hello::wrk_is_there;
pub mod memory;
mod ping_pong;
mod sleeps;
mod spawn_await;
mod spawn_many;
mod timeouts;
pub mod wake;
mod yields;

/// How a run is dimensioned.
#[derive(Clone, Debug)]
pub struct Load {
    pub workers: usize,
    /// Shorter where a row is as long as one likes.
    pub quick: bool,
}

/// What a row's value is.
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
    /// Operations in one pass, for the figures per operation; 0 where there are none.
    pub ops: u64,
    /// Takes seconds, not milliseconds: one pass a round without a warm-up pass, and half as many
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
    pub calls: Option<(Calls, f64)>,
    /// Who had the processors, if somebody else has put the load on.
    pub processors: Option<Processors>,
    /// In nanoseconds.
    pub histogram: Option<Histogram<u64>>,
    /// Of the histogram, what passed after the wake itself, in nanoseconds.
    pub served: Option<Histogram<u64>>,
    /// How late the generator itself was, in nanoseconds.
    pub lateness: Option<Histogram<u64>>,
}

/// How many processors the server and the generator of its load had, on average.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    pub server: f64,
    pub generator: f64,
}

impl Processors {
    fn of(reading: &Reading) -> Processors {
        let share = |busy: Duration| busy.as_secs_f64() / reading.elapsed.as_secs_f64();
        Processors { server: share(reading.busy), generator: share(reading.children) }
    }
}

impl Sample {
    fn micros(reading: Reading, ops: u64) -> Option<Sample> {
        let value = reading.elapsed.as_secs_f64() * 1e6;
        Some(Sample::counted(value, reading, ops as f64))
    }

    fn counted(value: f64, reading: Reading, ops: f64) -> Sample {
        let (switches, calls) = (Some(reading.switches as f64 / ops), reading.calls.map(|calls| (calls, ops)));
        Sample { switches, calls, ..Sample::plain(value) }
    }

    fn plain(value: f64) -> Sample {
        Sample { value, switches: None, calls: None, processors: None, histogram: None, served: None, lateness: None }
    }
}

const fn brief(id: &'static str, title: &'static str, ops: u64) -> Row {
    Row { id, title, unit: Unit::Micros, ops, long: false }
}

const fn long(id: &'static str, title: &'static str, unit: Unit) -> Row {
    Row { id, title, unit, ops: 0, long: true }
}

/// In the order in which they run and are printed.
pub const ROWS: &[Row] = &[
    brief("spawn-worker", "spawn 10,000 from a worker", spawn_many::TASKS),
    brief("spawn-outside", "spawn 10,000 from another thread", spawn_many::TASKS),
    brief("yield", "200 tasks × 1,000 yields", yields::TASKS * yields::YIELDS),
    brief("ping-pong", "1,000 double-oneshot ping-pongs", ping_pong::PAIRS),
    brief("chained", "chained spawn, 10,000 deep", chained::DEPTH),
    brief("spawn-await", "spawn and await, 10,000 times", spawn_await::TIMES),
    brief("fan-out", "20 × fan out 1,000 that yield, await all", fan_out::FANS * fan_out::TASKS),
    brief("channel", "channel there-and-back, 20,000 (async-channel, bound 16)", channels::ROUND_TRIPS),
    brief("many-to-one", "8 senders × 10,000 into one receiver", channels::SENDERS * channels::EACH),
    brief("timeout", "20,000 timeouts armed and cancelled around one yield", timeouts::TIMEOUTS),
    brief("sleeps", "20,000 sleeps of 1–20 ms, time above the 20,000 µs that they must take", sleeps::SLEEPS),
    brief("echo-1", "TCP echo, 64 B, 1 connection, 5,000 round trips", echo::ROUND_TRIPS),
    brief("echo-64", "TCP echo, 64 B, 64 connections, 12,800 round trips", echo::MANY * echo::EACH),
    long("hyper-1", "hyper hello under `wrk -t1`, 1 connection, requests/s", Unit::Rate),
    long("hyper-64", "the same, 64 connections", Unit::Rate),
    long("hyper-512", "the same, 512 connections", Unit::Rate),
    long("wake-busy", "wake → poll, four tasks polling 500 µs each in the background, p99.9", Unit::Latency(0.999)),
    long("wake-idle", "wake → poll from an idle runtime, p50", Unit::Latency(0.5)),
    long("memory", "memory per idle tiny task", Unit::Bytes),
];

/// The row of this name.
pub fn find(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id == id)
}

/// What every runtime can run.
pub fn for_tasks<C: Contender>() -> Vec<(&'static str, Run<C>)> {
    vec![
        ("spawn-worker", spawn_many::from_worker::<C>),
        ("spawn-outside", spawn_many::from_outside::<C>),
        ("yield", yields::run::<C>),
        ("ping-pong", ping_pong::run::<C>),
        ("chained", chained::run::<C>),
        ("spawn-await", spawn_await::run::<C>),
        ("fan-out", fan_out::run::<C>),
        ("channel", channels::there_and_back::<C>),
        ("many-to-one", channels::many_to_one::<C>),
        ("wake-busy", wake::busy::<C>),
        ("wake-idle", wake::idle::<C>),
        ("memory", memory::in_a_child::<C>),
    ]
}

/// What needs timers.
pub fn for_timers<C: Timers>() -> Vec<(&'static str, Run<C>)> {
    vec![("timeout", timeouts::run::<C>), ("sleeps", sleeps::run::<C>)]
}

/// What needs sockets.
pub fn for_sockets<C: Sockets>() -> Vec<(&'static str, Run<C>)> {
    vec![
        ("echo-1", echo::one::<C>),
        ("echo-64", echo::many::<C>),
        ("hyper-1", hello::one::<C>),
        ("hyper-64", hello::some::<C>),
        ("hyper-512", hello::many::<C>),
    ]
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound")
}
