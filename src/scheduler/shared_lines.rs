//! Counts how many cache lines move between cores per operation, with 2, 8 and 64 workers. A
//! machine with two cores cannot show that.
//!
//! One thread runs all workers in turn, step by step (see [`crate::primitive::counting`]). Nothing
//! is timed. A move costs a hundred nanoseconds on one machine and four hundred on another, but the
//! number of moves is a property of the program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::blocking::{self, BlockingPool};
use crate::pool::local::{CheckIntervals, Local};
use crate::pool::{Pool, Settings};
use crate::primitive::counting::{play, transfers};
use crate::primitive::{Arc, Mutex};
use crate::raw_task::JoinHandle;
use crate::scheduler::schedule;
use crate::scheduler::worker::{Mode, Step, Worker};
use crate::{task, time};

/// An allocator that never reuses memory. Otherwise lines would move because the one thread that
/// runs all workers has one allocator.
struct NoReuse;

// SAFETY: it forwards to the system's allocator, and never frees.
unsafe impl GlobalAlloc for NoReuse {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // No line holds two allocations.
        let layout = Layout::from_size_align(layout.size().next_multiple_of(64), layout.align().max(64));
        // SAFETY: the caller passes a layout whose size is not zero, and the larger layout's is not
        // either.
        layout.map_or(std::ptr::null_mut(), |layout| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NO_REUSE: NoReuse = NoReuse;

/// Rounds, in each of which every worker takes a step: before the count, and during it.
const WARM_UP: usize = 200;
const COUNTED: usize = 1_000;
/// Tasks that are spawned from outside.
const REMOTE_SPAWNS: u64 = 128;

/// The number of the thread that is no worker.
const NON_WORKER: usize = usize::MAX - 1;

/// The workers of a pool, which one thread runs in turn.
struct Workers<'a> {
    pool: &'a Arc<Pool>,
    workers: Vec<Worker<'a>>,
}

impl Workers<'_> {
    /// Runs one step of each awake worker. Returns false if all are asleep.
    fn round(&self) -> bool {
        let mut awake = false;
        for worker in &self.workers {
            play(worker.seat.index);
            if worker.mode.get() == Mode::Announced {
                if self.pool.idle.is_announced(worker.seat.index) {
                    continue;
                }
                // The worker has been woken.
                worker.run_in_seat(|| worker.leave_idle(false));
            }
            awake = true;
            let mut step = worker.run_in_seat(|| worker.step());
            if step == Step::Announced {
                step = worker.run_in_seat(|| worker.step());
            }
            assert_ne!(step, Step::Exited);
        }
        awake
    }

    /// Runs rounds until all workers are asleep.
    fn run_until_asleep(&self) {
        while self.round() {}
    }
}

