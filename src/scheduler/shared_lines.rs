//! How many cache lines change hands per operation, with 2, 8 and 64 workers: what two cores cannot
//! show, counted.
//!
//! One thread plays all workers in turn, step by step (see [`crate::sync::counting`]). Nothing is
//! timed: a line that changes hands costs a hundred nanoseconds on one machine and four hundred on
//! another, but how many do is a property of the program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::blocking::{self, BlockingPool};
use crate::pool::local::{CheckIntervals, Local};
use crate::pool::{Pool, Settings};
use crate::raw_task::JoinHandle;
use crate::scheduler::schedule;
use crate::scheduler::worker::{Mode, Step, Worker};
use crate::sync::counting::{play, transfers};
use crate::sync::{Arc, Mutex};
use crate::{task, time};

/// Memory that has been given back is not handed out again, or lines would change hands because the
/// one thread that plays all workers has one allocator.
struct Fresh;

// SAFETY: the system's allocator, but for the memory that is never given back to it.
unsafe impl GlobalAlloc for Fresh {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Nor does a line hold two pieces.
        let layout = Layout::from_size_align(layout.size().next_multiple_of(64), layout.align().max(64));
        // SAFETY: handed on from the caller; a size that is not zero stays so.
        layout.map_or(std::ptr::null_mut(), |layout| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static FRESH: Fresh = Fresh;

/// Rounds in which every worker takes a step, before lines are counted, and while they are.
const WARM_UP: usize = 200;
const COUNTED: usize = 1_000;
/// Tasks from outside.
const TIMES: u64 = 128;

/// Who is no worker writes under this number.
const OUTSIDER: usize = usize::MAX - 1;

/// The workers of a pool, played in turn.
struct Cast<'a> {
    pool: &'a Arc<Pool>,
    workers: Vec<Worker<'a>>,
}

impl Cast<'_> {
    /// One step of each who is awake. False if nobody is.
    fn round(&self) -> bool {
        let mut awake = false;
        for worker in &self.workers {
            play(worker.seat.index);
            if worker.mode.get() == Mode::Announced {
                if self.pool.idle.is_announced(worker.seat.index) {
                    continue;
                }
                // It has been woken.
                worker.run_in_seat(|| worker.leave_idle(false));
            }
            awake = true;
            let mut step = worker.run_in_seat(|| worker.step());
            if step == Step::Announced {
                step = worker.run_in_seat(|| worker.step());
            }
            assert_ne!(step, Step::Left);
        }
        awake
    }

    fn rounds(&self) {
        while self.round() {}
    }
}

/// Plays `count` workers.
fn cast<R>(count: usize, f: impl FnOnce(&Cast<'_>) -> R) -> R {
    // By polls, not by the clock, which runs on while the others are played.
    let pace = CheckIntervals { nanos: CheckIntervals::COUNTED, polls: 1_024, global: 61, global_is_exact: false };
    let settings = Settings { io: true, time: true, watchdog: false, pace, ..Settings::new(count) };
    let pool = Pool::new(settings, BlockingPool::new(blocking::Settings::default())).expect("a reactor");
    let locals: Vec<Box<Local>> = pool.seats.iter().map(|seat| seat.take_local().expect("nobody sits there")).collect();
    let seated = pool.seats.iter().zip(&locals);
    let workers = seated
        .map(|(seat, local)| {
            // What a worker writes when it comes is its own.
            play(seat.index);
            Worker::new(&pool, seat, local)
        })
        .collect();
    let cast = Cast { pool: &pool, workers };
    let answer = f(&cast);
    play(OUTSIDER);
    drop(cast);
    crate::shutdown::begin_shutdown(&pool);
    for (seat, local) in pool.seats.iter().zip(locals) {
        crate::shutdown::clear_seat(&pool, seat, &local);
        seat.return_local(local);
    }
    answer
}

/// What each of `count` workers does for itself, over and over: transfers per operation.
fn local<F, Fut>(count: usize, operation: F) -> f64
where
    F: Fn() -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    cast(count, |cast| {
        let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        for worker in &cast.workers {
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
        let rounds = |times| (0..times).for_each(|_| assert!(cast.round(), "everybody is busy"));
        rounds(WARM_UP);
        let (before, moved) = (done.load(Ordering::Relaxed), transfers());
        rounds(COUNTED);
        let (operations, moved) = (done.load(Ordering::Relaxed) - before, transfers() - moved);
        stop.store(true, Ordering::Relaxed);
        cast.rounds();
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
    let (tell, told) = futures::channel::oneshot::channel();
    let other: JoinHandle<()> = task::spawn(async move { told.await.expect("it is told") });
    task::yield_now().await;
    tell.send(()).expect("it waits");
    other.await.expect("it does not panic");
}

/// Tasks spawned by one who is no worker, one at a time, each taken by whoever is woken for it.
fn outside(count: usize) -> f64 {
    cast(count, |cast| {
        cast.rounds();
        let before = transfers();
        for _ in 0..TIMES {
            play(OUTSIDER);
            let (runnable, _) = schedule::new_task(async {}, Location::caller());
            schedule::queue_on(cast.pool, runnable);
            cast.rounds();
        }
        (transfers() - before) as f64 / TIMES as f64
    })
}

/// One worker has two hundred tasks that yield, the others are called to share them. Per poll.
fn stolen(count: usize) -> f64 {
    cast(count, |cast| {
        cast.rounds();
        play(0);
        for _ in 0..200 {
            let (runnable, _) = schedule::new_task(yields(), Location::caller());
            assert!(cast.workers[0].local.ring.push(runnable).is_ok());
        }
        let polls = || cast.pool.seats.iter().map(|seat| seat.stats.polls.get()).sum::<u64>();
        let (polled, moved) = (polls(), transfers());
        while cast.pool.notify() {
            cast.round();
        }
        cast.rounds();
        (transfers() - moved) as f64 / (polls() - polled) as f64
    })
}

async fn yields() {
    for _ in 0..50 {
        task::yield_now().await;
    }
}

/// Prints the table, and holds what it shows: what a worker does for itself moves next to no lines,
/// and nothing moves more of them because there are more workers.
#[test]
fn shared_lines_do_not_grow_with_the_number_of_workers() {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock();
    type Measure = fn(usize) -> f64;
    // With the most that a row may be: at any number of workers, and above what it is with two.
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
