//! Waiting for a drain, and for its beginning.

use std::future::pending;
use std::sync::Mutex;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use heist::runtime::{Drain, Handle};

use crate::kit::{Count, Door, current_thread, each, each_owned, panic_text, poll_once, yield_now};
use crate::rig::{LONG, counts, join_in, poll_all_tasks};

#[test]
fn task_that_awaits_drain_gets_the_report() {
    each(|runtime| {
        let other = runtime.spawn(yield_now());
        let report = join_in(
            runtime,
            runtime.spawn(async move {
                let report = Handle::current().drain(LONG).await;
                assert!(other.is_finished());
                // The runtime goes on: timers work.
                heist::time::sleep(Duration::from_millis(1)).await;
                assert!(Handle::current().try_spawn(async {}).is_err());
                report
            }),
        );
        assert!(report.completed <= 1 && counts(&report)[1..] == [0, 0, 0], "{report}");
    });
}

#[test]
fn many_tasks_that_await_drain_get_one_report() {
    for deadline in [LONG, Duration::ZERO] {
        each(|runtime| {
            let go = Door::new();
            let waits: Vec<_> = (0..10)
                .map(|_| {
                    let opened = go.opened();
                    runtime.spawn(async move {
                        opened.await;
                        // The same task polls two drains, and is exempt once.
                        let (a, b) = (Handle::current().drain(deadline), Handle::current().drain(deadline));
                        let (a, b) = futures::future::join(a, b).await;
                        assert_eq!(counts(&a), counts(&b));
                        yield_now().await;
                        counts(&a)
                    })
                })
                .collect();
            let stays = deadline.is_zero().then(|| runtime.spawn(pending::<()>()));
            poll_all_tasks(runtime);
            go.open();
            let reports: Vec<_> = waits.into_iter().map(|task| runtime.block_on(task)).collect();
            let first = reports.iter().flatten().next().copied();
            for report in &reports {
                match report {
                    Ok(report) => assert_eq!(Some(*report), first),
                    // At a deadline of zero, a task may not have polled its drain yet.
                    Err(error) => assert!(error.is_cancelled() && deadline.is_zero()),
                }
            }
            if let (None, Some(counts)) = (&stays, first) {
                assert_eq!(counts, [0, 0, 0, 0]);
            }
        });
    }
}

#[test]
fn job_that_waits_for_drain_gets_the_report() {
    each(|runtime| {
        let living = runtime.draining();
        let living = runtime.spawn(living);
        poll_all_tasks(runtime);
        let handle = runtime.handle().clone();
        let job = runtime.spawn_blocking(move || handle.drain(LONG).wait());
        let report = join_in(runtime, job);
        assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
        assert!(living.is_finished());
    });
}

/// The job waits in a `block_on`, of its own runtime or of another one.
#[test]
fn job_that_awaits_drain_in_block_on_gets_the_report() {
    each(|runtime| {
        let living = runtime.spawn(runtime.draining());
        poll_all_tasks(runtime);
        let handle = runtime.handle().clone();
        let job = runtime.spawn_blocking(move || {
            let mut drain = handle.drain(LONG);
            current_thread().block_on(async { assert!(poll_once(&mut drain).is_pending() || living.is_finished()) });
            handle.block_on(drain)
        });
        let report = join_in(runtime, job);
        assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
    });
}

/// The exempt task is always ready, so its worker never sleeps. The worker checks nevertheless.
#[test]
fn exempt_task_always_ready_delays_no_report() {
    each(|runtime| {
        let (go, exempt, over) = (Door::new(), Door::new(), Door::new());
        let living = runtime.spawn(go.opened());
        let (opens, ends) = (exempt.clone(), over.clone());
        let busy = runtime.spawn(async move {
            let mut drain = Handle::current().drain(Duration::MAX);
            assert!(poll_once(&mut drain).is_pending());
            opens.open();
            while !ends.is_open() {
                yield_now().await;
            }
            drop(drain);
        });
        runtime.block_on(exempt.opened());
        go.open();
        let report = runtime.drain(LONG).wait();
        assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
        assert!(living.is_finished() && !busy.is_finished());
        over.open();
        join_in(runtime, busy);
    });
}

/// The drain waits for the task that gave its `Drain` away, and not for the task that got it.
#[test]
fn exemption_given_away_belongs_to_the_new_poller() {
    each(|runtime| {
        let (there, gone) = (Door::new(), Door::new());
        let (opens, waits) = (there.clone(), gone.opened());
        let (give, taken) = async_channel::bounded::<Drain>(1);
        let takes = runtime.spawn(async move { taken.recv().await.unwrap().await });
        let gives = runtime.spawn(async move {
            let mut drain = Handle::current().drain(LONG);
            assert!(poll_once(&mut drain).is_pending());
            give.send(drain).await.unwrap();
            opens.open();
            waits.await;
        });
        runtime.block_on(there.opened());
        gone.open();
        let report = join_in(runtime, takes);
        assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
        assert!(gives.is_finished());
    });
}

