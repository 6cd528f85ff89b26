//! At the deadline.

use std::future::pending;
use std::panic::Location;
use std::task::Poll;
use std::time::Duration;

use heist::runtime::{Builder, DrainReport, Handle, RuntimeFlavor};
use heist::task::JoinHandle;

use crate::kit::{Count, Door, OnDrop, each, join, poll_once, workers, yield_now};
use crate::rig::{
    LONG, Stay, all_counts, counts, guarded, idle, in_time, patient, settle, stubborn, until, with_grace,
};

#[test]
fn stragglers_are_cancelled_and_named() {
    each(|runtime| {
        let dropped = Count::new();
        let mut tasks = Vec::new();
        for _ in 0..5 {
            let guard = dropped.on_drop();
            tasks.push(runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
        }
        let idle = (Location::caller().file(), line!() - 5);
        for _ in 0..5 {
            let guard = dropped.on_drop();
            tasks.push(runtime.spawn(async move {
                let _guard = guard;
                loop {
                    yield_now().await;
                }
            }));
        }
        let busy = (Location::caller().file(), line!() - 7);
        settle(runtime);
        let report = runtime.drain(Duration::ZERO).wait();
        assert_eq!(dropped.get(), 10, "destructors run before the report");
        assert!(tasks.iter().all(JoinHandle::is_finished));
        assert_eq!(counts(&report), [0, 0, 10, 10]);
        let mut named: Vec<_> = report.stragglers.iter().map(|late| late.id).collect();
        let mut ids: Vec<_> = tasks.iter().map(JoinHandle::id).collect();
        named.sort();
        ids.sort();
        assert_eq!(named, ids);
        for place in [idle, busy] {
            let here = report.stragglers.iter().filter(|late| (late.location.file(), late.location.line()) == place);
            assert_eq!(here.count(), 5, "{report}");
        }
        assert!(report.to_string().contains(file!()), "{report}");
        assert!(tasks.into_iter().all(|task| join(task).unwrap_err().is_cancelled()));
    });
}

#[test]
fn queued_jobs_are_cancelled_and_running_ones_named() {
    in_time(jobs_when_one_runs);
}

fn jobs_when_one_runs(grace: Duration) -> Result<(), DrainReport> {
    let runtime = with_grace(1, grace);
    let (stay, dropped) = (Stay::default(), Count::new());
    let stays = stay.clone();
    let running = runtime.spawn_blocking(move || {
        stays.stay();
        5
    });
    stay.reached();
    let queued: Vec<_> = (0..3)
        .map(|_| {
            let guard = dropped.on_drop();
            runtime.spawn_blocking(move || drop(guard))
        })
        .collect();
    let report = runtime.drain(Duration::ZERO).wait();
    if (all_counts(&report), dropped.get()) != ([0, 0, 3, 4, 0], 3) {
        stay.let_go();
        return Err(report);
    }
    assert!(report.stragglers.iter().any(|late| late.id == running.id()));
    assert!(!running.is_finished() && queued.iter().all(JoinHandle::is_finished));
    stay.let_go();
    assert_eq!(join(running).unwrap(), 5, "nobody can stop it");
    Ok(())
}

/// One worker, stuck in the first poll of a task or in a later one; behind it in the ring, in the
/// list, and in the global queue others.
#[test]
fn a_poll_that_does_not_return_keeps_nobody() {
    for first_poll in [true, false] {
        for count in [1, 2] {
            in_time(|grace| beside_a_poll_that_stays(first_poll, count, grace));
        }
    }
}

fn beside_a_poll_that_stays(first_poll: bool, count: usize, grace: Duration) -> Result<(), DrainReport> {
    let runtime = with_grace(count, grace);
    let (stay, dropped) = (Stay::default(), Count::new());
    let idle = idle(&runtime, &dropped, 5);
    let (stays, handle, counter) = (stay.clone(), runtime.handle().clone(), dropped.clone());
    let (ring, behind) = std::sync::mpsc::channel();
    let guard = dropped.on_drop();
    let line = line!() + 1;
    let stuck = runtime.spawn(async move {
        let _guard = guard;
        if !first_poll {
            heist::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..5 {
            let guard = counter.on_drop();
            // In the worker's ring, or taken over by another worker.
            ring.send(handle.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }))
            .unwrap();
        }
        stays.stay();
        pending::<()>().await;
    });
    stay.reached();
    let late = guarded(&runtime, &dropped, pending());
    let report = runtime.drain(Duration::ZERO).wait();
    if (all_counts(&report), dropped.get()) != ([0, 0, 11, 12, 0], 11) {
        stay.let_go();
        return Err(report);
    }
    let named = report.stragglers.iter().find(|late| late.id == stuck.id()).expect("the stuck one is named");
    assert_eq!(named.location.line(), line);
    assert!(!stuck.is_finished());
    assert!(idle.iter().chain([&late]).all(JoinHandle::is_finished));
    assert!(behind.iter().take(5).all(|task| task.is_finished()));
    stay.let_go();
    // When it does return it is dropped, also if it was in its first poll and nobody had known it.
    assert!(join(stuck).unwrap_err().is_cancelled());
    assert_eq!(dropped.get(), 12);
    Ok(())
}

