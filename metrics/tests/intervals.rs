//! Samples of a monitor: each has exactly what happened since the one before.

use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, Runtime};
use heist::task::yield_now;
use heist_metrics::{RuntimeIntervals, RuntimeMetrics, RuntimeMonitor};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn workers(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

fn intervals(runtime: &Runtime) -> RuntimeIntervals {
    RuntimeMonitor::new(runtime.handle()).intervals()
}

/// Runs so many tasks, one after the other. Each yields three times.
fn run_tasks(runtime: &Runtime, tasks: usize) {
    runtime.block_on(async {
        for _ in 0..tasks {
            let task = heist::spawn(async {
                for _ in 0..3 {
                    yield_now().await;
                }
            });
            task.await.unwrap();
        }
    });
}

#[test]
fn interval_of_local_tasks_has_their_exact_counts() {
    let runtime = current_thread();
    run_tasks(&runtime, 5);
    let mut intervals = intervals(&runtime);
    run_tasks(&runtime, 10);
    let interval = intervals.next().unwrap();
    assert_eq!((interval.workers_count, interval.live_tasks_count, interval.spawned_tasks_count), (1, 0, 10));
    assert_eq!((interval.total_polls_count, interval.max_polls_count, interval.min_polls_count), (40, 40, 40));
    assert_eq!(interval.total_local_schedule_count, 40, "ten spawns and thirty yields");
    assert_eq!((interval.num_remote_schedules, interval.total_steal_count), (0, 0));
    assert!(interval.elapsed > Duration::ZERO && interval.total_busy_duration > Duration::ZERO);
    assert!(interval.mean_poll_duration > Duration::ZERO);
    assert_eq!(interval.mean_poll_duration_worker_min, interval.mean_poll_duration_worker_max);
    assert!(interval.poll_time_histogram.buckets().is_empty(), "it is not enabled");

    let next = intervals.next().unwrap();
    assert_eq!((next.spawned_tasks_count, next.total_polls_count, next.total_local_schedule_count), (0, 0, 0));
    assert_eq!((next.mean_poll_duration, next.mean_poll_duration_worker_max), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn interval_of_remote_spawns_counts_queue_and_schedules() {
    let runtime = current_thread();
    let mut intervals = intervals(&runtime);
    let tasks: Vec<_> = (0..7).map(|_| runtime.spawn(async {})).collect();
    let interval = intervals.next().unwrap();
    assert_eq!((interval.num_remote_schedules, interval.global_queue_depth, interval.live_tasks_count), (7, 7, 7));
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    let interval = intervals.next().unwrap();
    assert_eq!((interval.num_remote_schedules, interval.global_queue_depth, interval.live_tasks_count), (0, 0, 0));
    assert_eq!(interval.total_polls_count, 7);
}

#[test]
fn interval_over_resizes_loses_no_count_of_workers() {
    let runtime = workers(1);
    let mut intervals = intervals(&runtime);
    let mut sum = RuntimeMetrics::default();
    for workers in [4, 2, 3, 1] {
        runtime.resize(workers).wait().unwrap();
        run_tasks(&runtime, 100);
        let interval = intervals.next().unwrap();
        assert_eq!(interval.workers_count, workers);
        assert!(interval.max_polls_count <= interval.total_polls_count);
        assert!(interval.min_polls_count <= interval.max_polls_count);
        sum.total_polls_count += interval.total_polls_count;
        sum.spawned_tasks_count += interval.spawned_tasks_count;
    }
    assert_eq!((sum.total_polls_count, sum.spawned_tasks_count), (1600, 400));
}

#[test]
fn interval_of_blocking_jobs_has_their_threads_and_queue() {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let mut intervals = intervals(&runtime);
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let first = runtime.spawn_blocking(move || ended.recv().is_err());
    let second = runtime.spawn_blocking(|| ());
    let interval = intervals.next().unwrap();
    assert_eq!((interval.blocking_threads_count, interval.blocking_queue_depth), (1, 1));
    drop(end);
    assert!(runtime.block_on(first).unwrap());
    runtime.block_on(second).unwrap();
    while intervals.next().unwrap().idle_blocking_threads_count == 0 {
        thread::yield_now();
    }
    assert_eq!(intervals.next().unwrap().blocking_queue_depth, 0);
}

#[test]
fn interval_with_histograms_has_one_count_per_poll() {
    let runtime = Builder::new_current_thread()
        .enable_metrics_poll_time_histogram()
        .enable_metrics_schedule_latency_histogram()
        .build()
        .unwrap();
    run_tasks(&runtime, 1);
    let mut intervals = intervals(&runtime);
    for tasks in [10, 0, 20] {
        run_tasks(&runtime, tasks);
        let interval = intervals.next().unwrap();
        let polls: u64 = interval.poll_time_histogram.as_counts().iter().sum();
        let waits: u64 = interval.schedule_latency_histogram.as_counts().iter().sum();
        assert_eq!((polls, waits), (4 * tasks as u64, 4 * tasks as u64));
        let buckets = interval.poll_time_histogram.buckets();
        assert!(buckets.windows(2).all(|pair| pair[0].range_end() == pair[1].range_start()));
    }
}

#[test]
fn interval_after_drain_is_draining() {
    let runtime = workers(2);
    let mut intervals = intervals(&runtime);
    assert!(!intervals.next().unwrap().draining);
    runtime.drain(Duration::from_secs(60)).wait();
    assert!(intervals.next().unwrap().draining);
}

#[test]
fn interval_of_groups_has_their_exact_counts() {
    let runtime = workers(2);
    let mut intervals = intervals(&runtime);
    let group = runtime.group("ingest").max_tasks(1).build().unwrap();
    for _ in 0..3 {
        runtime.block_on(group.spawn(yield_now())).unwrap();
    }
    let pending = group.spawn(std::future::pending::<()>());
    assert!(group.try_spawn(async {}).is_err(), "it is full");
    let interval = intervals.next().unwrap();
    let [figures] = &interval.groups[..] else { panic!("one group: {:?}", interval.groups) };
    assert_eq!((figures.name.as_str(), figures.live_tasks_count), ("ingest", 1));
    assert_eq!((figures.spawned_count, figures.completed_count, figures.refused_count), (4, 3, 1));

    pending.abort();
    assert!(runtime.block_on(pending).unwrap_err().is_cancelled());
    let figures = intervals.next().unwrap().groups.remove(0);
    assert_eq!((figures.spawned_count, figures.completed_count, figures.refused_count), (0, 0, 0));
    assert_eq!((figures.cancelled_count, figures.live_tasks_count), (1, 0));
}

#[test]
fn interval_of_group_with_name_of_a_former_one_counts_from_zero() {
    let runtime = current_thread();
    let mut intervals = intervals(&runtime);
    for spawns in [5, 2] {
        // The name is free once the handles of the former group and of its tasks are gone.
        let group = runtime.group("batch").build().unwrap();
        for _ in 0..spawns {
            runtime.block_on(group.spawn(async {})).unwrap();
        }
        assert_eq!(intervals.next().unwrap().groups[0].spawned_count, spawns);
    }
    assert!(intervals.next().unwrap().groups.is_empty());
}
