//! Which tasks and jobs a drain counts, and how.

use std::future::pending;
use std::time::Duration;

use heist::runtime::Handle;
use heist::task::{JoinHandle, spawn_blocking};

use crate::kit::{Count, Door, OnDrop, each, join, workers, yield_now};
use crate::rig::{LONG, counts, join_in, poll_all_tasks};

#[test]
fn drain_without_tasks_reports_zeros() {
    each(|runtime| {
        for _ in 0..10 {
            join_in(runtime, runtime.spawn(async {}));
        }
        let report = runtime.drain(LONG).wait();
        assert_eq!(counts(&report), [0, 0, 0, 0]);
    });
}

/// A task whose handle has resolved is not in the report, however soon after it the drain begins.
#[test]
fn joined_tasks_are_not_in_the_report() {
    for round in 0..200 {
        let runtime = workers(1 + round % 3);
        join_in(&runtime, runtime.spawn(async {}));
        join_in(&runtime, runtime.spawn_blocking(|| ()));
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        let living = runtime.spawn(yield_now());
        let report = runtime.drain(LONG).wait();
        assert!(living.is_finished());
        assert!(counts(&report)[0] <= 1 && counts(&report)[1..] == [0, 0, 0], "{report}");
    }
}

#[test]
fn nested_spawns_are_counted() {
    each(|runtime| {
        let ended = Count::new();
        for _ in 0..10 {
            let ended = ended.clone();
            let draining = runtime.draining();
            drop(runtime.spawn(async move {
                let _counts = ended.on_drop();
                draining.await;
                let child = heist::spawn(async move {
                    let _counts = ended.on_drop();
                    yield_now().await;
                    // Detached: only the drain waits for it.
                    drop(heist::spawn(async move {
                        let _counts = ended.on_drop();
                        heist::time::sleep(Duration::from_millis(1)).await;
                    }));
                });
                child.await.unwrap();
            }));
        }
        poll_all_tasks(runtime);
        let report = runtime.drain(LONG).wait();
        assert_eq!((counts(&report), ended.get()), ([30, 0, 0, 0], 30));
    });
}

#[test]
fn blocking_jobs_and_their_spawns_are_counted() {
    each(|runtime| {
        let (ended, begun, go) = (Count::new(), Door::new(), Door::new());
        let (counter, opens, waits) = (ended.clone(), begun.clone(), go.clone());
        let job = runtime.spawn_blocking(move || {
            opens.open();
            waits.wait();
            let (a, b, c) = (counter.on_drop(), counter.on_drop(), counter.on_drop());
            drop(Handle::current().try_spawn(async move { drop(a) }).unwrap());
            drop(spawn_blocking(move || drop(b)));
            Handle::current().spawn(async move {
                let _c = c;
                spawn_blocking(|| ()).await.unwrap();
            });
            counter.on_drop()
        });
        begun.wait();
        let drain = runtime.drain(LONG);
        go.open();
        let report = drain.wait();
        assert_eq!((counts(&report), ended.get()), ([5, 0, 0, 0], 3));
        drop(join(job).unwrap());
    });
}

#[test]
fn job_that_panics_is_counted_as_panicked() {
    each(|runtime| {
        let (begun, go) = (Door::new(), Door::new());
        let (opens, waits) = (begun.clone(), go.clone());
        let job = runtime.spawn_blocking(move || {
            opens.open();
            waits.wait();
            panic!("on purpose");
        });
        begun.wait();
        let drain = runtime.drain(LONG);
        go.open();
        assert_eq!(counts(&drain.wait()), [0, 1, 0, 0]);
        assert!(join(job).unwrap_err().is_panic());
    });
}

#[test]
fn panics_and_aborts_are_counted() {
    each(|runtime| {
        let draining = || runtime.draining();
        let mut tasks = Vec::new();
        for index in 0..9 {
            let draining = draining();
            tasks.push(runtime.spawn(async move {
                draining.await;
                assert!(index % 3 != 0, "on purpose");
                if index % 3 == 1 {
                    pending::<()>().await;
                }
            }));
        }
        let aborts: Vec<_> = tasks.iter().skip(1).step_by(3).map(|task| task.abort_handle()).collect();
        let draining = draining();
        drop(runtime.spawn(async move {
            draining.await;
            aborts.iter().for_each(|task| task.abort());
        }));
        // A task whose destructor panics when it is aborted counts as panicked.
        let panics_on_drop = OnDrop::new(|| panic!("on purpose"));
        let aborted = runtime.spawn(async move {
            let _panics_on_drop = panics_on_drop;
            pending::<()>().await;
        });
        poll_all_tasks(runtime);
        let drain = runtime.drain(LONG);
        aborted.abort();
        let report = drain.wait();
        assert_eq!(counts(&report), [4, 4, 3, 0]);
        assert!(tasks.iter().all(JoinHandle::is_finished));
    });
}

#[test]
fn outputs_stay_readable() {
    each(|runtime| {
        let tasks: Vec<_> = (0..20)
            .map(|index| {
                let draining = runtime.draining();
                runtime.spawn(async move {
                    draining.await;
                    yield_now().await;
                    vec![index; index]
                })
            })
            .collect();
        let report = runtime.drain(LONG).wait();
        assert_eq!(counts(&report), [20, 0, 0, 0]);
        for (index, task) in tasks.into_iter().enumerate() {
            assert_eq!(join(task).unwrap(), vec![index; index]);
        }
    });
}