/// There are the workers and one thread more, and as many destructors that do not return as there
/// are workers: whoever is left drops all the others.
#[test]
fn destructors_that_do_not_return_keep_only_their_own() {
    for round in 0..30 {
        let workers = 1 + round % 3;
        let runtime = patient(workers);
        let stays: Vec<_> = (0..workers).map(|_| Stay::default()).collect();
        let dropped = Count::new();
        let evil: Vec<_> = stays.iter().map(|stay| runtime.spawn(stubborn(stay))).collect();
        let others = idle(&runtime, &dropped, 100);
        let drain = runtime.drain(Duration::ZERO);
        until(|| dropped.get() == 100);
        assert!(evil.iter().all(|evil| !evil.is_finished()));
        stays.iter().for_each(Stay::let_go);
        let all = 100 + workers as u64;
        assert_eq!(counts(&drain.wait()), [0, 0, all, all]);
        evil.into_iter().chain(others).for_each(|task| assert!(join(task).unwrap_err().is_cancelled()));
    }
}

/// Who awaits the drain goes on while destructors keep the reaper, or a worker.
#[test]
fn an_excused_task_is_not_held_up_by_destructors() {
    let mut excuses = 0;
    while excuses < 20 {
        let runtime = patient(2);
        let (stay, polls, excused) = (Stay::default(), Count::new(), Door::new());
        let evil = runtime.spawn(stubborn(&stay));
        let dropped = Count::new();
        let others = idle(&runtime, &dropped, 20);
        let (counter, opens) = (polls.clone(), excused.clone());
        let waits = runtime.spawn(async move {
            let mut drain = Handle::current().drain(Duration::from_millis(5));
            loop {
                if let Poll::Ready(report) = poll_once(&mut drain) {
                    return report;
                }
                opens.open();
                counter.add();
                yield_now().await;
            }
        });
        excused.wait();
        stay.reached();
        let then = polls.get();
        until(|| waits.is_finished() || (polls.get() > then + 100 && dropped.get() == 20));
        stay.let_go();
        match join(waits) {
            Ok(report) => {
                assert_eq!(counts(&report), [0, 0, 21, 21], "{report}");
                excuses += 1;
            }
            // It has polled its drain after the deadline.
            Err(error) => assert!(error.is_cancelled()),
        }
        assert!(join(evil).unwrap_err().is_cancelled());
        assert!(others.iter().all(JoinHandle::is_finished));
    }
}

