//! Tests of `spawn_blocking`: outcomes, the cap on threads, aborts, and the shutdown.

#[path = "support/kit.rs"]
mod kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, Handle, Runtime};
use heist::task::spawn_blocking;
use kit::{Count, Door, OnDrop, each, each_owned, join, yield_now};

#[test]
fn spawn_blocking_completed_job_gives_its_value() {
    each(|runtime| {
        assert_eq!(runtime.block_on(async { spawn_blocking(|| 5).await.unwrap() }), 5);
        assert_eq!(runtime.block_on(runtime.spawn(async { spawn_blocking(|| 6).await.unwrap() })).unwrap(), 6);
        assert_eq!(join(runtime.spawn_blocking(|| 7)).unwrap(), 7);
        assert_eq!(join(runtime.handle().spawn_blocking(|| 8)).unwrap(), 8);
    });
}

#[test]
fn job_that_panics_leaves_thread_usable() {
    let one_thread = |mut builder: Builder| builder.max_blocking_threads(1).build().unwrap();
    for runtime in [one_thread(Builder::new_current_thread()), one_thread(Builder::new_multi_thread())] {
        for _ in 0..20 {
            let error = join(runtime.spawn_blocking(|| panic!("planned"))).unwrap_err();
            assert!(error.is_panic() && error.to_string().contains("planned"));
            assert_eq!(join(runtime.spawn_blocking(|| 1)).unwrap(), 1);
        }
    }
}

#[test]
fn job_runs_off_worker_and_caller_threads() {
    each(|runtime| {
        let (worker, job) = runtime.block_on(async {
            let worker = heist::spawn(async { thread::current().id() }).await.unwrap();
            (worker, spawn_blocking(|| thread::current().id()).await.unwrap())
        });
        assert_ne!(worker, job);
        assert_ne!(thread::current().id(), job);
    });
}

/// Returns runtimes with one blocking thread, which a job occupies until the door opens.
fn with_occupied_thread() -> impl Iterator<Item = (Runtime, Door, heist::task::JoinHandle<()>)> {
    let builders = [Builder::new_current_thread(), Builder::new_multi_thread()];
    builders.into_iter().map(|mut builder| {
        let runtime = builder.max_blocking_threads(1).enable_all().build().unwrap();
        let (begun, release) = (Door::new(), Door::new());
        let (opens, waits) = (begun.clone(), release.clone());
        let job = runtime.spawn_blocking(move || {
            opens.open();
            waits.wait();
        });
        begun.wait();
        (runtime, release, job)
    })
}

#[test]
fn queued_job_aborted_does_not_run() {
    for (runtime, release, first) in with_occupied_thread() {
        let (runs, drops) = (Count::new(), Count::new());
        let (counts, guard) = (runs.clone(), drops.on_drop());
        let job = runtime.spawn_blocking(move || {
            let _guard = guard;
            counts.add();
        });
        job.abort();
        release.open();
        assert!(join(job).unwrap_err().is_cancelled());
        join(first).unwrap();
        assert_eq!((runs.get(), drops.get()), (0, 1));
    }
}

#[test]
fn running_job_aborted_still_completes() {
    for (_runtime, release, job) in with_occupied_thread() {
        job.abort();
        assert!(!job.is_finished());
        release.open();
        join(job).unwrap();
    }
}

#[test]
fn jobs_with_one_thread_run_one_by_one() {
    for (runtime, release, first) in with_occupied_thread() {
        let (inside, most, total) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Count::new());
        let jobs: Vec<_> = (0..100)
            .map(|_| {
                let (inside, most, total) = (Arc::clone(&inside), Arc::clone(&most), total.clone());
                runtime.spawn_blocking(move || {
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    total.add();
                })
            })
            .collect();
        assert_eq!(total.get(), 0);
        release.open();
        jobs.into_iter().chain([first]).for_each(|job| join(job).unwrap());
        assert_eq!((total.get(), most.load(Ordering::SeqCst)), (100, 1));
    }
}

