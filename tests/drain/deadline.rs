//! What a drain does at its deadline.

use std::future::pending;
use std::panic::Location;
use std::task::Poll;
use std::time::Duration;

use heist::runtime::{Builder, DrainReport, Handle, RuntimeFlavor};
use heist::task::JoinHandle;

use crate::kit::{Count, Door, OnDrop, each, join, poll_once, workers, yield_now};
use crate::rig::{
    Blocker, LONG, all_counts, blocks_when_dropped, counts, poll_all_tasks, retry_with_longer_grace, spawn_counted,
    spawn_idle, wait_until, with_grace, with_long_grace,
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
        poll_all_tasks(runtime);
        let report = runtime.drain(Duration::ZERO).wait();
        assert_eq!(dropped.get(), 10, "destructors run before the report");
        assert!(tasks.iter().all(JoinHandle::is_finished));
        assert_eq!(counts(&report), [0, 0, 10, 10]);
        let mut named: Vec<_> = report.stragglers.iter().map(|straggler| straggler.id).collect();
        let mut ids: Vec<_> = tasks.iter().map(JoinHandle::id).collect();
        named.sort();
        ids.sort();
        assert_eq!(named, ids);
        for place in [idle, busy] {
            let here = report
                .stragglers
                .iter()
                .filter(|straggler| (straggler.location.file(), straggler.location.line()) == place);
            assert_eq!(here.count(), 5, "{report}");
        }
        assert!(report.to_string().contains(file!()), "{report}");
        assert!(tasks.into_iter().all(|task| join(task).unwrap_err().is_cancelled()));
    });
}

#[test]
fn queued_jobs_are_cancelled_and_running_ones_named() {
    retry_with_longer_grace(cancel_jobs_beside_a_running_one);
}

fn cancel_jobs_beside_a_running_one(grace: Duration) -> Result<(), DrainReport> {
    let runtime = with_grace(1, grace);
    let (blocker, dropped) = (Blocker::default(), Count::new());
    let blocks = blocker.clone();
    let running = runtime.spawn_blocking(move || {
        blocks.block();
        5
    });
    blocker.wait_until_blocked();
    let queued: Vec<_> = (0..3)
        .map(|_| {
            let guard = dropped.on_drop();
            runtime.spawn_blocking(move || drop(guard))
        })
        .collect();
    let report = runtime.drain(Duration::ZERO).wait();
    if (all_counts(&report), dropped.get()) != ([0, 0, 3, 4, 0], 3) {
        blocker.release();
        return Err(report);
    }
    assert!(report.stragglers.iter().any(|straggler| straggler.id == running.id()));
    assert!(!running.is_finished() && queued.iter().all(JoinHandle::is_finished));
    blocker.release();
    assert_eq!(join(running).unwrap(), 5, "a running job cannot be stopped");
    Ok(())
}

/// One worker is stuck in the first poll of a task, or in a later one. Other tasks are in its ring,
/// in its owned-task list, and in the global queue.
#[test]
fn poll_that_never_returns_delays_no_other_task() {
    for first_poll in [true, false] {
        for count in [1, 2] {
            retry_with_longer_grace(|grace| drop_tasks_beside_a_stuck_poll(first_poll, count, grace));
        }
    }
}

fn drop_tasks_beside_a_stuck_poll(first_poll: bool, count: usize, grace: Duration) -> Result<(), DrainReport> {
    let runtime = with_grace(count, grace);
    let (blocker, dropped) = (Blocker::default(), Count::new());
    let idle = spawn_idle(&runtime, &dropped, 5);
    let (blocks, handle, counter) = (blocker.clone(), runtime.handle().clone(), dropped.clone());
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
            // It is in the worker's ring, or another worker has stolen it.
            ring.send(handle.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }))
            .unwrap();
        }
        blocks.block();
        pending::<()>().await;
    });
    blocker.wait_until_blocked();
    let queued = spawn_counted(&runtime, &dropped, pending());
    let report = runtime.drain(Duration::ZERO).wait();
    if (all_counts(&report), dropped.get()) != ([0, 0, 11, 12, 0], 11) {
        blocker.release();
        return Err(report);
    }
    let named = report.stragglers.iter().find(|straggler| straggler.id == stuck.id()).expect("the stuck one is named");
    assert_eq!(named.location.line(), line);
    assert!(!stuck.is_finished());
    assert!(idle.iter().chain([&queued]).all(JoinHandle::is_finished));
    assert!(behind.iter().take(5).all(|task| task.is_finished()));
    blocker.release();
    // When the poll does return, the task is dropped, also if it was in its first poll and in no
    // list.
    assert!(join(stuck).unwrap_err().is_cancelled());
    assert_eq!(dropped.get(), 12);
    Ok(())
}

