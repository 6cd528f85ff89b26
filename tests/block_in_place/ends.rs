//! While the runtime is drained, or shut down.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, Handle, Runtime, RuntimePhase};
use heist::task::block_in_place;

use super::each;
use super::kit::{Count, Door, OnDrop, join, workers, yield_now};

#[test]
fn a_drain_waits_for_it_and_for_what_it_spawns() {
    each(|runtime| {
        let (begun, release) = (Door::new(), Door::new());
        let (opens, waits) = (begun.clone(), release.clone());
        let task = runtime.spawn(async move {
            block_in_place(|| {
                opens.open();
                waits.wait();
                // It is one of the runtime's own: it may spawn.
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
fn it_waits_for_the_drain_itself() {
    each(|runtime| {
        let report = join(runtime.spawn(async {
            let others: Vec<_> = (0..10).map(|_| heist::spawn(yield_now())).collect();
            let report = block_in_place(|| Handle::current().drain(Duration::MAX).wait());
            assert!(others.iter().all(heist::task::JoinHandle::is_finished));
            report
        }))
        .unwrap();
        // Some of the others had ended before it began.
        assert_eq!((report.cancelled, report.stragglers.len()), (0, 0), "it is excused: {report:?}");
    });
}

#[test]
fn a_shutdown_waits_for_it() {
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

/// What it waits for is at home with its own worker, or with another one, and ends with the
/// runtime.
#[test]
fn a_shutdown_ends_what_it_waits_for() {
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let (begun, drops) = (Door::new(), Count::new());
        let (opens, guard) = (begun.clone(), drops.on_drop());
        let task = runtime.spawn(async move {
            let never = heist::spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            // It waits, filed here.
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
fn in_a_destructor_at_shutdown() {
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

/// Nobody else is there any more when it steps out.
#[test]
fn it_steps_out_when_the_shutdown_has_begun() {
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
            // Filed here or elsewhere, and in the ring or the slot the next time.
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

/// What it waits for is woken from outside while everybody else goes, or has gone.
#[test]
fn what_is_woken_when_nobody_else_is_left_ends() {
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
                // It may have ended by now, or be on its way.
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

/// A sleep inside is told that its runtime is gone, not after the grace: there is none.
#[test]
fn a_shutdown_ends_a_sleep_inside() {
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

/// It is the last to hold the runtime, whose end does not wait for the worker that it keeps.
#[test]
fn it_drops_its_own_runtime() {
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

/// Another runtime may be dropped, and waited for.
#[test]
fn it_drops_another_runtime() {
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

/// The deadline comes while it blocks: it is named, and so is what it cannot be waited for.
#[test]
fn a_drain_does_not_wait_for_it_beyond_the_deadline() {
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

/// The drain begins in it, and is awaited after it: the task is excused all the while.
#[test]
fn a_drain_that_begins_inside_is_awaited_outside() {
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
