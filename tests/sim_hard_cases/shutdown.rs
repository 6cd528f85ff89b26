//! Shutdown: tasks, jobs and timers that act while the runtime closes.

use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::channel::oneshot;
use heist::runtime::{Builder, Handle, Runtime};
use heist::sim::{Sim, compute};
use heist::task::{JoinHandle, block_in_place, spawn_blocking, yield_now};
use heist::time::{Duration, Instant, sleep};

use super::{Guard, LONG, Number, SOON, at_most, micros, millis, unwatched};

/// Runs the root, and returns how long the runtime lives beyond it. That is the time of its start
/// and of its shutdown.
fn time_beyond(mut sim: Sim, root: impl Future<Output = ()> + Send + 'static) -> Duration {
    let lasted = sim.run(async {
        let begun = Instant::now();
        root.await;
        begun.elapsed()
    });
    sim.elapsed() - lasted
}

fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

/// Wakes, spawns and aborts when it is dropped.
struct Busybody {
    wakes: Option<oneshot::Sender<()>>,
    aborts: Option<JoinHandle<()>>,
    dropped: Number,
}

impl Drop for Busybody {
    fn drop(&mut self) {
        if let Some(wake) = self.wakes.take() {
            let _ = wake.send(());
        }
        let guard = Guard(self.dropped.clone());
        drop(Handle::current().spawn(async move { drop(guard) }));
        if let Some(task) = self.aborts.take() {
            task.abort();
        }
        self.dropped.add();
    }
}

/// tokio#2046, tokio#2062: a task is dropped under a lock of the scheduler, and its destructor
/// wakes another task.
#[test]
fn destructors_that_wake_spawn_and_abort_do_not_block_a_shutdown() {
    at_most(SOON, |sim| {
        let dropped = Number::default();
        let all = dropped.clone();
        let waited = time_beyond(unwatched(sim, 3), async move {
            for _ in 0..12 {
                let (wake, woken) = oneshot::channel();
                let other = Guard(all.clone());
                let other = heist::spawn(async move {
                    let _other = other;
                    let _ = woken.await;
                    pending().await
                });
                let busybody = Busybody { wakes: Some(wake), aborts: Some(other), dropped: all.clone() };
                drop(heist::spawn(async move {
                    let _busybody = busybody;
                    pending::<()>().await
                }));
            }
            sleep(micros(50)).await;
        });
        assert_eq!(dropped.get(), 36, "futures are dropped");
        waited
    });
}

/// tokio#2061: an event makes a task ready during the shutdown, and a worker waits for it without
/// end. Here timers fire and a job wakes tasks.
#[test]
fn timers_and_jobs_that_wake_tasks_during_a_shutdown_do_not_block_it() {
    at_most(SOON, |sim| {
        let dropped = Number::default();
        let all = dropped.clone();
        let waited = time_beyond(unwatched(sim, 3), async move {
            let mut wakers = Vec::new();
            for n in 0..30 {
                let (guard, (wake, woken)) = (Guard(all.clone()), oneshot::channel::<()>());
                wakers.push(wake);
                drop(heist::spawn(async move {
                    let _guard = guard;
                    let _ = woken.await;
                    loop {
                        sleep(micros(7 * n)).await;
                    }
                }));
            }
            drop(spawn_blocking(move || {
                for wake in wakers {
                    compute(micros(50));
                    let _ = wake.send(());
                }
            }));
            sleep(millis(1)).await;
        });
        assert_eq!(dropped.get(), 30, "futures are dropped");
        waited
    });
}

/// tokio#2789, tokio#6463: a worker waits in `block_in_place` for a task of another worker. The
/// shutdown waits for the first one before it ends the other.
#[test]
fn worker_that_blocks_on_a_task_of_another_one_does_not_block_a_shutdown() {
    at_most(SOON, |sim| {
        let ended = Number::default();
        let all = ended.clone();
        let waited = time_beyond(unwatched(sim, 3), async move {
            for _ in 0..3 {
                let other = heist::spawn(async {
                    loop {
                        yield_now().await;
                    }
                });
                let ended = all.clone();
                drop(heist::spawn(async move {
                    let output = block_in_place(|| Handle::current().block_on(other));
                    assert!(output.is_err_and(|error| error.is_cancelled()));
                    ended.add();
                }));
            }
            sleep(millis(1)).await;
        });
        assert!(ended.get() <= 3);
        waited
    });
}

