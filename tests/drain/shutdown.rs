//! Drains that a shutdown ends, and what the shutdown itself promises.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, LocalOptions, RuntimeFlavor};

use crate::kit::{Count, Door, OnDrop, current_thread, each_owned, join, panic_text, yield_now};
use crate::rig::{Blocker, LONG, counts, join_in, logged, spawn_idle, with_long_grace, with_short_grace};

#[test]
fn runtime_drop_ends_the_drain() {
    each_owned(|runtime| {
        let dropped = Count::new();
        drop(spawn_idle(&runtime, &dropped, 5));
        let drain = runtime.drain(LONG);
        drop(runtime);
        let report = drain.wait();
        assert_eq!((counts(&report), dropped.get()), ([0, 0, 5, 5], 5), "{report}");
    });
}

#[test]
fn shutdown_background_ends_the_drain() {
    each_owned(|runtime| {
        let dropped = Count::new();
        drop(spawn_idle(&runtime, &dropped, 5));
        let drain = runtime.drain(LONG);
        runtime.shutdown_background();
        let report = futures::executor::block_on(drain);
        assert_eq!((counts(&report), dropped.get()), ([0, 0, 5, 5], 5), "{report}");
    });
}

#[test]
fn shutdown_beside_a_stuck_poll_ends_the_drain() {
    let runtime = with_short_grace(1);
    let blocker = Blocker::default();
    let stuck = runtime.spawn({
        let blocker = blocker.clone();
        async move { blocker.block() }
    });
    blocker.wait_until_blocked();
    let drain = runtime.drain(LONG);
    runtime.shutdown_background();
    let report = drain.wait();
    assert_eq!(counts(&report), [0, 0, 0, 1], "{report}");
    blocker.release();
    join(stuck).unwrap();
}

#[test]
fn drain_after_shutdown_reports_zeros() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        drop(runtime.spawn(pending::<()>()));
        drop(runtime);
        let report = handle.drain(LONG).wait();
        assert_eq!(counts(&report), [0, 0, 0, 0]);
    });
}

#[test]
fn runtime_dropped_by_its_draining_task_ends() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        let (gone, living) = (Door::new(), runtime.draining());
        let opens = gone.clone();
        drop(handle.spawn(living));
        let task = handle.spawn(async move {
            let report = runtime.drain(LONG).await;
            let opens = OnDrop::new(move || opens.open());
            let _last = opens;
            drop(runtime);
            report
        });
        if handle.runtime_flavor() == RuntimeFlavor::MultiThread {
            gone.wait();
            assert_eq!(counts(&join(task).unwrap()), [1, 0, 0, 0]);
        }
    });
}

#[test]
fn runtime_dropped_in_its_own_job_detaches_no_thread() {
    each_owned(|runtime| {
        let dropped = Count::new();
        drop(spawn_idle(&runtime, &dropped, 1));
        let handle = runtime.handle().clone();
        let lines = join(handle.spawn_blocking(move || logged(|| drop(runtime)))).unwrap();
        assert_eq!((lines, dropped.get()), (Vec::<String>::new(), 1));
    });
}

#[test]
fn block_on_by_handle_returns_after_runtime_ends() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        drop(runtime);
        // What does not need the runtime works.
        assert_eq!(handle.block_on(async { 5 }), 5);
        handle.block_on(yield_now());
    });
    for flavor in [RuntimeFlavor::CurrentThread, RuntimeFlavor::MultiThread] {
        let mut builder = match flavor {
            RuntimeFlavor::MultiThread => Builder::new_multi_thread(),
            _ => Builder::new_current_thread(),
        };
        let runtime = builder.worker_threads(1).enable_all().shutdown_grace(Duration::from_millis(20)).build().unwrap();
        let (handle, begun) = (runtime.handle().clone(), Door::new());
        let opens = begun.clone();
        let in_flight = thread::spawn(move || {
            let text = panic_text(|| {
                handle.block_on(async move {
                    opens.open();
                    pending::<()>().await;
                });
            });
            (handle, text)
        });
        let joins = {
            let (handle, task) = (runtime.handle().clone(), runtime.spawn(pending::<()>()));
            thread::spawn(move || handle.block_on(task))
        };
        begun.wait();
        drop(runtime);
        let (handle, text) = in_flight.join().unwrap();
        assert!(text.contains("shut down") && text.contains("draining"), "{text}");
        assert!(joins.join().unwrap().unwrap_err().is_cancelled());
        let text = panic_text(|| handle.block_on(pending::<()>()));
        assert!(text.contains("shut down"), "{text}");
    }
}

