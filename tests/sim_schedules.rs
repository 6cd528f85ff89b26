//! Schedules of simulations: each finds planted bugs, and repeats with its seed.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heist::sim::{Schedule, Sim, compute, for_each_seed};
use heist::task::{spawn_blocking, yield_now};
use heist::time::{Duration, Instant, sleep, sleep_until};

const PCT: Schedule = Schedule::Pct { depth: 3, steps: 2_000 };
const SCHEDULES: [Schedule; 3] = [Schedule::Uniform, PCT, Schedule::RoundRobin];

/// Spawns, steals, sleeps, yields, computes and runs blocking jobs.
async fn mixed_load() -> u64 {
    let sum = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..24_u64)
        .map(|n| {
            let sum = Arc::clone(&sum);
            heist::spawn(async move {
                for _ in 0..n % 7 {
                    yield_now().await;
                }
                let deadline = Instant::now() + Duration::from_micros(n * 37);
                sleep_until(deadline).await;
                assert!(Instant::now() >= deadline, "a timer was early");
                if n % 5 == 0 {
                    spawn_blocking(|| compute(Duration::from_micros(20))).await.unwrap();
                }
                if n % 9 == 0 {
                    compute(Duration::from_millis(n));
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

fn mixed_trace(seed: u64, workers: usize, schedule: Schedule) -> u64 {
    let mut sim = Sim::new(seed).workers(workers).schedule(schedule).time_limit(Duration::from_secs(60));
    assert_eq!(sim.run(mixed_load()), (0..24).sum());
    sim.trace_hash()
}

#[test]
fn trace_of_the_same_seed_is_the_same_in_every_schedule() {
    for schedule in SCHEDULES {
        for seed in 0..60 {
            let workers = 1 + seed as usize % 5;
            let traces = [0; 2].map(|_| mixed_trace(seed, workers, schedule));
            assert_eq!(traces[0], traces[1], "seed {seed}, {schedule:?}");
        }
    }
}

#[test]
fn schedules_of_the_same_seed_have_different_traces() {
    for seed in 0..20 {
        let traces = SCHEDULES.map(|schedule| mixed_trace(seed, 3, schedule));
        assert!(traces[0] != traces[1] && traces[1] != traces[2] && traces[0] != traces[2], "seed {seed}");
    }
}

/// Returns the first of 1,000 seeds for which `fails` returns true.
fn first_failing_seed(fails: impl Fn(u64) -> bool) -> Option<u64> {
    (0..1_000).find(|&seed| fails(seed))
}

/// About as many steps as the two following programs have.
const SHORT_PCT: Schedule = Schedule::Pct { depth: 3, steps: 25 };

/// Two tasks read a balance, await, and write it back, one of them after a few polls. Returns the
/// balance after both.
fn balance_after_race(seed: u64, schedule: Schedule) -> u64 {
    Sim::new(seed).workers(2).schedule(schedule).run(async {
        let balance = Arc::new(AtomicU64::new(0));
        let deposits = [(10, 0), (20, 4)].map(|(amount, polls)| {
            let balance = Arc::clone(&balance);
            heist::spawn(async move {
                for _ in 0..polls {
                    yield_now().await;
                }
                let read = balance.load(Ordering::Relaxed);
                yield_now().await;
                balance.store(read + amount, Ordering::Relaxed);
            })
        });
        for deposit in deposits {
            deposit.await.unwrap();
        }
        balance.load(Ordering::Relaxed)
    })
}

#[test]
fn race_across_an_await_is_found_by_uniform_and_pct() {
    for schedule in [Schedule::Uniform, SHORT_PCT] {
        let seed = first_failing_seed(|seed| balance_after_race(seed, schedule) != 30).expect("a seed shows it");
        assert!((0..5).all(|_| balance_after_race(seed, schedule) != 30), "seed {seed}, {schedule:?}");
    }
}

/// Two tasks take two locks in opposite orders, one of them after a few polls. Returns whether they
/// end.
fn opposite_locks_end(seed: u64, schedule: Schedule) -> bool {
    catch_unwind(|| {
        Sim::new(seed).workers(2).schedule(schedule).run(async {
            let locks = Arc::new([(); 2].map(futures::lock::Mutex::new));
            let tasks = [(0, 1, 0), (1, 0, 4)].map(|(first, second, polls)| {
                let locks = Arc::clone(&locks);
                heist::spawn(async move {
                    for _ in 0..polls {
                        yield_now().await;
                    }
                    let _first = locks[first].lock().await;
                    yield_now().await;
                    let _second = locks[second].lock().await;
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
        });
    })
    .is_ok()
}

#[test]
fn locks_in_opposite_orders_are_found_by_uniform_and_pct() {
    for schedule in [Schedule::Uniform, SHORT_PCT] {
        let seed = first_failing_seed(|seed| !opposite_locks_end(seed, schedule)).expect("a seed shows it");
        assert!((0..5).all(|_| !opposite_locks_end(seed, schedule)), "seed {seed}, {schedule:?}");
    }
}

/// A task that polls again and again, until a task of another worker has run.
#[test]
fn spinning_task_of_the_highest_priority_does_not_keep_the_run_from_its_end() {
    for seed in 0..50 {
        let mut sim = Sim::new(seed).workers(2).schedule(Schedule::Pct { depth: 1, steps: 500 });
        sim.run(async {
            let done = Arc::new(AtomicU64::new(0));
            let sets = Arc::clone(&done);
            let task = heist::spawn(async move { sets.store(1, Ordering::Relaxed) });
            while done.load(Ordering::Relaxed) == 0 {
                yield_now().await;
            }
            task.await.unwrap();
        });
        assert!(sim.elapsed() < Duration::from_secs(60), "seed {seed}");
    }
}

/// Other tasks run while one computes, although the threads share one processor.
#[test]
fn computing_task_does_not_take_time_from_others() {
    for schedule in SCHEDULES {
        for seed in 0..20 {
            let slept = Sim::new(seed).workers(3).schedule(schedule).run(async {
                let begun = Instant::now();
                let sleeper = heist::spawn(async move {
                    sleep(Duration::from_millis(1)).await;
                    begun.elapsed()
                });
                yield_now().await;
                let computing = heist::spawn(async { compute(Duration::from_secs(5)) });
                let slept = sleeper.await.unwrap();
                computing.await.unwrap();
                slept
            });
            assert!(slept < Duration::from_secs(1), "seed {seed}, {schedule:?}: {slept:?}");
        }
    }
}

#[test]
#[should_panic(expected = "a number of `Schedule::Pct` is zero")]
fn pct_of_depth_zero_is_refused() {
    let _ = Sim::new(1).schedule(Schedule::Pct { depth: 0, steps: 1 });
}

#[test]
fn coverage_of_for_each_seed_counts_different_schedules() {
    let coverage = for_each_seed(60, |sim| {
        sim.workers(3).run(mixed_load());
    });
    assert_eq!(coverage.runs(), 60);
    let distinct = [16, 64, 256, 1_024].map(|turns| coverage.distinct(turns).expect("a length"));
    assert!(distinct.is_sorted() && distinct[0] > 1 && distinct[3] == 60, "{coverage}");
    assert_eq!(coverage.distinct(17), None);
    // The same seed has the same schedule.
    let repeated = for_each_seed(60, |sim| {
        Sim::new(sim.seed() % 2).run(async {});
        sim.schedule(Schedule::RoundRobin).run(async {});
    });
    assert_eq!((repeated.runs(), repeated.distinct(1_024)), (60, Some(1)), "{repeated}");
}
