//! Drain and shutdown of a local runtime.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Poll, Waker};
use std::thread::{self};
use std::time::Duration;

use crate::kit::{Count, Door, OnDrop, each, panic_text, yield_now};
use heist::runtime::{Builder, LocalOptions, LocalRuntime, RuntimePhase};
use heist::task::spawn_local;

use crate::fixture::*;

/// Returns a runtime with one task in every state.
fn populated(fate: &Fate) -> (LocalRuntime, Arc<Mutex<Vec<Waker>>>) {
    populated_in(local(), fate)
}

fn populated_in(runtime: LocalRuntime, fate: &Fate) -> (LocalRuntime, Arc<Mutex<Vec<Waker>>>) {
    let (idle, wakers) = waits(fate, usize::MAX);
    drop(runtime.spawn_local(idle));
    let here = fate.here();
    drop(runtime.spawn_local(async move {
        loop {
            here.check_thread();
            yield_now().await;
        }
    }));
    let here = fate.here();
    drop(runtime.spawn_local(async move {
        let _here = here;
        heist::time::sleep(Duration::from_secs(3600)).await;
    }));
    turn(&runtime);
    let (queued, _) = waits(fate, 0);
    drop(runtime.spawn_local(queued));
    fate.is(4, 0);
    (runtime, wakers)
}

#[test]
fn drop_with_tasks_in_every_state_drops_all_here() {
    let ends: [fn(LocalRuntime); 4] = [
        drop,
        LocalRuntime::shutdown_background,
        |runtime| runtime.shutdown_timeout(Duration::ZERO),
        |runtime| runtime.shutdown_timeout(Duration::MAX),
    ];
    for end in ends {
        let fate = Fate::default();
        let (runtime, _wakers) = populated(&fate);
        end(runtime);
        fate.is(4, 4);
    }
}

#[test]
fn drop_in_async_code_of_another_runtime_drops_all_here() {
    each(|outer| {
        let fate = Fate::default();
        let (runtime, _wakers) = populated(&fate);
        outer.block_on(async move { drop(runtime) });
        fate.is(4, 4);
    });
    let fate = Fate::default();
    let outer = local();
    let (inner, _wakers) = populated(&fate);
    outer.block_on(async {
        spawn_local(async move { drop(inner) }).await.unwrap();
    });
    fate.is(4, 4);
    // As part of a task that is dropped with its own runtime.
    let (inner, _wakers) = populated(&Fate::default());
    let inner_fate = fate.clone();
    let here = inner_fate.here();
    drop(outer.spawn_local(async move {
        let _inner = (inner, here);
        pending::<()>().await;
    }));
    turn(&outer);
    drop(outer);
    fate.is(5, 5);
}

#[test]
fn drop_while_other_threads_wake_and_abort_is_safe() {
    for round in 0..200 {
        let fate = Fate::default();
        let runtime = local();
        let mut wakers = Vec::new();
        let mut aborts = Vec::new();
        for _ in 0..8 {
            let (future, place) = waits(&fate, usize::MAX);
            wakers.push(place);
            aborts.push(runtime.spawn_local(future).abort_handle());
        }
        turn(&runtime);
        let wakers: Vec<Waker> = wakers.iter().map(|place| place.lock().unwrap().pop().unwrap()).collect();
        let start = Barrier::new(3);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for _ in 0..round % 7 {
                    wakers.iter().for_each(Waker::wake_by_ref);
                }
            });
            scope.spawn(|| {
                start.wait();
                aborts.iter().rev().for_each(|abort| abort.abort());
            });
            start.wait();
            if round % 2 == 0 {
                turn(&runtime);
            }
            drop(runtime);
        });
        fate.is(8, 8);
        elsewhere(move || drop((wakers, aborts)));
        fate.is(8, 8);
    }
}

#[test]
fn destructors_at_shutdown_may_spawn_and_wake() {
    let runtime = local();
    let fate = Fate::default();
    let (waiting, wakers) = waits(&fate, usize::MAX);
    drop(runtime.spawn_local(waiting));
    let (here, spawns) = (fate.here(), fate.clone());
    let guard = OnDrop::new(move || {
        here.check_thread();
        wakers.lock().unwrap().iter().for_each(Waker::wake_by_ref);
        let (late, _) = waits(&spawns, 0);
        let late = spawn_local(late);
        // Every spawn is refused by now.
        assert!(late.is_finished());
    });
    let guarded = runtime.spawn_local(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    turn(&runtime);
    drop(runtime);
    fate.is(3, 3);
    assert!(crate::kit::join(guarded).unwrap_err().is_cancelled(), "its destructor has not panicked");
}

#[test]
fn drop_in_destructor_of_thread_local_drops_all_here() {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }

    let fate = Fate::default();
    let inner = fate.clone();
    thread::spawn(move || {
        // Created before the runtime's own thread-locals, and after.
        KEPT.with_borrow_mut(|kept| assert!(kept.is_empty()));
        let (runtime, _wakers) = populated(&inner);
        let here = inner.here();
        let ended = runtime.spawn_local(async move { here });
        turn(&runtime);
        assert!(ended.is_finished());
        KEPT.with_borrow_mut(|kept| {
            kept.push(Box::new(runtime));
            kept.push(Box::new(ended));
        });
        // The queued task has ended.
        inner.is(5, 1);
    })
    .join()
    .unwrap();
    fate.is(5, 5);
}

