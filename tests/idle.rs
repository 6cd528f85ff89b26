//! Workers that sleep, and what wakes them. A lost wake-up is a hang: nothing here has a time
//! limit, and where the watchdog might hide one it is switched off.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use heist::runtime::{Builder, Handle, Runtime};
use heist::time::{Duration, sleep};

/// Without the watchdog.
fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(count).watchdog(false).enable_all().build().unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// One at a time, each awaited: nearly every one finds both workers asleep, or on their way there.
/// A million of them if HEIST_STRESS is set.
#[test]
fn every_spawn_onto_a_parked_runtime_is_run() {
    let count = if std::env::var_os("HEIST_STRESS").is_some() { 1_000_000 } else { 100_000 };
    let runtime = workers(2);
    for n in 0..count {
        assert_eq!(runtime.block_on(runtime.spawn(async move { n })).unwrap(), n);
    }
}

/// A number that a thread leaves for a task.
#[derive(Default)]
struct Letterbox {
    number: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Letterbox {
    fn put(&self, number: u64) {
        self.number.store(number, Ordering::Release);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next number that is not `known`.
    async fn next(&self, known: u64) -> u64 {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let old = self.waker.lock().unwrap().replace(waker);
            drop(old);
            match self.number.load(Ordering::Acquire) {
                number if number == known => Poll::Pending,
                number => Poll::Ready(number),
            }
        })
        .await
    }
}

#[test]
fn every_wake_from_a_foreign_thread_is_answered() {
    const ROUNDS: u64 = 100_000;
    let runtime = workers(2);
    let boxes: [Arc<Letterbox>; 2] = Default::default();
    let (answer, answers) = mpsc::channel();
    let tasks = boxes.clone().map(|letterbox| {
        let answer = answer.clone();
        runtime.spawn(async move {
            let mut number = 0;
            while number < ROUNDS - 1 {
                number = letterbox.next(number).await;
                answer.send(number).unwrap();
            }
        })
    });
    for number in 1..=ROUNDS {
        boxes[number as usize % 2].put(number);
        assert_eq!(answers.recv().unwrap(), number);
    }
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn two_runtimes_wake_each_other() {
    const ROUNDS: u32 = 10_000;
    let runtimes = [workers(2), workers(2)];
    let (to, from) = async_channel::bounded(1);
    let (back, answers) = async_channel::bounded(1);
    let echo = runtimes[1].spawn(async move {
        while let Ok(number) = from.recv().await {
            back.send(number).await.unwrap();
        }
    });
    let asked = runtimes[0].spawn(async move {
        for number in 0..ROUNDS {
            to.send(number).await.unwrap();
            assert_eq!(answers.recv().await.unwrap(), number);
        }
    });
    runtimes[1].block_on(asked).unwrap();
    runtimes[0].block_on(echo).unwrap();
}

/// The runtime has slept, the watchdog with it. A task then blocks its worker until the three that
/// it has spawned have run.
#[test]
fn tasks_behind_one_that_blocks_are_taken_by_another_worker() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for _ in 0..20 {
        // Time is what is tested: for this long nobody has anything to do.
        thread::sleep(Duration::from_millis(10));
        let ran = runtime.spawn(async {
            let (done, all) = mpsc::channel();
            for number in 0..3 {
                let done = done.clone();
                drop(heist::spawn(async move { done.send(number).unwrap() }));
            }
            let mut ran: Vec<i32> = all.iter().take(3).collect();
            ran.sort();
            ran
        });
        assert_eq!(runtime.block_on(ran).unwrap(), [0, 1, 2]);
    }
}

/// The same with tasks that came from outside: those which the worker took with the first, and
/// those which it left in the global queue while everybody counted on it.
#[test]
fn tasks_that_came_with_one_that_blocks_are_taken_by_another_worker() {
    for (workers, others) in [(2, 3), (4, 1), (4, 3), (8, 2)] {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(10));
            let (done, all) = mpsc::channel();
            let blocker = runtime.spawn(async move { all.iter().take(others).count() });
            for _ in 0..others {
                let done = done.clone();
                drop(runtime.spawn(async move { done.send(()).unwrap() }));
            }
            assert_eq!(runtime.block_on(blocker).unwrap(), others);
        }
    }
}

/// A task that blocks, and spawns one that needs the reactor, has the reactor turned by the other
/// worker.
#[test]
fn the_reactor_is_turned_while_a_task_blocks() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(10));
        let (done, blocked) = mpsc::channel();
        let blocker = runtime.spawn(async move {
            drop(heist::spawn(async move {
                sleep(Duration::from_millis(1)).await;
                done.send(()).unwrap();
            }));
            blocked.recv().unwrap();
        });
        runtime.block_on(async {
            sleep(Duration::from_millis(3)).await;
            blocker.await.unwrap();
        });
    }
}

