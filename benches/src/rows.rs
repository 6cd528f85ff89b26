//! The rows of the comparison, and their workloads.

use crate::contender::{Contender, Sockets, Timers};
use crate::sample::{Load, Row, Sample, Unit};

mod chained;
pub mod channels;
mod echo;
mod fan_out;
pub mod hello;
pub mod light;
pub mod memory;
mod ping_pong;
mod sleeps;
mod spawn_await;
mod spawn_many;
mod timeouts;
pub mod wake;
mod yields;

/// A row's workload, for one runtime.
pub type Workload<C> = fn(&C, &Load) -> Option<Sample>;

const fn brief(id: &'static str, title: &'static str, ops: u64) -> Row {
    Row { id, title, unit: Unit::Micros, ops, long: false }
}

const fn long(id: &'static str, title: &'static str, unit: Unit) -> Row {
    Row { id, title, unit, ops: 0, long: true }
}

/// All rows, in the order in which they run and are printed.
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

/// Returns the row of this name.
pub fn find(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id == id)
}

/// Returns the rows that every runtime can run.
pub fn for_tasks<C: Contender>() -> Vec<(&'static str, Workload<C>)> {
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

/// Returns the rows that need timers.
pub fn for_timers<C: Timers>() -> Vec<(&'static str, Workload<C>)> {
    vec![("timeout", timeouts::run::<C>), ("sleeps", sleeps::run::<C>)]
}

/// Returns the rows that need sockets.
pub fn for_sockets<C: Sockets>() -> Vec<(&'static str, Workload<C>)> {
    vec![
        ("echo-1", echo::one::<C>),
        ("echo-64", echo::many::<C>),
        ("hyper-1", hello::one::<C>),
        ("hyper-64", hello::some::<C>),
        ("hyper-512", hello::many::<C>),
    ]
}