/// The runtime is leaked, and its thread has exited: no thread may touch its tasks any more.
#[test]
fn runtime_leaked_with_its_thread_is_left_alone() {
    let fate = Fate::default();
    let inner = fate.clone();
    let (handle, waker, abort) = thread::spawn(move || {
        let (runtime, wakers) = populated_in(brief(), &inner);
        let (future, _) = waits(&inner, usize::MAX);
        let abort = runtime.spawn_local(future).abort_handle();
        let handle = runtime.handle().clone();
        std::mem::forget(runtime);
        let waker = wakers.lock().unwrap().pop().unwrap();
        (handle, waker, abort)
    })
    .join()
    .unwrap();
    let polled = fate.polled.get();
    for _ in 0..4 {
        let (handle, waker, abort) = (handle.clone(), waker.clone(), abort.clone());
        // This thread may get the memory of the exited one.
        thread::spawn(move || {
            let _guard = handle.enter();
            waker.wake();
            abort.abort();
            let sent = handle.spawn(async {});
            handle.block_on(yield_now());
            assert!(!sent.is_finished());
            panic_text(|| spawn_local(async {}));
        })
        .join()
        .unwrap();
    }
    let report = handle.drain(Duration::ZERO).wait();
    assert_eq!(report.stragglers.len() + report.unnamed as usize, 9, "{report:?}");
    drop((handle, waker, abort));
    fate.is(5, 0);
    assert_eq!(fate.polled.get(), polled);
}

// ---- drains

fn brief() -> LocalRuntime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().shutdown_grace(Duration::from_millis(10)).build_local(LocalOptions::default()).unwrap()
}

#[test]
fn drain_from_elsewhere_while_driven_cancels_here() {
    let runtime = local();
    let fate = Fate::default();
    let (idle, _wakers) = waits(&fate, usize::MAX);
    let idle = runtime.spawn_local(idle);
    let handle = runtime.handle().clone();
    let drains = thread::spawn(move || handle.drain(Duration::ZERO).wait());
    assert!(runtime.block_on(idle).unwrap_err().is_cancelled());
    fate.is(1, 1);
    // The report is ready when the root, which drives here, yields.
    let reported = Door::new();
    let opens = reported.clone();
    let joins = thread::spawn(move || {
        let report = drains.join().unwrap();
        opens.open();
        report
    });
    runtime.block_on(reported.opened());
    let report = joins.join().unwrap();
    assert_eq!((report.cancelled, report.stragglers.len()), (1, 1));
}

#[test]
fn drain_from_elsewhere_without_driver_names_tasks() {
    let runtime = brief();
    let fate = Fate::default();
    let (idle, _wakers) = waits(&fate, usize::MAX);
    let (queued, _) = waits(&fate, 0);
    drop(runtime.spawn_local(idle));
    turn(&runtime);
    drop(runtime.spawn_local(queued));
    let report = elsewhere_handle(&runtime, |handle| handle.drain(Duration::ZERO).wait());
    assert_eq!(report.stragglers.len() + report.unnamed as usize, 2, "{report:?}");
    fate.is(2, 0);
    // The tasks are dropped when the runtime is driven, or with it.
    turn(&runtime);
    drop(runtime);
    fate.is(2, 2);
    assert_eq!(fate.polled.get(), 1);
}

#[test]
fn drain_wait_drives_local_runtime() {
    let runtime = local();
    let fate = Fate::default();
    let (future, wakers) = waits(&fate, 1);
    let task = runtime.spawn_local(future);
    turn(&runtime);
    let waker = thread::spawn(move || wakers.lock().unwrap().pop().unwrap().wake());
    let report = runtime.handle().drain(Duration::MAX).wait();
    waker.join().unwrap();
    assert_eq!((report.completed, report.cancelled), (1, 0));
    assert!(task.is_finished());
    fate.is(1, 1);
}

