//! Threads that the operating system refuses, at each of the places where heist starts one.

use std::future::pending;
use std::io::ErrorKind;
use std::sync::mpsc::channel;
use std::thread;

use heist::runtime::{Builder, DrainReport, ResizeError, Runtime};
use heist::task::{JoinHandle, block_in_place, spawn_blocking};
use heist::time::Duration;

use super::injection::THREAD;
use super::kit::{Count, Door, OnDrop, join, poll_once, yield_now};
use super::{alone, assert_no_leak, builder, descriptors_now, threads_now, until};

/// How the parts of a run have ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    tasks: usize,
    jobs: usize,
    cancelled_jobs: usize,
    resizes: usize,
    refused_resizes: usize,
}

/// Uses every kind of thread: workers, blocking threads, spares, those of a drain. Each future is
/// dropped once.
fn life(runtime: Runtime) -> Account {
    const TASKS: usize = 20;
    const JOBS: usize = 6;
    let mut account = Account::default();
    let drops = Count::new();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let guard = drops.on_drop();
            runtime.spawn(async move {
                yield_now().await;
                drop(guard);
            })
        })
        .collect();
    let jobs: Vec<_> = (0..JOBS)
        .map(|_| {
            let guard = drops.on_drop();
            runtime.spawn_blocking(move || drop(guard))
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
        account.tasks += 1;
    }
    for job in jobs {
        match runtime.block_on(job) {
            Ok(()) => account.jobs += 1,
            Err(error) if error.is_cancelled() => account.cancelled_jobs += 1,
            Err(error) => panic!("{error}"),
        }
    }
    for size in [4, 1, 3] {
        match runtime.resize(size).wait() {
            Ok(_) => account.resizes += 1,
            Err(ResizeError::Refused { asked, resized, error }) => {
                assert_eq!((asked, error.kind()), (size, ErrorKind::WouldBlock));
                assert!(resized.to < size, "{resized:?}");
                account.refused_resizes += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    // A blocked worker gets a spare, if there is a thread. The task spawned before the section is
    // run by another worker or by this one.
    let nested = runtime.spawn(async { heist::spawn(async { block_in_place(|| 7) }).await.unwrap() });
    assert_eq!(runtime.block_on(nested).unwrap(), 7);
    let guard = drops.on_drop();
    let straggler = runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    let report = runtime.drain(Duration::from_millis(2)).wait();
    assert_eq!((report.panicked, report.cancelled, report.stragglers.len()), (0, 1, 1), "{report}");
    assert!(runtime.block_on(straggler).unwrap_err().is_cancelled());
    drop(runtime);
    assert_eq!(drops.get(), TASKS + JOBS + 1);
    assert_eq!((account.tasks, account.jobs + account.cancelled_jobs), (TASKS, JOBS));
    account
}

/// Runs a life with the threads `first..end` refused. Returns how many were, and the account of the
/// life if the runtime could be built.
fn life_with_refusals(builder: &mut Builder, first: usize, end: usize) -> (usize, Option<Account>) {
    let (threads, descriptors) = (threads_now(), descriptors_now());
    THREAD.fail(first..end, libc::EAGAIN);
    let account = match builder.build() {
        Ok(runtime) => Some(life(runtime)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            let text = error.to_string();
            assert!(text.contains("ulimit -u") && text.contains("worker_threads"), "{text}");
            None
        }
    };
    let refused = THREAD.heal();
    assert_no_leak(threads, descriptors);
    (refused, account)
}

fn two_workers() -> Builder {
    let mut builder = builder(2);
    builder.max_worker_threads(4).max_blocking_threads(2);
    builder
}

#[test]
fn runtime_with_each_single_thread_refused_is_an_error_or_serves() {
    alone("threads::runtime_with_each_single_thread_refused_is_an_error_or_serves", || {
        let (mut errors, mut served, mut refused_resizes) = (0, 0, 0);
        for nth in 0.. {
            let (refused, account) = life_with_refusals(&mut two_workers(), nth, nth + 1);
            if refused == 0 {
                break;
            }
            assert_eq!(refused, 1);
            match account {
                Some(account) => {
                    served += 1;
                    assert!(account.refused_resizes <= 1, "{account:?}");
                    refused_resizes += account.refused_resizes;
                }
                None => errors += 1,
            }
        }
        // Two workers and the watchdog are necessary. The other threads are two for jobs, two for
        // each of two resizes, one for the drain, and others that depend on the schedule.
        assert_eq!(errors, 3);
        assert!(served >= 5, "{served}");
        assert!(refused_resizes >= 2, "{refused_resizes}");
    });
}

#[test]
fn runtime_with_all_threads_refused_from_the_nth_on_is_an_error_or_serves() {
    alone("threads::runtime_with_all_threads_refused_from_the_nth_on_is_an_error_or_serves", || {
        let mut outcomes = Vec::new();
        for nth in 0.. {
            let (refused, account) = life_with_refusals(&mut two_workers(), nth, usize::MAX);
            if refused == 0 {
                break;
            }
            outcomes.push(account);
        }
        assert!(outcomes.len() >= 8, "{}", outcomes.len());
        assert!(outcomes[..3].iter().all(Option::is_none) && outcomes[3..].iter().all(Option::is_some));
        // No thread for a job, and none for a resize upwards.
        let none = Account { tasks: 20, jobs: 0, cancelled_jobs: 6, resizes: 1, refused_resizes: 2 };
        assert_eq!(outcomes[3], Some(none));
        // One thread is enough for all jobs.
        assert_eq!(outcomes[4].as_ref().map(|account| account.jobs), Some(6));
    });
}

#[test]
fn current_thread_runtime_with_all_threads_refused_serves() {
    alone("threads::current_thread_runtime_with_all_threads_refused_serves", || {
        let (threads, descriptors) = (threads_now(), descriptors_now());
        THREAD.fail(0..usize::MAX, libc::EAGAIN);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let job = spawn_blocking(|| ());
            assert_eq!(heist::spawn(async { 7 }).await.unwrap(), 7);
            assert!(job.await.unwrap_err().is_cancelled());
            heist::time::sleep(Duration::from_millis(1)).await;
        });
        let straggler = runtime.spawn(pending::<()>());
        let report = runtime.drain(Duration::from_millis(2)).wait();
        assert_eq!((report.completed, report.cancelled), (0, 1), "{report}");
        assert!(runtime.block_on(straggler).unwrap_err().is_cancelled());
        drop(runtime);
        assert!(THREAD.heal() >= 1);
        assert_no_leak(threads, descriptors);
    });
}

/// Spawns a task whose poll returns once the door is open. Returns when the poll has begun.
fn spawn_stuck(runtime: &Runtime) -> (JoinHandle<()>, Door) {
    let (begun, go) = (Door::new(), Door::new());
    let (is_polled, may_return) = (begun.clone(), go.clone());
    let stuck = runtime.spawn(async move {
        is_polled.open();
        may_return.wait();
    });
    begun.wait();
    (stuck, go)
}

/// Drains a runtime without its deadline thread, by `wait`, with one straggler that is idle and one
/// whose poll does not return before the report. Asserts what the report says.
fn drain_without_thread(mut builder: Builder, wait: impl FnOnce(&Runtime) -> DrainReport) {
    let runtime = builder.enable_all().build().unwrap();
    let (stuck, go) = spawn_stuck(&runtime);
    let idle = runtime.spawn(pending::<()>());
    THREAD.fail(0..usize::MAX, libc::EAGAIN);
    let report = wait(&runtime);
    // The deadline thread and the reaper, and perhaps a spare worker.
    assert!(THREAD.heal() >= 2);
    let mut stragglers: Vec<_> = report.stragglers.iter().map(|task| task.id).collect();
    stragglers.sort();
    let mut expected = [stuck.id(), idle.id()];
    expected.sort();
    assert_eq!(stragglers, expected);
    assert_eq!((report.completed, report.panicked, report.unnamed), (0, 0, 0), "{report}");
    go.open();
    runtime.block_on(stuck).unwrap();
    assert!(runtime.block_on(idle).unwrap_err().is_cancelled());
}

#[test]
fn drain_without_its_thread_keeps_the_deadline_wherever_it_is_awaited() {
    const DEADLINE: Duration = Duration::from_millis(2);
    alone("threads::drain_without_its_thread_keeps_the_deadline_wherever_it_is_awaited", || {
        let builder = || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2);
            builder
        };
        drain_without_thread(builder(), |runtime| runtime.drain(DEADLINE).wait());
        drain_without_thread(builder(), |runtime| runtime.block_on(runtime.drain(DEADLINE)));
        drain_without_thread(builder(), |runtime| futures::executor::block_on(runtime.drain(DEADLINE)));
        // The task that awaits the drain is exempt from it.
        drain_without_thread(builder(), |runtime| {
            let handle = runtime.handle().clone();
            runtime.block_on(runtime.spawn(async move { handle.drain(DEADLINE).await })).unwrap()
        });
        // One of two that await it is dropped. The other one keeps the deadline.
        drain_without_thread(builder(), |runtime| {
            let mut first = runtime.drain(DEADLINE);
            assert!(poll_once(&mut first).is_pending());
            let second = runtime.drain(DEADLINE);
            drop(first);
            second.wait()
        });
    });
}

