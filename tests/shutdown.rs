//! Shutdowns at bad moments. Every task ends, every handle resolves, and no thread hangs.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use heist::runtime::{Builder, Runtime};
use heist::time::{Duration, Instant};

fn with_each_flavour(test: impl Fn(Runtime)) {
    test(Builder::new_current_thread().enable_all().build().unwrap());
    test(runtime());
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Polls every task that has been spawned at least once.
fn poll_all_tasks(runtime: &Runtime) {
    for _ in 0..8 {
        runtime.block_on(async { heist::spawn(heist::task::yield_now()).await.unwrap() });
    }
}

/// Calls its function when it is dropped.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Foreign threads spawn while the runtime ends: every task is run, or refused and its handle
/// cancelled.
#[test]
fn spawn_storm_at_shutdown_is_run_or_cancelled() {
    for _ in 0..30 {
        let runtime = runtime();
        let (run, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (handle, run, dropped) = (runtime.handle().clone(), Arc::clone(&run), Arc::clone(&dropped));
                thread::spawn(move || {
                    let spawn = || {
                        let (run, dropped) = (Arc::clone(&run), Arc::clone(&dropped));
                        let count = Finally(move || {
                            dropped.fetch_add(1, Ordering::Relaxed);
                        });
                        handle.spawn(async move {
                            let _count = count;
                            heist::task::yield_now().await;
                            run.fetch_add(1, Ordering::Relaxed);
                        })
                    };
                    (0..2_000).map(|_| spawn()).collect::<Vec<_>>()
                })
            })
            .collect();
        drop(runtime);
        let handles: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let other = Builder::new_current_thread().build().unwrap();
        let mut finished = 0;
        for handle in handles {
            match other.block_on(handle) {
                Ok(()) => finished += 1,
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        assert_eq!(finished, run.load(Ordering::Relaxed));
        assert_eq!(dropped.load(Ordering::Relaxed), 4_000);
    }
}

/// Foreign threads wake and abort tasks while the runtime ends, and after it.
#[test]
fn wake_and_abort_storm_at_shutdown_ends_every_task() {
    for round in 0..30 {
        let runtime = runtime();
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let dropped = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = (0..500)
            .map(|_| {
                let (wakers, dropped) = (Arc::clone(&wakers), Arc::clone(&dropped));
                let count = Finally(move || {
                    dropped.fetch_add(1, Ordering::Relaxed);
                });
                runtime.spawn(async move {
                    let _count = count;
                    let mut known = false;
                    std::future::poll_fn(|cx| {
                        if !std::mem::replace(&mut known, true) {
                            wakers.lock().unwrap().push(cx.waker().clone());
                        }
                        Poll::<()>::Pending
                    })
                    .await;
                })
            })
            .collect();
        if round % 2 == 0 {
            poll_all_tasks(&runtime);
        }
        let done = Arc::new(AtomicBool::new(false));
        let (wakers, over) = (Arc::clone(&wakers), Arc::clone(&done));
        let waking = thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                let wakers = wakers.lock().unwrap().clone();
                wakers.into_iter().for_each(Waker::wake);
            }
        });
        let aborts: Vec<_> = handles.iter().map(|handle| handle.abort_handle()).collect();
        let aborting = thread::spawn(move || aborts.iter().for_each(|handle| handle.abort()));
        drop(runtime);
        aborting.join().unwrap();
        done.store(true, Ordering::Release);
        waking.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 500);
        assert!(handles.iter().all(|handle| handle.is_finished()));
    }
}

/// A destructor spawns, whose destructor spawns; it wakes other tasks, tries to block, and panics.
#[test]
fn destructors_that_spawn_wake_block_and_panic_end_at_shutdown() {
    with_each_flavour(|runtime| {
        let ended = Arc::new(AtomicUsize::new(0));
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        for _ in 0..50 {
            let (ended, wakers) = (Arc::clone(&ended), Arc::clone(&wakers));
            let others = Arc::clone(&wakers);
            let handle = runtime.handle().clone();
            let last = Finally(move || {
                others.lock().unwrap().iter().for_each(Waker::wake_by_ref);
                let (first, second) = (Arc::clone(&ended), Arc::clone(&ended));
                let grandchild = Finally(move || {
                    second.fetch_add(1, Ordering::Relaxed);
                });
                let inner = handle.clone();
                let mut grandchild = Some(grandchild);
                let child = Finally(move || {
                    first.fetch_add(1, Ordering::Relaxed);
                    let grandchild = grandchild.take();
                    drop(inner.spawn(async move {
                        let _grandchild = grandchild;
                        pending::<()>().await;
                    }));
                });
                drop(handle.spawn(async move {
                    let _child = child;
                    pending::<()>().await;
                }));
                ended.fetch_add(1, Ordering::Relaxed);
                let blocked = catch_unwind(AssertUnwindSafe(|| handle.block_on(pending::<()>())));
                assert!(blocked.is_err(), "block_on inside of a destructor has to refuse");
                panic!("on purpose");
            });
            drop(runtime.spawn(async move {
                let _last = last;
                std::future::poll_fn(|cx| {
                    wakers.lock().unwrap().push(cx.waker().clone());
                    Poll::<()>::Pending
                })
                .await;
            }));
        }
        poll_all_tasks(&runtime);
        drop(runtime);
        assert_eq!(ended.load(Ordering::Relaxed), 150);
    });
}

