//! Run queues: tasks behind a long poll, and queues that starve each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use heist::sim::compute;
use heist::task::{spawn_blocking, yield_now};
use heist::time::{Instant, sleep};

use super::{LONG, Longest, Number, SOON, at_most, micros, millis, on_worker, unwatched};

/// tokio#4941: the LIFO slot cannot be stolen, and the woken task waits for the end of the poll
/// that has woken it.
#[test]
fn task_woken_by_a_long_poll_runs_on_another_worker() {
    at_most(SOON, |sim| {
        sim.workers(2).run(on_worker(async {
            let (wake, woken) = oneshot::channel::<Instant>();
            let task = heist::spawn(async move { woken.await.unwrap().elapsed() });
            sleep(millis(1)).await;
            wake.send(Instant::now()).unwrap();
            compute(LONG);
            task.await.unwrap()
        }))
    });
}

/// tokio#2349, tokio#5686: two tasks that wake each other keep the LIFO slot, and the ring is not
/// polled. The bound is five polls for each of the three tasks.
#[test]
fn pair_that_wakes_each_other_lets_a_third_task_run() {
    at_most(15, |sim| {
        unwatched(sim, 1).run(on_worker(async {
            let (polls, longest, done) = (Number::default(), Number::default(), Arc::new(AtomicBool::new(false)));
            let (left, right) = (mpsc::unbounded(), mpsc::unbounded());
            left.0.unbounded_send(()).unwrap();
            let pair = [(left.0, right.1), (right.0, left.1)].map(|(other, mut own)| {
                let (polls, done) = (polls.clone(), Arc::clone(&done));
                heist::spawn(async move {
                    while !done.load(Ordering::SeqCst) && own.next().await.is_some() {
                        polls.add();
                        let _ = other.unbounded_send(());
                    }
                })
            });
            let mut last = polls.get();
            for _ in 0..100 {
                yield_now().await;
                longest.raise(polls.get() - last);
                last = polls.get();
            }
            done.store(true, Ordering::SeqCst);
            for task in pair {
                task.await.unwrap();
            }
            assert!(last >= 100, "the pair has run {last} times");
            longest.get()
        }))
    });
}

/// tokio#784: what is sent to a worker lies in a queue of its own, and no other worker takes it
/// from there. The worker is in a long poll when its tasks are woken from outside.
#[test]
fn tasks_of_a_busy_worker_woken_from_outside_run_on_another_one() {
    at_most(SOON, |sim| {
        unwatched(sim, 2).run(on_worker(async {
            let longest = Longest::default();
            let (wakers, tasks): (Vec<_>, Vec<_>) = (0..8)
                .map(|_| {
                    let (wake, woken) = oneshot::channel::<Instant>();
                    let longest = longest.clone();
                    (wake, heist::spawn(async move { longest.add(woken.await.unwrap().elapsed()) }))
                })
                .unzip();
            sleep(millis(1)).await;
            let job = spawn_blocking(move || {
                compute(millis(1));
                wakers.into_iter().for_each(|wake| wake.send(Instant::now()).unwrap());
            });
            compute(LONG);
            job.await.unwrap();
            for task in tasks {
                task.await.unwrap();
            }
            longest.get()
        }))
    });
}

/// lalinsky/zio#562: a full ring moves tasks to the global queue, and no worker is woken for them.
#[test]
fn overflow_of_a_long_poll_runs_on_another_worker() {
    at_most(SOON, |sim| {
        sim.workers(2).run(on_worker(async {
            let longest = Longest::default();
            let spawn = |count| {
                let spawned = Instant::now();
                let tasks = (0..count).map(|_| {
                    let longest = longest.clone();
                    heist::spawn(async move { longest.add(spawned.elapsed()) })
                });
                tasks.collect::<Vec<_>>()
            };
            let mut tasks = spawn(100);
            compute(millis(1));
            tasks.extend(spawn(500));
            compute(LONG);
            for task in tasks {
                task.await.unwrap();
            }
            longest.get()
        }))
    });
}

/// The reason for Tokio's `global_queue_interval`: tasks that are always ready keep a worker from
/// the global queue. docs/fairness.md bounds the wait: 61 polls until the check, and five for each
/// of the nine tasks.
#[test]
fn task_in_the_global_queue_runs_beside_tasks_that_are_always_ready() {
    at_most(61 + 5 * 9, |sim| {
        unwatched(sim, 1).run(async {
            let (polls, longest, done) = (Number::default(), Number::default(), Arc::new(AtomicBool::new(false)));
            let ready: Vec<_> = (0..8)
                .map(|_| {
                    let (polls, done) = (polls.clone(), Arc::clone(&done));
                    heist::spawn(async move {
                        while !done.load(Ordering::SeqCst) {
                            polls.add();
                            yield_now().await;
                        }
                    })
                })
                .collect();
            sleep(micros(100)).await;
            for _ in 0..20 {
                let (polls, before, longest) = (polls.clone(), polls.get(), longest.clone());
                heist::spawn(async move { longest.raise(polls.get() - before) }).await.unwrap();
            }
            done.store(true, Ordering::SeqCst);
            for task in ready {
                task.await.unwrap();
            }
            longest.get()
        })
    });
}

/// The opposite case: tasks in the global queue keep a worker from its own ring. There are always
/// up to 300. The bound is two turns of all of them.
#[test]
fn task_in_the_ring_runs_beside_a_full_global_queue() {
    at_most(600, |sim| {
        unwatched(sim, 1).run(async {
            let (polls, longest, done) = (Number::default(), Number::default(), Number::default());
            let local = {
                let (polls, longest, done) = (polls.clone(), longest.clone(), done.clone());
                heist::spawn(async move {
                    let mut last = polls.get();
                    while done.get() == 0 {
                        yield_now().await;
                        longest.raise(polls.get() - last);
                        last = polls.get();
                    }
                })
            };
            for _ in 0..10 {
                // The root has a thread of its own, so its tasks go to the global queue.
                let count = |polls: Number| async move { polls.add() };
                let tasks: Vec<_> = (0..300).map(|_| heist::spawn(count(polls.clone()))).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            }
            done.set(1);
            local.await.unwrap();
            longest.get()
        })
    });
}

/// tokio#8410: one poll of the driver wakes more tasks than a ring holds, and the rest waits in the
/// global queue. Here they are 1,024 timers of one deadline, each with 10 µs of work. Two workers
/// need 5 ms for the work alone.
#[test]
fn tasks_woken_by_one_turn_of_the_driver_all_run() {
    at_most(SOON * 2, |sim| {
        sim.workers(2).run(on_worker(async {
            let (longest, due) = (Longest::default(), Instant::now() + millis(5));
            let tasks: Vec<_> = (0..1_024)
                .map(|_| {
                    let longest = longest.clone();
                    heist::spawn(async move {
                        heist::time::sleep_until(due).await;
                        longest.add(due.elapsed());
                        compute(micros(10));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            longest.get()
        }))
    });
}
