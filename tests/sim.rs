//! Simulations of the whole runtime: the same seed gives the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heist::sim::Sim;
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
        sleep(Duration::from_secs(3600)).await;
        begun.elapsed()
    });
    assert!(slept >= Duration::from_secs(3600) && slept < Duration::from_secs(3601), "{slept:?}");
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
