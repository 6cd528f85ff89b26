//! Spare workers in place of stalled ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heist::net::TcpListener;
use heist::runtime::Activity;
use heist::time::{Instant, sleep, sleep_until};

use super::kit::{Count, Door, yield_now};
use super::warnings::{warned, warnings};
use super::{block, block_all, builder, until};

/// All workers are stuck for ever, and so is each spare in its turn. New tasks run as long as a
/// spare is free. At the limit no spare starts, and a warning says so. When the polls return,
/// everything goes on, and the spares retire.
#[test]
fn spares_start_up_to_the_limit_and_retire() {
    warnings();
    for (round, workers) in [1, 2, 4].into_iter().enumerate() {
        let runtime = builder(workers).max_spare_workers(3).build().unwrap();
        let door = Door::new();
        let mut stuck = block_all(&runtime, workers + 3, &door);
        assert_eq!(runtime.metrics().num_spare_workers(), 3);
        assert_eq!((runtime.worker_threads(), runtime.metrics().num_workers()), (workers, workers));
        // It is counted after it has started.
        until(|| runtime.metrics().spare_start_count() >= 3);
        let ran = Count::new();
        let runs = ran.clone();
        stuck.push(runtime.spawn(async move {
            runs.add();
        }));
        // No other test has this number of spares.
        until(|| warned("spares=3") > round);
        assert_eq!(ran.get(), 0, "no worker is free to run it");
        door.open();
        stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        assert_eq!(ran.get(), 1);
        until(|| runtime.metrics().num_spare_workers() == 0);
        // And a second time.
        let door = Door::new();
        let stuck = block_all(&runtime, workers + 1, &door);
        door.open();
        stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
}

/// A spare alone serves timers, sockets and tasks.
#[test]
fn spare_alone_serves_timers_sockets_and_tasks() {
    let runtime = builder(2).max_spare_workers(1).build().unwrap();
    let door = Door::new();
    let stuck = block_all(&runtime, 2, &door);
    let far = runtime.spawn(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = heist::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        for _ in 0..50 {
            sleep(Duration::from_micros(100)).await;
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut [0]).await.unwrap();
            heist::spawn(async { yield_now().await }).await.unwrap();
        }
        // The timer lasts longer than the spare.
        sleep_until(Instant::now() + Duration::from_millis(300)).await;
    });
    // The spare is counted before its seat is built.
    until(|| runtime.handle().dump().workers.len() == 3);
    until(|| runtime.metrics().worker_poll_count(2) > 200);
    door.open();
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    until(|| runtime.metrics().num_spare_workers() == 0);
    runtime.block_on(far).unwrap();
}

/// A resize that reaches a spare's seat makes it a base worker. A resize down leaves the spares
/// alone.
#[test]
fn resize_makes_spares_base_workers() {
    let runtime = builder(1).max_worker_threads(4).max_spare_workers(2).build().unwrap();
    let door = Door::new();
    let mut stuck = block_all(&runtime, 2, &door);
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (1, 1));
    let resized = runtime.resize(3).wait().unwrap();
    assert_eq!((resized.from, resized.to, resized.version), (1, 3, 1));
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (3, 0));
    // Both spares can start again.
    stuck.extend(block_all(&runtime, 3, &door));
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (3, 2));
    // Stuck retiring workers keep their seats, and the spares go on.
    let shrink = runtime.resize(1);
    assert_eq!(runtime.metrics().num_spare_workers(), 2);
    door.open();
    assert_eq!(shrink.wait().unwrap().to, 1);
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    until(|| runtime.metrics().num_spare_workers() == 0);
    until(|| runtime.worker_threads() == 1);
}

/// The pool shrinks to one worker, which is stuck.
#[test]
fn last_worker_stalled_is_replaced() {
    let runtime = builder(3).build().unwrap();
    let door = Door::new();
    let mut stuck = vec![block(&runtime, &door)];
    // Until the worker of seat 0 is stuck. The others retire.
    while !matches!(runtime.handle().dump().workers[0].activity, Activity::Polling { .. }) {
        stuck.push(block(&runtime, &door));
    }
    let shrink = runtime.resize(1);
    // The retiring workers and seat 0 are stuck, so a spare runs this.
    runtime.block_on(runtime.spawn(async { sleep(Duration::from_millis(1)).await })).unwrap();
    door.open();
    shrink.wait().unwrap();
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
}

/// The operating system refuses the thread of a spare, and grants it later.
#[test]
fn spare_refused_for_stalled_worker_is_retried() {
    warnings();
    let refuse = Arc::new(AtomicBool::new(true));
    let refused = Arc::clone(&refuse);
    let runtime = builder(1)
        .max_spare_workers(1)
        .refuse_worker(move |seat| {
            (seat > 0 && refused.load(Ordering::SeqCst)).then(|| std::io::Error::other("no thread today"))
        })
        .build()
        .unwrap();
    let door = Door::new();
    let stuck = block(&runtime, &door);
    until(|| warned("error=no thread today") > 0);
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (1, 0));
    refuse.store(false, Ordering::SeqCst);
    runtime.block_on(runtime.spawn(yield_now())).unwrap();
    door.open();
    runtime.block_on(stuck).unwrap();
}

/// The runtime ends while spares work, and while one is being started.
#[test]
fn runtime_with_spares_shuts_down() {
    for extra in 0..3 {
        let runtime = builder(1).max_spare_workers(2).build().unwrap();
        let door = Door::new();
        let stuck = block_all(&runtime, 1 + extra, &door);
        let dropped = Count::new();
        for _ in 0..100 {
            let guard = dropped.on_drop();
            runtime.spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
        }
        let opener = thread::spawn(move || door.open());
        drop(runtime);
        opener.join().unwrap();
        assert_eq!(dropped.get(), 100);
        drop(stuck);
    }
}

/// A drain completes though every worker is stuck: a spare runs the tasks.
#[test]
fn drain_with_stalled_worker_completes_by_a_spare() {
    let runtime = builder(1).max_spare_workers(1).build().unwrap();
    let door = Door::new();
    let stuck = block(&runtime, &door);
    let end = Door::new();
    let ends = end.clone();
    let waits = runtime.spawn(async move { ends.opened().await });
    let drain = runtime.handle().drain(Duration::from_secs(3600));
    end.open();
    until(|| waits.is_finished());
    door.open();
    let report = drain.wait();
    assert_eq!((report.completed, report.cancelled), (2, 0), "{report}");
    drop(stuck);
}
