//! Blocking sections while the runtime is drained, or shut down.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, Handle, Runtime, RuntimePhase};
use heist::task::block_in_place;

use super::each;
use super::kit::{Count, Door, OnDrop, join, workers, yield_now};

#[test]
fn drain_waits_for_section_and_its_spawns() {
    each(|runtime| {
        let (begun, release) = (Door::new(), Door::new());
        let (opens, waits) = (begun.clone(), release.clone());
        let task = runtime.spawn(async move {
            block_in_place(|| {
                opens.open();
                waits.wait();
                // The thread belongs to the runtime, so it may spawn.
                Handle::current().block_on(heist::spawn(async { 3 })).unwrap()
            }) + heist::spawn(async { 4 }).await.unwrap()
        });
        begun.wait();
        let drain = runtime.drain(Duration::MAX);
        release.open();
        let report = drain.wait();
        assert_eq!((report.completed, report.cancelled, report.stragglers.len()), (3, 0, 0));
        assert_eq!(join(task).unwrap(), 7);
    });
}

#[test]
fn section_may_wait_for_the_drain() {
    each(|runtime| {
        let report = join(runtime.spawn(async {
            let others: Vec<_> = (0..10).map(|_| heist::spawn(yield_now())).collect();
            let report = block_in_place(|| Handle::current().drain(Duration::MAX).wait());
            assert!(others.iter().all(heist::task::JoinHandle::is_finished));
            report
        }))
        .unwrap();
        // Some of the others had ended before the drain began.
        assert_eq!((report.cancelled, report.stragglers.len()), (0, 0), "it is excused: {report:?}");
    });
}

#[test]
fn shutdown_waits_for_section() {
    each(|runtime| {
        let (begun, ended) = (Door::new(), Count::new());
        let (opens, counts) = (begun.clone(), ended.clone());
        let task = runtime.spawn(async move {
            block_in_place(|| {
                opens.open();
                (0..1000).for_each(|_| thread::yield_now());
                counts.add();
            });
        });
        begun.wait();
        runtime.shutdown_timeout(Duration::MAX);
        assert_eq!(ended.get(), 1);
        join(task).unwrap();
    });
}

/// The awaited task is owned by the seat of the blocked worker, or by another one, and ends with
/// the runtime.
#[test]
fn shutdown_drops_task_that_section_waits_for() {
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let (begun, drops) = (Door::new(), Count::new());
        let (opens, guard) = (begun.clone(), drops.on_drop());
        let task = runtime.spawn(async move {
            let never = heist::spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            // The task is suspended, and owned by this seat.
            for _ in 0..10 {
                yield_now().await;
            }
            block_in_place(|| {
                opens.open();
                futures::executor::block_on(never).unwrap_err().is_cancelled()
            })
        });
        begun.wait();
        runtime.shutdown_timeout(Duration::MAX);
        assert!(join(task).unwrap());
        assert_eq!(drops.get(), 1);
    }
}

#[test]
fn block_in_place_in_destructor_at_shutdown_runs() {
    each(|runtime| {
        let count = Count::new();
        let counts = count.clone();
        let guard = OnDrop::new(move || block_in_place(|| _ = counts.add()));
        drop(runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        runtime.block_on(yield_now());
        drop(runtime);
        assert_eq!(count.get(), 1);
    });
}

/// No other worker is left when the section begins.
#[test]
fn section_begun_after_shutdown_has_its_awaited_task_dropped() {
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let (begun, drops) = (Door::new(), Count::new());
        let (opens, guard) = (begun.clone(), drops.on_drop());
        let handle = runtime.handle().clone();
        let task = runtime.spawn(async move {
            let never = heist::spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            // The task is owned by this seat or another one. In the next case it is in the ring or
            // the LIFO slot.
            yield_now().await;
            opens.open();
            while handle.dump().phase != RuntimePhase::ShuttingDown {
                thread::yield_now();
            }
            block_in_place(|| futures::executor::block_on(never).unwrap_err().is_cancelled())
        });
        begun.wait();
        runtime.shutdown_timeout(Duration::MAX);
        assert!(join(task).unwrap());
        assert_eq!(drops.get(), 1);
    }
}