/// Calls `f` with `count` workers of a new pool.
fn with_workers<R>(count: usize, f: impl FnOnce(&Workers<'_>) -> R) -> R {
    // Checks are due by polls, not by the clock, which advances while the other workers run.
    let pace = CheckIntervals { nanos: CheckIntervals::COUNTED, polls: 1_024, global: 61, global_is_exact: false };
    let settings = Settings { io: true, time: true, watchdog: false, pace, ..Settings::new(count) };
    let pool = Pool::new(settings, BlockingPool::new(blocking::Settings::default())).expect("a reactor");
    let locals: Vec<Box<Local>> =
        pool.seats.iter().map(|seat| seat.take_local().expect("the seat is vacant")).collect();
    let seated = pool.seats.iter().zip(&locals);
    let workers = seated
        .map(|(seat, local)| {
            // What a worker writes at its start counts as its own.
            play(seat.index);
            Worker::new(&pool, seat, local)
        })
        .collect();
    let workers = Workers { pool: &pool, workers };
    let result = f(&workers);
    play(NON_WORKER);
    drop(workers);
    crate::shutdown::begin_shutdown(&pool);
    for (seat, local) in pool.seats.iter().zip(locals) {
        crate::shutdown::clear_seat(&pool, seat, &local);
        seat.return_local(local);
    }
    result
}

/// Returns transfers per operation, if each of `count` workers repeats `operation` for itself.
fn local<F, Fut>(count: usize, operation: F) -> f64
where
    F: Fn() -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    with_workers(count, |workers| {
        let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        for worker in &workers.workers {
            play(worker.seat.index);
            let (done, stop) = (done.clone(), stop.clone());
            let repeat = async move {
                while !stop.load(Ordering::Relaxed) {
                    operation().await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            };
            let (runnable, _) = schedule::new_task(repeat, Location::caller());
            assert!(worker.local.ring.push(runnable).is_ok());
        }
        let rounds = |times| (0..times).for_each(|_| assert!(workers.round(), "all workers are busy"));
        rounds(WARM_UP);
        let (before, moved) = (done.load(Ordering::Relaxed), transfers());
        rounds(COUNTED);
        let (operations, moved) = (done.load(Ordering::Relaxed) - before, transfers() - moved);
        stop.store(true, Ordering::Relaxed);
        workers.run_until_asleep();
        moved as f64 / operations as f64
    })
}

async fn detached() {
    drop(task::spawn(async {}));
    task::yield_now().await;
}

async fn joined() {
    task::spawn(async {}).await.expect("it does not panic");
}

async fn timed() {
    time::timeout(Duration::from_secs(5), task::yield_now()).await.expect("it is in time");
}

/// Two tasks of one worker wake each other.
async fn woken() {
    let (sender, receiver) = futures::channel::oneshot::channel();
    let other: JoinHandle<()> = task::spawn(async move { receiver.await.expect("it is sent") });
    task::yield_now().await;
    sender.send(()).expect("the other task waits");
    other.await.expect("it does not panic");
}

/// Returns transfers per task, if a thread that is no worker spawns tasks one at a time, while all
/// workers are asleep.
fn outside(count: usize) -> f64 {
    with_workers(count, |workers| {
        workers.run_until_asleep();
        let before = transfers();
        for _ in 0..REMOTE_SPAWNS {
            play(NON_WORKER);
            let (runnable, _) = schedule::new_task(async {}, Location::caller());
            schedule::queue_on(workers.pool, runnable);
            workers.run_until_asleep();
        }
        (transfers() - before) as f64 / REMOTE_SPAWNS as f64
    })
}

/// Returns transfers per poll, if one worker has two hundred tasks that yield, and the others are
/// woken to steal them.
fn stolen(count: usize) -> f64 {
    with_workers(count, |workers| {
        workers.run_until_asleep();
        play(0);
        for _ in 0..200 {
            let (runnable, _) = schedule::new_task(yields(), Location::caller());
            assert!(workers.workers[0].local.ring.push(runnable).is_ok());
        }
        let polls = || workers.pool.seats.iter().map(|seat| seat.stats.polls.get()).sum::<u64>();
        let (polled, moved) = (polls(), transfers());
        while workers.pool.notify() {
            workers.round();
        }
        workers.run_until_asleep();
        (transfers() - moved) as f64 / (polls() - polled) as f64
    })
}

async fn yields() {
    for _ in 0..50 {
        task::yield_now().await;
    }
}

/// Prints the table, and checks it. What a worker does for itself moves next to no lines. No
/// operation moves more lines because there are more workers.
#[test]
fn shared_lines_do_not_grow_with_number_of_workers() {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock();
    type Measure = fn(usize) -> f64;
    // Two limits per row: for any number of workers, and for the growth above two workers.
    let rows: [(&str, Measure, f64, f64); 7] = [
        ("spawn, detached", |count| local(count, detached), 0.05, 0.02),
        ("spawn and await", |count| local(count, joined), 0.05, 0.02),
        ("yield", |count| local(count, task::yield_now), 0.05, 0.02),
        ("wake another task of the worker", |count| local(count, woken), 0.05, 0.02),
        ("timeout armed and cancelled", |count| local(count, timed), 0.05, 0.02),
        ("spawn from outside, worker asleep", outside, 12.0, 1.0),
        ("200 tasks of one worker, per poll", stolen, 1.0, 0.5),
    ];
    println!("| lines that change hands, per operation | 2 workers | 8 | 64 |\n|---|---:|---:|---:|");
    for (name, measure, most, growth) in rows {
        let [few, some, many] = [2, 8, 64].map(measure);
        println!("| {name} | {few:.3} | {some:.3} | {many:.3} |");
        assert!([few, some, many].iter().all(|&lines| lines <= most), "{name}");
        assert!(many <= few + growth && some <= few + growth, "{name}");
    }
}