/// The task was counted in before the drain began, and is queued after the reaper has looked,
/// because a hook has taken its time; and the poll that spawns it does not return.
#[test]
fn what_is_queued_late_by_a_slow_hook_is_dropped() {
    for _ in 0..5 {
        let (hook, poll, armed) = (Stay::default(), Stay::default(), Door::new());
        let (in_hook, is_armed) = (hook.clone(), armed.clone());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .shutdown_grace(LONG)
            .drain_report_delay(LONG)
            .watchdog(false)
            .on_task_spawn(move |_| {
                if is_armed.is_open() {
                    in_hook.stay();
                }
            })
            .build()
            .unwrap();
        let (idles, children) = (Count::new(), Count::new());
        let _idle = idle(&runtime, &idles, 1);
        let (stays, handle, child) = (poll.clone(), runtime.handle().clone(), children.on_drop());
        let parent = runtime.spawn(async move {
            armed.open();
            drop(handle.spawn(async move { drop(child) }));
            stays.stay();
        });
        hook.reached();
        let drain = runtime.drain(Duration::ZERO);
        until(|| idles.get() == 1);
        // So that the reaper sleeps; not needed for the test to pass.
        (0..30).for_each(|_| std::thread::yield_now());
        hook.let_go();
        until(|| children.get() == 1);
        assert!(!parent.is_finished());
        poll.let_go();
        assert_eq!(counts(&drain.wait()), [1, 0, 2, 2]);
    }
}

/// Who is excused gives its `Drain` away, and the only worker drops that after the deadline, in a
/// poll that does not return.
#[test]
fn who_is_accused_by_a_poll_that_does_not_return_is_dropped() {
    let mut excuses = 0;
    while excuses < 5 {
        let runtime = patient(1);
        let (idles, dropped, was_excused, stay) = (Count::new(), Count::new(), Count::new(), Stay::default());
        let _idle = idle(&runtime, &idles, 1);
        let (handle, seen, excused, stays) =
            (runtime.handle().clone(), dropped.clone(), was_excused.clone(), stay.clone());
        drop(guarded(&runtime, &dropped, async move {
            let mut drain = handle.drain(Duration::from_millis(5));
            assert!(poll_once(&mut drain).is_pending());
            drop(handle.spawn(async move {
                until(|| idles.get() == 1);
                // So that the reaper sleeps; not needed for the test to pass.
                (0..30).for_each(|_| std::thread::yield_now());
                if seen.get() == 0 {
                    excused.add();
                }
                drop(drain);
                stays.stay();
            }));
            pending::<()>().await;
        }));
        stay.reached();
        until(|| dropped.get() == 1);
        stay.let_go();
        assert_eq!(counts(&runtime.drain(LONG).wait()), [1, 0, 2, 2]);
        excuses += was_excused.get();
    }
}

/// All threads stand still: what waits behind them in queues, never polled, is named.
#[test]
fn what_nobody_comes_to_is_named() {
    in_time(when_all_stand_still);
}

fn when_all_stand_still(grace: Duration) -> Result<(), DrainReport> {
    let runtime = with_grace(1, grace);
    let (poll, destructor, dropped) = (Stay::default(), Stay::default(), Count::new());
    let (stays, handle, counter) = (poll.clone(), runtime.handle().clone(), dropped.clone());
    let stuck = runtime.spawn(async move {
        for _ in 0..5 {
            let guard = counter.on_drop();
            drop(handle.spawn(async move { drop(guard) }));
        }
        stays.stay();
    });
    poll.reached();
    // First in the line.
    let evil = runtime.spawn(stubborn(&destructor));
    let queued: Vec<_> = (0..10).map(|_| guarded(&runtime, &dropped, pending())).collect();
    let drain = runtime.drain(Duration::ZERO);
    destructor.reached();
    let report = drain.wait();
    if (all_counts(&report), dropped.get()) != ([0, 0, 0, 17, 0], 0) {
        poll.let_go();
        destructor.let_go();
        return Err(report);
    }
    for task in queued.iter().map(JoinHandle::id).chain([stuck.id(), evil.id()]) {
        assert!(report.stragglers.iter().any(|late| late.id == task), "{report}");
    }
    poll.let_go();
    destructor.let_go();
    join(stuck).unwrap();
    assert!(queued.into_iter().chain([evil]).all(|task| join(task).unwrap_err().is_cancelled()));
    until(|| dropped.get() == 15);
    Ok(())
}

