//! Measures the cost of heist's watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use crate::contender::Contender;
use crate::contenders::heist::Heist;
use crate::contenders::{RowRunner, build_with_watchdog};
use crate::sample::Load;
use crate::stats::{Spread, ratios};

/// Rows whose time is that of their work.
pub const ROWS: [&str; 11] = [
    "spawn-worker",
    "spawn-outside",
    "yield",
    "ping-pong",
    "chained",
    "spawn-await",
    "fan-out",
    "channel",
    "many-to-one",
    "timeout",
    "echo-64",
];

/// Returns the time of each row with the watchdog on, divided by that with it off. The rounds
/// alternate, and each round builds both runtimes anew.
pub fn costs(workers: usize, rounds: usize) -> Vec<(&'static str, Spread)> {
    costs_of(build_with_watchdog, workers, rounds)
}

/// As [`costs`], for another part of the runtime that `build` switches on, or off.
pub fn costs_of(
    build: fn(usize, bool) -> Box<dyn RowRunner>,
    workers: usize,
    rounds: usize,
) -> Vec<(&'static str, Spread)> {
    let load = Load { workers, quick: false };
    let cost = |row| {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            for which in [round % 2, 1 - round % 2] {
                let runtime = build(workers, which == 0);
                let pass = || runtime.run(row, &load).expect("the row can be run").value;
                // The first pass warms up.
                pass();
                let mut passes = [pass(), pass(), pass()];
                passes.sort_by(f64::total_cmp);
                times[which].push(passes[1]);
            }
        }
        (row, ratios(&times[0], &times[1]).expect("there are rounds"))
    };
    ROWS.map(cost).into()
}

/// The processor time of the watchdog's thread.
pub struct Share {
    pub of_a_processor: f64,
    pub per_tick: Duration,
}

/// Measures it while every worker is busy with tasks that yield.
pub fn share(workers: usize) -> Share {
    const PASSED: Duration = Duration::from_secs(2);
    const TICKS: u32 = 2_000;
    let runtime = Heist::build(workers);
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..64 {
        let stop = Arc::clone(&stop);
        Heist::detach(runtime.spawn_outside(async move {
            while !stop.load(Ordering::Relaxed) {
                Heist::yield_now().await;
            }
        }));
    }
    let used = || threads().into_iter().find(|thread| thread.name == "heist-watchdog").expect("there is one").ran;
    thread::sleep(Duration::from_millis(100));
    let before = used();
    thread::sleep(PASSED);
    let ran = used() - before;
    stop.store(true, Ordering::Relaxed);
    Share { of_a_processor: ran.as_secs_f64() / PASSED.as_secs_f64(), per_tick: ran / TICKS }
}

/// Returns how often the threads of an idle runtime run on a processor in ten seconds.
pub fn idle_wakes(workers: usize) -> u64 {
    let runtime = Heist::build(workers);
    Heist::detach(runtime.spawn_outside(async {}));
    thread::sleep(Duration::from_millis(200));
    let slices =
        || threads().iter().filter(|thread| thread.name.starts_with("heist-")).map(|thread| thread.slices).sum();
    let before: u64 = slices();
    thread::sleep(Duration::from_secs(10));
    let after: u64 = slices();
    after - before
}

struct Thread {
    name: String,
    ran: Duration,
    /// How often it ran on a processor.
    slices: u64,
}

/// Returns the threads of this process for which the system publishes statistics.
fn threads() -> Vec<Thread> {
    let folders = fs::read_dir("/proc/self/task").expect("Linux");
    let thread = |folder: fs::DirEntry| {
        let stat = fs::read_to_string(folder.path().join("schedstat")).ok()?;
        let mut numbers = stat.split_whitespace().filter_map(|number| number.parse().ok());
        let (ran, _, slices): (u64, u64, u64) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let name = fs::read_to_string(folder.path().join("comm")).ok()?.trim().to_owned();
        Some(Thread { name, ran: Duration::from_nanos(ran), slices })
    };
    folders.filter_map(|folder| thread(folder.ok()?)).collect()
}
