//! Draining and shutting down, and what the shutdown promises by itself.

use std::future::pending;
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, RuntimeFlavor};

use crate::kit::{Count, Door, OnDrop, each_owned, join, panic_text, yield_now};
use crate::rig::{LONG, Stay, counts, hasty, idle, join_in, logged};

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
