//! Draining and resizing.

use std::future::pending;
use std::thread;
use std::time::Duration;

use heist::runtime::Builder;
use heist::task::JoinHandle;

use crate::kit::{Count, Door, yield_now};
use crate::rig::{LONG, counts, guarded, settle};

/// Tasks that are at home in seats that nobody sits in any more are told, counted, and cancelled
/// like the others.
#[test]
fn after_a_resize() {
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
                guarded(&runtime, &dropped, async move {
                    yield_now().await;
                    if ends { draining.await } else { pending().await }
                })
            })
            .collect();
        settle(&runtime);
        runtime.resize(1).wait().unwrap();
        let report = runtime.drain(deadline).wait();
        let expected = if deadline.is_zero() { [0, 0, 100, 100] } else { [100, 0, 0, 0] };
        assert_eq!((counts(&report), dropped.get()), (expected, 100));
        assert!(tasks.iter().all(JoinHandle::is_finished));
        let error = runtime.resize(2).wait().unwrap_err();
        assert!(matches!(error, heist::runtime::ResizeError::Draining), "{error}");
    }
}

/// Whoever waits for a resize is told that it does not come, and the leaver, who is in a poll, is
/// not waited for but by the drain.
#[test]
fn during_a_resize() {
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
