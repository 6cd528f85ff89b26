//! User code that a closing runtime calls: wakers of reports, and destructors of jobs and tasks.
//! Each of these runtimes has an endless grace, so a thread that waits for itself hangs.

#[path = "support/kit.rs"]
mod kit;

use std::cell::RefCell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, LocalOptions, LocalRuntime, Runtime, UnhandledPanic};
use kit::{Count, Door, OnDrop, yield_now};

/// A waker that calls a function.
fn waker(f: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Calls<F>(F);
    impl<F: Fn() + Send + Sync + 'static> Wake for Calls<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }
    Waker::from(Arc::new(Calls(f)))
}

fn current_thread() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().shutdown_grace(Duration::MAX);
    builder
}

/// The job's memory is gone when its end is counted.
#[test]
fn waker_of_the_report_that_a_job_makes_may_poll_a_drain() {
    for _ in 0..20 {
        let runtime = Builder::new_multi_thread().worker_threads(1).shutdown_grace(Duration::MAX).build().unwrap();
        let (begun, go, woken) = (Door::new(), Door::new(), Door::new());
        let (begins, goes) = (begun.clone(), go.clone());
        drop(runtime.spawn_blocking(move || {
            begins.open();
            goes.wait();
        }));
        begun.wait();
        let (handle, opens) = (runtime.handle().clone(), woken.clone());
        let polls_again = waker(move || {
            let mut drain = pin!(handle.drain(Duration::MAX));
            assert!(drain.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
            opens.open();
        });
        let mut drain = pin!(runtime.drain(Duration::MAX));
        assert!(drain.as_mut().poll(&mut Context::from_waker(&polls_again)).is_pending());
        go.open();
        woken.wait();
    }
}

/// Only a worker ends the task, and it has to know of the shutdown.
#[test]
fn destructor_of_a_queued_job_may_wait_for_the_end_of_an_idle_task() {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).max_blocking_threads(1).shutdown_grace(Duration::MAX).enable_all();
    let runtime = builder.build().unwrap();
    let (ended, begun, queued) = (Door::new(), Door::new(), Count::new());
    let ends = ended.clone();
    let guard = OnDrop::new(move || ends.open());
    drop(runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    let (begins, waits) = (begun.clone(), ended.clone());
    drop(runtime.spawn_blocking(move || {
        begins.open();
        waits.wait();
    }));
    begun.wait();
    let counts = queued.clone();
    let guard = OnDrop::new(move || {
        ended.wait();
        counts.add();
    });
    drop(runtime.spawn_blocking(move || drop(guard)));
    drop(runtime);
    assert_eq!(queued.get(), 1);
}

/// The last driver of an abandoned pool clears it. That makes the report, whose waker asks for the
/// report.
#[test]
fn waker_of_the_report_that_the_clearing_thread_makes_may_wait_for_the_report() {
    for _ in 0..20 {
        let runtime = current_thread().build().unwrap();
        let (begun, go, woken) = (Door::new(), Door::new(), Count::new());
        let (begins, goes) = (begun.clone(), go.clone());
        drop(runtime.spawn(pending::<()>()));
        drop(runtime.spawn(async move {
            yield_now().await;
            begins.open();
            goes.wait();
        }));
        let (handle, again, counts) = (runtime.handle().clone(), runtime.handle().clone(), woken.clone());
        let driver = thread::spawn(move || {
            let waits = waker(move || {
                drop(again.drain(Duration::MAX).wait());
                counts.add();
            });
            let mut drain = pin!(handle.drain(Duration::MAX));
            assert!(drain.as_mut().poll(&mut Context::from_waker(&waits)).is_pending());
            drop(handle.drain(Duration::MAX).wait());
        });
        begun.wait();
        runtime.shutdown_background();
        go.open();
        driver.join().unwrap();
        assert_eq!(woken.get(), 1);
    }
}

/// The driver of one runtime, in the waker of its report, drives a second one, and the waker of
/// that one's report drops the first.
#[test]
fn runtime_dropped_by_its_driver_that_drives_another_one_is_not_waited_for() {
    let build = || current_thread().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
    let panics = || async {
        yield_now().await;
        std::panic::resume_unwind(Box::new(()));
    };
    let (outer, inner) = (build(), build());
    let (first, second) = (outer.handle().clone(), inner.handle().clone());
    drop((first.spawn(panics()), second.spawn(panics())));
    let (slot, dropped) = (Arc::new(Mutex::new(Some::<Runtime>(outer))), Count::new());
    let (taken, counts) = (Arc::clone(&slot), dropped.clone());
    let drops = waker(move || {
        let runtime = taken.lock().unwrap().take();
        drop(runtime);
        counts.add();
    });
    let drives = second.clone();
    let drives = waker(move || _ = catch_unwind(AssertUnwindSafe(|| drop(drives.drain(Duration::MAX).wait()))));
    let mut inner_drain = pin!(second.drain(Duration::MAX));
    assert!(inner_drain.as_mut().poll(&mut Context::from_waker(&drops)).is_pending());
    let mut outer_drain = pin!(first.drain(Duration::MAX));
    assert!(outer_drain.as_mut().poll(&mut Context::from_waker(&drives)).is_pending());
    let _ = catch_unwind(AssertUnwindSafe(|| drop(first.drain(Duration::MAX).wait())));
    assert_eq!((dropped.get(), slot.lock().unwrap().is_none()), (1, true));
}

std::thread_local! {
    static LOCAL: RefCell<Option<LocalRuntime>> = const { RefCell::new(None) };
}

/// A task's panic ends the runtime, and the destructor of another task drops it while its driver
/// clears it.
#[test]
fn local_runtime_dropped_while_its_driver_clears_it_is_cleared_to_the_end() {
    let mut builder = current_thread();
    builder.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    let runtime = builder.build_local(LocalOptions::default()).unwrap();
    let (here, dropped) = (thread::current().id(), Count::new());
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let counts = dropped.clone();
        let guard = OnDrop::new(move || {
            assert_eq!(thread::current().id(), here);
            drop(LOCAL.take());
            counts.add();
        });
        tasks.push(runtime.spawn_local(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
    }
    drop(runtime.spawn_local(async {
        yield_now().await;
        std::panic::resume_unwind(Box::new(()));
    }));
    let drain = runtime.handle().drain(Duration::MAX);
    LOCAL.set(Some(runtime));
    assert!(catch_unwind(AssertUnwindSafe(|| drain.wait())).is_err());
    assert_eq!(dropped.get(), 5);
    assert!(tasks.iter().all(heist::task::JoinHandle::is_finished));
}
