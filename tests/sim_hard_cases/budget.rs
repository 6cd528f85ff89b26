//! The budget of a task, and tasks that are always ready.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use heist::sim::compute;
use heist::task::{consume_budget, spawn_blocking, yield_now};
use heist::time::{Duration, Instant, timeout};

use super::{Number, SOON, at_most, lateness, micros, millis, on_worker, unwatched};

/// tokio#4291: a timeout is polled after its future, which has used up the budget. So it never
/// fires. Each poll lasts for 128 µs, and a worker without a watchdog checks its timers after 61
/// polls.
#[test]
fn timeout_around_a_future_that_uses_up_the_budget_fires() {
    at_most(SOON, |sim| {
        unwatched(sim, 1).run(on_worker(async {
            let due = Instant::now() + millis(5);
            let always_ready = async {
                loop {
                    compute(micros(1));
                    consume_budget().await;
                }
            };
            assert!(timeout(millis(5), always_ready).await.is_err());
            due.elapsed()
        }))
    });
}

/// tokio#2390, rust-lang/futures-rs#2053: a set of futures polls those again and again that wait
/// for budget. The bound is on the polls of the set's task, for 400 ready futures.
#[test]
fn set_of_futures_that_use_up_the_budget_ends() {
    at_most(400, |sim| {
        unwatched(sim, 2).run(on_worker(async {
            let tasks: Vec<_> = (0..400_u64).map(|n| heist::spawn(async move { n })).collect();
            yield_now().await;
            let mut set: FuturesUnordered<_> = tasks.into_iter().collect();
            let (mut polls, mut sum) = (0, 0);
            let whole = async {
                while let Some(output) = set.next().await {
                    sum += output.unwrap();
                }
            };
            let mut whole = pin!(whole);
            poll_fn(|cx| {
                polls += 1;
                whole.as_mut().poll(cx)
            })
            .await;
            assert_eq!(sum, (0..400).sum());
            polls
        }))
    });
}

/// tokio#5223: a task that only yields keeps the driver from running.
#[test]
fn task_that_yields_lets_timers_fire() {
    at_most(SOON, |sim| {
        unwatched(sim, 1).run(on_worker(async {
            let timer = heist::spawn(lateness(millis(3)));
            while !timer.is_finished() {
                yield_now().await;
            }
            timer.await.unwrap()
        }))
    });
}

/// Tokio's tests `always_active_parker` and `io_driver_called_when_under_load`: a task that is
/// always ready starves the driver, the global queue, blocking jobs, or the shutdown.
#[test]
fn task_that_is_always_ready_starves_no_other_class() {
    at_most(SOON, |sim| {
        let mut sim = unwatched(sim, 1);
        let (lasted, longest) = sim.run(async {
            let begun = Instant::now();
            let (polls, stop) = (Number::default(), Arc::new(AtomicBool::new(false)));
            let (counts, stops) = (polls.clone(), Arc::clone(&stop));
            drop(heist::spawn(async move {
                while !stops.load(Ordering::SeqCst) {
                    counts.add();
                    compute(micros(10));
                    yield_now().await;
                }
            }));
            let mut longest = Duration::ZERO;
            for _ in 0..5 {
                longest = longest.max(lateness(millis(1)).await);
                longest = longest.max(heist::spawn(lateness(micros(300))).await.unwrap());
                let spawned = Instant::now();
                longest = longest.max(heist::spawn(async move { spawned.elapsed() }).await.unwrap());
                let ended = heist::spawn(async { spawn_blocking(Instant::now).await.unwrap().elapsed() });
                longest = longest.max(ended.await.unwrap());
            }
            assert!(polls.get() > 100);
            (begun.elapsed(), longest)
        });
        longest.max(sim.elapsed() - lasted)
    });
}
