//! Simulations of task groups: shares, priorities, limits, admission, and the removal of groups.
//!
//! `HEIST_SIM_SEEDS` sets the number of seeds of each test.

#[path = "sim_groups/admission.rs"]
mod admission;
#[path = "sim_groups/limits.rs"]
mod limits;
#[path = "sim_groups/priorities.rs"]
mod priorities;
#[path = "support/random.rs"]
mod random;
#[path = "sim_groups/removal.rs"]
mod removal;
#[path = "support/seeds.rs"]
mod seeds;
#[path = "sim_groups/shares.rs"]
mod shares;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heist::runtime::{Handle, Priority, TaskGroup};
use heist::sim::{Faults, Schedule, Sim, compute};
use heist::task::{JoinHandle, yield_now};
use heist::time::{Duration, Instant};

const PCT: Schedule = Schedule::Pct { depth: 3, steps: 2_000 };
const SCHEDULES: [Schedule; 3] = [Schedule::Uniform, PCT, Schedule::RoundRobin];

/// The virtual time after which a program counts as starved.
const LIMIT: Duration = Duration::from_secs(30);

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Builds a group that has a priority and nothing else.
fn group_of(name: &str, priority: Priority) -> TaskGroup {
    Handle::current().group(name).priority(priority).build().unwrap()
}

/// Faults that let each task end by itself.
fn mild_faults() -> Faults {
    Faults::none().delays(40).stalls(150).resizes(100).spurious_wake_ups(40)
}

/// The faults of [`mild_faults`], and those that end tasks.
fn all_faults() -> Faults {
    mild_faults().panics(150).aborts(150).drains(600)
}

/// The schedule and the faults of a seed.
fn vary(sim: Sim) -> Sim {
    let seed = sim.seed();
    let faults = [Faults::none(), mild_faults(), all_faults()][seed as usize % 3];
    sim.schedule(SCHEDULES[seed as usize / 3 % 3]).faults(faults).time_limit(LIMIT)
}

/// Waits for the end of a task. Passes on the panic of an assertion, but not that of a fault.
async fn end_of(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        assert!(error.is_cancelled() || error.to_string().contains("injected"), "{error}");
    }
}

/// A number that tasks share.
#[derive(Clone, Default)]
struct Number(Arc<AtomicU64>);

impl Number {
    fn add(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::SeqCst) + count
    }

    fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::SeqCst);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Keeps the larger value.
    fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::SeqCst);
    }
}

/// The virtual time that polls have taken.
#[derive(Clone, Default)]
struct Busy(Number);

impl Busy {
    /// Polls for ever, for so long each.
    async fn poll_for_ever(self, time: Duration) {
        loop {
            let begun = Instant::now();
            compute(time);
            self.0.add(u64::try_from(begun.elapsed().as_nanos()).unwrap());
            yield_now().await;
        }
    }

    fn nanos(&self) -> u64 {
        self.0.get()
    }
}
