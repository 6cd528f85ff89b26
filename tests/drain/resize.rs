//! Drains after and during a resize.

use std::future::pending;
use std::thread;
use std::time::Duration;

use heist::runtime::Builder;
use heist::task::JoinHandle;

use crate::kit::{Count, Door, yield_now};
use crate::rig::{LONG, counts, poll_all_tasks, spawn_counted};

/// Tasks of vacant seats are notified, counted and cancelled like all others.
#[test]
fn drain_after_resize_counts_tasks_of_vacant_seats() {
    for deadline in [LONG, Duration::ZERO] {
        let runtime = Builder::new_multi_thread()
            .worker_threads(4)
            .max_worker_threads(4)
            .enable_all()
            .drain_report_delay(LONG)
            .build()
            .unwrap();
        let dropped = Count::new();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let draining = runtime.draining();
                let ends = !deadline.is_zero();
                spawn_counted(&runtime, &dropped, async move {
                    yield_now().await;
                    if ends { draining.await } else { pending().await }
                })
            })
            .collect();
        poll_all_tasks(&runtime);
        runtime.resize(1).wait().unwrap();
        let report = runtime.drain(deadline).wait();
        let expected = if deadline.is_zero() { [0, 0, 100, 100] } else { [100, 0, 0, 0] };
        assert_eq!((counts(&report), dropped.get()), (expected, 100));
        assert!(tasks.iter().all(JoinHandle::is_finished));
        let error = runtime.resize(2).wait().unwrap_err();
        assert!(matches!(error, heist::runtime::ResizeError::Draining), "{error}");
    }
}

/// The waiter of a resize gets an error at once. The worker that should retire is in a poll, and
/// only the drain waits for it.
#[test]
fn drain_during_resize_refuses_the_resize() {
    let runtime = Builder::new_multi_thread().worker_threads(2).max_worker_threads(4).enable_all().build().unwrap();
    let (begun, go) = (Count::new(), Door::new());
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (begun, go) = (begun.clone(), go.clone());
            runtime.spawn(async move {
                begun.add();
                go.wait();
                yield_now().await;
            })
        })
        .collect();
    while begun.get() < 2 {
        thread::yield_now();
    }
    let resize = runtime.resize(1);
    let drain = runtime.drain(LONG);
    assert!(matches!(resize.wait().unwrap_err(), heist::runtime::ResizeError::Draining));
    go.open();
    let report = drain.wait();
    assert_eq!(counts(&report), [2, 0, 0, 0]);
    assert!(tasks.iter().all(JoinHandle::is_finished));
}
