//! A runtime ends while other threads use it: which thread waits for which, and where its tasks are
//! dropped. See docs/shutdown.md.

#[path = "support/kit.rs"]
mod kit;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, Handle, LocalOptions, LocalRuntime, Runtime, UnhandledPanic};
use kit::{Count, Door, OnDrop, join, yield_now};

// -------------------------------------------------------------------------------------------------
// a driver on another thread

/// Two tasks and a thread that drives both. The first poll of one task waits for `go` and keeps its
/// waker. The other task is not polled.
struct Driven {
    begun: Door,
    go: Door,
    waker: Arc<Mutex<Option<Waker>>>,
    tasks: [heist::task::JoinHandle<()>; 2],
    driver: thread::JoinHandle<()>,
}

impl Driven {
    fn new(runtime: &Runtime) -> Driven {
        let (begun, go, waker) = (Door::new(), Door::new(), Arc::<Mutex<Option<Waker>>>::default());
        let (begins, goes, keeps) = (begun.clone(), go.clone(), Arc::clone(&waker));
        let first = runtime.spawn(poll_fn(move |cx| {
            begins.open();
            goes.wait();
            *keeps.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        }));
        let second = runtime.spawn(async {});
        let drain = runtime.drain(Duration::MAX);
        let driver = thread::spawn(move || drop(drain.wait()));
        begun.wait();
        Driven { begun, go, waker, tasks: [first, second], driver }
    }

    /// Lets the poll return. Then both tasks end, and a late wake does no harm.
    fn end(self) {
        self.go.open();
        self.driver.join().unwrap();
        assert!(self.begun.is_open() && self.tasks.iter().all(heist::task::JoinHandle::is_finished));
        self.waker.lock().unwrap().take().unwrap().wake();
        // If the shutdown began late, the second task may have been polled.
        let [first, second] = self.tasks.map(join);
        assert!(first.unwrap_err().is_cancelled());
        assert!(second.is_ok() || second.unwrap_err().is_cancelled());
    }
}

fn current_thread_with_endless_grace() -> Runtime {
    Builder::new_current_thread().enable_all().shutdown_grace(Duration::MAX).build().unwrap()
}

#[test]
fn drop_of_a_driven_runtime_waits_for_the_drivers_poll() {
    for _ in 0..20 {
        let runtime = current_thread_with_endless_grace();
        let driven = Driven::new(&runtime);
        let dropped = Door::new();
        let opens = dropped.clone();
        let closer = thread::spawn(move || {
            drop(runtime);
            opens.open();
        });
        (0..30).for_each(|_| thread::yield_now());
        assert!(!dropped.is_open());
        driven.end();
        closer.join().unwrap();
    }
}

#[test]
fn shutdown_that_does_not_wait_leaves_a_driven_runtime_to_its_driver() {
    for _ in 0..20 {
        let runtime = current_thread_with_endless_grace();
        let driven = Driven::new(&runtime);
        runtime.shutdown_background();
        assert!(!driven.tasks[0].is_finished());
        driven.end();
    }
}

/// A task of the owned-task list spawns a child, and is in its poll while the runtime is dropped.
#[test]
fn handles_of_a_driven_runtime_resolve_whenever_it_is_dropped() {
    for round in 0..300 {
        let runtime = current_thread_with_endless_grace();
        let (begun, children) = (Door::new(), Arc::<Mutex<Vec<_>>>::default());
        let (begins, keeps) = (begun.clone(), Arc::clone(&children));
        let task = runtime.spawn(async move {
            // From here on the task is in the owned-task list.
            heist::time::sleep(Duration::from_micros(1)).await;
            keeps.lock().unwrap().push(heist::spawn(pending::<()>()));
            begins.open();
            (0..round).for_each(|_| thread::yield_now());
            keeps.lock().unwrap().push(heist::spawn(pending::<()>()));
            pending::<()>().await;
        });
        let drain = runtime.drain(Duration::MAX);
        let driver = thread::spawn(move || drop(drain.wait()));
        begun.wait();
        drop(runtime);
        driver.join().unwrap();
        assert!(task.is_finished());
        assert!(children.lock().unwrap().iter().all(heist::task::JoinHandle::is_finished));
    }
}

