//! New workers find the tasks that wait.

use std::sync::mpsc;

use super::kit::{Count, Door, yield_now};
use super::{all_at_once, parts, until, workers};

/// The only worker is in a poll that waits for the tasks queued behind it.
#[test]
fn new_workers_find_tasks_of_the_global_queue() {
    for size in [2, 8] {
        let runtime = workers(1);
        let (go, begun, run) = (Door::new(), Count::new(), Count::new());
        let (block, began) = (go.clone(), begun.clone());
        let blocked = runtime.spawn(async move {
            began.add();
            block.wait();
        });
        until(|| begun.get() == 1);
        for _ in 0..1_000 {
            let run = run.clone();
            runtime.spawn(async move { run.add() });
        }
        assert_eq!(parts(runtime.resize(size).wait().unwrap()), (1, size, 1));
        until(|| run.get() == 1_000);
        go.open();
        runtime.block_on(blocked).unwrap();
        assert_eq!(runtime.worker_threads(), size);
        assert_eq!(runtime.metrics().num_workers(), size);
    }
}

#[test]
fn new_worker_finds_tasks_of_a_ring() {
    let runtime = workers(1);
    let run = Count::new();
    let counted = run.clone();
    let (come, came) = mpsc::channel();
    let blocked = runtime.spawn(async move {
        for _ in 0..100 {
            let run = counted.clone();
            heist::spawn(async move { run.add() });
        }
        come.send(()).unwrap();
        // Another worker has to run them during this poll. The last ones may be left to this
        // worker.
        until(|| counted.get() >= 90);
    });
    came.recv().unwrap();
    runtime.resize(2).wait().unwrap();
    runtime.block_on(blocked).unwrap();
    runtime.block_on(async {
        while run.get() < 100 {
            yield_now().await;
        }
    });
}

#[test]
fn parked_runtime_is_resized_up() {
    let runtime = workers(1);
    runtime.block_on(runtime.spawn(yield_now())).unwrap();
    for size in [2, 3, 16] {
        runtime.resize(size).wait().unwrap();
        all_at_once(&runtime, size);
    }
}
