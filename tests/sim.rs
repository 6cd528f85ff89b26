//! Simulations of the whole runtime: the same seed gives the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{SinkExt, StreamExt};
use heist::sim::{Sim, for_each_seed};
use heist::task::{spawn_blocking, yield_now};
use heist::time::{Duration, Instant, sleep};

/// Spawns, steals, sleeps, yields and runs blocking jobs.
async fn mixed_load() -> u64 {
    let sum = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..32_u64)
        .map(|n| {
            let sum = Arc::clone(&sum);
            heist::spawn(async move {
                for _ in 0..n % 7 {
                    yield_now().await;
                }
                sleep(Duration::from_micros(n * 37)).await;
                if n % 5 == 0 {
                    spawn_blocking(|| ()).await.unwrap();
                }
                sum.fetch_add(n, Ordering::Relaxed);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    sum.load(Ordering::Relaxed)
}

fn hash_of(seed: u64, workers: usize) -> u64 {
    let mut sim = Sim::new(seed).workers(workers);
    assert_eq!(sim.run(mixed_load()), (0..32).sum());
    sim.trace_hash()
}

#[test]
fn trace_of_the_same_seed_is_the_same() {
    for seed in 0..50 {
        for workers in [1, 2, 8] {
            assert_eq!(hash_of(seed, workers), hash_of(seed, workers), "seed {seed}, {workers} workers");
        }
    }
}

#[test]
fn traces_of_different_seeds_differ() {
    let hashes: std::collections::BTreeSet<u64> = (0..100).map(|seed| hash_of(seed, 4)).collect();
    assert_eq!(hashes.len(), 100);
}

#[test]
fn sleep_takes_virtual_time_and_is_never_early() {
    let mut sim = Sim::new(7).workers(3);
    let slept = sim.run(async {
        let begun = Instant::now();
        sleep(Duration::from_secs(1800)).await;
        begun.elapsed()
    });
    assert!(slept >= Duration::from_secs(1800) && slept < Duration::from_secs(1801), "{slept:?}");
}

#[test]
#[should_panic(expected = "no thread of the simulation can run")]
fn future_that_is_never_woken_is_reported() {
    Sim::new(1).run(std::future::pending::<()>());
}

#[test]
#[should_panic(expected = "from the future")]
fn panic_of_the_future_is_passed_on() {
    Sim::new(1).run(async { panic!("from the future") });
}

/// Drains and resizes while tasks run. Returns the report's counts.
async fn drained_and_resized() -> (u64, u64, usize) {
    let handle = heist::runtime::Handle::current();
    let tasks: Vec<_> = (0..40_u64)
        .map(|n| {
            heist::spawn(async move {
                sleep(Duration::from_micros(n * 100)).await;
                yield_now().await;
            })
        })
        .collect();
    let _ = handle.resize(1).await;
    let _ = handle.resize(6).await;
    let report = handle.drain(Duration::from_millis(2)).await;
    drop(tasks);
    (report.completed, report.cancelled, report.stragglers.len())
}

#[test]
fn drain_and_resize_of_the_same_seed_are_the_same() {
    let run = |seed| {
        let mut sim = Sim::new(seed).workers(4);
        let (completed, cancelled, stragglers) = sim.run(drained_and_resized());
        // A task may have ended before the drain began.
        assert!(completed + cancelled <= 40 && cancelled == stragglers as u64, "seed {seed}");
        sim.trace_hash()
    };
    for seed in 0..100 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// Tasks wake each other across workers, in pairs and from blocking jobs. Without a watchdog, a
/// lost wake-up ends in a simulation in which no thread can run.
async fn wakes_between_tasks() -> u64 {
    let (mut tasks, sum) = (Vec::new(), Arc::new(AtomicU64::new(0)));
    for n in 0..6_u64 {
        let (request_tx, mut request_rx) = futures::channel::mpsc::channel::<u64>(1);
        let (answer_tx, mut answer_rx) = futures::channel::mpsc::channel::<u64>(1);
        let (mut request_tx, mut answer_tx) = (request_tx, answer_tx);
        tasks.push(heist::spawn(async move {
            while let Some(value) = request_rx.next().await {
                if value % 4 == 0 {
                    spawn_blocking(|| ()).await.unwrap();
                }
                answer_tx.send(value + 1).await.unwrap();
            }
        }));
        let sum = Arc::clone(&sum);
        tasks.push(heist::spawn(async move {
            for value in 0..8 {
                request_tx.send(value + n).await.unwrap();
                sum.fetch_add(answer_rx.next().await.unwrap(), Ordering::Relaxed);
                if value % 3 == n % 3 {
                    sleep(Duration::from_micros(5)).await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    sum.load(Ordering::Relaxed)
}

#[test]
fn wakes_without_watchdog_are_never_lost() {
    let expected = (0..6).map(|n| (0..8).map(|value| value + n + 1).sum::<u64>()).sum::<u64>();
    for seed in 0..100 {
        for workers in [2, 5] {
            let mut sim = Sim::new(seed).workers(workers).configure(|builder| {
                builder.watchdog(false);
            });
            assert_eq!(sim.run(wakes_between_tasks()), expected, "seed {seed}");
        }
    }
}

/// Tasks sleep while the runtime is resized again and again.
async fn sleeps_over_resizes() {
    let handle = heist::runtime::Handle::current();
    let tasks: Vec<_> = (0..12_u64)
        .map(|n| {
            heist::spawn(async move {
                for round in 0..4 {
                    let deadline = Instant::now() + Duration::from_micros(50 + n * 40 + round * 100);
                    heist::time::sleep_until(deadline).await;
                    assert!(Instant::now() >= deadline);
                }
            })
        })
        .collect();
    for size in [1, 4, 2, 3] {
        let _ = handle.resize(size).await;
        sleep(Duration::from_micros(100)).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn timers_of_retiring_workers_fire_and_are_never_early() {
    for_each_seed(200, |sim| {
        let mut sim = sim.workers(3).configure(|builder| {
            builder.watchdog(false);
        });
        sim.run(sleeps_over_resizes());
        assert!(sim.elapsed() < Duration::from_secs(60));
    });
}

#[test]
#[should_panic(expected = "HEIST_SIM_SEED=3 cargo test failing_seed_is_named_with_the_command_that_repeats_it")]
fn failing_seed_is_named_with_the_command_that_repeats_it() {
    for_each_seed(4, |mut sim| {
        let is_fourth = sim.seed() == 3;
        sim.run(async move { assert!(!is_fourth) });
    });
}

#[heist::test(sim, seeds = 20, workers = 3)]
async fn attribute_with_sim_runs_the_body_by_simulation() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(heist::runtime::Handle::current().metrics().num_workers(), 3);
    let begun = Instant::now();
    heist::spawn(sleep(Duration::from_secs(60))).await?;
    assert_eq!(begun.elapsed().as_secs(), 60);
    Ok(())
}

#[heist::test(sim, seeds = 2)]
#[should_panic = "HEIST_SIM_SEED=0 cargo test attribute_with_sim_names_the_seed_that_returns_an_error"]
async fn attribute_with_sim_names_the_seed_that_returns_an_error() -> Result<(), std::num::ParseIntError> {
    "x".parse::<u32>().map(drop)
}

#[test]
fn root_that_yields_until_a_task_has_run_ends() {
    Sim::new(5).run(async {
        let done = Arc::new(AtomicU64::new(0));
        let sets = Arc::clone(&done);
        let task = heist::spawn(async move { sets.store(1, Ordering::Relaxed) });
        while done.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
        task.await.unwrap();
    });
}

#[test]
#[should_panic(expected = "time limit")]
fn interval_beside_a_lost_wake_up_reaches_the_time_limit() {
    Sim::new(1).time_limit(Duration::from_secs(1)).run(async {
        let ticks = heist::spawn(async {
            let mut interval = heist::time::interval(Duration::from_millis(10));
            loop {
                interval.tick().await;
            }
        });
        std::future::pending::<()>().await;
        drop(ticks);
    });
}

/// A poll of 30 ms is a stall: the watchdog moves what waits behind it.
#[test]
fn task_behind_a_long_poll_is_rescued() {
    for seed in 0..50 {
        let waited = Sim::new(seed).workers(2).run(async {
            let task = heist::spawn(async {
                let begun = Instant::now();
                let behind = heist::spawn(async move { begun.elapsed() });
                heist::sim::compute(Duration::from_millis(30));
                behind.await.unwrap()
            });
            task.await.unwrap()
        });
        assert!(waited < Duration::from_millis(25), "seed {seed}: {waited:?}");
    }
}

/// A thread of std runs when the operating system lets it, so no seed repeats what it does.
#[test]
#[should_panic(expected = "the thread \"outside\" is not a part of the simulation, and wakes task")]
fn wake_by_a_thread_of_std_is_reported() {
    Sim::new(1).run(async {
        let (sender, receiver) = futures::channel::oneshot::channel();
        let task = heist::spawn(receiver);
        yield_now().await;
        let outside = std::thread::Builder::new().name("outside".to_owned());
        // Joined, because the simulation ends when none of its own threads can run.
        drop(outside.spawn(|| sender.send(())).unwrap().join());
        task.await.unwrap().unwrap();
    });
}

#[test]
#[should_panic(expected = "and spawns task")]
fn spawn_by_a_thread_of_std_is_reported() {
    Sim::new(1).run(async {
        let handle = heist::runtime::Handle::current();
        drop(std::thread::spawn(move || drop(handle.spawn(async {}))).join());
        std::future::pending::<()>().await;
    });
}