/// tokio#3752, tokio#3869: a shutdown drops tasks while they are polled.
#[test]
fn poll_in_progress_at_a_shutdown_ends_before_the_task_is_dropped() {
    at_most(SOON, |sim| {
        let (begun, ended, dropped) = (Number::default(), Number::default(), Number::default());
        let (begins, ends, drops) = (begun.clone(), ended.clone(), dropped.clone());
        let waited = time_beyond(unwatched(sim, 4), async move {
            for n in 0..8 {
                let (begins, ends, drops) = (begins.clone(), ends.clone(), drops.clone());
                drop(heist::spawn(async move {
                    let _guard = Guard(drops.clone());
                    loop {
                        begins.add();
                        compute(micros(300 + n));
                        assert!(drops.get() <= 8);
                        ends.add();
                        yield_now().await;
                    }
                }));
            }
            sleep(millis(1)).await;
        });
        assert!(begun.get() >= 4);
        assert_eq!(ended.get(), begun.get(), "polls end");
        waited
    });
}

/// tokio#3548, tokio#1853, tokio#1970: what is spawned during a shutdown is leaked, or its handle
/// never resolves. The account: each future and job is dropped, and each handle resolves.
#[test]
fn tasks_and_jobs_spawned_during_a_shutdown_end() {
    at_most(SOON, |sim| {
        let (dropped, handles) = (Number::default(), Arc::new(Mutex::new(Vec::new())));
        let (all, kept) = (dropped.clone(), Arc::clone(&handles));
        let waited = time_beyond(unwatched(sim, 2), async move {
            let handle = Handle::current();
            drop(spawn_blocking(move || {
                for _ in 0..60 {
                    compute(micros(20));
                    let (of_task, of_job) = (Guard(all.clone()), Guard(all.clone()));
                    let task = handle.spawn(async move {
                        let _guard = of_task;
                        yield_now().await;
                    });
                    let job = handle.spawn_blocking(move || drop(of_job));
                    kept.lock().unwrap().extend([task, job]);
                }
            }));
            sleep(micros(500)).await;
        });
        let handles = std::mem::take(&mut *handles.lock().unwrap());
        assert_eq!(dropped.get(), 120);
        assert_eq!(handles.into_iter().filter_map(FutureExt::now_or_never).count(), 120);
        waited
    });
}

/// tokio#3174, tokio#2314, tokio#8497: `shutdown_timeout` waits for its timeout, waits without one,
/// or refuses a long one.
#[test]
fn shutdown_timeout_waits_for_what_runs_and_no_longer() {
    at_most(SOON, |sim| {
        sim.workers(1).run(async {
            let job = spawn_blocking(|| {
                let mut longest = Duration::ZERO;
                for timeout in [Duration::ZERO, Duration::from_secs(10), Duration::MAX] {
                    let idle = runtime(2);
                    idle.block_on(sleep(millis(1)));
                    let begun = Instant::now();
                    idle.shutdown_timeout(timeout);
                    longest = longest.max(begun.elapsed());
                }
                let busy = runtime(2);
                drop(busy.spawn(async { compute(LONG) }));
                busy.block_on(sleep(millis(1)));
                let begun = Instant::now();
                busy.shutdown_timeout(Duration::ZERO);
                longest.max(begun.elapsed())
            });
            job.await.unwrap()
        })
    });
}

/// tikv#11548, reth#27313: Tokio's runtime panics if a task drops the last owner of it.
#[test]
fn runtime_dropped_by_a_task_of_its_own_ends() {
    at_most(SOON, |sim| {
        sim.workers(1).run(async {
            let inner = Arc::new(runtime(2));
            let (last, (done, is_done)) = (Arc::clone(&inner), oneshot::channel::<Instant>());
            let (first, is_first) = oneshot::channel::<()>();
            let task = inner.spawn(async move {
                is_first.await.unwrap();
                let begun = Instant::now();
                drop(last);
                done.send(begun).unwrap();
            });
            drop(inner);
            first.send(()).unwrap();
            let waited = is_done.await.unwrap().elapsed();
            task.await.unwrap();
            waited
        })
    });
}

/// tokio#1584: a destructor panics during the shutdown, which never returns.
#[test]
fn destructors_that_panic_do_not_block_a_shutdown() {
    struct Panics(Number);
    impl Drop for Panics {
        fn drop(&mut self) {
            self.0.add();
            std::panic::resume_unwind(Box::new("a destructor"));
        }
    }
    at_most(SOON, |sim| {
        let dropped = Number::default();
        let all = dropped.clone();
        let waited = time_beyond(unwatched(sim, 2), async move {
            for _ in 0..6 {
                let panics = AssertUnwindSafe(Panics(all.clone()));
                drop(heist::spawn(async move {
                    let _panics = panics;
                    pending::<()>().await
                }));
            }
            sleep(micros(30)).await;
        });
        assert_eq!(dropped.get(), 6);
        waited
    });
}
