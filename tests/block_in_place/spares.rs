//! Spares in place of blocked workers, and what others observe of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use heist::runtime::{Activity, Builder, Handle};
use heist::task::block_in_place;

use super::each;
use super::kit::{Count, Door, join};

/// More sections than there are spares for stalled workers. Each waits for a timer that a worker
/// has to turn.
#[test]
fn sections_beyond_max_spare_workers_have_spares() {
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

/// Blocked workers do not count against the limit for stalled ones.
#[test]
fn section_without_spares_for_stalls_has_a_spare() {
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

/// A limit of one allows one spare. The next task waits until one of the two sections ends.
#[test]
fn sections_are_limited_by_max_blocking_threads() {
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

/// The operating system refuses threads for a while. The tasks go on once it grants one.
#[test]
fn spare_refused_for_section_is_retried() {
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

/// The operating system never grants a thread. The section goes on, and other tasks run after it.
#[test]
fn section_without_a_spare_delays_other_tasks_only() {
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
fn section_is_no_stall_and_is_shown_in_a_dump() {
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
            // Many scans, each of which could report a stall.
            handle.block_on(async { heist::time::sleep(Duration::from_millis(30)).await });
            (seats, dump.to_string(), handle.metrics().num_spare_workers())
        })
    });
    let id = task.id();
    let (seats, text, spares) = join(task).unwrap();
    assert_eq!(seats, 1, "{text}");
    assert!(text.contains("blocking in place in task"), "{text}");
    // On a busy machine the watchdog may have started another spare.
    assert!(spares >= 1 && runtime.metrics().spare_start_count() >= 1);
    drop(runtime);
    assert!(told.iter().all(|task| task != Some(id)), "it was reported");
}

/// The spares retire once no worker is blocked.
#[test]
fn spares_retire_after_the_last_section() {
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

/// A retiring worker is in a section. The resize waits for it.
#[test]
fn retiring_worker_in_section_is_awaited_by_resize() {
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