/// Whoever drops it, worker or reaper, one that was asked to end where it waited or one that runs:
/// it has panicked, and it is named.
#[test]
fn a_destructor_that_panics_has_panicked_and_is_named() {
    for round in 0..100 {
        let runtime = workers(1 + round % 3);
        let tasks: Vec<_> = (0..20)
            .map(|index| {
                let evil = OnDrop::new(|| panic!("on purpose"));
                runtime.spawn(async move {
                    let _evil = evil;
                    if index % 2 == 0 {
                        loop {
                            yield_now().await;
                        }
                    }
                    pending::<()>().await;
                })
            })
            .collect();
        settle(&runtime);
        let report = runtime.drain(Duration::from_micros(round as u64)).wait();
        assert_eq!(counts(&report), [0, 20, 0, 20], "{report}");
        assert!(tasks.into_iter().all(|task| join(task).unwrap_err().is_panic()));
    }
}

/// Without the reaper the workers do it all, also for tasks at home in seats that nobody sits in.
#[test]
fn a_sweeper_that_is_refused() {
    let asked = Count::new();
    let counter = asked.clone();
    // The deadline thread is started, the reaper is not.
    let refuse = move |seat| {
        (seat == usize::MAX && counter.add() == 2).then(|| std::io::Error::from(std::io::ErrorKind::WouldBlock))
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .max_worker_threads(4)
        .enable_all()
        .shutdown_grace(LONG)
        .drain_report_delay(LONG)
        .refuse_worker(refuse)
        .build()
        .unwrap();
    let dropped = Count::new();
    // At home in four seats: each keeps its worker until all four have one.
    let polled = Count::new();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let polled = polled.clone();
            guarded(&runtime, &dropped, async move {
                polled.add();
                until(|| polled.get() == 4);
                pending::<()>().await;
            })
        })
        .collect();
    until(|| polled.get() == 4);
    settle(&runtime);
    runtime.resize(1).wait().unwrap();
    let report = runtime.drain(Duration::ZERO).wait();
    assert_eq!((counts(&report), dropped.get()), ([0, 0, 4, 4], 4), "{report}");
    // The workers may have been faster.
    until(|| asked.get() == 2);
    assert!(tasks.iter().all(JoinHandle::is_finished));
}

#[test]
fn any_deadline_will_do() {
    for deadline in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1 << 40), Duration::MAX] {
        each(|runtime| {
            let draining = runtime.draining();
            drop(runtime.spawn(async move {
                draining.await;
                yield_now().await;
            }));
            settle(runtime);
            let report = runtime.drain(deadline).wait();
            assert_eq!(report.completed + report.cancelled, 1, "{report}");
            assert_eq!(report.cancelled, report.stragglers.len() as u64);
            if deadline > Duration::from_secs(1) {
                assert_eq!(counts(&report), [1, 0, 0, 0]);
            }
        });
    }
}

#[test]
fn it_acts_without_being_polled() {
    each(|runtime| {
        let (ended, told) = (Count::new(), Count::new());
        let gone = Door::new();
        let opens = gone.clone();
        let guard = OnDrop::new(move || opens.open());
        let (draining, tells) = (runtime.draining(), told.clone());
        drop(guarded(runtime, &ended, async move {
            let _guard = guard;
            draining.await;
            tells.add();
            pending::<()>().await;
        }));
        settle(runtime);
        drop(runtime.drain(Duration::from_millis(5)));
        gone.wait();
        // On a current-thread runtime that nobody drives it is dropped nevertheless, but it cannot
        // be told before.
        assert!(told.get() == 0 || runtime.handle().runtime_flavor() == RuntimeFlavor::MultiThread);
        assert_eq!(counts(&runtime.drain(LONG).wait()), [0, 0, 1, 1]);
        assert_eq!(ended.get(), 1);
    });
}
