//! Which spawns a draining runtime refuses, and which it admits.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use heist::runtime::Handle;

use crate::kit::{Count, Door, OnDrop, each, each_owned, join, workers, yield_now};
use crate::rig::{LONG, counts, join_in, logged, poll_all_tasks};

#[test]
fn external_spawns_are_refused() {
    each(|runtime| {
        let go = Door::new();
        let waits = go.opened();
        let living = runtime.spawn(waits);
        let drain = runtime.drain(LONG);
        let drops = Count::new();
        let assert_refused = |handle: &Handle| {
            let guard = drops.on_drop();
            assert!(join(handle.spawn(async move { drop(guard) })).unwrap_err().is_cancelled());
            let guard = drops.on_drop();
            assert!(join(handle.spawn_blocking(move || drop(guard))).unwrap_err().is_cancelled());
            let error = handle.try_spawn(async { 7 }).unwrap_err();
            assert!(error.to_string().contains("into_inner"), "{error}");
            assert_eq!(futures::executor::block_on(error.into_inner()), 7);
        };
        assert_refused(runtime.handle());
        let handle = runtime.handle().clone();
        thread::scope(|scope| scope.spawn(|| assert_refused(&handle)).join().unwrap());
        runtime.block_on(async { assert_refused(&handle) });
        handle.block_on(async { assert_refused(&handle) });
        // A spawn by a task of another runtime is external here.
        let other = workers(1);
        let (inner, guard) = (handle.clone(), drops.on_drop());
        let refused = other.spawn(async move { inner.spawn(async move { drop(guard) }).await });
        assert!(join_in(&other, refused).unwrap_err().is_cancelled());
        assert_eq!(drops.get(), 9);
        go.open();
        let report = drain.wait();
        assert_eq!(counts(&report), [1, 0, 0, 0]);
        assert!(living.is_finished());
        // After the report, every spawn is refused.
        assert_refused(&handle);
    });
}

#[test]
fn root_that_begins_the_drain_is_refused_at_once() {
    each(|runtime| {
        runtime.block_on(async {
            let handle = Handle::current();
            let before = handle.try_spawn(yield_now()).unwrap();
            let drain = handle.drain(LONG);
            assert!(handle.try_spawn(async {}).is_err());
            assert!(heist::spawn(async {}).await.unwrap_err().is_cancelled());
            before.await.unwrap();
            let report = drain.await;
            assert!(counts(&report)[1..] == [0, 0, 0] && report.completed <= 1, "{report}");
        });
    });
}

#[test]
fn spawns_after_the_deadline_are_refused() {
    each(|runtime| {
        let refused = Count::new();
        for _ in 0..10 {
            let (handle, counter) = (runtime.handle().clone(), refused.clone());
            let guard = OnDrop::new(move || {
                let guard = counter.on_drop();
                assert!(handle.try_spawn(async move { drop(guard) }).is_err());
                drop(handle.spawn(async { unreachable!("it was spawned after the deadline") }));
                drop(handle.spawn_blocking(|| unreachable!("it was spawned after the deadline")));
            });
            drop(runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
        }
        poll_all_tasks(runtime);
        let report = runtime.drain(Duration::ZERO).wait();
        assert_eq!((counts(&report), refused.get()), ([0, 0, 10, 10], 10), "{report}");
    });
}

/// No spawn passes the sealed gate. An exempt task spawns after the report, or a destructor spawns
/// while the runtime is being shut down.
#[test]
fn spawns_during_a_shutdown_are_refused() {
    for drained in [true, false] {
        each_owned(|runtime| {
            let (refused, dropped) = (Count::new(), Count::new());
            let (handle, counter, drops) = (runtime.handle().clone(), refused.clone(), dropped.clone());
            let spawns = OnDrop::new(move || {
                let (a, b) = (drops.on_drop(), drops.on_drop());
                assert!(handle.try_spawn(async move { drop(a) }).is_err());
                assert!(join(handle.spawn(async move { drop(b) })).unwrap_err().is_cancelled());
                counter.add();
            });
            let there = Door::new();
            let opens = there.clone();
            drop(runtime.spawn(async move {
                let _spawns = spawns;
                if drained {
                    Handle::current().drain(LONG).await;
                    assert!(Handle::current().try_spawn(async {}).is_err());
                }
                opens.open();
                pending::<()>().await;
            }));
            runtime.block_on(there.opened());
            drop(runtime);
            assert_eq!((refused.get(), dropped.get()), (1, 2));
        });
    }
}

#[test]
fn destructors_and_wakers_may_spawn_before_the_deadline() {
    each(|runtime| {
        let ended = Count::new();
        let (handle, counter) = (runtime.handle().clone(), ended.clone());
        let guard = OnDrop::new(move || {
            let (guard, inner, handle) = (counter.on_drop(), counter.clone(), handle.clone());
            drop(handle.clone().try_spawn(async move {
                drop(guard);
                let last = OnDrop::new(move || {
                    let guard = inner.on_drop();
                    drop(handle.try_spawn(async move { drop(guard) }).unwrap());
                });
                yield_now().await;
                drop(last);
            }));
        });
        let draining = runtime.draining();
        drop(runtime.spawn(async move {
            let _guard = guard;
            draining.await;
        }));
        // A waker that spawns when a worker calls it for the timer.
        struct Spawns(Handle, Count, Mutex<Option<Waker>>);
        impl std::task::Wake for Spawns {
            fn wake(self: Arc<Self>) {
                let guard = self.1.on_drop();
                drop(self.0.try_spawn(async move { drop(guard) }).unwrap());
                self.2.lock().unwrap().take().unwrap().wake();
            }
        }
        let (handle, counter, draining) = (runtime.handle().clone(), ended.clone(), runtime.draining());
        drop(runtime.spawn(async move {
            draining.await;
            let mut sleep = pin!(heist::time::sleep(Duration::from_millis(1)));
            poll_fn(|cx| {
                let waker = Waker::from(Arc::new(Spawns(
                    handle.clone(),
                    counter.clone(),
                    Mutex::new(Some(cx.waker().clone())),
                )));
                sleep.as_mut().poll(&mut Context::from_waker(&waker))
            })
            .await;
        }));
        poll_all_tasks(runtime);
        let report = runtime.drain(LONG).wait();
        assert_eq!((counts(&report), ended.get()), ([5, 0, 0, 0], 3), "{report}");
    });
}

#[test]
fn refused_spawns_are_logged_seldom_and_with_location() {
    each(|runtime| {
        let drain = runtime.drain(LONG);
        let place = format!("location={}:{}", file!(), line!() + 3);
        let lines = logged(|| {
            for _ in 0..1000 {
                drop(runtime.spawn(async {}));
            }
        });
        // There is one line per second at most. A very slow machine writes more than one here.
        assert!(!lines.is_empty() && lines.len() < 100, "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("ERROR heist::drain") && line.contains(&place)), "{lines:?}");
        drop(drain);
    });
}
