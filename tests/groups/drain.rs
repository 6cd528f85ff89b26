//! The drain of one group, and of a runtime with groups.

use std::sync::mpsc;
use std::time::Duration;

use heist::runtime::{Builder, Refusal, Runtime};
use heist::task;

#[test]
fn group_drain_waits_for_its_tasks_and_leaves_the_others() {
    let runtime = Runtime::new().unwrap();
    let (drained, other) = (runtime.group("drained").build().unwrap(), runtime.group("other").build().unwrap());
    let (sender, receiver) = async_channel::bounded::<()>(1);
    let task = drained.spawn(async move {
        receiver.recv().await.unwrap();
        // Its own tasks may still spawn.
        heist::spawn(async { 7 }).await.unwrap()
    });
    let left = other.spawn(std::future::pending::<()>());
    let drain = drained.drain(Duration::from_secs(60));
    assert_eq!(drained.try_spawn(async {}).unwrap_err().refusal(), Refusal::Draining);
    sender.send_blocking(()).unwrap();
    let report = drain.wait();
    assert_eq!((report.completed, report.cancelled, report.stragglers.len()), (2, 0, 0));
    assert_eq!(runtime.block_on(task).unwrap(), 7);
    assert_eq!(drained.try_spawn(async {}).unwrap_err().refusal(), Refusal::Closed);
    assert!(!left.is_finished() && other.try_spawn(async {}).is_ok());
}

#[test]
fn group_drain_cancels_what_is_left_at_the_deadline() {
    for runtime in [Runtime::new().unwrap(), Builder::new_current_thread().build().unwrap()] {
        let group = runtime.group("drained").build().unwrap();
        let idle = task::Builder::new().name("idle").group(&group);
        let idle = idle.spawn_on(std::future::pending::<()>(), runtime.handle()).unwrap();
        let endless = group.spawn(async {
            loop {
                task::yield_now().await;
            }
        });
        let report = group.drain(Duration::from_millis(5)).wait();
        assert_eq!((report.completed, report.cancelled), (0, 2), "{report}");
        let names: Vec<_> = report.stragglers.iter().map(|task| task.name.as_deref()).collect();
        assert!(names.contains(&Some("idle")) && names.len() == 2, "{report}");
        assert!(report.stragglers.iter().all(|task| task.group.as_deref() == Some("drained")));
        assert!(runtime.block_on(async { (idle.await, endless.await) }).0.unwrap_err().is_cancelled());
    }
}

#[test]
fn abort_all_reaches_queued_idle_running_and_first_polled_tasks() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let group = runtime.group("doomed").build().unwrap();
    let idle = group.spawn(std::future::pending::<()>());
    while group.metrics().queued_tasks > 0 || group.metrics().active_workers > 0 {
        std::thread::yield_now();
    }
    let (entered, in_poll) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let running = group.spawn(async move {
        entered.send(()).unwrap();
        released.recv().unwrap();
        std::future::pending::<()>().await;
    });
    in_poll.recv().unwrap();
    let queued = group.spawn(async {});
    group.abort_all();
    release.send(()).unwrap();
    for task in [idle, running, queued] {
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    }
    assert_eq!(group.metrics().cancelled, 3);
}

#[test]
fn runtime_drain_counts_tasks_of_groups_and_names_their_group() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let group = runtime.group("tenants").max_workers(1).build().unwrap();
    let idle = group.spawn(std::future::pending::<()>());
    let endless: Vec<_> = (0..10)
        .map(|_| {
            group.spawn(async {
                loop {
                    task::yield_now().await;
                }
            })
        })
        .collect();
    let ends = group.spawn(runtime.draining());
    let report = runtime.drain(Duration::from_millis(20)).wait();
    assert_eq!((report.completed, report.cancelled, report.unnamed), (1, 11, 0), "{report}");
    assert_eq!(report.stragglers.len(), 11);
    assert!(report.stragglers.iter().all(|task| task.group.as_deref() == Some("tenants")), "{report}");
    assert!(idle.is_finished() && ends.is_finished() && endless.iter().all(|task| task.is_finished()));
    assert_eq!(group.metrics().live_tasks, 0);
}

#[test]
fn shutdown_drops_what_is_queued_in_groups() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let group = runtime.group("queued").build().unwrap();
    let (entered, in_poll) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let running = group.spawn(async move {
        entered.send(()).unwrap();
        released.recv().unwrap();
    });
    in_poll.recv().unwrap();
    let queued: Vec<_> = (0..100).map(|_| group.spawn(async {})).collect();
    let dropped = std::thread::spawn(move || drop(runtime));
    release.send(()).unwrap();
    dropped.join().unwrap();
    assert!(running.is_finished() && queued.iter().all(|task| task.is_finished()));
    assert_eq!(group.metrics().live_tasks, 0);
}

