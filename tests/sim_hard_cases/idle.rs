//! The idle protocol: lost wake-ups, and accounts of sleepers that drift.

use std::sync::Arc;

use futures::channel::oneshot;
use heist::runtime::Handle;
use heist::sim::compute;
use heist::task::{block_in_place, spawn_blocking, yield_now};
use heist::time::{Duration, Instant, sleep};

use super::{LONG, Longest, Number, SOON, at_most, lateness, micros, millis, on_worker, unwatched};

/// tokio#1768: the thread that spawns reads the number of sleepers while a worker goes to sleep. If
/// the wake-up is lost, no thread can run.
#[test]
fn task_spawned_from_outside_onto_parked_workers_runs() {
    at_most(SOON, |sim| {
        unwatched(sim, 4).run(async {
            let longest = Longest::default();
            let task = |longest: Longest| {
                let spawned = Instant::now();
                async move { longest.add(spawned.elapsed()) }
            };
            let job = spawn_blocking({
                let (handle, longest) = (Handle::current(), longest.clone());
                move || {
                    let spawn = |n: u64| {
                        compute(micros(3 * n));
                        handle.spawn(task(longest.clone()))
                    };
                    (0..30).map(spawn).collect::<Vec<_>>()
                }
            });
            for n in 0..30 {
                compute(micros(2 * n));
                heist::spawn(task(longest.clone())).await.unwrap();
            }
            for task in job.await.unwrap() {
                task.await.unwrap();
            }
            longest.get()
        })
    });
}

/// tokio#4383: the thread that spawns wakes no worker, because one searches. That one is the last
/// searcher, and parks without seeing the task.
#[test]
fn task_spawned_while_the_last_searcher_parks_runs() {
    at_most(SOON, |sim| {
        unwatched(sim, 2).run(async {
            let longest = Longest::default();
            for n in 0..40 {
                let first = heist::spawn(yield_now());
                compute(micros(n % 10));
                let (spawned, longest) = (Instant::now(), longest.clone());
                let second = heist::spawn(async move {
                    longest.add(spawned.elapsed());
                    let spawned = Instant::now();
                    heist::spawn(async move { longest.add(spawned.elapsed()) }).await.unwrap();
                });
                first.await.unwrap();
                second.await.unwrap();
            }
            longest.get()
        })
    });
}

/// tokio#8372: a worker that is woken outside of the protocol counts as a sleeper twice, and
/// workers are lost. After many sleeps all four workers still run at a time: four polls of
/// 100 ms end together.
#[test]
fn workers_after_many_sleeps_all_run_at_a_time() {
    at_most(LONG + SOON, |sim| {
        sim.workers(4).run(async {
            for n in 0..30 {
                let tasks = [0, 1, 2].map(|k| heist::spawn(sleep(micros(5 * (n + k)))));
                spawn_blocking(|| ()).await.unwrap();
                for task in tasks {
                    task.await.unwrap();
                }
            }
            let begun = Instant::now();
            let tasks = [(); 4].map(|()| heist::spawn(async { compute(LONG) }));
            for task in tasks {
                task.await.unwrap();
            }
            begun.elapsed()
        })
    });
}

/// tokio#459, tokio#525, tokio#528: the parker of `block_on` loses a notification that comes while
/// the thread goes to sleep.
#[test]
fn root_woken_while_it_parks_is_polled() {
    at_most(SOON, |sim| {
        unwatched(sim, 2).run(async {
            let longest = Longest::default();
            for n in 0..60 {
                let (wake, woken) = oneshot::channel::<Instant>();
                drop(heist::spawn(async move {
                    compute(micros(n % 12));
                    wake.send(Instant::now()).unwrap();
                }));
                longest.add(woken.await.unwrap().elapsed());
            }
            longest.get()
        })
    });
}

