//! Threads that come in place of those that are stuck.

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

/// All workers are stuck for good, and so is each spare in its turn: new tasks run as long as there
/// is one. At the cap nobody comes, it is said, and everything goes on when the polls return; the
/// spares leave.
#[test]
fn spares_come_up_to_the_cap_and_leave() {
    warnings();
    for (round, workers) in [1, 2, 4].into_iter().enumerate() {
        let runtime = builder(workers).max_spare_workers(3).build().unwrap();
        let door = Door::new();
        let mut stuck = block_all(&runtime, workers + 3, &door);
        assert_eq!(runtime.metrics().num_spare_workers(), 3);
        assert_eq!((runtime.worker_threads(), runtime.metrics().num_workers()), (workers, workers));
        // It is counted after it has come.
        until(|| runtime.metrics().spare_start_count() >= 3);
        let ran = Count::new();
        let runs = ran.clone();
        stuck.push(runtime.spawn(async move {
            runs.add();
        }));
        // No other test has so many.
        until(|| warned("spares=3") > round);
        assert_eq!(ran.get(), 0, "there is nobody to run it");
        door.open();
        stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        assert_eq!(ran.get(), 1);
        until(|| runtime.metrics().num_spare_workers() == 0);
        // And again.
        let door = Door::new();
        let stuck = block_all(&runtime, workers + 1, &door);
        door.open();
        stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
}

/// Timers, sockets and tasks go on with a spare alone.
#[test]
fn a_spare_does_all_that_a_worker_does() {
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
        // This one outlives the spare.
        sleep_until(Instant::now() + Duration::from_millis(300)).await;
    });
    // It is counted before its seat is there.
    until(|| runtime.handle().dump().workers.len() == 3);
    until(|| runtime.metrics().worker_poll_count(2) > 200);
    door.open();
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    until(|| runtime.metrics().num_spare_workers() == 0);
    runtime.block_on(far).unwrap();
}

/// A resize that comes to a spare's seat keeps it, as one of those that were asked for; what
/// shrinks the set leaves spares alone.
#[test]
fn a_resize_takes_over_a_spare() {
    let runtime = builder(1).max_worker_threads(4).max_spare_workers(2).build().unwrap();
    let door = Door::new();
    let mut stuck = block_all(&runtime, 2, &door);
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (1, 1));
    let resized = runtime.resize(3).wait().unwrap();
    assert_eq!((resized.from, resized.to, resized.version), (1, 3, 1));
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (3, 0));
    // Both spares are there to be had again.
    stuck.extend(block_all(&runtime, 3, &door));
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (3, 2));
    // Stuck leavers keep their seats, and the spares go on.
    let shrink = runtime.resize(1);
    assert_eq!(runtime.metrics().num_spare_workers(), 2);
    door.open();
    assert_eq!(shrink.wait().unwrap().to, 1);
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    until(|| runtime.metrics().num_spare_workers() == 0);
    until(|| runtime.worker_threads() == 1);
}

/// The pool shrinks to the one worker that does not come back.
#[test]
fn the_last_worker_is_replaced() {
    let runtime = builder(3).build().unwrap();
    let door = Door::new();
    let mut stuck = vec![block(&runtime, &door)];
    // Until seat 0 is the one that is stuck; the others leave.
    while !matches!(runtime.handle().dump().workers[0].activity, Activity::Polling { .. }) {
        stuck.push(block(&runtime, &door));
    }
    let shrink = runtime.resize(1);
    // Leavers that are stuck, and seat 0: somebody else runs this.
    runtime.block_on(runtime.spawn(async { sleep(Duration::from_millis(1)).await })).unwrap();
    door.open();
    shrink.wait().unwrap();
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
}

/// The operating system refuses the thread of a spare, and then gives it.
#[test]
fn a_refused_spare_is_asked_for_again() {
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

/// The runtime ends while spares work, and while one is being called.
#[test]
fn a_runtime_with_spares_ends() {
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

/// A drain finds its tasks, though every worker is stuck: a spare runs them to their ends.
#[test]
fn a_drain_goes_on_with_spares() {
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