/// Awaits a drain without its thread, while the only worker is stuck, so that no thread turns the
/// wheel. `wait` begins the drain, and returns its report, and the runtime unless it is shut down.
fn drain_of_a_stuck_worker(wait: impl FnOnce(Runtime) -> (DrainReport, Option<Runtime>)) {
    // Not the builder of the other tests, whose report comes late.
    drain_of_a_stuck_worker_by(&mut Builder::new_multi_thread(), wait);
}

fn drain_of_a_stuck_worker_by(builder: &mut Builder, wait: impl FnOnce(Runtime) -> (DrainReport, Option<Runtime>)) {
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let (stuck, go) = spawn_stuck(&runtime);
    THREAD.fail(0..usize::MAX, libc::EAGAIN);
    let (report, runtime) = wait(runtime);
    assert!(THREAD.heal() >= 1);
    assert_eq!(report.stragglers.iter().map(|task| task.id).collect::<Vec<_>>(), [stuck.id()], "{report}");
    go.open();
    drop(runtime);
}

#[test]
fn drain_without_its_thread_while_no_worker_turns_the_wheel_is_reported() {
    alone("threads::drain_without_its_thread_while_no_worker_turns_the_wheel_is_reported", || {
        const DEADLINE: Duration = Duration::from_millis(2);
        drain_of_a_stuck_worker(|runtime| (runtime.drain(DEADLINE).wait(), Some(runtime)));
        drain_of_a_stuck_worker(|runtime| (runtime.block_on(runtime.drain(DEADLINE)), Some(runtime)));
        drain_of_a_stuck_worker(|runtime| (runtime.handle().block_on(runtime.drain(DEADLINE)), Some(runtime)));
    });
}

