//! Who works in the place of those that are out; what others see of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use heist::runtime::{Activity, Builder, Handle};
use heist::task::block_in_place;

use super::each;
use super::kit::{Count, Door, join};

/// More than there are spares for stuck workers: each waits for a sleep that somebody has to see
/// to.
#[test]
fn as_many_as_there_are_blocking_threads() {
    const MANY: usize = 40;
    each(|runtime| {
        let met = Arc::new(Barrier::new(MANY));
        let tasks: Vec<_> = (0..MANY)
            .map(|_| {
                let met = Arc::clone(&met);
                runtime.spawn(async move {
                    block_in_place(|| {
                        met.wait();
                        Handle::current().block_on(async { heist::time::sleep(Duration::from_micros(100)).await });
                    });
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| join(task).unwrap());
    });
}

/// Those that are out do not count against those that are stuck.
#[test]
fn without_spares_for_the_stuck() {
    for watchdog in [true, false] {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).max_spare_workers(0).watchdog(watchdog).build().unwrap();
        let done = join(runtime.spawn(async {
            let (sender, receiver) = mpsc::channel();
            heist::spawn(async move { sender.send(5).unwrap() });
            block_in_place(|| receiver.recv().unwrap())
        }));
        assert_eq!(done.unwrap(), 5);
    }
}

/// With one place there is one spare; the next task waits until one of the two comes back.
#[test]
fn as_few_as_there_are_blocking_threads() {
    each_cap(1, |out| assert_eq!(out, 2));
    each_cap(3, |out| assert_eq!(out, 4));
}

fn each_cap(cap: usize, check: impl Fn(usize)) {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).max_spare_workers(0).max_blocking_threads(cap).build().unwrap();
    let (out, release) = (Count::new(), Door::new());
    let tasks: Vec<_> = (0..=cap + 1)
        .map(|_| {
            let (out, release) = (out.clone(), release.clone());
            runtime.spawn(async move {
                block_in_place(|| {
                    out.add();
                    release.wait();
                });
            })
        })
        .collect();
    while out.get() < cap + 1 {
        thread::yield_now();
    }
    check(out.get());
    release.open();
    tasks.into_iter().for_each(|task| join(task).unwrap());
    assert_eq!(out.get(), cap + 2);
}

/// The operating system refuses threads for a while: the tasks go on when it gives one.
#[test]
fn a_spare_that_is_refused_is_asked_for_again() {
    let refusals = Arc::new(AtomicUsize::new(6));
    let left = Arc::clone(&refusals);
    let refuse = move |seat| {
        let refused = seat > 0 && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        refused.then(|| std::io::Error::other("no thread today"))
    };
    let runtime = Builder::new_multi_thread().worker_threads(1).refuse_worker(refuse).build().unwrap();
    let done = join(runtime.spawn(async {
        let (sender, receiver) = mpsc::channel();
        heist::spawn(async move { sender.send(5).unwrap() });
        block_in_place(|| receiver.recv().unwrap())
    }));
    assert_eq!((done.unwrap(), refusals.load(Ordering::SeqCst)), (5, 0));
}

/// Nobody gives a thread: the function goes on, and what waits does when it has returned.
#[test]
fn a_spare_that_never_comes() {
    for watchdog in [true, false] {
        let mut builder = Builder::new_multi_thread();
        let refuse = |seat| (seat > 0).then(|| std::io::Error::other("no thread today"));
        let runtime = builder.worker_threads(1).watchdog(watchdog).refuse_worker(refuse).build().unwrap();
        let done = join(runtime.spawn(async {
            let waits = heist::spawn(async { 5 });
            block_in_place(|| (0..1000).for_each(|_| thread::yield_now()));
            waits.await.unwrap()
        }));
        assert_eq!(done.unwrap(), 5);
    }
}

#[test]
fn it_is_no_stall_and_a_dump_says_what_it_is() {
    let (tell, told) = mpsc::channel();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .stall_threshold(Duration::from_millis(1))
        .on_stall(move |report| tell.send(report.task).unwrap_or(()))
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let task = runtime.spawn(async move {
        let id = heist::task::id();
        block_in_place(|| {
            let dump = handle.dump();
            let is_ours = |activity| matches!(activity, Activity::Blocking { task, .. } if task == id);
            let seats = dump.workers.iter().filter(|seat| is_ours(seat.activity)).count();
            // Many looks, each of which would be too late.
            handle.block_on(async { heist::time::sleep(Duration::from_millis(30)).await });
            (seats, dump.to_string(), handle.metrics().num_spare_workers())
        })
    });
    let id = task.id();
    let (seats, text, spares) = join(task).unwrap();
    assert_eq!(seats, 1, "{text}");
    assert!(text.contains("blocking in place in task"), "{text}");
    // On a busy machine the watchdog may have called another one.
    assert!(spares >= 1 && runtime.metrics().spare_start_count() >= 1);
    drop(runtime);
    assert!(told.iter().all(|task| task != Some(id)), "it was reported");
}

/// When nobody is out the spares leave.
#[test]
fn the_spares_go_when_they_are_not_needed() {
    each(|runtime| {
        let met = Arc::new(Barrier::new(5));
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let met = Arc::clone(&met);
                runtime.spawn(async move { block_in_place(|| _ = met.wait()) })
            })
            .collect();
        tasks.into_iter().for_each(|task| join(task).unwrap());
        while runtime.metrics().num_spare_workers() > 0 {
            thread::yield_now();
        }
    });
}

/// One that is to leave is out: the resize waits for it.
#[test]
fn one_that_is_to_leave() {
    each(|runtime| {
        runtime.resize(2).wait().unwrap();
        let (met, release) = (Arc::new(Barrier::new(3)), Door::new());
        let out: Vec<_> = (0..2)
            .map(|_| {
                let (met, release) = (Arc::clone(&met), release.clone());
                runtime.spawn(async move {
                    block_in_place(|| {
                        met.wait();
                        release.wait();
                    });
                    heist::runtime::worker_index()
                })
            })
            .collect();
        met.wait();
        let shrinks = runtime.resize(1);
        release.open();
        assert_eq!(shrinks.wait().unwrap().to, 1);
        assert!(out.into_iter().all(|task| join(task).unwrap().is_some()));
        assert_eq!(runtime.worker_threads(), 1);
    });
}