/// The workers and the reaper drop tasks, and as many destructors block as there are workers. The
/// one thread that is left drops all other tasks.
#[test]
fn destructors_that_never_return_keep_only_their_threads() {
    for round in 0..30 {
        let workers = 1 + round % 3;
        let runtime = with_long_grace(workers);
        let blockers: Vec<_> = (0..workers).map(|_| Blocker::default()).collect();
        let dropped = Count::new();
        let blocked_drops: Vec<_> =
            blockers.iter().map(|blocker| runtime.spawn(blocks_when_dropped(blocker))).collect();
        let others = spawn_idle(&runtime, &dropped, 100);
        let drain = runtime.drain(Duration::ZERO);
        wait_until(|| dropped.get() == 100);
        assert!(blocked_drops.iter().all(|task| !task.is_finished()));
        blockers.iter().for_each(Blocker::release);
        let all = 100 + workers as u64;
        assert_eq!(counts(&drain.wait()), [0, 0, all, all]);
        blocked_drops.into_iter().chain(others).for_each(|task| assert!(join(task).unwrap_err().is_cancelled()));
    }
}

/// A task that awaits the drain goes on while destructors block the reaper or a worker.
#[test]
fn exempt_task_beside_blocked_destructors_goes_on() {
    let mut exemptions = 0;
    while exemptions < 20 {
        let runtime = with_long_grace(2);
        let (blocker, polls, exempt) = (Blocker::default(), Count::new(), Door::new());
        let blocked_drop = runtime.spawn(blocks_when_dropped(&blocker));
        let dropped = Count::new();
        let others = spawn_idle(&runtime, &dropped, 20);
        let (counter, opens) = (polls.clone(), exempt.clone());
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
        exempt.wait();
        blocker.wait_until_blocked();
        let then = polls.get();
        wait_until(|| waits.is_finished() || (polls.get() > then + 100 && dropped.get() == 20));
        blocker.release();
        match join(waits) {
            Ok(report) => {
                assert_eq!(counts(&report), [0, 0, 21, 21], "{report}");
                exemptions += 1;
            }
            // The task has polled its drain after the deadline.
            Err(error) => assert!(error.is_cancelled()),
        }
        assert!(join(blocked_drop).unwrap_err().is_cancelled());
        wait_until(|| others.iter().all(JoinHandle::is_finished));
    }
}

/// A hook delays a spawn: the task is counted in before the drain, and queued after the reaper's
/// pass. The poll that spawns it does not return.
#[test]
fn spawn_queued_late_by_slow_hook_is_dropped() {
    for _ in 0..5 {
        let (hook, poll, armed) = (Blocker::default(), Blocker::default(), Door::new());
        let (in_hook, is_armed) = (hook.clone(), armed.clone());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .shutdown_grace(LONG)
            .drain_report_delay(LONG)
            .watchdog(false)
            .on_task_spawn(move |_| {
                if is_armed.is_open() {
                    in_hook.block();
                }
            })
            .build()
            .unwrap();
        let (idles, children) = (Count::new(), Count::new());
        let _idle = spawn_idle(&runtime, &idles, 1);
        let (blocks, handle, child) = (poll.clone(), runtime.handle().clone(), children.on_drop());
        let parent = runtime.spawn(async move {
            armed.open();
            drop(handle.spawn(async move { drop(child) }));
            blocks.block();
        });
        hook.wait_until_blocked();
        let drain = runtime.drain(Duration::ZERO);
        wait_until(|| idles.get() == 1);
        // Gives the reaper time to sleep. The test passes without it, too.
        (0..30).for_each(|_| std::thread::yield_now());
        hook.release();
        wait_until(|| children.get() == 1);
        assert!(!parent.is_finished());
        poll.release();
        assert_eq!(counts(&drain.wait()), [1, 0, 2, 2]);
    }
}

/// An exempt task gives its `Drain` away. The only worker drops that after the deadline, in a poll
/// that does not return.
#[test]
fn task_that_loses_exemption_after_deadline_is_dropped() {
    let mut exemptions = 0;
    while exemptions < 5 {
        let runtime = with_long_grace(1);
        let (idles, dropped, was_excused, blocker) = (Count::new(), Count::new(), Count::new(), Blocker::default());
        let _idle = spawn_idle(&runtime, &idles, 1);
        let (handle, seen, exempt, blocks) =
            (runtime.handle().clone(), dropped.clone(), was_excused.clone(), blocker.clone());
        drop(spawn_counted(&runtime, &dropped, async move {
            let mut drain = handle.drain(Duration::from_millis(5));
            assert!(poll_once(&mut drain).is_pending());
            drop(handle.spawn(async move {
                wait_until(|| idles.get() == 1);
                // Gives the reaper time to sleep. The test passes without it, too.
                (0..30).for_each(|_| std::thread::yield_now());
                if seen.get() == 0 {
                    exempt.add();
                }
                drop(drain);
                blocks.block();
            }));
            pending::<()>().await;
        }));
        blocker.wait_until_blocked();
        wait_until(|| dropped.get() == 1);
        blocker.release();
        assert_eq!(counts(&runtime.drain(LONG).wait()), [1, 0, 2, 2]);
        exemptions += was_excused.get();
    }
}