/// The driver does not take the seat of a runtime that is gone, and the closer does not wait for
/// it.
#[test]
fn drain_of_a_runtime_that_is_dropped_before_anything_drives_it_returns() {
    for _ in 0..100 {
        let runtime = current_thread_with_endless_grace();
        let task = runtime.spawn(pending::<()>());
        let drain = runtime.drain(Duration::MAX);
        let driver = thread::spawn(move || drain.wait());
        drop(runtime);
        assert_eq!(driver.join().unwrap().cancelled, 1);
        assert!(task.is_finished());
    }
}

// -------------------------------------------------------------------------------------------------
// a local runtime

std::thread_local! {
    static LOCAL: RefCell<Option<LocalRuntime>> = const { RefCell::new(None) };
}

/// A park hook drops the runtime under `Drain::wait`, and panics.
#[test]
fn local_runtime_dropped_by_a_park_hook_that_panics_drops_its_tasks_on_its_thread() {
    for wakes in [false, true] {
        let wakers = Arc::<Mutex<Vec<Waker>>>::default();
        let woken = Arc::clone(&wakers);
        let runtime = Builder::new_current_thread()
            .shutdown_grace(Duration::from_millis(50))
            .on_thread_park(move || {
                let Some(runtime) = LOCAL.take() else { return };
                let waker = if wakes { woken.lock().unwrap().pop() } else { None };
                waker.into_iter().for_each(Waker::wake);
                drop(runtime);
                panic!("a hook");
            })
            .build_local(LocalOptions::default())
            .unwrap();
        let (here, dropped, keeps) = (thread::current().id(), Count::new(), Arc::clone(&wakers));
        let (counts, not_send) = (dropped.clone(), Rc::new(()));
        let guard = OnDrop::new(move || {
            assert_eq!(thread::current().id(), here);
            drop(not_send);
            counts.add();
        });
        let task = runtime.spawn_local(poll_fn(move |cx| {
            let _ = &guard;
            keeps.lock().unwrap().extend([cx.waker().clone(), cx.waker().clone()]);
            Poll::<()>::Pending
        }));
        let drain = runtime.handle().drain(Duration::MAX);
        LOCAL.set(Some(runtime));
        assert!(catch_unwind(AssertUnwindSafe(|| drain.wait())).is_err());
        assert_eq!((dropped.get(), task.is_finished()), (1, true));
        let waker = wakers.lock().unwrap().pop().unwrap();
        thread::spawn(move || waker.wake()).join().unwrap();
    }
}

/// A thread that waits for a drain sees the panic as well, and cannot drop the tasks.
#[test]
fn local_runtime_ended_by_panic_is_cleared_on_its_thread_beside_a_waiting_thread() {
    let runtime = Builder::new_current_thread()
        .unhandled_panic(UnhandledPanic::ShutdownRuntime)
        .max_blocking_threads(1)
        .build_local(LocalOptions::default())
        .unwrap();
    let (release, (tell, told)) = (Door::new(), mpsc::channel());
    let released = release.clone();
    drop(runtime.spawn_blocking(move || released.wait()));
    // This job is dropped as the runtime is closed. It gives the other thread the time to come
    // first.
    let late = OnDrop::new(move || _ = told.recv_timeout(Duration::from_secs(2)));
    drop(runtime.spawn_blocking(move || drop(late)));
    let idle = runtime.spawn_local(pending::<()>());
    drop(runtime.spawn_local(async { panic!("planned") }));
    let drain = runtime.handle().drain(Duration::MAX);
    let other = thread::spawn(move || {
        let waited = catch_unwind(AssertUnwindSafe(|| drain.wait()));
        let _ = tell.send(());
        waited.is_err()
    });
    assert!(catch_unwind(AssertUnwindSafe(|| runtime.block_on(pending::<()>()))).is_err());
    assert!(idle.is_finished());
    release.open();
    assert!(other.join().unwrap(), "it waits for a runtime that a panic has ended");
    drop(runtime);
}

