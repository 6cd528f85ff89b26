//! The begin and the end of runtimes, of their tasks, and of handles that outlive them.

#[path = "support/kit.rs"]
mod kit;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use heist::net::TcpListener;
use heist::runtime::{Builder, Handle, Runtime, TryCurrentError};
use heist::task::JoinHandle;
use kit::{Count, Door, OnDrop, alone, current_thread, each, each_owned, join, workers, yield_now};

/// The fates of tasks. Every spawned task has to be in one of the three other columns.
#[derive(Clone, Default)]
struct Fates {
    spawned: Count,
    dropped: Count,
    completed: Count,
    cancelled: Count,
    panicked: Count,
}

impl Fates {
    fn spawn<F>(&self, handle: &Handle, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawned.add();
        let guard = self.dropped.on_drop();
        handle.spawn(async move {
            let _guard = guard;
            future.await;
        })
    }

    fn count_outcome(&self, task: JoinHandle<()>) {
        match join(task) {
            Ok(()) => self.completed.add(),
            Err(error) if error.is_panic() => self.panicked.add(),
            Err(_) => self.cancelled.add(),
        };
    }

    #[track_caller]
    fn balances(&self) {
        let ended = self.completed.get() + self.cancelled.get() + self.panicked.get();
        assert_eq!((self.spawned.get(), self.dropped.get()), (ended, ended));
    }
}

#[test]
fn drop_with_tasks_in_every_state_drops_all() {
    each_owned(|runtime| {
        let fates = Fates::default();
        let handle = runtime.handle().clone();
        let mut tasks = Vec::new();
        let (begun, release) = (Door::new(), Door::new());
        tasks.push(fates.spawn(&handle, async {}));
        tasks.push(fates.spawn(&handle, async { panic!("planned") }));
        for _ in 0..10 {
            tasks.push(fates.spawn(&handle, pending()));
            tasks.push(fates.spawn(&handle, async {
                loop {
                    yield_now().await;
                }
            }));
            tasks.push(fates.spawn(&handle, async { heist::time::sleep(Duration::from_secs(3600)).await }));
        }
        let (opens, waits) = (begun.clone(), release.clone());
        if handle.runtime_flavor() == heist::runtime::RuntimeFlavor::MultiThread {
            tasks.push(fates.spawn(&handle, async move {
                opens.open();
                waits.wait();
            }));
            begun.wait();
        }
        runtime.block_on(yield_now());
        for _ in 0..10 {
            tasks.push(fates.spawn(&handle, async {}));
        }
        let opener = thread::spawn(move || release.open());
        drop(runtime);
        opener.join().unwrap();
        tasks.into_iter().for_each(|task| fates.count_outcome(task));
        fates.balances();
        assert!(fates.cancelled.get() >= 30);
    });
}

#[test]
fn drop_waits_for_a_running_poll() {
    for count in [1, 2, 4] {
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .shutdown_grace(Duration::from_secs(3600))
            .build()
            .unwrap();
        let (begun, ended) = (Door::new(), Count::new());
        let (opens, counts) = (begun.clone(), ended.clone());
        let task = runtime.spawn(async move {
            opens.open();
            // Long enough for the drop to have begun. The test passes without it.
            (0..100).for_each(|_| thread::yield_now());
            counts.add();
        });
        begun.wait();
        drop(runtime);
        assert_eq!(ended.get(), 1);
        join(task).unwrap();
    }
}

#[test]
fn destructors_that_spawn_wake_abort_and_sleep_at_shutdown() {
    each_owned(|runtime| {
        let fates = Fates::default();
        let handle = runtime.handle().clone();
        let other = fates.spawn(&handle, pending());
        let (wakers, refused) = (Arc::new(Mutex::new(Vec::<Waker>::new())), Count::new());
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let (spawns, wakes, refused, abort) =
                (handle.clone(), Arc::clone(&wakers), refused.clone(), other.abort_handle());
            let guard = OnDrop::new(move || {
                wakes.lock().unwrap().iter().for_each(Waker::wake_by_ref);
                abort.abort();
                let guard = refused.on_drop();
                drop(spawns.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                }));
                drop(Box::pin(heist::time::sleep(Duration::from_secs(1))));
            });
            let wakers = Arc::clone(&wakers);
            tasks.push(fates.spawn(&handle, async move {
                let _guard = guard;
                poll_fn(move |cx| {
                    wakers.lock().unwrap().push(cx.waker().clone());
                    Poll::<()>::Pending
                })
                .await;
            }));
        }
        runtime.block_on(async {
            while wakers.lock().unwrap().len() < 20 {
                yield_now().await;
            }
        });
        drop(runtime);
        tasks.into_iter().chain([other]).for_each(|task| fates.count_outcome(task));
        fates.balances();
        assert_eq!(refused.get(), 20, "what they spawned has been dropped, too");
    });
}