/// The awaited task is woken from outside while the other workers exit, or have exited.
#[test]
fn task_woken_during_shutdown_by_section_is_dropped() {
    for count in [1, 2] {
        let runtime = workers(count);
        let (begun, go, drops) = (Door::new(), Door::new(), Count::new());
        let (opens, opened, guard) = (begun.clone(), go.opened(), drops.on_drop());
        let handle = runtime.handle().clone();
        let task = runtime.spawn(async move {
            let never = heist::spawn(async move {
                let _guard = guard;
                opened.await;
                pending::<()>().await;
            });
            yield_now().await;
            block_in_place(|| {
                opens.open();
                while handle.dump().phase == RuntimePhase::Running {
                    thread::yield_now();
                }
                // The task may have ended by now, or be about to.
                go.open();
                futures::executor::block_on(never).is_err()
            })
        });
        begun.wait();
        runtime.shutdown_timeout(Duration::MAX);
        assert!(join(task).unwrap());
        assert_eq!(drops.get(), 1);
    }
}

/// A sleep within the section ends when the runtime closes, not after the grace: the grace is
/// unlimited.
#[test]
fn shutdown_ends_sleep_within_section() {
    for count in [1, 2] {
        let runtime = workers(count);
        let begun = Door::new();
        let opens = begun.clone();
        let task = runtime.spawn(async move {
            block_in_place(|| {
                opens.open();
                let long = std::panic::AssertUnwindSafe(|| {
                    Handle::current().block_on(async { heist::time::sleep(Duration::from_secs(100_000)).await })
                });
                std::panic::catch_unwind(long).is_err()
            })
        });
        begun.wait();
        runtime.shutdown_timeout(Duration::MAX);
        assert!(join(task).unwrap());
    }
}

/// The function drops the last reference to its runtime. The drop does not wait for the function's
/// own worker.
#[test]
fn section_may_drop_its_own_runtime() {
    each(|runtime| {
        let place = Arc::new(Mutex::new(None::<Runtime>));
        let (takes, ready) = (Arc::clone(&place), Door::new());
        let waits = ready.clone();
        let task = runtime.spawn(async move {
            block_in_place(|| {
                waits.wait();
                let runtime = takes.lock().unwrap().take();
                runtime.unwrap().shutdown_timeout(Duration::MAX);
                3
            })
        });
        *place.lock().unwrap() = Some(runtime);
        ready.open();
        assert_eq!(join(task).unwrap(), 3);
    });
}

/// Another runtime may be dropped, and awaited.
#[test]
fn section_may_drop_another_runtime() {
    each(|runtime| {
        let (other, ended) = (workers(1), Count::new());
        let (begun, ends) = (Door::new(), ended.clone());
        let opens = begun.clone();
        other.spawn(async move {
            opens.open();
            (0..1000).for_each(|_| thread::yield_now());
            ends.add();
        });
        begun.wait();
        let ended = join(runtime.spawn(async move {
            block_in_place(|| other.shutdown_timeout(Duration::MAX));
            ended.get()
        }));
        assert_eq!(ended.unwrap(), 1);
    });
}

/// The deadline passes during the section. The report names its task, and the task that it has
/// spawned.
#[test]
fn drain_waits_for_section_only_to_the_deadline() {
    for count in [1, 2] {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(count).shutdown_grace(Duration::ZERO).build().unwrap();
        let (begun, release) = (Door::new(), Door::new());
        let (opens, waits) = (begun.clone(), release.clone());
        let task = runtime.spawn(async move {
            drop(heist::spawn(pending::<()>()));
            yield_now().await;
            block_in_place(|| {
                opens.open();
                waits.wait();
            });
            pending::<()>().await;
        });
        begun.wait();
        let report = runtime.drain(Duration::ZERO).wait();
        assert!(report.stragglers.iter().any(|straggler| straggler.id == task.id()), "{report:?}");
        assert_eq!(report.stragglers.len(), 2, "{report:?}");
        release.open();
        assert!(join(task).unwrap_err().is_cancelled());
    }
}

/// The drain begins in the section, and is awaited after it. The task is exempt all the while.
#[test]
fn drain_begun_in_section_can_be_awaited_outside() {
    each(|runtime| {
        let report = join(runtime.spawn(async {
            let others: Vec<_> = (0..10).map(|_| heist::spawn(yield_now())).collect();
            let mut drain = block_in_place(|| Handle::current().drain(Duration::MAX));
            let report = (&mut drain).await;
            assert!(others.iter().all(heist::task::JoinHandle::is_finished));
            report
        }));
        assert_eq!(report.unwrap().cancelled, 0);
    });
}