/// All threads are stuck. Tasks that wait in queues behind them, never polled, are named.
#[test]
fn unreachable_tasks_are_named() {
    retry_with_longer_grace(name_tasks_behind_stuck_threads);
}

fn name_tasks_behind_stuck_threads(grace: Duration) -> Result<(), DrainReport> {
    let runtime = with_grace(1, grace);
    let (poll, destructor, dropped) = (Blocker::default(), Blocker::default(), Count::new());
    let (blocks, handle, counter) = (poll.clone(), runtime.handle().clone(), dropped.clone());
    let stuck = runtime.spawn(async move {
        for _ in 0..5 {
            let guard = counter.on_drop();
            drop(handle.spawn(async move { drop(guard) }));
        }
        blocks.block();
    });
    poll.wait_until_blocked();
    // The first one in the global queue.
    let blocked_drop = runtime.spawn(blocks_when_dropped(&destructor));
    let queued: Vec<_> = (0..10).map(|_| spawn_counted(&runtime, &dropped, pending())).collect();
    let drain = runtime.drain(Duration::ZERO);
    destructor.wait_until_blocked();
    let report = drain.wait();
    if (all_counts(&report), dropped.get()) != ([0, 0, 0, 17, 0], 0) {
        poll.release();
        destructor.release();
        return Err(report);
    }
    for task in queued.iter().map(JoinHandle::id).chain([stuck.id(), blocked_drop.id()]) {
        assert!(report.stragglers.iter().any(|straggler| straggler.id == task), "{report}");
    }
    poll.release();
    destructor.release();
    join(stuck).unwrap();
    assert!(queued.into_iter().chain([blocked_drop]).all(|task| join(task).unwrap_err().is_cancelled()));
    wait_until(|| dropped.get() == 15);
    Ok(())
}

/// A worker or the reaper may drop the task, which is idle or queued. It counts as panicked, and it
/// is named.
#[test]
fn destructor_panic_at_deadline_counts_as_panicked_and_is_named() {
    for round in 0..100 {
        let runtime = workers(1 + round % 3);
        let tasks: Vec<_> = (0..20)
            .map(|index| {
                let panics_on_drop = OnDrop::new(|| panic!("on purpose"));
                runtime.spawn(async move {
                    let _panics_on_drop = panics_on_drop;
                    if index % 2 == 0 {
                        loop {
                            yield_now().await;
                        }
                    }
                    pending::<()>().await;
                })
            })
            .collect();
        poll_all_tasks(&runtime);
        let report = runtime.drain(Duration::from_micros(round as u64)).wait();
        assert_eq!(counts(&report), [0, 20, 0, 20], "{report}");
        assert!(tasks.into_iter().all(|task| join(task).unwrap_err().is_panic()));
    }
}

/// Without the reaper the workers drop all tasks, those of vacant seats too.
#[test]
fn reaper_refused_by_the_system_is_replaced_by_workers() {
    let asked = Count::new();
    let counter = asked.clone();
    // The deadline thread is started, and the reaper is refused.
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
    // Linked in four seats: each keeps its worker until all four are polled.
    let polled = Count::new();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let polled = polled.clone();
            spawn_counted(&runtime, &dropped, async move {
                polled.add();
                wait_until(|| polled.get() == 4);
                pending::<()>().await;
            })
        })
        .collect();
    wait_until(|| polled.get() == 4);
    poll_all_tasks(&runtime);
    runtime.resize(1).wait().unwrap();
    let report = runtime.drain(Duration::ZERO).wait();
    assert_eq!((counts(&report), dropped.get()), ([0, 0, 4, 4], 4), "{report}");
    // The workers may have been faster.
    wait_until(|| asked.get() == 2);
    assert!(tasks.iter().all(JoinHandle::is_finished));
}

#[test]
fn drain_with_any_deadline_makes_a_report() {
    for deadline in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1 << 40), Duration::MAX] {
        each(|runtime| {
            let draining = runtime.draining();
            drop(runtime.spawn(async move {
                draining.await;
                yield_now().await;
            }));
            poll_all_tasks(runtime);
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
fn deadline_passes_without_a_poll_of_the_drain() {
    each(|runtime| {
        let (ended, told) = (Count::new(), Count::new());
        let gone = Door::new();
        let opens = gone.clone();
        let guard = OnDrop::new(move || opens.open());
        let (draining, tells) = (runtime.draining(), told.clone());
        drop(spawn_counted(runtime, &ended, async move {
            let _guard = guard;
            draining.await;
            tells.add();
            pending::<()>().await;
        }));
        poll_all_tasks(runtime);
        drop(runtime.drain(Duration::from_millis(5)));
        gone.wait();
        // On a current-thread runtime that no thread drives, the task is dropped as well. But it
        // cannot observe the drain before.
        assert!(told.get() == 0 || runtime.handle().runtime_flavor() == RuntimeFlavor::MultiThread);
        assert_eq!(counts(&runtime.drain(LONG).wait()), [0, 0, 1, 1]);
        assert_eq!(ended.get(), 1);
    });
}