#[test]
fn spawn_after_shutdown_resolves_as_cancelled() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        drop(runtime);
        let drops = Count::new();
        for _ in 0..3 {
            let guard = drops.on_drop();
            let task = handle.spawn(async move { drop(guard) });
            assert!(join(task).unwrap_err().is_cancelled());
            let guard = drops.on_drop();
            let job = handle.spawn_blocking(move || drop(guard));
            assert!(join(job).unwrap_err().is_cancelled());
        }
        assert_eq!(drops.get(), 6);
        // The handle still works.
        let _guard = handle.enter();
        assert!(join(heist::spawn(async {})).unwrap_err().is_cancelled());
        drop(_guard);
        assert_eq!(handle.block_on(async { 5 }), 5);
        assert_eq!(handle.metrics().num_alive_tasks(), 0);
    });
}

#[test]
fn spawn_storm_during_shutdown_drops_every_task() {
    for round in 0..200 {
        let runtime = if round % 4 == 0 { current_thread() } else { workers(1 + round % 3) };
        let (fates, stop) = (Fates::default(), Arc::new(AtomicBool::new(false)));
        let start = Arc::new(Barrier::new(4));
        let storms: Vec<_> = (0..3)
            .map(|_| {
                let (handle, fates) = (runtime.handle().clone(), fates.clone());
                let (start, stop) = (Arc::clone(&start), Arc::clone(&stop));
                thread::spawn(move || {
                    start.wait();
                    let mut tasks = Vec::new();
                    while !stop.load(Ordering::SeqCst) || tasks.len() < 10 {
                        let inner = fates.clone();
                        tasks.push(fates.spawn(&handle, async move {
                            yield_now().await;
                            drop(inner);
                        }));
                        if tasks.len() >= 2_000 {
                            break;
                        }
                    }
                    tasks
                })
            })
            .collect();
        start.wait();
        runtime.block_on(async {
            for _ in 0..round {
                yield_now().await;
            }
        });
        drop(runtime);
        stop.store(true, Ordering::SeqCst);
        for storm in storms {
            storm.join().unwrap().into_iter().for_each(|task| fates.count_outcome(task));
        }
        fates.balances();
        assert!(fates.spawned.get() >= 30);
    }
}

#[test]
fn drop_on_own_worker_does_not_wait() {
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let fates = Fates::default();
        let handle = runtime.handle().clone();
        let others: Vec<_> = (0..10).map(|_| fates.spawn(&handle, pending())).collect();
        let task = fates.spawn(&handle, async move {
            yield_now().await;
            drop(runtime);
        });
        fates.count_outcome(task);
        assert_eq!(fates.completed.get(), 1, "its own poll ends as it likes");
        others.into_iter().for_each(|task| fates.count_outcome(task));
        fates.balances();
    }
}

#[test]
fn drop_in_async_code_of_another_runtime_works() {
    each(|outer| {
        each_owned(|inner| {
            let fates = Fates::default();
            let tasks: Vec<_> = (0..10).map(|_| fates.spawn(inner.handle(), pending())).collect();
            outer.block_on(async move {
                inner.spawn(async {});
                drop(inner);
            });
            tasks.into_iter().for_each(|task| fates.count_outcome(task));
            fates.balances();
        });
        each_owned(|inner| {
            let task = outer.spawn(async move {
                let task = inner.spawn(pending::<()>());
                drop(inner);
                task.await.unwrap_err().is_cancelled()
            });
            assert!(outer.block_on(task).unwrap());
        });
    });
}