#[test]
fn jobs_above_cap_run_exactly_cap_at_a_time() {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(4).build().unwrap();
    let barrier = Arc::new(std::sync::Barrier::new(4));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs: Vec<_> = (0..40)
        .map(|_| {
            let (barrier, inside, most) = (Arc::clone(&barrier), Arc::clone(&inside), Arc::clone(&most));
            runtime.spawn_blocking(move || {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Each job waits here until four of them run.
                barrier.wait();
                inside.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    jobs.into_iter().for_each(|job| join(job).unwrap());
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[test]
fn job_that_spawns_jobs_and_tasks_can_wait_for_them() {
    each(|runtime| {
        let sum = runtime.block_on(async {
            spawn_blocking(|| {
                let job = spawn_blocking(|| 1);
                let task = Handle::current().spawn(async {
                    yield_now().await;
                    2
                });
                let free = heist::spawn(async { 3 });
                Handle::current().block_on(async { job.await.unwrap() + task.await.unwrap() + free.await.unwrap() })
            })
            .await
            .unwrap()
        });
        assert_eq!(sum, 6);
    });
}

#[test]
fn job_runs_inside_of_its_runtime() {
    each(|runtime| {
        let flavor = runtime.handle().runtime_flavor();
        let inside = runtime.block_on(async {
            let job = spawn_blocking(move || {
                let handle = Handle::current();
                // Timers and sockets work here, too.
                handle.block_on(async { heist::time::sleep(Duration::from_millis(1)).await });
                let _socket = heist::net::TcpListener::from_std({
                    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                    socket.set_nonblocking(true).unwrap();
                    socket
                })
                .unwrap();
                handle.runtime_flavor()
            });
            job.await.unwrap()
        });
        assert_eq!(inside, flavor);
        assert!(Handle::try_current().is_err());
    });
}

#[test]
fn job_id_inside_equals_handle_id() {
    each(|runtime| {
        let job = runtime.spawn_blocking(heist::task::id);
        let id = job.id();
        assert_eq!(join(job).unwrap(), id);
    });
}

#[test]
fn shutdown_cancels_queued_jobs_and_waits_for_running_ones() {
    for (runtime, release, running) in with_occupied_thread() {
        let (runs, drops) = (Count::new(), Count::new());
        let queued: Vec<_> = (0..10)
            .map(|_| {
                let (counts, guard) = (runs.clone(), drops.on_drop());
                runtime.spawn_blocking(move || {
                    let _guard = guard;
                    counts.add();
                })
            })
            .collect();
        // The shutdown cancels this queued job, and its drop lets the running one continue.
        let last = OnDrop::new(move || release.open());
        let last = runtime.spawn_blocking(move || drop(last));
        drop(runtime);
        assert!(running.is_finished());
        join(running).unwrap();
        queued.into_iter().for_each(|job| assert!(join(job).unwrap_err().is_cancelled()));
        assert!(join(last).unwrap_err().is_cancelled());
        assert_eq!((runs.get(), drops.get()), (0, 10));
    }
}

#[test]
fn jobs_racing_with_shutdown_are_run_or_cancelled_once() {
    for _ in 0..50 {
        each_owned(|runtime| {
            let (ran, drops) = (Count::new(), Count::new());
            let handle = runtime.handle().clone();
            let (counts, guards) = (ran.clone(), drops.clone());
            let storm = thread::spawn(move || {
                let job = |_| {
                    let (counts, guard) = (counts.clone(), guards.on_drop());
                    handle.spawn_blocking(move || {
                        let _guard = guard;
                        counts.add();
                    })
                };
                (0..100).map(job).collect::<Vec<_>>()
            });
            drop(runtime);
            let (mut completed, mut cancelled) = (0, 0);
            for job in storm.join().unwrap() {
                match join(job) {
                    Ok(()) => completed += 1,
                    Err(error) if error.is_cancelled() => cancelled += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!((completed + cancelled, ran.get(), drops.get()), (100, completed, 100));
        });
    }
}

#[test]
fn job_whose_handle_is_dropped_still_runs() {
    each(|runtime| {
        let done = Door::new();
        let opens = done.clone();
        drop(runtime.spawn_blocking(move || opens.open()));
        done.wait();
    });
}
