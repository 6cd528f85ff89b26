//! Simulates heist's scheduler with up to 256 workers, and compares wake policies.
//!
//! `docs/scaling.md` says what is simulated, and holds the results.

pub mod loads;
pub mod measure;
pub mod page;
pub mod plot;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heist::runtime::Builder;
use heist::sim::Sim;
use heist::sim::scaling::{Costs, WakePolicy};

use crate::scaling::loads::Load;
use crate::scaling::measure::Figures;

/// The numbers of workers.
pub const SIZES: [usize; 5] = [2, 8, 16, 64, 256];

/// A policy, with the settings that belong to it.
#[derive(Clone, Copy)]
pub struct Policy {
    pub name: &'static str,
    pub wakes: WakePolicy,
    /// heist's settings. Otherwise: no watchdog, no spinning before a sleep, one lane, a global
    /// check every 61 polls, and searches by up to half of the workers.
    pub heist: bool,
}

pub const POLICIES: [Policy; 3] = [
    Policy { name: "heist", wakes: WakePolicy::HEIST, heist: true },
    Policy { name: "tokio", wakes: WakePolicy::TOKIO, heist: false },
    Policy { name: "go", wakes: WakePolicy::GO, heist: false },
];

/// A constant of heist's policy at another value.
#[derive(Clone, Copy)]
pub struct Variant {
    pub constant: &'static str,
    pub value: &'static str,
    pub wakes: WakePolicy,
    pub configure: fn(&mut Builder) -> &mut Builder,
}

const fn variant(constant: &'static str, value: &'static str, wakes: WakePolicy) -> Variant {
    Variant { constant, value, wakes, configure: |builder| builder }
}

const fn setting(constant: &'static str, value: &'static str, configure: fn(&mut Builder) -> &mut Builder) -> Variant {
    Variant { constant, value, wakes: WakePolicy::HEIST, configure }
}

const HEIST: WakePolicy = WakePolicy::HEIST;

/// The constants, each with values around heist's.
pub const VARIANTS: &[Variant] = &[
    setting("price of a wake-up, 50 µs", "12.5 µs", |builder| builder.wake_price(12_500)),
    setting("price of a wake-up, 50 µs", "25 µs", |builder| builder.wake_price(25_000)),
    setting("price of a wake-up, 50 µs", "200 µs", |builder| builder.wake_price(200_000)),
    variant("price after a recent steal, × 2", "× 1", WakePolicy { repeated_price: 1, ..HEIST }),
    variant("price after a recent steal, × 2", "× 4", WakePolicy { repeated_price: 4, ..HEIST }),
    variant("a steal is recent for 20 ms", "1 ms", WakePolicy { recent_nanos: 1_000_000, ..HEIST }),
    variant("a steal is recent for 20 ms", "80 ms", WakePolicy { recent_nanos: 80_000_000, ..HEIST }),
    variant("cost of a move, 200 ns", "0", WakePolicy { migration_nanos: 0, ..HEIST }),
    variant("cost of a move, 200 ns", "400 ns", WakePolicy { migration_nanos: 400, ..HEIST }),
    variant("deep ring, 64 tasks", "16", WakePolicy { deep_ring: 16, ..HEIST }),
    variant("deep ring, 64 tasks", "128", WakePolicy { deep_ring: 128, ..HEIST }),
    variant("lone tasks are stolen above 8 workers", "always", WakePolicy { lone_tasks_above: 0, ..HEIST }),
    variant("lone tasks are stolen above 8 workers", "never", WakePolicy { lone_tasks_above: usize::MAX, ..HEIST }),
    variant("the last searcher wakes a helper if that pays", "always", WakePolicy { chained: true, ..HEIST }),
    setting("searchers: 4, or 1 of 16 workers", "1", |builder| builder.max_searchers(1)),
    setting("searchers: 4, or 1 of 16 workers", "16", |builder| builder.max_searchers(16)),
    setting("searchers: 4, or 1 of 16 workers", "half of the workers", |builder| builder.max_searchers(usize::MAX)),
    setting("workers per lane, 8", "all", |builder| builder.queue_lanes(1)),
    setting("workers per lane, 8", "1", |builder| builder.queue_lanes(64)),
    variant("tasks of a late worker are taken over", "never", WakePolicy { takes_over_late: false, ..HEIST }),
    setting("watchdog, a tick per ms", "none", |builder| builder.watchdog(false)),
    setting("checkpoints by time", "every 61 polls", |builder| builder.event_interval(61).global_queue_interval(61)),
    setting("checkpoints by time, and 8 workers per lane", "every 61 polls, and one lane", |builder| {
        builder.event_interval(61).global_queue_interval(61).queue_lanes(1)
    }),
    variant("when a worker wakes another", "as Tokio", WakePolicy { priced: false, chained: true, ..HEIST }),
    setting("spin before a sleep, 50 µs", "0", |builder| builder.spin_before_park(Duration::ZERO)),
];

/// One cell of the results: a load with so many workers.
#[derive(Clone, Copy)]
pub struct Cell {
    pub load: Load,
    pub workers: usize,
    pub policy: Policy,
    pub variant: Option<Variant>,
    pub costs: Costs,
}

impl Cell {
    /// Runs the cell once.
    ///
    /// # Panics
    ///
    /// Panics if the simulation fails.
    fn run(&self, seed: u64) -> Figures {
        let cell = *self;
        let wakes = self.variant.map_or(self.policy.wakes, |variant| variant.wakes);
        let mut sim = Sim::new(seed)
            .workers(self.workers)
            .costs(self.costs)
            .wake_policy(wakes)
            .time_limit(Duration::from_secs(60))
            .configure(move |builder| {
                measure::enable(builder);
                if !cell.policy.heist {
                    builder.watchdog(false).spin_before_park(Duration::ZERO).queue_lanes(1).max_searchers(usize::MAX);
                    builder.event_interval(61).global_queue_interval(61);
                }
                if let Some(variant) = cell.variant {
                    (variant.configure)(builder);
                }
            });
        sim.run(self.load.run(self.workers, seed))
    }
}

/// Runs each cell for the seeds from 0 on, with one thread per processor. Returns the figures by
/// cell and seed. Calls `done` after each simulation.
pub fn run_all(cells: &[Cell], seeds: u64, done: impl Fn(usize) + Sync) -> Vec<Vec<Figures>> {
    let (next, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let figures: Vec<Mutex<Vec<(u64, Figures)>>> = cells.iter().map(|_| Mutex::default()).collect();
    let jobs = cells.len() * seeds as usize;
    let work = |processor: usize| {
        pin(processor);
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs {
                return;
            }
            // The largest simulations come first.
            let cell = cells.len() - 1 - job / seeds as usize;
            let seed = job as u64 % seeds;
            let one = cells[cell].run(seed);
            figures[cell].lock().expect("no holder panics").push((seed, one));
            done(ended.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    std::thread::scope(|scope| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (0..processors).for_each(|processor| drop(scope.spawn(move || work(processor))));
    });
    let by_seed = |cell: Mutex<Vec<(u64, Figures)>>| {
        let mut cell = cell.into_inner().expect("no holder panics");
        cell.sort_by_key(|(seed, _)| *seed);
        cell.into_iter().map(|(_, figures)| figures).collect()
    };
    figures.into_iter().map(by_seed).collect()
}

/// Keeps this thread, and the threads that it starts, on one processor. The threads of a simulation
/// run one at a time, so a second processor would only add the time of its wake-ups.
fn pin(processor: usize) {
    // SAFETY: an empty set of processors is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is a local value, and numbers beyond its size are ignored.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: the pointer and the size are those of the set. A refusal changes nothing.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
}
