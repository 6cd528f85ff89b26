//! Resizes: tasks, wake-ups, timers and the driver of workers that retire.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::channel::oneshot;
use heist::runtime::{Handle, worker_index};
use heist::sim::compute;
use heist::task::{spawn_blocking, yield_now};
use heist::time::{Duration, Instant, sleep};

use super::{Guard, Longest, Number, SOON, at_most, ends, lateness, micros, millis, on_worker, unwatched};

/// yatp#90, yatp#96: surplus workers exit only when they would sleep, and under load they never do.
#[test]
fn resize_of_a_saturated_runtime_stops_its_surplus_workers() {
    at_most(SOON, |sim| {
        unwatched(sim, 4).run(async {
            let (done, resized) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let tasks: Vec<_> = (0..16)
                .map(|_| {
                    let (done, resized) = (Arc::clone(&done), Arc::clone(&resized));
                    heist::spawn(async move {
                        while !done.load(Ordering::SeqCst) {
                            if resized.load(Ordering::SeqCst) {
                                assert_eq!(worker_index(), Some(0), "a surplus worker polls");
                            }
                            compute(micros(50));
                            yield_now().await;
                        }
                    })
                })
                .collect();
            sleep(millis(1)).await;
            let begun = Instant::now();
            Handle::current().resize(1).await.unwrap();
            let waited = begun.elapsed();
            resized.store(true, Ordering::SeqCst);
            sleep(millis(3)).await;
            done.store(true, Ordering::SeqCst);
            for task in tasks {
                task.await.unwrap();
            }
            waited
        })
    });
}

/// yatp#65, hew#2830: a wake-up is granted to a worker that retires, and is lost with it.
#[test]
fn wake_up_of_a_retiring_worker_is_passed_on() {
    at_most(SOON, |sim| {
        unwatched(sim, 4).run(async {
            let longest = Longest::default();
            let waits = longest.clone();
            let wakes = heist::spawn(async move {
                for n in 0..60 {
                    let (wake, woken) = oneshot::channel::<Instant>();
                    let task = heist::spawn(async move { woken.await.unwrap().elapsed() });
                    drop(spawn_blocking(move || {
                        compute(micros(n % 13));
                        wake.send(Instant::now()).unwrap();
                    }));
                    waits.add(task.await.unwrap());
                }
            });
            for n in 0..20 {
                let _ = Handle::current().resize(1).await;
                sleep(micros(n)).await;
                let _ = Handle::current().resize(4).await;
                sleep(micros(2 * n)).await;
            }
            wakes.await.unwrap();
            longest.get()
        })
    });
}

/// shrinkray#43: tasks stay in the ring or in the LIFO slot of a worker that has retired. Each task
/// ends once. One worker is left at the end.
#[test]
fn tasks_of_retiring_workers_end_once() {
    ends(|sim| {
        let ended = Number::default();
        let ends = ended.clone();
        unwatched(sim, 4).run(async move {
            let mut tasks = Vec::new();
            for size in [1, 4, 2, 3, 4, 1] {
                for n in 0..20 {
                    let (ends, inner) = (Guard(ends.clone()), Guard(ends.clone()));
                    tasks.push(heist::spawn(async move {
                        let task = heist::spawn(async move { drop(inner) });
                        compute(micros(n));
                        yield_now().await;
                        task.await.unwrap();
                        drop(ends);
                    }));
                }
                Handle::current().resize(size).await.unwrap();
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(ended.get(), 240);
    });
}

/// tokio#8342: all workers are parked, and none has the driver. The worker that sleeps in the
/// driver retires while timers are armed, and timers of retired workers are still due.
#[test]
fn worker_that_retires_in_the_driver_hands_it_over() {
    at_most(SOON, |sim| {
        unwatched(sim, 3).run(async {
            let longest = Longest::default();
            let tasks: Vec<_> = (0..6)
                .map(|n| {
                    let longest = longest.clone();
                    heist::spawn(async move {
                        for round in 0..8 {
                            longest.add(lateness(micros(300 + 70 * n + 11 * round)).await);
                        }
                    })
                })
                .collect();
            for size in [1, 8, 2, 1, 3, 1] {
                sleep(micros(400)).await;
                Handle::current().resize(size).await.unwrap();
            }
            for task in tasks {
                task.await.unwrap();
            }
            longest.get()
        })
    });
}

/// elasticsearch#124732: resizes from within tasks, several at a time, and to zero. The last one
/// decides the size, and the runtime goes on.
#[test]
fn resizes_from_tasks_at_a_time_end_and_the_runtime_goes_on() {
    at_most(SOON, |sim| {
        unwatched(sim, 3).run(on_worker(async {
            let resizes = [1, 5, 0, 2].map(|size| {
                heist::spawn(async move {
                    sleep(micros(20)).await;
                    Handle::current().resize(size).await.is_ok()
                })
            });
            let begun = Instant::now();
            for (n, resize) in resizes.into_iter().enumerate() {
                let resized = resize.await.unwrap();
                assert!(!(resized && n == 2), "a size of zero is refused");
            }
            let waited = begun.elapsed();
            Handle::current().resize(2).await.unwrap();
            assert_eq!(Handle::current().worker_threads(), 2);
            waited.max(lateness(Duration::from_millis(1)).await)
        }))
    });
}