#[test]
fn what_the_park_hook_spawns_runs_before_the_thread_parks() {
    for current_thread in [false, true] {
        let armed = Arc::new(AtomicBool::new(false));
        let (report, reports) = async_channel::unbounded();
        let mut builder = if current_thread { Builder::new_current_thread() } else { Builder::new_multi_thread() };
        let hook_armed = Arc::clone(&armed);
        builder.worker_threads(1).watchdog(false).on_thread_park(move || {
            if hook_armed.swap(false, Ordering::AcqRel) {
                let parks = || Handle::current().metrics().worker_park_count(0);
                let (before, report) = (parks(), report.clone());
                drop(heist::spawn(async move { report.try_send((before, parks())).unwrap() }));
            }
        });
        let runtime = builder.build().unwrap();
        for _ in 0..100 {
            let armed = Arc::clone(&armed);
            runtime.block_on(async {
                heist::spawn(async move { armed.store(true, Ordering::Release) }).await.unwrap();
                let (before, after) = reports.recv().await.unwrap();
                assert_eq!(before, after, "the worker has slept in between");
            });
        }
    }
}

/// Four threads at once: one drives, the others wait for their futures, or for the seat.
#[test]
fn four_threads_block_on_a_current_thread_runtime() {
    const ROUNDS: usize = 300;
    let runtime = current_thread();
    let (begin, ran) = (Barrier::new(4), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..4 {
            let (runtime, begin, ran) = (&runtime, &begin, &ran);
            scope.spawn(move || {
                begin.wait();
                for round in 0..ROUNDS {
                    runtime.block_on(async {
                        for _ in 0..(round + number) % 4 {
                            heist::spawn(heist::task::yield_now()).await.unwrap();
                        }
                    });
                    ran.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(ran.load(Ordering::Relaxed), 4 * ROUNDS);
}

/// Those in line whose futures become ready leave it: the seat goes to one who still waits.
#[test]
fn a_driver_that_leaves_calls_one_who_still_waits() {
    let runtime = current_thread();
    for _ in 0..100 {
        let (stop_driver, driver_stopped) = async_channel::bounded::<()>(1);
        let (stop_ghost, ghost_stopped) = async_channel::bounded::<()>(1);
        let (drives, driving) = mpsc::channel();
        thread::scope(|scope| {
            let runtime = &runtime;
            let driver = scope.spawn(move || {
                runtime.block_on(async {
                    heist::spawn(async move { drives.send(()).unwrap() }).await.unwrap();
                    driver_stopped.recv().await.unwrap();
                });
            });
            driving.recv().unwrap();
            // In line behind the driver, and out again.
            let (waits, waiting) = mpsc::channel();
            let ghost = scope.spawn(move || {
                runtime.block_on(async {
                    waits.send(()).unwrap();
                    ghost_stopped.recv().await.unwrap();
                });
            });
            waiting.recv().unwrap();
            let waits_too = Arc::new(Barrier::new(2));
            let waits = Arc::clone(&waits_too);
            let last = scope.spawn(move || {
                runtime.block_on(async {
                    waits.wait();
                    heist::spawn(sleep(Duration::from_millis(1))).await.unwrap();
                });
            });
            waits_too.wait();
            stop_ghost.try_send(()).unwrap();
            ghost.join().unwrap();
            stop_driver.try_send(()).unwrap();
            driver.join().unwrap();
            last.join().unwrap();
        });
    }
}

/// The root future panics while its thread is on its way to sleep. The next one to drive starts
/// from a clean slate.
#[test]
fn a_root_that_panics_leaves_nobody_counted() {
    let root: Arc<Mutex<Option<Waker>>> = Arc::default();
    let woken = Arc::clone(&root);
    let hook = move || {
        let waker = woken.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(hook).build().unwrap();
    for _ in 0..3 {
        let mut polled = false;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(poll_fn(|cx| {
                assert!(!std::mem::replace(&mut polled, true), "on purpose");
                *root.lock().unwrap() = Some(cx.waker().clone());
                Poll::<()>::Pending
            }));
        }));
        assert!(panicked.is_err());
    }
    let (answer, answers) = async_channel::bounded(1);
    let handle = runtime.handle().clone();
    let spawner = thread::spawn(move || {
        for number in 0..100 {
            let answer = answer.clone();
            drop(handle.spawn(async move { answer.send(number).await.unwrap() }));
        }
    });
    runtime.block_on(async {
        let mut numbers = Vec::new();
        for _ in 0..100 {
            numbers.push(answers.recv().await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    });
    spawner.join().unwrap();
}