/// Returns a guard, and a receiver that gets a message when the guard is dropped.
fn drop_signal() -> (impl Drop + Send + 'static, mpsc::Receiver<()>) {
    let (gone, all_gone) = mpsc::channel();
    (Finally(move || gone.send(()).unwrap()), all_gone)
}

#[test]
fn runtime_dropped_in_its_own_task_ends() {
    let runtime = runtime();
    let (guard, gone) = drop_signal();
    drop(runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    poll_all_tasks(&runtime);
    let handle = runtime.handle().clone();
    drop(handle.spawn(async move { drop(runtime) }));
    gone.recv().unwrap();
    assert!(handle.block_on(handle.spawn(async {})).unwrap_err().is_cancelled());
}

#[test]
fn runtime_dropped_in_its_own_job_ends() {
    let runtime = runtime();
    let (guard, gone) = drop_signal();
    drop(runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    let handle = runtime.handle().clone();
    drop(handle.spawn_blocking(move || drop(runtime)));
    gone.recv().unwrap();
}

#[test]
fn runtime_dropped_in_its_own_or_another_block_on_ends() {
    with_each_flavour(|runtime| {
        let (guard, gone) = drop_signal();
        drop(runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        let handle = runtime.handle().clone();
        handle.block_on(async move { drop(runtime) });
        gone.recv().unwrap();
    });
    with_each_flavour(|runtime| {
        let (guard, gone) = drop_signal();
        drop(runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        Builder::new_current_thread().build().unwrap().block_on(async move { drop(runtime) });
        gone.recv().unwrap();
    });
}

#[test]
fn runtime_dropped_in_a_thread_local_destructor_ends() {
    thread_local! {
        static KEPT: std::cell::RefCell<Option<Runtime>> = const { std::cell::RefCell::new(None) };
    }
    with_each_flavour(|runtime| {
        let (guard, gone) = drop_signal();
        drop(runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        // The runtime is entered first and kept second here, and the other way round below. So the
        // thread-locals are destroyed in different orders.
        thread::spawn(move || {
            drop(runtime.enter());
            KEPT.set(Some(runtime));
        })
        .join()
        .unwrap();
        gone.recv().unwrap();
    });
    with_each_flavour(|runtime| {
        thread::spawn(move || {
            KEPT.set(None);
            drop(runtime.enter());
            KEPT.set(Some(runtime));
        })
        .join()
        .unwrap();
    });
}

/// A poll does not return. The shutdown waits for it no longer than its timeout.
#[test]
fn stuck_poll_is_not_waited_for_beyond_the_timeout() {
    let runtime = runtime();
    let (release, released) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    let (guard, gone) = drop_signal();
    let stuck = runtime.spawn(async move {
        let _guard = guard;
        begins.send(()).unwrap();
        released.recv().unwrap();
        pending::<()>().await;
    });
    begun.recv().unwrap();
    runtime.shutdown_timeout(Duration::ZERO);
    assert!(!stuck.is_finished());
    release.send(()).unwrap();
    gone.recv().unwrap();
}

#[test]
fn shutdown_with_any_timeout_ends() {
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(3600), Duration::MAX] {
        with_each_flavour(|runtime| {
            let (guard, gone) = drop_signal();
            drop(runtime.spawn(async move {
                let _guard = guard;
                heist::time::sleep(Duration::MAX).await;
            }));
            poll_all_tasks(&runtime);
            runtime.shutdown_timeout(timeout);
            gone.recv().unwrap();
        });
    }
    let at = Instant::now();
    with_each_flavour(Runtime::shutdown_background);
    let _ = at.elapsed();
}

/// No address space has room for eight of these stacks. One of 32 bits has room for some.
#[test]
fn build_refused_a_thread_gives_error() {
    let built = Builder::new_multi_thread().worker_threads(8).thread_stack_size(usize::MAX / 4).build();
    assert!(built.is_err());
}

/// The name function is called before any thread is started. A name may have a zero byte.
#[test]
fn thread_name_that_panics_leaves_no_thread() {
    let calls = AtomicUsize::new(0);
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let built = catch_unwind(AssertUnwindSafe(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name_fn(move || {
                assert!(calls.fetch_add(1, Ordering::Relaxed) == 0, "on purpose");
                "a\0b".to_owned()
            })
            .on_thread_start(move || {
                count.fetch_add(1, Ordering::Relaxed);
            })
            .build()
            .map(drop)
    }));
    assert!(built.is_err());
    assert_eq!(started.load(Ordering::Relaxed), 0);
    drop(Builder::new_multi_thread().worker_threads(1).thread_name("a\0b").build().unwrap());
}

/// A task that a start hook spawns is run.
#[test]
fn start_hook_may_spawn_tasks() {
    let (ran, runs) = mpsc::channel();
    let ran = Mutex::new(ran);
    let hook = move || {
        let ran = ran.lock().unwrap().clone();
        drop(heist::spawn(async move { ran.send(()).unwrap() }));
    };
    let runtime = Builder::new_multi_thread().worker_threads(2).watchdog(false).on_thread_start(hook).build().unwrap();
    runs.iter().take(2).for_each(drop);
    drop(runtime);
}