#[test]
fn drain_without_tasks_reports_zero() {
    let runtime = local();
    let report = runtime.drain(Duration::MAX).wait();
    assert_eq!((report.completed, report.cancelled, report.stragglers.len(), report.unnamed), (0, 0, 0, 0));
    assert_eq!(runtime.dump().phase, RuntimePhase::Drained);
    let (late, _) = waits(&Fate::default(), 0);
    assert!(runtime.block_on(runtime.spawn_local(late)).unwrap_err().is_cancelled());
}

#[test]
fn drain_of_ready_local_tasks_completes_them() {
    let runtime = local();
    let fate = Fate::default();
    let tasks: Vec<_> = (0..3).map(|_| runtime.spawn_local(waits(&fate, 0).0)).collect();
    let report = runtime.drain(Duration::MAX).wait();
    assert_eq!((report.completed, report.cancelled, report.stragglers.len()), (3, 0, 0));
    fate.is(3, 3);
    let outputs: Vec<_> = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
    assert_eq!(outputs, [1, 2, 3]);
}

#[test]
fn drain_with_pending_local_task_reports_straggler_at_deadline() {
    let runtime = local();
    let fate = Fate::default();
    let (future, _wakers) = waits(&fate, usize::MAX);
    let task = runtime.spawn_local(future);
    turn(&runtime);
    let report = runtime.drain(Duration::ZERO).wait();
    assert_eq!((report.completed, report.cancelled), (0, 1));
    assert_eq!(report.stragglers.iter().map(|straggler| straggler.id).collect::<Vec<_>>(), [task.id()]);
    fate.is(1, 1);
    assert_eq!(runtime.dump().phase, RuntimePhase::DeadlinePassed);
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn draining_resolves_when_local_drain_begins() {
    let runtime = local();
    let mut draining = runtime.draining();
    assert!(!runtime.block_on(async { futures::poll!(&mut draining).is_ready() }));
    let task = runtime.spawn_local(runtime.draining());
    turn(&runtime);
    assert!(!task.is_finished());
    let report = runtime.drain(Duration::MAX).wait();
    assert_eq!((report.completed, report.stragglers.len()), (1, 0));
    runtime.block_on(draining);
    runtime.block_on(task).unwrap();
}

#[test]
fn drain_awaited_in_root_of_local_runtime_reports() {
    let runtime = local();
    let fate = Fate::default();
    let report = runtime.block_on(async {
        let _task = spawn_local(waits(&fate, 0).0);
        runtime.drain(Duration::MAX).await
    });
    assert_eq!((report.completed, report.cancelled), (1, 0));
    fate.is(1, 1);
}

/// Only `Drain::wait` drives the runtime without a borrow of it.
#[test]
fn drop_by_own_task_during_drain_wait_works() {
    let runtime = Rc::new(RefCell::new(None));
    let fate = Fate::default();
    let (made, _wakers) = populated(&fate);
    let (here, takes) = (fate.here(), Rc::clone(&runtime));
    let task = made.spawn_local(async move {
        yield_now().await;
        drop(takes.borrow_mut().take());
        here.check_thread();
        pending::<()>().await;
    });
    let handle = made.handle().clone();
    *runtime.borrow_mut() = Some(made);
    let _report = handle.drain(Duration::MAX).wait();
    assert!(runtime.borrow().is_none());
    assert!(task.is_finished());
    fate.is(5, 5);
    assert!(crate::kit::join(handle.spawn(async {})).unwrap_err().is_cancelled());
}

// ---- the rest

#[test]
fn blocking_jobs_of_local_runtime_run_elsewhere() {
    let patient = Builder::new_current_thread().shutdown_grace(Duration::MAX).build_local(LocalOptions::default());
    let runtime = patient.unwrap();
    let place = runtime.block_on(runtime.spawn_blocking(|| thread::current().id())).unwrap();
    assert_ne!(place, thread::current().id());
    let ended = Count::new();
    let counts = ended.clone();
    let begun = Door::new();
    let opens = begun.clone();
    drop(runtime.spawn_blocking(move || {
        opens.open();
        (0..100).for_each(|_| thread::yield_now());
        counts.add();
    }));
    begun.wait();
    runtime.shutdown_timeout(Duration::MAX);
    assert_eq!(ended.get(), 1, "it is waited for");
}

#[test]
fn cell_shared_by_local_tasks_needs_no_lock() {
    let runtime = local();
    let sum = Rc::new(Cell::new(0_u64));
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let sum = Rc::clone(&sum);
            runtime.spawn_local(async move {
                for _ in 0..100 {
                    sum.set(sum.get() + n);
                    yield_now().await;
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
        // The root future borrows.
        let borrowed = &sum;
        poll_fn(|_| {
            borrowed.set(borrowed.get() + 1);
            Poll::Ready(())
        })
        .await;
    });
    assert_eq!((sum.get(), Rc::strong_count(&sum)), (100 * (0..100).sum::<u64>() + 1, 1));
}