/// A task of another runtime that awaits the drain exempts no task of the draining runtime.
#[test]
fn foreign_task_that_awaits_drain_exempts_no_task() {
    each(|runtime| {
        let (go, polled) = (Door::new(), Door::new());
        let living = runtime.spawn(go.opened());
        let drain = runtime.drain(LONG);
        let (foreign, opens) = (runtime.drain(LONG), polled.clone());
        let other = thread::spawn(move || {
            let other = current_thread();
            other.block_on(other.spawn(async move {
                let mut foreign = foreign;
                assert!(poll_once(&mut foreign).is_pending());
                opens.open();
                counts(&foreign.await)
            }))
        });
        polled.wait();
        assert!(!living.is_finished());
        go.open();
        let report = drain.wait();
        assert_eq!((counts(&report), other.join().unwrap().unwrap()), ([1, 0, 0, 0], [1, 0, 0, 0]));
    });
}

/// The root that gets the `Drain` waits for the task that gave it away.
#[test]
fn exemption_ends_when_a_root_polls_the_drain() {
    each(|runtime| {
        let (first, second) = (Door::new(), Door::new());
        let living = runtime.spawn(first.opened());
        let waits = second.opened();
        let (give, taken) = async_channel::bounded::<Drain>(1);
        let gives = runtime.spawn(async move {
            let mut drain = Handle::current().drain(LONG);
            assert!(poll_once(&mut drain).is_pending());
            give.send(drain).await.unwrap();
            waits.await;
        });
        let report = runtime.block_on(async {
            let mut drain = taken.recv().await.unwrap();
            assert!(poll_once(&mut drain).is_pending());
            first.open();
            living.await.unwrap();
            for _ in 0..100 {
                yield_now().await;
            }
            assert!(poll_once(&mut drain).is_pending(), "the task that gave it away lives");
            second.open();
            drain.await
        });
        assert_eq!(counts(&report), [2, 0, 0, 0], "{report}");
        join_in(runtime, gives);
    });
}

#[test]
fn exemption_dropped_before_the_deadline_is_revoked() {
    each(|runtime| {
        let (go, opens) = (Door::new(), Door::new());
        let other = runtime.spawn(go.opened());
        let waits = opens.opened();
        let gives_up = runtime.spawn(async move {
            let mut drain = Handle::current().drain(LONG);
            assert!(poll_once(&mut drain).is_pending());
            drop(drain);
            go.open();
            waits.await;
        });
        opens.open();
        runtime.block_on(runtime.draining());
        let report = runtime.drain(Duration::ZERO).wait();
        assert_eq!(counts(&report), [2, 0, 0, 0], "{report}");
        assert!(gives_up.is_finished() && other.is_finished());
    });
}

#[test]
fn second_drain_joins_the_first() {
    each(|runtime| {
        let go = Door::new();
        let living = runtime.spawn(go.opened());
        let (first, second) = (runtime.drain(LONG), runtime.drain(Duration::ZERO));
        let reports = Mutex::new(Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| reports.lock().unwrap().push(second.wait()));
            scope.spawn(|| reports.lock().unwrap().push(futures::executor::block_on(runtime.drain(LONG))));
            go.open();
            let report = first.wait();
            reports.lock().unwrap().push(report);
        });
        let third = runtime.drain(LONG).wait();
        for report in reports.into_inner().unwrap() {
            assert_eq!((counts(&report), report.elapsed), ([1, 0, 0, 0], third.elapsed), "{report}");
        }
        assert!(living.is_finished());
    });
}

#[test]
fn drain_wait_in_async_code_panics() {
    each(|runtime| {
        let drain = runtime.drain(LONG);
        let text = runtime.block_on(async { panic_text(|| drain.wait()) });
        assert!(text.contains("await"), "{text}");
    });
}

#[test]
fn draining_futures_are_all_woken() {
    each_owned(|runtime| {
        let told = Count::new();
        let mut tasks = Vec::new();
        for _ in 0..5 {
            let (draining, told) = (runtime.draining(), told.clone());
            tasks.push(runtime.spawn(async move {
                draining.await;
                told.add();
            }));
        }
        let mut forgotten = runtime.draining();
        assert!(poll_once(&mut forgotten).is_pending());
        assert!(poll_once(&mut forgotten).is_pending());
        drop(forgotten);
        let mut kept = runtime.draining();
        assert!(poll_once(&mut kept).is_pending());
        let (handle, begun) = (runtime.handle().clone(), Door::new());
        let opens = begun.clone();
        let thread = thread::spawn(move || {
            opens.open();
            handle.block_on(handle.draining());
            futures::executor::block_on(handle.draining());
        });
        begun.wait();
        let report = runtime.drain(LONG).wait();
        assert_eq!((counts(&report), told.get()), ([5, 0, 0, 0], 5));
        thread.join().unwrap();
        assert!(poll_once(&mut kept).is_ready());
        assert!(poll_once(&mut runtime.draining()).is_ready());
    });
}

#[test]
fn shutdown_wakes_draining_futures() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        let mut early = handle.draining();
        assert!(poll_once(&mut early).is_pending());
        drop(runtime);
        assert!(poll_once(&mut early).is_ready());
        assert!(poll_once(&mut handle.draining()).is_ready());
    });
}

/// The first poll has a waker that does nothing, so only a second poll can find the report.
#[test]
fn drain_polled_after_the_report_returns_it() {
    each(|runtime| {
        let go = Door::new();
        drop(runtime.spawn(go.opened()));
        let mut drain = runtime.drain(LONG);
        assert!(poll_once(&mut drain).is_pending());
        go.open();
        let report = runtime.drain(LONG).wait();
        let Poll::Ready(again) = poll_once(&mut drain) else { panic!("the drain has been reported") };
        assert_eq!((counts(&again), again.elapsed), (counts(&report), report.elapsed));
    });
}
