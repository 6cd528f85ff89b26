//! Draining and shutting down, and what the shutdown promises by itself.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, LocalOptions, RuntimeFlavor};

use crate::kit::{Count, Door, OnDrop, current_thread, each_owned, join, panic_text, yield_now};
use crate::rig::{LONG, Stay, counts, hasty, idle, join_in, logged, patient};

#[test]
fn dropping_the_runtime_ends_it() {
    each_owned(|runtime| {
        let dropped = Count::new();
        drop(idle(&runtime, &dropped, 5));
        let drain = runtime.drain(LONG);
        drop(runtime);
        let report = drain.wait();
        assert_eq!((counts(&report), dropped.get()), ([0, 0, 5, 5], 5), "{report}");
    });
}

#[test]
fn a_shutdown_that_does_not_wait_ends_it() {
    each_owned(|runtime| {
        let dropped = Count::new();
        drop(idle(&runtime, &dropped, 5));
        let drain = runtime.drain(LONG);
        runtime.shutdown_background();
        let report = futures::executor::block_on(drain);
        assert_eq!((counts(&report), dropped.get()), ([0, 0, 5, 5], 5), "{report}");
    });
}

#[test]
fn a_shutdown_beside_a_poll_that_does_not_return_ends_it() {
    let runtime = hasty(1);
    let stay = Stay::default();
    let stuck = runtime.spawn({
        let stay = stay.clone();
        async move { stay.stay() }
    });
    stay.reached();
    let drain = runtime.drain(LONG);
    runtime.shutdown_background();
    let report = drain.wait();
    assert_eq!(counts(&report), [0, 0, 0, 1], "{report}");
    stay.let_go();
    join(stuck).unwrap();
}

#[test]
fn draining_a_runtime_that_has_been_shut_down() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        drop(runtime.spawn(pending::<()>()));
        drop(runtime);
        let report = handle.drain(LONG).wait();
        assert_eq!(counts(&report), [0, 0, 0, 0]);
    });
}

#[test]
fn the_runtime_is_dropped_by_who_has_drained_it() {
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
fn dropping_a_runtime_in_its_own_job_detaches_nothing() {
    each_owned(|runtime| {
        let dropped = Count::new();
        drop(idle(&runtime, &dropped, 1));
        let handle = runtime.handle().clone();
        let lines = join(handle.spawn_blocking(move || logged(|| drop(runtime)))).unwrap();
        assert_eq!((lines, dropped.get()), (Vec::<String>::new(), 1));
    });
}

#[test]
fn block_on_by_a_handle_returns_when_its_runtime_is_gone() {
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

/// A thread-local whose destructor does not return keeps its thread, not the closer.
#[test]
fn a_thread_that_does_not_end_is_not_waited_for() {
    struct Stays(Door);
    impl Drop for Stays {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    thread_local! {
        static STAYS: std::cell::RefCell<Option<Stays>> = const { std::cell::RefCell::new(None) };
    }
    let (runtime, go) = (hasty(1), Door::new());
    let door = go.clone();
    join_in(&runtime, runtime.spawn(async move { STAYS.set(Some(Stays(door))) }));
    drop(runtime);
    go.open();
}

type Last = OnDrop<Box<dyn FnOnce()>>;

thread_local! {
    static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
}

/// Leaves something in a thread-local of this thread: when the thread ends it takes its time, and
/// then counts.
fn bequeath(gone: &Count) {
    let gone = gone.clone();
    let last = Box::new(move || {
        (0..30).for_each(|_| thread::yield_now());
        gone.add();
    });
    LAST.set(Some(OnDrop::new(last)));
}

/// Nobody drives: the reaper drops the task.
#[test]
fn the_sweeper_is_gone_with_the_runtime() {
    for _ in 0..5 {
        let (runtime, gone) = (current_thread(), Count::new());
        let counts_it = gone.clone();
        let guard = OnDrop::new(move || bequeath(&counts_it));
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

/// The deadline thread makes the report at the end of the grace, and wakes whoever waits for it:
/// that is user code on its thread.
#[test]
fn the_timekeeper_is_gone_with_the_runtime() {
    struct Leaves(Count, Door);
    impl Wake for Leaves {
        fn wake(self: Arc<Self>) {
            bequeath(&self.0);
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
        let waker = Waker::from(Arc::new(Leaves(gone.clone(), woken.clone())));
        let mut drain = pin!(runtime.handle().drain(Duration::from_millis(1)));
        if drain.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            woken.wait();
            // It is closed within another grace, but its thread is waited for for as long.
            runtime.shutdown_timeout(LONG);
            assert_eq!(gone.get(), 1);
        }
    }
}

/// A destructor on the reaper's thread drops the runtime: that does not wait for itself.
#[test]
fn the_sweeper_drops_the_runtime() {
    let (runtime, stay, dropped) = (patient(1), Stay::default(), Door::new());
    let stays = stay.clone();
    let (handle, opens) = (runtime.handle().clone(), dropped.clone());
    let running = runtime.spawn_blocking(move || stays.stay());
    stay.reached();
    let queued = handle.spawn_blocking(move || drop(runtime));
    let drain = handle.drain(Duration::ZERO);
    drop(thread::spawn(move || {
        let _ = join(queued);
        opens.open();
    }));
    dropped.wait();
    stay.let_go();
    join(running).unwrap();
    let report = futures::executor::block_on(drain);
    assert_eq!((report.cancelled, report.unnamed), (1, 0), "{report}");
}
