//! Simulations of random programs: tasks that spawn, await, abort, panic, sleep, compute and block,
//! while the runtime is resized, drained or dropped.
//!
//! `HEIST_SIM_SEEDS` sets the number of seeds.

#[path = "support/seeds.rs"]
mod seeds;

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;

use heist::runtime::Handle;
use heist::sim::{Sim, compute, for_each_seed};
use heist::task::{block_in_place, spawn_blocking, yield_now};
use heist::time::{Duration, sleep, timeout};

/// Random numbers of a program, which depend on its seed alone.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn micros_below(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound))
    }

    fn branch(&mut self) -> Random {
        Random::new(self.below(u64::MAX))
    }
}

/// Returns a task that does up to five random things.
fn random_task(mut random: Random, depth: u32) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        for _ in 0..random.below(6) {
            match random.below(12) {
                0 => yield_now().await,
                1 => sleep(random.micros_below(3_000)).await,
                2 => compute(random.micros_below(8_000)),
                3 => {
                    let time = random.micros_below(2_000);
                    spawn_blocking(move || compute(time)).await.ok();
                }
                4 => {
                    let time = random.micros_below(3_000);
                    block_in_place(|| compute(time));
                }
                5 => {
                    timeout(random.micros_below(500), sleep(random.micros_below(500))).await.ok();
                }
                6 => {
                    // It may be refused, because another resize or a drain is under way.
                    let _ = Handle::current().resize(1 + random.below(6) as usize).await;
                }
                7 if depth < 3 => {
                    heist::spawn(random_task(random.branch(), depth + 1)).await.ok();
                }
                8 if depth < 3 => {
                    let task = heist::spawn(random_task(random.branch(), depth + 1));
                    yield_now().await;
                    task.abort();
                    task.await.ok();
                }
                9 if depth < 3 => drop(heist::spawn(random_task(random.branch(), depth + 1))),
                10 if depth > 0 && random.below(8) == 0 => resume_unwind(Box::new("a random panic")),
                11 => {
                    let time = random.micros_below(300);
                    block_in_place(|| Handle::current().block_on(sleep(time)));
                }
                _ => {}
            }
        }
    })
}

/// The end of a program.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The root awaits its tasks.
    Join,
    /// The runtime is dropped while tasks live.
    Drop,
    /// The runtime is drained, and the deadline comes early.
    ShortDrain,
    /// The runtime is drained, and all tasks end in time.
    LongDrain,
}

fn run_program(sim: Sim) {
    let mut random = Random::new(sim.seed());
    let workers = 1 + random.below(6) as usize;
    let watched = random.below(3) != 0;
    let end = [End::Join, End::Drop, End::ShortDrain, End::LongDrain][random.below(4) as usize];
    let soon = random.micros_below(5_000);
    let mut sim = sim.workers(workers).time_limit(Duration::from_secs(120)).configure(move |builder| {
        builder.watchdog(watched);
    });
    sim.run(async move {
        let count = 3 + random.below(8);
        let tasks: Vec<_> = (0..count).map(|_| heist::spawn(random_task(random.branch(), 0))).collect();
        match end {
            End::Join => {
                for task in tasks {
                    task.await.ok();
                }
            }
            End::Drop => sleep(soon).await,
            End::ShortDrain => {
                let report = Handle::current().drain(soon).await;
                assert_eq!(report.unnamed, 0, "{report}");
            }
            End::LongDrain => {
                let report = Handle::current().drain(Duration::from_secs(100)).await;
                assert_eq!((report.stragglers.len(), report.unnamed), (0, 0), "{report}");
            }
        }
    });
}

#[test]
fn random_programs_end_and_their_drains_are_exact() {
    for_each_seed(seeds::seeds(200), run_program);
}

#[test]
fn random_program_of_the_same_seed_has_the_same_trace() {
    for seed in 0..30 {
        let trace = || {
            let mut random = Random::new(seed);
            let mut sim = Sim::new(seed).workers(4);
            sim.run(async move {
                let tasks: Vec<_> = (0..6).map(|_| heist::spawn(random_task(random.branch(), 0))).collect();
                for task in tasks {
                    task.await.ok();
                }
            });
            sim.trace_hash()
        };
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}
