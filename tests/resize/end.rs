//! The runtime ends while it is resized.

use std::thread;

use heist::runtime::{Handle, ResizeError};
use heist::time::{Duration, sleep};

use super::kit::{self, Count, Door, yield_now};
use super::{builder, one_each, until, workers};

/// A resize waits for a worker that cannot retire, until the runtime ends.
#[test]
fn resize_waiting_for_worker_ends_with_the_runtime() {
    let runtime = workers(2);
    let (go, begun) = (Door::new(), Count::new());
    let _blocked = one_each(&runtime, 2, |_| {
        let (go, begun) = (go.clone(), begun.clone());
        async move {
            begun.add();
            go.wait();
        }
    });
    until(|| begun.get() == 2);
    let waiting = [runtime.resize(1), runtime.resize(1)].map(|resize| thread::spawn(move || resize.wait()));
    let forgotten = runtime.resize(1);
    runtime.shutdown_background();
    for waiting in waiting {
        assert!(matches!(waiting.join().unwrap(), Err(ResizeError::ShutDown)));
    }
    assert!(matches!(forgotten.wait(), Err(ResizeError::ShutDown)));
    go.open();
}

/// Two threads resize while the runtime ends. No call hangs, and every task ends.
#[test]
fn resizes_from_two_threads_end_with_the_runtime() {
    for round in 0..60 {
        let runtime = workers(4);
        let dropped = Count::new();
        for _ in 0..100 {
            let count = dropped.on_drop();
            runtime.spawn(async move {
                let _count = count;
                loop {
                    sleep(Duration::from_micros(50)).await;
                    yield_now().await;
                }
            });
        }
        let threads: Vec<_> = (0..2_usize)
            .map(|thread| {
                let handle = runtime.handle().clone();
                thread::spawn(move || {
                    for nth in 0.. {
                        match handle.resize((nth * 5 + thread * 3) % 8 + 1).wait() {
                            Ok(_) => {}
                            Err(ResizeError::ShutDown) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        for _ in 0..round {
            runtime.block_on(runtime.spawn(yield_now())).unwrap();
        }
        drop(runtime);
        assert_eq!(dropped.get(), 100);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// A thread that is being started when the runtime ends is joined like the others: the shutdown
/// waits for its last destructor.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn threads_started_during_shutdown_are_joined() {
    type Last = kit::OnDrop<Box<dyn FnOnce()>>;
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    for round in 0..100 {
        let (started, gone) = (Count::new(), Count::new());
        let (start, go) = (started.clone(), gone.clone());
        let hook = move || {
            start.add();
            let go = go.clone();
            let last = Box::new(move || {
                (0..10).for_each(|_| thread::yield_now());
                go.add();
            });
            LAST.set(Some(kit::OnDrop::new(last)));
        };
        // Holds on a busy machine, too.
        let runtime = builder(1).on_thread_start(hook).shutdown_grace(Duration::MAX).build().unwrap();
        let handle = runtime.handle().clone();
        let begun = Door::new();
        let begin = begun.clone();
        let resizer = thread::spawn(move || {
            begin.open();
            drop(handle.resize(6));
        });
        begun.wait();
        (0..round % 20).for_each(|_| thread::yield_now());
        drop(runtime);
        assert_eq!(gone.get(), started.get());
        resizer.join().unwrap();
    }
}

/// The tasks that a vacant seat owns end with the runtime, also if a poll elsewhere does not
/// return.
#[test]
fn tasks_of_vacant_seats_are_dropped_at_shutdown() {
    let runtime = workers(4);
    let (begun, dropped) = (Count::new(), Count::new());
    let _sleepers = one_each(&runtime, 4, |_| {
        let (begun, count) = (begun.clone(), dropped.on_drop());
        async move {
            let _count = count;
            begun.add();
            sleep(Duration::from_secs(3600)).await;
        }
    });
    until(|| begun.get() == 4);
    runtime.resize(2).wait().unwrap();
    let (go, stuck) = (Door::new(), Count::new());
    let block = (go.clone(), stuck.clone());
    runtime.spawn(async move {
        block.1.add();
        block.0.wait();
    });
    until(|| stuck.get() == 1);
    runtime.shutdown_background();
    // One of the four owning seats may be that of the stuck worker.
    until(|| dropped.get() >= 3);
    go.open();
    until(|| dropped.get() == 4);
}

/// The deadline passes while a retiring worker is in a first poll. When that poll returns, the only
/// other worker is stuck, and the drain has no reaper.
#[test]
fn retiring_worker_after_deadline_cancels_overdue_tasks() {
    kit::alone("end::retiring_worker_after_deadline_cancels_overdue_tasks", None, || {
        let asked = Count::new();
        let counter = asked.clone();
        // The deadline thread is started, the reaper is refused.
        let refuse = move |seat| {
            (seat == usize::MAX && counter.add() == 2).then(|| std::io::Error::from(std::io::ErrorKind::WouldBlock))
        };
        let mut builder = builder(2);
        builder.shutdown_grace(Duration::MAX).drain_report_delay(Duration::MAX);
        builder.thread_name_with(|at| at.index.to_string()).refuse_worker(refuse);
        let runtime = builder.build().unwrap();
        let (go, stuck, dropped) = (Door::new(), Door::new(), Count::new());
        let tasks = one_each(&runtime, 2, |_| {
            let (go, stuck, count) = (go.clone(), stuck.clone(), dropped.on_drop());
            async move {
                let _count = count;
                if thread::current().name() == Some("0") {
                    stuck.wait();
                } else {
                    go.wait();
                }
                std::future::pending::<()>().await;
            }
        });
        let idle = dropped.on_drop();
        runtime.spawn(async move { drop(idle) });
        drop(runtime.resize(1));
        let drain = runtime.drain(Duration::ZERO);
        until(|| asked.get() == 2);
        assert_eq!(dropped.get(), 0);
        go.open();
        // Its own task, and the one in the global queue.
        until(|| dropped.get() == 2);
        stuck.open();
        let report = drain.wait();
        assert_eq!((report.completed, report.cancelled, report.stragglers.len()), (0, 3, 3));
        assert!(tasks.iter().all(|task| task.is_finished()));
    });
}

/// A thread that has vacated its seat runs the destructors of its thread-locals outside of any
/// runtime. They are user code.
#[test]
fn thread_locals_of_retired_worker_are_dropped_outside_of_the_runtime() {
    type Last = kit::OnDrop<Box<dyn FnOnce()>>;
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let runtime = workers(4);
    let run = Count::new();
    let tasks = one_each(&runtime, 4, |_| {
        let (handle, run) = (runtime.handle().clone(), run.clone());
        async move {
            let last = Box::new(move || {
                assert!(Handle::try_current().is_err());
                drop(handle.resize(1));
                handle.spawn(async move { run.add() });
            });
            LAST.set(Some(kit::OnDrop::new(last)));
        }
    });
    tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    runtime.resize(1).wait().unwrap();
    until(|| run.get() == 3);
    drop(runtime);
    assert_eq!(run.get(), 3, "the last one is refused");
}
