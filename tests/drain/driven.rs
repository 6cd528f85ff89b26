//! Drains of current-thread runtimes, whose tasks run only while a thread drives.

use std::thread;
use std::time::Duration;

use crate::kit::{Door, current_thread, yield_now};
use crate::rig::{LONG, counts};

#[test]
fn current_thread_runtime_is_driven_by_drain_wait() {
    let runtime = current_thread();
    let slow = runtime.spawn(async {
        for _ in 0..100 {
            yield_now().await;
        }
        heist::time::sleep(Duration::from_millis(1)).await;
    });
    let report = runtime.drain(LONG).wait();
    assert_eq!(counts(&report), [1, 0, 0, 0]);
    assert!(slow.is_finished());
}

#[test]
fn current_thread_runtime_driven_elsewhere_makes_the_report() {
    let runtime = current_thread();
    let (go, over) = (Door::new(), Door::new());
    let task = runtime.spawn(go.opened());
    thread::scope(|scope| {
        let driver = scope.spawn(|| runtime.block_on(over.opened()));
        let drain = runtime.drain(LONG);
        go.open();
        let report = futures::executor::block_on(drain);
        assert_eq!(counts(&report), [1, 0, 0, 0]);
        over.open();
        driver.join().unwrap();
    });
    assert!(task.is_finished());
}

/// The last task ends, and its driver stops driving at once.
#[test]
fn driver_that_stops_makes_the_report() {
    for _ in 0..100 {
        let runtime = current_thread();
        let draining = runtime.draining();
        let task = runtime.spawn(draining);
        let drain = runtime.drain(LONG);
        runtime.block_on(task).unwrap();
        let report = futures::executor::block_on(drain);
        assert_eq!(counts(&report), [1, 0, 0, 0]);
    }
}