#[test]
fn drain_without_its_thread_whose_closer_gives_up_is_reported() {
    alone("threads::drain_without_its_thread_whose_closer_gives_up_is_reported", || {
        drain_of_a_stuck_worker(|runtime| {
            let mut drain = runtime.drain(Duration::MAX);
            assert!(poll_once(&mut drain).is_pending());
            runtime.shutdown_timeout(Duration::ZERO);
            (drain.wait(), None)
        });
    });
}

/// The deadline is passed. Then a closer begins to wait for the stuck worker. The report does not
/// wait for the closer.
#[test]
fn drain_without_its_thread_during_a_shutdown_is_reported() {
    alone("threads::drain_without_its_thread_during_a_shutdown_is_reported", || {
        let (sender, receiver) = channel::<Runtime>();
        let closer = thread::spawn(move || receiver.recv().unwrap().shutdown_timeout(Duration::MAX));
        let mut builder = Builder::new_multi_thread();
        drain_of_a_stuck_worker_by(builder.drain_report_delay(Duration::from_millis(200)), |runtime| {
            let mut drain = runtime.drain(Duration::ZERO);
            assert!(poll_once(&mut drain).is_pending());
            sender.send(runtime).unwrap();
            (drain.wait(), None)
        });
        closer.join().unwrap();
    });
}

/// While some threads are refused, jobs run on those that exist. None is lost.
#[test]
fn blocking_jobs_under_refusals_run_or_are_cancelled() {
    alone("threads::blocking_jobs_under_refusals_run_or_are_cancelled", || {
        let runtime = builder(1).max_blocking_threads(8).thread_keep_alive(Duration::ZERO).build().unwrap();
        THREAD.fail_each(2, 0..usize::MAX, libc::EAGAIN);
        let ran = Count::new();
        let spawners: Vec<_> = (0..4)
            .map(|_| {
                let (handle, ran) = (runtime.handle().clone(), ran.clone());
                let main = move || {
                    let job = |_| {
                        let ran = ran.clone();
                        handle.spawn_blocking(move || ran.add())
                    };
                    let jobs: Vec<_> = (0..250).map(job).collect();
                    jobs.into_iter().map(join).filter(Result::is_ok).count()
                };
                // This thread may be refused as well.
                loop {
                    if let Ok(spawner) = thread::Builder::new().spawn(main.clone()) {
                        break spawner;
                    }
                }
            })
            .collect();
        let completed: usize = spawners.into_iter().map(|spawner| spawner.join().unwrap()).sum();
        assert!(THREAD.heal() > 0);
        assert_eq!(ran.get(), completed);
        // The pool serves as before.
        runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
        until(|| runtime.metrics().num_blocking_threads() == 0);
    });
}

/// A function in `block_in_place` waits for the end of a task, while the runtime is shut down. The
/// helper that would drop the task is refused, so the next thread that exits starts it.
#[test]
fn shutdown_whose_helper_is_refused_ends_the_tasks_of_a_blocking_section() {
    alone("threads::shutdown_whose_helper_is_refused_ends_the_tasks_of_a_blocking_section", || {
        // The task belongs to the seat of the only worker, so a spare worker does not drop it.
        let runtime = builder(1).build().unwrap();
        let (entered, polled, dropped) = (Door::new(), Door::new(), Door::new());
        let on_drop = OnDrop::new({
            let dropped = dropped.clone();
            move || dropped.open()
        });
        let is_polled = polled.clone();
        runtime.spawn(async move {
            let _on_drop = on_drop;
            is_polled.open();
            pending::<()>().await;
        });
        polled.wait();
        let (enters, waits) = (entered.clone(), dropped.clone());
        runtime.spawn(async move {
            block_in_place(|| {
                enters.open();
                waits.wait();
            });
        });
        entered.wait();
        THREAD.fail(0..1, libc::EAGAIN);
        drop(runtime);
        assert!(dropped.is_open());
        assert_eq!((THREAD.heal(), THREAD.calls()), (1, 2));
    });
}
