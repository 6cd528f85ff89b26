//! Timers whose workers have retired.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use heist::time::{Duration, Instant, sleep};

use super::kit::{Count, Door};
use super::{one_each, until, workers};

/// Each worker's wheel has a timer. Afterwards one worker is left.
#[test]
fn timers_of_retired_workers_fire() {
    for wait in [0, 1, 20, 50] {
        let runtime = workers(8);
        let wait = Duration::from_millis(wait);
        let sleepers = one_each(&runtime, 8, |_| async move {
            let begun = Instant::now();
            sleep(wait).await;
            begun.elapsed()
        });
        runtime.resize(1).wait().unwrap();
        for sleeper in sleepers {
            assert!(runtime.block_on(sleeper).unwrap() >= wait);
        }
    }
}

/// Far timers, armed on each wheel, are reset to an earlier time or dropped after their worker has
/// retired.
#[test]
fn timers_of_retired_workers_can_be_reset_and_cancelled() {
    for back in [1, 8] {
        let runtime = workers(8);
        let (armed, left) = (Count::new(), Door::new());
        let sleepers = one_each(&runtime, 8, |nth| {
            let (armed, left) = (armed.clone(), left.clone());
            async move {
                let mut far = pin!(sleep(Duration::from_secs(3600)));
                let first = std::future::poll_fn(|cx| Poll::Ready(far.as_mut().poll(cx))).await;
                assert!(first.is_pending());
                armed.add();
                left.opened().await;
                if nth % 2 == 0 {
                    far.as_mut().reset(Instant::now() + Duration::from_millis(2));
                    far.await;
                }
            }
        });
        until(|| armed.get() == 8);
        runtime.resize(1).wait().unwrap();
        // In the second round their seats have been taken again.
        runtime.resize(back).wait().unwrap();
        left.open();
        sleepers.into_iter().for_each(|sleeper| runtime.block_on(sleeper).unwrap());
    }
}

/// A new worker takes its seat's timers back from the thread that sleeps in the reactor.
#[test]
fn timers_fire_while_seats_are_vacated_and_taken_again() {
    let runtime = workers(8);
    let mut sleepers = Vec::new();
    for round in 0..30 {
        let size = runtime.worker_threads();
        sleepers.extend(one_each(&runtime, size, |nth| {
            let wait = Duration::from_millis(((nth * 7 + round * 3) % 40) as u64);
            async move {
                let begun = Instant::now();
                sleep(wait).await;
                assert!(begun.elapsed() >= wait);
            }
        }));
        runtime.resize([1, 8, 3, 16, 2][round % 5]).wait().unwrap();
    }
    sleepers.into_iter().for_each(|sleeper| runtime.block_on(sleeper).unwrap());
}
