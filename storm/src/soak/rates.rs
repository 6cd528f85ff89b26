//! The lines that the soak prints while it runs, and the table at its end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use heist::runtime::Handle;

use crate::account::{self, Counts};
use crate::load::COUNTERS;
use crate::neighbours;

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    tasks: u64,
    polls: u64,
    timers: u64,
    bytes: u64,
    connections: u64,
    jobs: u64,
    resizes: u64,
    drains: u64,
    steals: u64,
    stalls: u64,
    rescued: u64,
}

/// Prints rates.
#[derive(Debug)]
pub(crate) struct Rates {
    begun: Instant,
    last: (Instant, Totals),
}

fn totals(handle: &Handle) -> Totals {
    let metrics = handle.metrics();
    let sum = |get: &dyn Fn(usize) -> u64| (0..metrics.num_worker_slots()).map(get).sum();
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    Totals {
        tasks: account::totals().spawned,
        polls: sum(&|worker| metrics.worker_poll_count(worker)),
        timers: get(&COUNTERS.timers),
        bytes: get(&COUNTERS.bytes),
        connections: get(&COUNTERS.connections),
        jobs: get(&COUNTERS.jobs),
        resizes: get(&COUNTERS.resizes),
        drains: get(&COUNTERS.drains),
        steals: sum(&|worker| metrics.worker_steal_count(worker)),
        stalls: metrics.stall_count(),
        rescued: metrics.rescue_count(),
    }
}

impl Rates {
    pub(crate) fn new(handle: &Handle) -> Rates {
        let now = Instant::now();
        Rates { begun: now, last: (now, totals(handle)) }
    }

    /// Returns how long ago the last line was.
    pub(crate) fn age(&self) -> Duration {
        self.last.0.elapsed()
    }

    /// Prints the rates since the last line, and the figures of the last sample.
    pub(crate) fn print(&mut self, handle: &Handle, sample: &str, balanced: u64) {
        let (then, before) = self.last;
        let (now, after) = (Instant::now(), totals(handle));
        self.last = (now, after);
        let seconds = now.duration_since(then).as_secs_f64();
        let rate = |get: fn(&Totals) -> u64| (get(&after) - get(&before)) as f64 / seconds;
        println!(
            "{:>6.0} s: per second {:.0} tasks, {:.0} polls, {:.0} timers, {:.2} MB, {:.0} connections, {:.0} jobs, \
             {:.1} resizes, {:.1} drains, {:.0} steals, {:.1} stalls, {:.1} rescued; {sample}; {balanced} seconds balanced",
            self.begun.elapsed().as_secs_f64(),
            rate(|totals| totals.tasks),
            rate(|totals| totals.polls),
            rate(|totals| totals.timers),
            rate(|totals| totals.bytes) / 1e6,
            rate(|totals| totals.connections),
            rate(|totals| totals.jobs),
            rate(|totals| totals.resizes),
            rate(|totals| totals.drains),
            rate(|totals| totals.steals),
            rate(|totals| totals.stalls),
            rate(|totals| totals.rescued),
        );
    }

    /// Prints what has happened in all. `handle` may be that of a runtime that has been dropped.
    pub(crate) fn print_totals(&self, handle: &Handle, seconds: f64) {
        let Totals { tasks, polls, timers, bytes, connections, jobs, resizes, drains, steals, stalls, rescued } =
            totals(handle);
        let Counts { completed, panicked, cancelled, .. } = account::totals();
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (stops, bursts) = neighbours::counts();
        println!(
            "tasks and jobs: {tasks} spawned = {completed} completed + {panicked} panicked + {cancelled} cancelled"
        );
        let rate = tasks as f64 / seconds;
        println!("rate: {rate:.0} tasks per second, {:.2} thousand million in two hours", rate * 7_200.0 / 1e9);
        println!("polls {polls}, timers {timers}, jobs {jobs}, steals {steals}");
        println!("TCP connections {connections}, bytes {bytes}, signals {}", get(&COUNTERS.signals));
        println!(
            "resizes {resizes}, drains {drains}, second runtimes {}, snapshots {}",
            get(&COUNTERS.runtimes),
            get(&COUNTERS.snapshots)
        );
        println!(
            "polls that blocked {}, stalls {stalls}, rescued {rescued}, stops of the process {stops}, busy neighbours {bursts}",
            get(&COUNTERS.blocked_polls)
        );
    }
}
