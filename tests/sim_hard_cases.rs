//! Scheduler bugs that other runtimes have published, mostly Tokio, each as a scenario that runs by
//! simulation. docs/simulation-scenarios.md lists them, with their bounds.
//!
//! `HEIST_SIM_SEEDS` sets the number of seeds.

#[path = "sim_hard_cases/blocking.rs"]
mod blocking;
#[path = "sim_hard_cases/budget.rs"]
mod budget;
#[path = "sim_hard_cases/idle.rs"]
mod idle;
#[path = "sim_hard_cases/queues.rs"]
mod queues;
#[path = "sim_hard_cases/resize.rs"]
mod resize;
#[path = "support/seeds.rs"]
mod seeds;
#[path = "sim_hard_cases/shutdown.rs"]
mod shutdown;
#[path = "sim_hard_cases/timers.rs"]
mod timers;

use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use heist::sim::{Sim, for_each_seed};
use heist::time::{Duration, Instant, sleep_until};

/// A poll that is too long.
const LONG: Duration = Duration::from_millis(100);
/// The bound on a wait that has no reason. A thread of a simulation may lose its processor for 3 ms
/// several times in a row.
const SOON: Duration = Duration::from_millis(25);

/// The virtual time after which a scenario counts as starved.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs a scenario once per seed. `run` returns what it has measured, which must not exceed the
/// bound.
#[track_caller]
fn at_most<T>(bound: T, run: impl Fn(Sim) -> T + Sync)
where
    T: Copy + Debug + Ord + Send + Sync,
{
    let most = Mutex::new(None);
    for_each_seed(seeds::seeds(50), |sim| {
        let measured = run(sim.time_limit(LIMIT));
        assert!(measured <= bound, "{measured:?}, and the bound is {bound:?}");
        let mut most = most.lock().unwrap();
        *most = (*most).max(Some(measured));
    });
    let most = most.into_inner().unwrap();
    println!("{}: at most {most:?} of {bound:?}", thread::current().name().unwrap_or("a scenario"));
}

/// Runs a scenario once per seed, which checks itself.
#[track_caller]
fn ends(run: impl Fn(Sim) + Sync) {
    at_most((), run);
}

/// Returns the simulation without a watchdog, which could hide a lost wake-up.
fn unwatched(sim: Sim, workers: usize) -> Sim {
    sim.workers(workers).configure(|builder| {
        builder.watchdog(false);
    })
}

/// Runs the future on a worker. The root of a simulation has a thread of its own.
async fn on_worker<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    heist::spawn(future).await.unwrap()
}

/// Sleeps for that long, and returns how late it has ended.
async fn lateness(duration: Duration) -> Duration {
    let due = Instant::now() + duration;
    sleep_until(due).await;
    let now = Instant::now();
    assert!(now >= due, "a timer has fired {:?} early", due - now);
    now - due
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A number that tasks share.
#[derive(Clone, Default)]
struct Number(Arc<AtomicU64>);

impl Number {
    fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }

    /// Keeps the larger value.
    fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::SeqCst);
    }
}

/// The longest of several waits.
#[derive(Clone, Default)]
struct Longest(Number);

impl Longest {
    fn add(&self, wait: Duration) {
        self.0.raise(u64::try_from(wait.as_nanos()).unwrap());
    }

    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.get())
    }
}

/// Counts its drop.
struct Guard(Number);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add();
    }
}