/// tokio#7835, tokio#8212: the hook before a worker parks spawns a task, and the worker parks
/// nevertheless. Or it does not park, and the driver is never polled again.
#[test]
fn task_spawned_by_the_park_hook_runs_and_timers_fire() {
    for workers in [1, 2] {
        at_most(SOON, |sim| {
            let (spawned, ran, longest) = (Number::default(), Number::default(), Longest::default());
            let waits = longest.clone();
            let (hook_spawned, hook_ran, hook_longest) = (spawned.clone(), ran.clone(), longest);
            let hook = Arc::new(move || {
                if hook_spawned.get() < 50 {
                    hook_spawned.add();
                    let (begun, ran, longest) = (Instant::now(), hook_ran.clone(), hook_longest.clone());
                    drop(heist::spawn(async move {
                        longest.add(begun.elapsed());
                        ran.add();
                    }));
                }
            });
            let mut sim = sim.workers(workers).configure(move |builder| {
                let hook = Arc::clone(&hook);
                builder.watchdog(false).on_thread_park(move || hook());
            });
            sim.run(async move {
                for _ in 0..20 {
                    waits.add(lateness(micros(200)).await);
                }
                while spawned.get() < 50 || ran.get() < spawned.get() {
                    waits.add(lateness(millis(1)).await);
                }
                waits.get()
            })
        });
    }
}

/// tokio#7879: a task that has yielded waits in a list of the worker, and `block_in_place` leaves
/// it there.
#[test]
fn task_that_has_yielded_runs_during_block_in_place() {
    at_most(SOON, |sim| {
        unwatched(sim, 2).run(on_worker(async {
            let (done, longest) = (Number::default(), Longest::default());
            let yields = [(); 3].map(|()| {
                let (done, longest) = (done.clone(), longest.clone());
                heist::spawn(async move {
                    while done.get() == 0 {
                        let before = Instant::now();
                        yield_now().await;
                        longest.add(before.elapsed());
                    }
                })
            });
            yield_now().await;
            block_in_place(|| compute(millis(30)));
            done.set(1);
            for task in yields {
                task.await.unwrap();
            }
            longest.get()
        }))
    });
}

/// tokio#3190, tokio#6682: a worker sleeps to a later timer, and an earlier one does not interrupt
/// it. The earlier one belongs to the root, to a blocking job, and to a task.
#[test]
fn earlier_timer_interrupts_the_sleep_to_a_later_one() {
    at_most(SOON, |sim| {
        unwatched(sim, 2).run(async {
            let later = heist::spawn(sleep(Duration::from_secs(10)));
            let mut longest = Duration::ZERO;
            for n in 0..10 {
                longest = longest.max(lateness(micros(700 + n)).await);
                let handle = Handle::current();
                let of_job = spawn_blocking(move || handle.block_on(lateness(micros(900 - n))));
                longest = longest.max(of_job.await.unwrap());
                longest = longest.max(heist::spawn(lateness(micros(1_100 * n))).await.unwrap());
            }
            later.abort();
            longest
        })
    });
}

/// tokio#4730, tokio#6315, tokio#8010: the worker that has slept in the driver runs a long task,
/// and no other worker takes the driver over. Timers of both workers and of the root are due
/// meanwhile.
#[test]
fn timers_fire_while_the_worker_that_had_the_driver_is_in_a_long_poll() {
    at_most(SOON, |sim| {
        sim.workers(2).run(async {
            let long = heist::spawn(async {
                sleep(millis(1)).await;
                compute(LONG);
            });
            let tasks = [0, 1, 2, 3].map(|n| {
                heist::spawn(async move {
                    let mut longest = Duration::ZERO;
                    for _ in 0..5 {
                        longest = longest.max(lateness(millis(5 + n)).await);
                    }
                    longest
                })
            });
            let mut longest = lateness(millis(10)).await;
            for task in tasks {
                longest = longest.max(task.await.unwrap());
            }
            long.await.unwrap();
            longest
        })
    });
}

/// cats-effect#3586: an idle runtime parks and is notified in a loop. The bound is on the steps of
/// all threads in an hour.
#[test]
fn idle_runtime_takes_few_steps_in_an_hour() {
    at_most(2_000, |sim| {
        let mut sim = sim.workers(4).time_limit(Duration::from_secs(7_200));
        sim.run(async {
            let far = heist::spawn(sleep(Duration::from_secs(86_400)));
            sleep(Duration::from_secs(3_600)).await;
            far.abort();
        });
        sim.steps()
    });
}
