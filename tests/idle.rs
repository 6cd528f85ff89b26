//! Tests of sleeping workers and their wake-ups. A lost wake-up is a hang, so no test has a time
//! limit. Where the watchdog might hide a lost wake-up, it is off.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use heist::runtime::{Builder, Handle, Runtime};
use heist::time::{Duration, sleep};

/// Returns a runtime without a watchdog.
fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(count).watchdog(false).enable_all().build().unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Spawns tasks one at a time and awaits each. Nearly every spawn finds both workers asleep, or
/// about to sleep. HEIST_STRESS sets the number of spawns.
#[test]
fn spawn_onto_parked_runtime_is_run() {
    let count = std::env::var("HEIST_STRESS").map_or(100_000, |count| count.parse().expect("a number of spawns"));
    let runtime = workers(2);
    for n in 0..count {
        assert_eq!(runtime.block_on(runtime.spawn(async move { n })).unwrap(), n);
    }
}

/// A number that a thread passes to a task.
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

    /// Waits for a number other than `known`.
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
fn wake_from_foreign_thread_is_never_lost() {
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
fn runtimes_wake_each_other() {
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

/// The runtime has slept, and the watchdog with it. A task then blocks its worker until the three
/// tasks that it has spawned have run.
#[test]
fn tasks_behind_blocking_task_run_on_another_worker() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for _ in 0..20 {
        // The sleep is part of the test: for this long the runtime has nothing to do.
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

/// The same with tasks that were spawned from outside. The worker took some of them with the first.
/// The others stayed in the global queue, because their submitters relied on a worker that was
/// awake.
#[test]
fn remote_tasks_with_blocking_task_run_on_another_worker() {
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

/// A task blocks until a task that it has spawned has used the reactor. The other worker has to
/// poll the reactor.
#[test]
fn reactor_is_polled_while_task_blocks() {
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
fn task_spawned_by_park_hook_runs_before_park() {
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
                assert_eq!(before, after, "the worker has slept before the task ran");
            });
        }
    }
}

/// Four threads call `block_on` at once: one drives, the others wait for their futures or the seat.
#[test]
fn block_on_from_four_threads_completes() {
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

/// A waiting driver whose future becomes ready leaves the queue. The seat then goes to the driver
/// that still waits.
#[test]
fn driver_that_finishes_wakes_waiting_driver() {
    let runtime = current_thread();
    for _ in 0..100 {
        let (stop_driver, driver_stopped) = async_channel::bounded::<()>(1);
        let (stop_quitter, quitter_stopped) = async_channel::bounded::<()>(1);
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
            // Enters the queue behind the driver, and leaves it before the driver ends.
            let (waits, waiting) = mpsc::channel();
            let quitter = scope.spawn(move || {
                runtime.block_on(async {
                    waits.send(()).unwrap();
                    quitter_stopped.recv().await.unwrap();
                });
            });
            waiting.recv().unwrap();
            let both_wait = Arc::new(Barrier::new(2));
            let waits = Arc::clone(&both_wait);
            let last = scope.spawn(move || {
                runtime.block_on(async {
                    waits.wait();
                    heist::spawn(sleep(Duration::from_millis(1))).await.unwrap();
                });
            });
            both_wait.wait();
            stop_quitter.try_send(()).unwrap();
            quitter.join().unwrap();
            stop_driver.try_send(()).unwrap();
            driver.join().unwrap();
            last.join().unwrap();
        });
    }
}

/// The root future panics while its thread is about to sleep. The next driver starts from a clean
/// state.
#[test]
fn root_that_panics_leaves_clean_state() {
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
                assert!(!std::mem::replace(&mut polled, true), "planned");
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
