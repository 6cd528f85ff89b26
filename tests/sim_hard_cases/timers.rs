//! Timers: long uptimes, races of their end, and missed ticks.

use std::pin::pin;

use futures::channel::oneshot;
use heist::sim::compute;
use heist::task::spawn_blocking;
use heist::time::{Duration, Instant, interval, sleep, timeout};

use super::{Longest, SOON, at_most, lateness, micros, millis, on_worker, unwatched};

/// tokio#8334: after twelve days beside a timer of a month, short timers hang. Each six hours of 40
/// days, two short timers are due.
#[test]
fn short_timers_beside_one_of_months_fire_for_forty_days() {
    at_most(SOON, |sim| {
        let hours = |hours: u64| Duration::from_secs(3_600 * hours);
        sim.workers(2).time_limit(hours(24 * 50)).run(async move {
            let far = heist::spawn(sleep(hours(24 * 90)));
            let mut longest = Duration::ZERO;
            for n in 0..160 {
                longest = longest.max(lateness(hours(6)).await);
                longest = longest.max(heist::spawn(lateness(millis(n))).await.unwrap());
            }
            far.abort();
            longest
        })
    });
}

/// tokio#3229, tokio#3675, tokio#5989, tokio#8252: a timer is reset or dropped while it fires. It
/// fires once more, at its new deadline, and not early.
#[test]
fn timer_reset_or_dropped_while_it_fires_ends_once() {
    at_most(SOON, |sim| {
        unwatched(sim, 3).run(async {
            let longest = Longest::default();
            let tasks: Vec<_> = (0..8)
                .map(|n| {
                    let longest = longest.clone();
                    heist::spawn(async move {
                        for round in 0..10 {
                            let period = micros(60 + 9 * n + round);
                            let (wake, woken) = oneshot::channel::<()>();
                            drop(spawn_blocking(move || {
                                compute(micros(40 + 9 * n));
                                let _ = wake.send(());
                            }));
                            let mut slept = pin!(sleep(period));
                            assert!(futures::poll!(slept.as_mut()).is_pending());
                            // The wake-up comes at about the deadline, and drops the timeout.
                            let _ = timeout(period, woken).await;
                            let due = Instant::now() + period;
                            slept.as_mut().reset(due);
                            slept.await;
                            assert!(Instant::now() >= due, "the timer has fired early");
                            longest.add(due.elapsed());
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            longest.get()
        })
    });
}

/// tokio#2473: a timer that has expired, and has not been awaited, is reset to later and to
/// earlier.
#[test]
fn timer_reset_after_it_has_expired_fires_again() {
    at_most(SOON, |sim| {
        unwatched(sim, 2).run(on_worker(async {
            let mut longest = Duration::ZERO;
            let mut slept = pin!(sleep(micros(50)));
            assert!(futures::poll!(slept.as_mut()).is_pending());
            for n in 0..20_u32 {
                sleep(micros(120)).await;
                let due = Instant::now() + micros([0, 33, 3_000, 70][n as usize % 4]);
                slept.as_mut().reset(due + millis(5));
                slept.as_mut().reset(due);
                slept.as_mut().await;
                assert!(Instant::now() >= due, "the timer has fired early");
                longest = longest.max(due.elapsed());
            }
            longest
        }))
    });
}

/// tokio#3069: sleeps of zero, and of less than a tick of the wheel, hang.
#[test]
fn sleeps_of_zero_and_of_microseconds_end() {
    at_most(SOON, |sim| {
        unwatched(sim, 2).run(async {
            let tasks = [0, 1, 7, 40].map(|length| {
                heist::spawn(async move {
                    let mut longest = Duration::ZERO;
                    for _ in 0..30 {
                        longest = longest.max(lateness(micros(length)).await);
                    }
                    longest
                })
            });
            let mut longest = lateness(Duration::ZERO).await;
            for task in tasks {
                longest = longest.max(task.await.unwrap());
            }
            longest
        })
    });
}

/// tokio#5894, tokio#2784: a process that was stopped for three seconds gets the ticks that it has
/// missed, each once.
#[test]
fn interval_after_a_long_poll_ticks_once_per_period() {
    at_most(SOON, |sim| {
        sim.workers(2).run(on_worker(async {
            let mut ticks = interval(millis(10));
            let first = ticks.tick().await;
            compute(millis(305));
            let mut last = first;
            for n in 1..=40 {
                last = ticks.tick().await;
                assert_eq!(last - first, millis(10 * n), "tick {n}");
            }
            last.elapsed()
        }))
    });
}