// -------------------------------------------------------------------------------------------------
// a thread does not wait for itself

/// Drops a runtime when it is called.
struct Drops(Mutex<Option<Runtime>>, Door);

impl Wake for Drops {
    fn wake(self: Arc<Self>) {
        let runtime = self.0.lock().unwrap().take();
        if let Some(runtime) = runtime {
            drop(runtime);
            self.1.open();
        }
    }
}

fn with_endless_grace(workers: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).shutdown_grace(Duration::MAX).enable_all().build().unwrap()
}

/// The worker that retires last calls the waker of the `Resize`.
#[test]
fn runtime_dropped_by_the_waker_of_a_resize_is_not_waited_for_by_the_leaving_worker() {
    for _ in 0..20 {
        let runtime = with_endless_grace(2);
        let (go, begun) = (Door::new(), Count::new());
        for _ in 0..2 {
            let (go, begun) = (go.clone(), begun.clone());
            runtime.spawn(async move {
                begun.add();
                go.wait();
            });
        }
        while begun.get() < 2 {
            thread::yield_now();
        }
        let dropped = Door::new();
        let drops = Arc::new(Drops(Mutex::new(None), dropped.clone()));
        let waker = Waker::from(Arc::clone(&drops));
        let mut resize = pin!(runtime.resize(1));
        assert!(resize.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        *drops.0.lock().unwrap() = Some(runtime);
        go.open();
        dropped.wait();
    }
}

/// The thread that makes the report of a drain calls the waker. That is a worker before it sleeps
/// or retires, or a thread of the drain.
#[test]
fn runtime_dropped_by_the_waker_of_a_drain_is_not_waited_for_by_the_reporting_thread() {
    for deadline in [Duration::MAX, Duration::ZERO] {
        for _ in 0..20 {
            let runtime = with_endless_grace(2);
            let go = Door::new();
            let task = runtime.spawn(go.opened());
            let dropped = Door::new();
            let drops = Arc::new(Drops(Mutex::new(None), dropped.clone()));
            let waker = Waker::from(Arc::clone(&drops));
            let mut drain = pin!(runtime.drain(deadline));
            let runtime = Some(runtime);
            *drops.0.lock().unwrap() = runtime;
            if drain.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                waker.wake_by_ref();
            }
            go.open();
            dropped.wait();
            drop(task);
        }
    }
}

type AtEnd = OnDrop<Box<dyn FnOnce()>>;

std::thread_local! {
    static AT_END: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
}

/// Runs `f` in the destructor of a thread-local of this thread.
fn at_end(f: impl FnOnce() + 'static) {
    AT_END.set(Some(OnDrop::new(Box::new(f))));
}

#[test]
fn runtime_dropped_in_a_thread_local_of_its_blocking_thread_waits_for_the_other_jobs() {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).shutdown_grace(Duration::MAX).thread_keep_alive(Duration::ZERO);
    let runtime = builder.build().unwrap();
    let handle = runtime.handle().clone();
    let (begun, go, dropped, ended) = (Door::new(), Door::new(), Door::new(), Count::new());
    let (begins, goes, ends) = (begun.clone(), go.clone(), ended.clone());
    drop(handle.spawn_blocking(move || {
        begins.open();
        goes.wait();
        ends.add();
    }));
    begun.wait();
    let opens = dropped.clone();
    drop(handle.spawn_blocking(move || {
        at_end(move || {
            drop(runtime);
            opens.open();
        });
    }));
    handle.block_on(handle.draining());
    (0..30).for_each(|_| thread::yield_now());
    assert!(!dropped.is_open());
    go.open();
    dropped.wait();
    assert_eq!(ended.get(), 1);
}

// -------------------------------------------------------------------------------------------------
// joined threads