#[test]
fn dump_names_the_group_of_each_task() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let group = runtime.group("tenants").build().unwrap();
    let (entered, in_poll) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let _running = group.spawn(async move {
        entered.send(()).unwrap();
        released.recv().unwrap();
    });
    in_poll.recv().unwrap();
    let _queued = group.spawn(async {});
    let dump = runtime.dump();
    let groups: Vec<_> = dump.tasks.iter().map(|task| task.group.as_deref()).collect();
    assert_eq!(groups, [Some("tenants"); 2], "{dump}");
    release.send(()).unwrap();
}

#[test]
fn group_drain_in_a_runtime_drain_waits_for_its_tasks() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("drained").build().unwrap();
    let (sender, receiver) = async_channel::bounded::<()>(1);
    let task = group.spawn(async move { receiver.recv().await.unwrap() });
    let whole = runtime.drain(Duration::from_secs(60));
    let drain = group.drain(Duration::from_secs(60));
    let waiter = std::thread::spawn(move || drain.wait());
    sender.send_blocking(()).unwrap();
    assert_eq!(waiter.join().unwrap().completed, 1);
    // A permit is released just before the handle resolves.
    runtime.block_on(task).unwrap();
    assert!(whole.wait().stragglers.is_empty());
}

#[test]
fn admission_held_past_the_drain_spawns_nothing() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("drained").build().unwrap();
    let admission = group.try_admit().unwrap();
    let report = group.drain(Duration::ZERO).wait();
    assert_eq!((report.completed, report.cancelled), (0, 0), "{report}");
    assert_eq!(admission.try_spawn(async {}).unwrap_err().refusal(), Refusal::Closed);
    assert_eq!(group.metrics().live_tasks, 0);
}

#[test]
fn group_drain_waits_for_blocking_jobs() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("disk").max_blocking(1).build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let job = group.spawn_blocking(move || released.recv().unwrap());
    let next = group.spawn_blocking(|| 7);
    let drain = group.drain(Duration::from_secs(60));
    release.send(()).unwrap();
    let report = drain.wait();
    assert!(report.stragglers.is_empty(), "{report}");
    runtime.block_on(async { (job.await.unwrap(), assert_eq!(next.await.unwrap(), 7)) });
    assert!(runtime.block_on(group.spawn_blocking(|| 7)).unwrap_err().refusal().is_some());
}

#[test]
fn abort_all_leaves_tasks_that_are_spawned_later() {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let group = runtime.group("busy").build().unwrap();
    for _ in 0..200 {
        let endless: Vec<_> = (0..4)
            .map(|_| {
                group.spawn(async {
                    loop {
                        task::yield_now().await;
                    }
                })
            })
            .collect();
        group.abort_all();
        let later = group.spawn(async {
            task::yield_now().await;
            7
        });
        assert_eq!(runtime.block_on(later).unwrap(), 7);
        for task in endless {
            assert!(runtime.block_on(task).unwrap_err().is_cancelled());
        }
    }
}

#[test]
fn group_drain_cancels_jobs_that_have_not_begun() {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap();
    let group = runtime.group("disk").build().unwrap();
    let (entered, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let running = group.spawn_blocking(move || {
        entered.send(()).unwrap();
        released.recv().unwrap();
    });
    begun.recv().unwrap();
    let queued: Vec<_> = (0..10).map(|_| group.spawn_blocking(|| ())).collect();
    let report = group.drain(Duration::ZERO).wait();
    assert!(!report.stragglers.is_empty(), "{report}");
    release.send(()).unwrap();
    runtime.block_on(running).unwrap();
    for job in queued {
        assert!(runtime.block_on(job).unwrap_err().is_cancelled());
    }
}

#[test]
fn group_drain_waits_for_the_task_of_a_job() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("disk").build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let job = group.spawn_blocking(move || {
        released.recv().unwrap();
        heist::spawn(async { task::yield_now().await })
    });
    let drain = group.drain(Duration::from_secs(60));
    release.send(()).unwrap();
    let report = drain.wait();
    assert_eq!((report.completed, report.cancelled), (1, 0), "{report}");
    runtime.block_on(async { job.await.unwrap().await.unwrap() });
}

#[test]
fn group_drain_with_a_deadline_beyond_all_time_cancels_nothing() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let group = runtime.group("drained").build().unwrap();
    let (sender, receiver) = async_channel::bounded::<()>(1);
    let task = group.spawn(async move { receiver.recv().await.unwrap() });
    runtime.block_on(async {
        let drain = group.drain(Duration::MAX);
        for _ in 0..100 {
            task::yield_now().await;
        }
        sender.send(()).await.unwrap();
        let report = drain.await;
        assert_eq!((report.completed, report.cancelled), (1, 0));
        task.await.unwrap();
    });
}