#[test]
fn drop_in_blocking_jobs_works() {
    each(|outer| {
        each_owned(|inner| {
            let task = inner.spawn(pending::<()>());
            outer.block_on(outer.spawn_blocking(move || drop(inner))).unwrap();
            assert!(join(task).unwrap_err().is_cancelled());
        });
    });
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        let task = runtime.spawn(pending::<()>());
        join(handle.spawn_blocking(move || drop(runtime))).unwrap();
        assert!(join(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn shutdown_timeout_of_any_length_works() {
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(5), Duration::MAX] {
        each_owned(|runtime| {
            let fates = Fates::default();
            let tasks: Vec<_> = (0..10).map(|_| fates.spawn(runtime.handle(), pending())).collect();
            runtime.block_on(yield_now());
            runtime.shutdown_timeout(timeout);
            tasks.into_iter().for_each(|task| fates.count_outcome(task));
            fates.balances();
        });
    }
}

#[test]
fn shutdown_timeout_zero_does_not_wait_and_max_waits() {
    each_owned(|runtime| {
        let (begun, release, ended) = (Door::new(), Door::new(), Count::new());
        let (opens, waits, counts) = (begun.clone(), release.clone(), ended.clone());
        let job = runtime.spawn_blocking(move || {
            opens.open();
            waits.wait();
            counts.add();
        });
        begun.wait();
        runtime.shutdown_timeout(Duration::ZERO);
        assert_eq!(ended.get(), 0);
        release.open();
        join(job).unwrap();
    });
    each_owned(|runtime| {
        let (begun, release, ended) = (Door::new(), Door::new(), Count::new());
        let (opens, waits, counts) = (begun.clone(), release.clone(), ended.clone());
        let job = runtime.spawn_blocking(move || {
            opens.open();
            waits.wait();
            counts.add();
        });
        begun.wait();
        let opener = thread::spawn(move || release.open());
        runtime.shutdown_timeout(Duration::MAX);
        assert_eq!(ended.get(), 1);
        opener.join().unwrap();
        join(job).unwrap();
    });
}

#[test]
fn shutdown_detaches_poll_that_does_not_return() {
    for count in [1, 2] {
        let runtime = workers(count);
        let fates = Fates::default();
        let (begun, release) = (Door::new(), Door::new());
        let (opens, waits) = (begun.clone(), release.clone());
        let stuck = fates.spawn(runtime.handle(), async move {
            opens.open();
            waits.wait();
            pending::<()>().await;
        });
        begun.wait();
        // Queued behind it, on the same worker or on another one.
        let others: Vec<_> = (0..10).map(|_| fates.spawn(runtime.handle(), pending())).collect();
        runtime.shutdown_timeout(Duration::from_millis(1));
        release.open();
        others.into_iter().chain([stuck]).for_each(|task| fates.count_outcome(task));
        fates.balances();
        assert_eq!(fates.cancelled.get(), 11);
    }
}

#[test]
fn shutdown_background_in_async_code_works() {
    each(|outer| {
        each_owned(|inner| {
            let task = inner.spawn(pending::<()>());
            outer.block_on(async move { inner.shutdown_background() });
            assert!(join(task).unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn runtimes_nested_in_runtimes_work() {
    each(|outer| {
        // Built, driven on another thread, and dropped.
        let sum = outer.block_on(async {
            heist::spawn(async {
                let inner = workers(2);
                let task = inner.spawn(async { heist::spawn(async { 20 }).await.unwrap() });
                let sum = task.await.unwrap() + 1;
                let driven = heist::task::spawn_blocking(move || {
                    inner.block_on(async { heist::spawn(async { 21 }).await.unwrap() })
                });
                sum + driven.await.unwrap()
            })
            .await
            .unwrap()
        });
        assert_eq!(sum, 42);
    });
}

/// The current runtime runs the task, and its threads have its name.
fn current() -> String {
    join(heist::spawn(async { thread::current().name().unwrap_or_default().to_owned() })).unwrap()
}

fn named(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(1).thread_name(name).build().unwrap()
}

#[test]
fn enter_guard_drop_returns_to_the_runtime_entered_before() {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    assert!(Handle::try_current().is_err());
    let guard_a = a.enter();
    assert_eq!(current(), "a");
    let guard_b = b.enter();
    let guard_c = c.enter();
    assert_eq!(current(), "c");
    drop(guard_c);
    assert_eq!(current(), "b");
    drop(guard_b);
    assert_eq!(current(), "a");
    let guard_b = b.handle().enter();
    assert_eq!(current(), "b");
    drop(guard_b);
    drop(guard_a);
    assert!(Handle::try_current().is_err());
}

#[test]
fn enter_guard_in_task_lasts_until_its_drop() {
    each(|runtime| {
        let other = named("other");
        let names = runtime.block_on(async {
            let guard = other.enter();
            let inside = heist::spawn(async { thread::current().name().unwrap_or_default().to_owned() }).await.unwrap();
            drop(guard);
            inside
        });
        assert_eq!(names, "other");
    });
}

#[test]
fn drop_in_destructor_of_thread_local_works() {
    thread_local! {
        static KEPT: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }

    each_owned(|runtime| {
        let drops = Count::new();
        let guard = drops.on_drop();
        let task = runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        thread::spawn(move || KEPT.set(Some(runtime))).join().unwrap();
        assert!(join(task).unwrap_err().is_cancelled());
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn thread_that_exits_has_no_runtime() {
    struct Asks(Sender<TryCurrentError>);

    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.send(Handle::try_current().unwrap_err()).unwrap();
        }
    }

    thread_local! {
        static ASKS: RefCell<Option<Asks>> = const { RefCell::new(None) };
    }

    each(|runtime| {
        let missing = Handle::try_current().unwrap_err();
        assert!(missing.is_missing_context() && !missing.is_thread_local_destroyed());
        assert!(missing.to_string().contains("Runtime::enter"), "{missing}");
        let (asks, asked) = channel();
        let handle = runtime.handle().clone();
        // The thread-local that was used last is destroyed first.
        thread::spawn(move || {
            ASKS.set(Some(Asks(asks)));
            drop(handle.enter());
        });
        let destroyed = asked.recv().unwrap();
        assert!(destroyed.is_thread_local_destroyed() && !destroyed.is_missing_context());
        assert!(destroyed.to_string().contains("keep a `Handle`"), "{destroyed}");
    });
}

#[test]
fn handles_and_aborts_in_destructors_of_thread_locals() {
    struct Last(Handle, Option<JoinHandle<()>>);

    impl Drop for Last {
        fn drop(&mut self) {
            let task = self.1.take().unwrap();
            task.abort();
            let _ = task.is_finished();
            let _ = self.0.metrics().num_alive_tasks();
            drop(task);
        }
    }

    thread_local! {
        static KEPT: RefCell<Option<Last>> = const { RefCell::new(None) };
    }

    each(|runtime| {
        let drops = Count::new();
        let guard = drops.on_drop();
        let task = runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        let handle = runtime.handle().clone();
        thread::spawn(move || KEPT.set(Some(Last(handle, Some(task))))).join().unwrap();
        runtime.block_on(async {
            while drops.get() == 0 {
                yield_now().await;
            }
        });
    });
}

#[test]
fn block_on_from_many_threads_works() {
    each(|runtime| {
        thread::scope(|scope| {
            for n in 0..4 {
                scope.spawn(move || {
                    for round in 0..50 {
                        let output = runtime.block_on(async move {
                            let task = heist::spawn(async move {
                                yield_now().await;
                                round
                            });
                            yield_now().await;
                            task.await.unwrap() * 10 + n
                        });
                        assert_eq!(output, round * 10 + n);
                    }
                });
            }
        });
    });
}

/// A driver of a current-thread runtime that ends unparks the next waiting thread, also if other
/// threads have left the queue.
#[test]
fn driver_that_ends_hands_driving_on() {
    for _ in 0..200 {
        let runtime = current_thread();
        let (first, second) = (Door::new(), Door::new());
        thread::scope(|scope| {
            let runtime = &runtime;
            let (door, other) = (first.clone(), second.clone());
            scope.spawn(move || runtime.block_on(door.opened()));
            scope.spawn(move || runtime.block_on(other.opened()));
            scope.spawn(move || {
                let task = runtime.spawn(async {
                    yield_now().await;
                    8
                });
                assert_eq!(runtime.block_on(task).unwrap(), 8);
            });
            second.open();
            first.open();
        });
    }
}

fn entries(path: &str) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

#[cfg(target_os = "linux")]
#[test]
fn runtimes_dropped_leave_no_thread_or_file() {
    alone("runtimes_dropped_leave_no_thread_or_file", None, || {
        use heist::signal::unix::{SignalKind, signal};

        let threads = entries("/proc/self/task");
        let use_it = |runtime: Runtime| {
            runtime.block_on(async {
                heist::spawn(heist::time::sleep(Duration::from_micros(1))).await.unwrap();
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                drop(heist::spawn(async move { listener.accept().await.map(drop) }));
                drop(heist::spawn(pending::<()>()));
                for kind in [SignalKind::window_change(), SignalKind::user_defined1(), SignalKind::user_defined2()] {
                    let mut listener = signal(kind).unwrap();
                    drop(heist::spawn(async move { listener.recv().await }));
                }
            });
            drop(runtime);
        };
        use_it(workers(2));
        use_it(current_thread());
        let files = entries("/proc/self/fd");
        for round in 0..1000 {
            use_it(if round % 2 == 0 { workers(2) } else { current_thread() });
        }
        assert_eq!(entries("/proc/self/fd"), files);
        // A joined thread may be listed for a moment longer.
        let mut looks = 0;
        while entries("/proc/self/task") > threads {
            looks += 1;
            assert!(looks < 1_000_000, "{} threads are left", entries("/proc/self/task"));
            thread::yield_now();
        }
    });
}

#[test]
fn memory_of_ended_tasks_is_freed_by_live_runtime() {
    each(|runtime| {
        let drops = Count::new();
        for _ in 0..10 {
            runtime.block_on(async {
                for _ in 0..1000 {
                    let guard = drops.on_drop();
                    heist::spawn(async move {
                        yield_now().await;
                        drop(guard);
                    })
                    .await
                    .unwrap();
                }
            });
        }
        assert_eq!(drops.get(), 10_000);
        // The worker counts the last task a moment after its handle has resolved.
        while runtime.metrics().num_alive_tasks() > 0 {
            runtime.block_on(yield_now());
        }
    });
}