/// The threads are a worker, a blocking thread that is idle, and a blocking thread that has exited
/// already.
#[test]
fn drop_returns_after_the_thread_locals_of_all_threads_are_gone() {
    for keep_alive in [Duration::ZERO, Duration::from_secs(3600)] {
        for _ in 0..10 {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2).shutdown_grace(Duration::MAX).thread_keep_alive(keep_alive);
            let runtime = builder.build().unwrap();
            let (begun, gone) = (Count::new(), Count::new());
            let count_at_thread_end = |begun: &Count, gone: &Count| {
                let (begun, gone) = (begun.clone(), gone.clone());
                move || {
                    begun.add();
                    at_end(move || {
                        (0..30).for_each(|_| thread::yield_now());
                        gone.add();
                    });
                }
            };
            for _ in 0..3 {
                runtime.block_on(runtime.spawn_blocking(count_at_thread_end(&begun, &gone))).unwrap();
            }
            let task = count_at_thread_end(&begun, &gone);
            runtime.block_on(runtime.spawn(async move { task() })).unwrap();
            drop(runtime);
            // A thread that has called `at_end` twice has dropped the first guard at the second
            // call.
            assert_eq!(gone.get(), begun.get());
        }
    }
}

// -------------------------------------------------------------------------------------------------
// destructors of thread-locals

/// A thread-local's destructor uses the runtime in each way, and the runtime calls its hooks then.
/// None of this may abort the process.
#[test]
fn thread_local_destructor_that_uses_a_runtime_does_not_abort_the_process() {
    type Action = fn(&Handle);
    let actions: [(&str, Action); 12] = [
        ("spawn", |handle| drop(handle.spawn(async {}))),
        ("spawn and abort", |handle| handle.spawn(pending::<()>()).abort()),
        ("try_spawn", |handle| drop(handle.try_spawn(async {}))),
        ("spawn_blocking", |handle| drop(handle.spawn_blocking(|| ()))),
        ("block_on", |handle| handle.block_on(yield_now())),
        ("block_on a task", |handle| handle.block_on(handle.spawn(async {})).unwrap()),
        ("enter and spawn", |handle| {
            let _inside = handle.enter();
            drop(catch_unwind(|| heist::spawn(async {})));
        }),
        ("task::spawn", |_| drop(catch_unwind(|| heist::spawn(async {})))),
        ("current", |_| drop(Handle::try_current())),
        ("block_in_place", |_| heist::task::block_in_place(|| ())),
        ("a runtime of its own", |_| {
            let runtime = kit::current_thread();
            runtime.block_on(runtime.spawn(yield_now())).unwrap();
        }),
        ("a runtime with workers", |_| {
            let runtime = kit::workers(1);
            runtime.block_on(runtime.spawn(yield_now())).unwrap();
        }),
    ];
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all();
    builder.on_task_spawn(|_| ()).on_task_terminate(|_| ()).on_before_task_poll(|_| ()).on_after_task_poll(|_| ());
    let runtime = builder.build().unwrap();
    for (name, action) in actions {
        for entered_first in [false, true] {
            let (done, handle) = (Count::new(), runtime.handle().clone());
            let counts = done.clone();
            thread::spawn(move || {
                if entered_first {
                    drop(handle.enter());
                }
                let inside = handle.clone();
                at_end(move || {
                    action(&handle);
                    counts.add();
                });
                drop(inside.enter());
            })
            .join()
            .unwrap();
            assert_eq!(done.get(), 1, "{name}");
        }
    }
}

// -------------------------------------------------------------------------------------------------
// the root of a block_on

/// Spawns when it is dropped, which works inside of a runtime only.
struct Spawns;

impl Drop for Spawns {
    fn drop(&mut self) {
        drop(heist::spawn(async {}));
    }
}

#[test]
fn root_that_panics_beside_a_destructor_that_spawns_hands_its_panic_on() {
    kit::each(|runtime| {
        let lent = Spawns;
        let text = kit::panic_text(|| {
            runtime.block_on(futures::future::join(
                async move {
                    let _lent = lent;
                    pending::<()>().await;
                },
                async { panic!("the root panics") },
            ))
        });
        assert_eq!(text, "the root panics");
    });
}
