//! Workers rest while they get fewer processors than there are workers.
//!
//! The tests pin their threads to one processor, which two workers then share. So they need no
//! neighbour, and have the same result on every machine.
#![cfg(target_os = "linux")]

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use heist::runtime::{Builder, Runtime, RuntimeMetrics, WorkerState};
use heist::task::{JoinHandle, yield_now};

/// The tests would take the processor from each other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pins this thread, and the threads that it starts, to one of its processors.
fn pin_to_one_processor() {
    // SAFETY: `cpu_set_t` is a set of bits, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer and the size are those of `set`.
    assert_eq!(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) }, 0);
    // SAFETY: the numbers are below `CPU_SETSIZE`.
    let is_allowed = |processor: &usize| unsafe { libc::CPU_ISSET(*processor, &set) };
    let first = (0..libc::CPU_SETSIZE as usize).find(is_allowed).expect("a thread may use a processor");
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(first, &mut one) };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const one) }, 0);
}

/// Returns true if the kernel records run delays. Without them, all workers work.
fn has_run_delays() -> bool {
    fs::read_to_string("/proc/thread-self/schedstat").is_ok_and(|times| !times.starts_with("0 "))
}

/// Returns a runtime of two workers that share one processor.
fn runtime_on_one_processor() -> Runtime {
    pin_to_one_processor();
    Builder::new_multi_thread().worker_threads(2).max_worker_threads(3).build().unwrap()
}

/// Yields until so many workers work. Returns the number of polls.
async fn yield_until(metrics: RuntimeMetrics, effective: usize) -> usize {
    let mut polls = 1;
    while metrics.effective_workers() != effective {
        yield_now().await;
        polls += 1;
    }
    polls
}

/// Spawns tasks that keep the workers busy until `stop` is set.
fn start_load(runtime: &Runtime, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let task = |_| {
        let stop = Arc::clone(stop);
        runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                yield_now().await;
            }
        })
    };
    (0..16).map(task).collect()
}

/// Keeps both workers busy until one of them has to rest.
fn consolidate(runtime: &Runtime) {
    let tasks: Vec<_> = (0..16).map(|_| runtime.spawn(yield_until(runtime.metrics(), 1))).collect();
    let polls: usize = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).sum();
    assert!(polls > 16);
}

#[test]
fn workers_that_share_one_processor_are_consolidated_and_lose_no_task() {
    let _alone = alone();
    if !has_run_delays() {
        return;
    }
    let runtime = runtime_on_one_processor();
    let metrics = runtime.metrics();
    assert_eq!((metrics.effective_workers(), metrics.num_workers()), (2, 2));
    // Tasks that suspend, and that the two workers share.
    let polled = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = async_channel::unbounded::<()>();
    let receivers: Vec<_> = (0..100)
        .map(|_| {
            let (rx, polled) = (rx.clone(), Arc::clone(&polled));
            runtime.spawn(async move {
                while rx.recv().await.is_ok() {
                    polled.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    consolidate(&runtime);
    for _ in 0..1_000 {
        tx.send_blocking(()).unwrap();
    }
    drop(tx);
    for receiver in receivers {
        runtime.block_on(receiver).unwrap();
    }
    assert_eq!(polled.load(Ordering::Relaxed), 1_000);
    assert!(!metrics.worker_run_delay(0).is_zero());
    let buckets = 0..metrics.run_delay_histogram_num_buckets();
    assert!(buckets.map(|bucket| metrics.run_delay_histogram_bucket_count(0, bucket)).sum::<u64>() > 0);
    // An idle runtime lets all work.
    while metrics.effective_workers() != 2 {
        thread::yield_now();
    }
    assert_eq!(metrics.num_workers(), 2);
}

#[test]
fn worker_that_rests_is_in_the_dump_and_works_again_after_a_resize() {
    let _alone = alone();
    if !has_run_delays() {
        return;
    }
    let runtime = runtime_on_one_processor();
    let (metrics, handle) = (runtime.metrics(), runtime.handle().clone());
    // The load goes on, so the worker does not work again for want of load.
    let stop = Arc::new(AtomicBool::new(false));
    let load = start_load(&runtime, &stop);
    let dump = runtime.block_on(async {
        loop {
            let dump = handle.dump();
            if dump.workers.iter().any(|worker| worker.state == WorkerState::Resting) {
                return dump;
            }
            yield_now().await;
        }
    });
    let states: Vec<WorkerState> = dump.workers.iter().map(|worker| worker.state).collect();
    assert_eq!(states, [WorkerState::Active, WorkerState::Resting]);
    assert_eq!(metrics.num_workers(), 2);
    assert_eq!(runtime.resize(3).wait().unwrap().to, 3);
    runtime.block_on(yield_until(metrics.clone(), 3));
    stop.store(true, Ordering::Relaxed);
    for task in load {
        runtime.block_on(task).unwrap();
    }
    let report = runtime.drain(Duration::from_secs(60)).wait();
    assert!(report.stragglers.is_empty(), "{report}");
}

/// The only worker that works blocks in a poll. The other one has to take the task that ends it.
#[test]
fn worker_that_rests_works_again_when_the_other_one_blocks() {
    let _alone = alone();
    if !has_run_delays() {
        return;
    }
    let runtime = runtime_on_one_processor();
    let stop = Arc::new(AtomicBool::new(false));
    // The load goes on, so the worker does not work again for want of load.
    let load = start_load(&runtime, &stop);
    runtime.block_on(yield_until(runtime.metrics(), 1));
    let (tx, rx) = mpsc::channel();
    let blocked = runtime.spawn(async move { rx.recv().unwrap() });
    runtime.spawn(async move { tx.send(7).unwrap() });
    assert_eq!(runtime.block_on(blocked).unwrap(), 7);
    stop.store(true, Ordering::Relaxed);
    for task in load {
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn runtime_drained_while_a_worker_rests_ends_all_tasks() {
    let _alone = alone();
    if !has_run_delays() {
        return;
    }
    let runtime = runtime_on_one_processor();
    let handle = runtime.handle().clone();
    let load: Vec<_> = (0..16)
        .map(|_| {
            let mut draining = Box::pin(handle.draining());
            runtime.spawn(async move {
                while draining.as_mut().now_or_never().is_none() {
                    yield_now().await;
                }
            })
        })
        .collect();
    runtime.block_on(yield_until(runtime.metrics(), 1));
    let report = runtime.drain(Duration::from_secs(60)).wait();
    assert!(report.stragglers.is_empty(), "{report}");
    assert!(load.iter().all(JoinHandle::is_finished));
}

#[test]
fn setting_off_lets_all_workers_work() {
    let _alone = alone();
    pin_to_one_processor();
    let runtime = Builder::new_multi_thread().worker_threads(2).consolidate_workers(false).build().unwrap();
    let metrics = runtime.metrics();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            runtime.spawn(async {
                for _ in 0..20_000 {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
        assert_eq!(metrics.effective_workers(), 2);
    }
    assert!(metrics.worker_run_delay(0).is_zero());
}