/// A thread-local's destructor that does not return blocks its thread, not the closer.
#[test]
fn thread_that_never_ends_is_not_waited_for() {
    struct BlocksOnDrop(Door);
    impl Drop for BlocksOnDrop {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    thread_local! {
        static BLOCKS_ON_DROP: std::cell::RefCell<Option<BlocksOnDrop>> = const { std::cell::RefCell::new(None) };
    }
    let (runtime, go) = (with_short_grace(1), Door::new());
    let door = go.clone();
    join_in(&runtime, runtime.spawn(async move { BLOCKS_ON_DROP.set(Some(BlocksOnDrop(door))) }));
    drop(runtime);
    go.open();
}

type AtThreadEnd = OnDrop<Box<dyn FnOnce()>>;

thread_local! {
    static AT_THREAD_END: std::cell::RefCell<Option<AtThreadEnd>> = const { std::cell::RefCell::new(None) };
}

/// Counts in the destructor of a thread-local of this thread, some time after the thread has begun
/// to end.
fn count_at_thread_end(gone: &Count) {
    let gone = gone.clone();
    let last = Box::new(move || {
        (0..30).for_each(|_| thread::yield_now());
        gone.add();
    });
    AT_THREAD_END.set(Some(OnDrop::new(last)));
}

/// No thread drives, so the reaper drops the task.
#[test]
fn reaper_is_joined_by_runtime_drop() {
    for _ in 0..5 {
        let (runtime, gone) = (current_thread(), Count::new());
        let counts_drops = gone.clone();
        let guard = OnDrop::new(move || count_at_thread_end(&counts_drops));
        drop(runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        let report = futures::executor::block_on(runtime.drain(Duration::ZERO));
        assert_eq!(counts(&report), [0, 0, 1, 1], "{report}");
        drop(runtime);
        assert_eq!(gone.get(), 1);
    }
}

/// The deadline thread makes the report at the end of the grace, and calls the wakers of the
/// report. Those are user code on its thread.
#[test]
fn deadline_thread_is_joined_by_shutdown() {
    struct CountsAtThreadEnd(Count, Door);
    impl Wake for CountsAtThreadEnd {
        fn wake(self: Arc<Self>) {
            count_at_thread_end(&self.0);
            self.1.open();
        }
    }
    for _ in 0..5 {
        let runtime = Builder::new_current_thread()
            .shutdown_grace(Duration::from_millis(1))
            .build_local(LocalOptions::default())
            .unwrap();
        drop(runtime.spawn_local(pending::<()>()));
        let (gone, woken) = (Count::new(), Door::new());
        let waker = Waker::from(Arc::new(CountsAtThreadEnd(gone.clone(), woken.clone())));
        let mut drain = pin!(runtime.handle().drain(Duration::from_millis(1)));
        if drain.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            woken.wait();
            // The runtime is closed within another grace, and the shutdown waits as long for the
            // thread.
            runtime.shutdown_timeout(LONG);
            assert_eq!(gone.get(), 1);
        }
    }
}

/// A destructor on the reaper's thread drops the runtime. That drop does not wait for the reaper.
#[test]
fn runtime_dropped_by_the_reaper_does_not_wait_for_itself() {
    let (runtime, blocker, dropped) = (with_long_grace(1), Blocker::default(), Door::new());
    let blocks = blocker.clone();
    let (handle, opens) = (runtime.handle().clone(), dropped.clone());
    let running = runtime.spawn_blocking(move || blocks.block());
    blocker.wait_until_blocked();
    let queued = handle.spawn_blocking(move || drop(runtime));
    let drain = handle.drain(Duration::ZERO);
    drop(thread::spawn(move || {
        let _ = join(queued);
        opens.open();
    }));
    dropped.wait();
    blocker.release();
    join(running).unwrap();
    let report = futures::executor::block_on(drain);
    assert_eq!((report.cancelled, report.unnamed), (1, 0), "{report}");
}
