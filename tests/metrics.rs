//! The metrics of a runtime: each counts its events once, and no count is lost when workers exit
//! and start.

#[path = "support/kit.rs"]
mod kit;

use std::thread;
use std::time::{Duration, Instant};

use heist::runtime::{
    Builder, Handle, HistogramConfiguration, InvalidHistogramConfiguration, LogHistogram, Runtime, RuntimeMetrics,
};
use heist::task::coop::{consume_budget, unconstrained};
use heist::task::spawn_blocking;
use kit::{Door, current_thread, each, panic_text, workers, yield_now};

fn sum(metrics: &RuntimeMetrics, seats: usize, figure: impl Fn(&RuntimeMetrics, usize) -> u64) -> u64 {
    (0..seats).map(|worker| figure(metrics, worker)).sum()
}

/// Waits until another thread has made the condition true.
fn until(happened: impl Fn() -> bool) {
    while !happened() {
        thread::yield_now();
    }
}

/// Waits until the only worker of the runtime sleeps.
fn asleep(runtime: &Runtime) {
    let metrics = runtime.metrics();
    until(|| metrics.worker_park_unpark_count(0) % 2 == 1);
}

#[test]
fn counts_of_local_work_are_exact() {
    let runtime = current_thread();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                heist::spawn(async {
                    for _ in 0..3 {
                        yield_now().await;
                    }
                })
            })
            .collect();
        assert_eq!((metrics.worker_local_queue_depth(0), metrics.num_alive_tasks()), (10, 10));
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!((metrics.spawned_tasks_count(), metrics.num_alive_tasks()), (10, 0));
    assert_eq!(metrics.worker_poll_count(0), 40);
    assert_eq!(metrics.worker_local_schedule_count(0), 40, "ten spawns and thirty yields");
    assert_eq!((metrics.remote_schedule_count(), metrics.global_queue_depth()), (0, 0));
    assert_eq!((metrics.worker_steal_count(0), metrics.worker_steal_operations(0)), (0, 0));
    assert!(metrics.worker_mean_poll_time(0) > Duration::ZERO);
}

#[test]
fn counts_of_remote_work_are_exact() {
    let runtime = current_thread();
    let metrics = runtime.metrics();
    let door = Door::new();
    let tasks: Vec<_> = (0..7)
        .map(|_| {
            let door = door.clone();
            runtime.spawn(async move { door.opened().await })
        })
        .collect();
    assert_eq!(
        (metrics.spawned_tasks_count(), metrics.remote_schedule_count(), metrics.global_queue_depth()),
        (7, 7, 7)
    );
    runtime.block_on(async {
        while metrics.worker_poll_count(0) < 7 {
            yield_now().await;
        }
    });
    assert_eq!((metrics.worker_local_schedule_count(0), metrics.global_queue_depth()), (0, 0));
    thread::spawn(move || door.open()).join().unwrap();
    assert_eq!((metrics.remote_schedule_count(), metrics.global_queue_depth()), (14, 7), "wakes count like spawns");
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!((metrics.spawned_tasks_count(), metrics.worker_poll_count(0)), (7, 14));
    // A wake by the worker is not a remote one.
    runtime.block_on(async {
        let door = Door::new();
        let opened = door.clone();
        let waits = heist::spawn(async move { opened.opened().await });
        yield_now().await;
        yield_now().await;
        door.open();
        waits.await.unwrap();
    });
    assert_eq!((metrics.remote_schedule_count(), metrics.worker_local_schedule_count(0)), (14, 2));
}

#[test]
fn blocking_jobs_are_not_counted_as_tasks() {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let metrics = runtime.metrics();
    let counts =
        || (metrics.num_blocking_threads(), metrics.num_idle_blocking_threads(), metrics.blocking_queue_depth());
    assert_eq!(counts(), (0, 0, 0));
    let (begun, door) = (Door::new(), Door::new());
    let jobs: Vec<_> = (0..3)
        .map(|_| {
            let (begun, door) = (begun.clone(), door.clone());
            runtime.spawn_blocking(move || {
                begun.open();
                door.wait();
            })
        })
        .collect();
    begun.wait();
    assert_eq!(counts(), (1, 0, 2));
    door.open();
    for job in jobs {
        kit::join(job).unwrap();
    }
    until(|| metrics.num_idle_blocking_threads() == 1);
    assert_eq!(counts(), (1, 1, 0));
    assert_eq!((metrics.spawned_tasks_count(), metrics.num_alive_tasks(), metrics.remote_schedule_count()), (0, 0, 0));
}

#[test]
fn park_unpark_count_is_odd_during_sleep() {
    let runtime = workers(1);
    let metrics = runtime.metrics();
    for _ in 0..20 {
        asleep(&runtime);
        let parks = metrics.worker_park_count(0);
        assert_eq!(metrics.worker_park_unpark_count(0), 2 * parks - 1);
        let awake = metrics.clone();
        let counts = kit::join(runtime.spawn(async move {
            let counts = (awake.worker_park_unpark_count(0), awake.worker_park_count(0));
            (counts, awake.worker_park_unpark_count(0))
        }));
        assert_eq!(counts.unwrap(), ((2 * parks, parks), 2 * parks));
    }
}

#[test]
fn noop_count_grows_when_worker_sleeps_again() {
    let runtime = current_thread();
    let metrics = runtime.metrics();
    // Each job ends when the worker sleeps.
    let asleep = |times: u64| {
        let sleeper = metrics.clone();
        spawn_blocking(move || until(|| sleeper.worker_park_unpark_count(0) == 2 * times - 1))
    };
    let counts = || (metrics.worker_noop_count(0), metrics.worker_park_unpark_count(0));
    runtime.block_on(async {
        asleep(1).await.unwrap();
        assert_eq!(counts(), (0, 2), "it may find something yet");
        // The root was woken, which is not a task.
        asleep(2).await.unwrap();
        assert_eq!(counts(), (1, 4));
    });
    runtime.block_on(async {
        let jobs = [3, 4].map(asleep);
        let task = async move {
            for job in jobs {
                job.await.unwrap();
            }
        };
        heist::spawn(task).await.unwrap();
    });
    assert_eq!(counts(), (1, 8), "it was woken for a task");
}

#[test]
fn worker_thread_id_is_the_worker_s_thread() {
    let runtime = current_thread();
    let metrics = runtime.metrics();
    assert_eq!(metrics.worker_thread_id(0), None);
    let here = thread::current().id();
    assert_eq!(runtime.block_on(async { metrics.worker_thread_id(0) }), Some(here));
    assert_eq!(metrics.worker_thread_id(0), None);
    let elsewhere = thread::scope(|scope| {
        let driver = scope.spawn(|| (runtime.block_on(async { metrics.worker_thread_id(0) }), thread::current().id()));
        driver.join().unwrap()
    });
    assert_eq!(elsewhere.0, Some(elsewhere.1));

    let runtime = workers(3);
    let metrics = runtime.metrics();
    until(|| (0..3).all(|worker| metrics.worker_thread_id(worker).is_some()));
    let ran_on = kit::join(runtime.spawn(async { thread::current().id() })).unwrap();
    assert_eq!((0..3).filter(|&worker| metrics.worker_thread_id(worker) == Some(ran_on)).count(), 1);
    runtime.resize(1).wait().unwrap();
    assert!(metrics.worker_thread_id(0).is_some());
    assert_eq!((metrics.worker_thread_id(1), metrics.worker_thread_id(2)), (None, None));
}

#[test]
fn busy_duration_is_that_of_polls() {
    each(|runtime| {
        let metrics = runtime.metrics();
        let seats = metrics.num_workers();
        let busy = || (0..seats).map(|worker| metrics.worker_total_busy_duration(worker)).sum::<Duration>();
        let before = busy();
        let long = Duration::from_millis(2);
        let task = runtime.spawn(async move {
            let start = Instant::now();
            while start.elapsed() < long {}
        });
        runtime.block_on(task).unwrap();
        // The worker updates the count when it sleeps.
        until(|| busy() - before >= long);
    });
}

#[test]
fn budget_forced_yield_is_counted_per_poll() {
    async fn spends(units: usize) {
        for _ in 0..units {
            consume_budget().await;
        }
    }
    each(|runtime| {
        let metrics = runtime.metrics();
        let counted = |units: usize, expected: u64| {
            let before = metrics.budget_forced_yield_count();
            kit::join(runtime.spawn(spends(units))).unwrap();
            assert_eq!(metrics.budget_forced_yield_count() - before, expected, "{units} in a task");
        };
        let driven = metrics.num_workers() > 1
            || matches!(runtime.handle().runtime_flavor(), heist::runtime::RuntimeFlavor::MultiThread);
        if driven {
            for (units, expected) in [(0, 0), (128, 0), (129, 1), (256, 1), (1000, 7)] {
                counted(units, expected);
            }
        }
        for (units, expected) in [(0, 0), (128, 0), (129, 1), (256, 1), (1000, 7)] {
            let before = metrics.budget_forced_yield_count();
            runtime.block_on(spends(units));
            assert_eq!(metrics.budget_forced_yield_count() - before, expected, "{units} in the root");
            let before = metrics.budget_forced_yield_count();
            runtime.block_on(async { heist::spawn(spends(units)).await.unwrap() });
            assert_eq!(metrics.budget_forced_yield_count() - before, expected, "{units} in a task, awaited");
        }
        let before = metrics.budget_forced_yield_count();
        runtime.block_on(async { heist::spawn(unconstrained(spends(1000))).await.unwrap() });
        assert_eq!(metrics.budget_forced_yield_count(), before);
    });
}

#[test]
fn overflow_count_of_full_queue_is_one() {
    let runtime = current_thread();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..300).map(|_| heist::spawn(async {})).collect();
        assert_eq!(metrics.worker_overflow_count(0), 1);
        assert_eq!(metrics.worker_local_queue_depth(0) + metrics.global_queue_depth(), 300);
        for task in tasks {
            task.await.unwrap();
        }
    });
    // The worker queued them, and they moved to the global queue and back in batches.
    assert_eq!((metrics.remote_schedule_count(), metrics.worker_local_schedule_count(0)), (0, 300));
    assert_eq!((metrics.worker_poll_count(0), metrics.spawned_tasks_count()), (300, 300));
}

#[test]
fn schedule_and_poll_counts_add_up() {
    let runtime = workers(4);
    let metrics = runtime.metrics();
    let parents: Vec<_> = (0..50)
        .map(|_| {
            runtime.spawn(async {
                let children: Vec<_> = (0..20).map(|_| heist::spawn(yield_now())).collect();
                for child in children {
                    child.await.unwrap();
                }
            })
        })
        .collect();
    for parent in parents {
        kit::join(parent).unwrap();
    }
    // The worker updates the count when it sleeps.
    until(|| (0..4).all(|worker| metrics.worker_park_unpark_count(worker) % 2 == 1));
    let polls = sum(&metrics, 4, RuntimeMetrics::worker_poll_count);
    let queued = sum(&metrics, 4, RuntimeMetrics::worker_local_schedule_count) + metrics.remote_schedule_count();
    assert_eq!(polls, queued, "each time that a task is queued it is polled");
    assert_eq!(metrics.spawned_tasks_count(), 50 * 21);
    let stolen = sum(&metrics, 4, RuntimeMetrics::worker_steal_count);
    assert!(stolen >= sum(&metrics, 4, RuntimeMetrics::worker_steal_operations));
}

#[test]
fn counts_stay_when_workers_exit_and_start() {
    let runtime = workers(4);
    let metrics = runtime.metrics();
    let work = |count: usize| {
        let tasks: Vec<_> = (0..count).map(|_| runtime.spawn(yield_now())).collect();
        tasks.into_iter().for_each(|task| kit::join(task).unwrap());
    };
    work(200);
    assert_eq!(sum(&metrics, 4, RuntimeMetrics::worker_poll_count), 400);
    runtime.resize(1).wait().unwrap();
    assert_eq!((metrics.num_workers(), sum(&metrics, 4, RuntimeMetrics::worker_poll_count)), (1, 400));
    let left = (1..4).map(|worker| metrics.worker_poll_count(worker)).collect::<Vec<_>>();
    work(200);
    assert_eq!((1..4).map(|worker| metrics.worker_poll_count(worker)).collect::<Vec<_>>(), left);
    runtime.resize(6).wait().unwrap();
    work(200);
    assert_eq!((metrics.num_workers(), sum(&metrics, 6, RuntimeMetrics::worker_poll_count)), (6, 1200));
    assert_eq!(metrics.spawned_tasks_count(), 600);
    assert!((1..4).all(|worker| metrics.worker_poll_count(worker) >= left[worker - 1]));
}

/// Returns the number of samples in each bucket, of all workers together.
fn buckets(metrics: &RuntimeMetrics, buckets: usize, count: impl Fn(&RuntimeMetrics, usize, usize) -> u64) -> Vec<u64> {
    let workers = metrics.num_workers();
    (0..buckets).map(|bucket| (0..workers).map(|worker| count(metrics, worker, bucket)).sum()).collect()
}

fn measured(mut builder: Builder) -> Runtime {
    let buckets = HistogramConfiguration::linear(Duration::from_millis(1), 3);
    builder
        .enable_all()
        .enable_metrics_poll_time_histogram()
        .metrics_poll_time_histogram_configuration(buckets.clone())
        .enable_metrics_schedule_latency_histogram()
        .metrics_schedule_latency_histogram_configuration(buckets);
    builder.build().unwrap()
}

/// Does the same as `kit::each`, with histograms.
fn each_measured(test: impl Fn(&Runtime)) {
    test(&measured(Builder::new_current_thread()));
    for count in [1, 2, 4] {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(count);
        test(&measured(builder));
    }
}

fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {}
}

#[test]
fn histograms_by_default_are_disabled() {
    let runtime = Builder::new_current_thread()
        .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(LogHistogram::default()))
        .build()
        .unwrap();
    let metrics = runtime.metrics();
    runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    assert!(!metrics.poll_time_histogram_enabled() && !metrics.schedule_latency_histogram_enabled());
    assert_eq!((metrics.poll_time_histogram_num_buckets(), metrics.schedule_latency_histogram_num_buckets()), (0, 0));
    let nothing = Duration::ZERO..Duration::ZERO;
    assert_eq!(metrics.poll_time_histogram_bucket_range(5), nothing);
    assert_eq!(metrics.schedule_latency_histogram_bucket_range(5), nothing);
    assert_eq!(
        metrics.poll_time_histogram_bucket_count(0, 5) + metrics.schedule_latency_histogram_bucket_count(0, 5),
        0
    );
}

#[test]
fn histograms_are_enabled_separately() {
    let runtime = Builder::new_current_thread().enable_metrics_poll_time_histogram().build().unwrap();
    let metrics = runtime.metrics();
    assert!(metrics.poll_time_histogram_enabled() && !metrics.schedule_latency_histogram_enabled());
    assert_eq!((metrics.poll_time_histogram_num_buckets(), metrics.schedule_latency_histogram_num_buckets()), (10, 0));
    let second = Duration::from_micros(100)..Duration::from_micros(200);
    assert_eq!(metrics.poll_time_histogram_bucket_range(1), second);
    assert_eq!(metrics.poll_time_histogram_bucket_range(9).end, Duration::from_nanos(u64::MAX));

    let runtime = Builder::new_current_thread().enable_metrics_schedule_latency_histogram().build().unwrap();
    runtime.block_on(async { heist::spawn(yield_now()).await.unwrap() });
    let metrics = runtime.metrics();
    assert_eq!(buckets(&metrics, 10, RuntimeMetrics::schedule_latency_histogram_bucket_count).iter().sum::<u64>(), 2);
    assert_eq!(metrics.poll_time_histogram_bucket_count(0, 0), 0);
}

#[test]
fn poll_time_histogram_counts_every_poll_once() {
    each_measured(|runtime| {
        let metrics = runtime.metrics();
        let (begun, door) = (Door::new(), Door::new());
        let (begins, waits) = (begun.clone(), door.clone());
        // Woken from outside.
        let woken = runtime.spawn(async move {
            begins.open();
            waits.opened().await;
        });
        // Polled once, with a long poll.
        let long = runtime.spawn(async { spin(Duration::from_millis(2)) });
        // It spawns, it yields, it is woken by a child.
        let busy = runtime.spawn(async {
            for _ in 0..3 {
                yield_now().await;
            }
            heist::spawn(yield_now()).await.unwrap();
        });
        runtime.block_on(async {
            busy.await.unwrap();
            long.await.unwrap();
            begun.opened().await;
        });
        thread::spawn(move || door.open()).join().unwrap();
        runtime.block_on(woken).unwrap();
        // Cancelled in the queue: that takes a turn, too.
        runtime.block_on(async {
            let aborted = heist::spawn(async {});
            aborted.abort();
            let _ = aborted.await;
        });
        let polls = || sum(&metrics, metrics.num_workers(), RuntimeMetrics::worker_poll_count);
        let times = || buckets(&metrics, 3, RuntimeMetrics::poll_time_histogram_bucket_count);
        // The last poll may not have been counted yet.
        until(|| times().iter().sum::<u64>() == polls());
        let latencies = buckets(&metrics, 3, RuntimeMetrics::schedule_latency_histogram_bucket_count);
        assert_eq!(latencies.iter().sum::<u64>(), polls());
        assert!(times()[2] >= 1, "the long one: {:?}", times());
    });
}

#[test]
fn schedule_latency_behind_long_poll_is_measured() {
    let runtime = measured(Builder::new_current_thread());
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let long = heist::spawn(async { spin(Duration::from_millis(2)) });
        let waits = heist::spawn(async {});
        (long.await.unwrap(), waits.await.unwrap())
    });
    let latencies = buckets(&metrics, 3, RuntimeMetrics::schedule_latency_histogram_bucket_count);
    assert_eq!(latencies.iter().sum::<u64>(), 2);
    assert!(latencies[2] >= 1, "{latencies:?}");
    for bucket in [3, usize::MAX] {
        let texts = [
            panic_text(|| metrics.poll_time_histogram_bucket_count(0, bucket)),
            panic_text(|| metrics.poll_time_histogram_bucket_range(bucket)),
            panic_text(|| metrics.schedule_latency_histogram_bucket_count(0, bucket)),
            panic_text(|| metrics.schedule_latency_histogram_bucket_range(bucket)),
        ];
        assert!(texts.iter().all(|text| text.contains("no bucket") && text.ends_with("has 3")), "{texts:?}");
    }
}

#[test]
fn histogram_buckets_out_of_range_are_refused() {
    let texts = [
        panic_text(|| HistogramConfiguration::linear(Duration::ZERO, 1)),
        panic_text(|| HistogramConfiguration::linear(Duration::from_secs(1), 0)),
        panic_text(|| LogHistogram::builder().max_error(0.0)),
        panic_text(|| LogHistogram::builder().max_error(1.0)),
        panic_text(|| LogHistogram::builder().max_error(f64::NAN)),
        panic_text(|| LogHistogram::builder().precision_exact(11)),
        panic_text(|| LogHistogram::builder().max_value(Duration::ZERO)),
    ];
    assert!(
        texts
            .iter()
            .all(|text| text.starts_with("HistogramConfiguration::") || text.starts_with("LogHistogramBuilder::"))
    );
    let refused = LogHistogram::builder().max_error(0.001).max_buckets(100).unwrap_err();
    assert!(
        matches!(refused, InvalidHistogramConfiguration::TooManyBuckets { required_bucket_count } if required_bucket_count > 100)
    );
}

#[test]
fn worker_index_out_of_range_panics() {
    let runtime = workers(2);
    let metrics = runtime.metrics();
    let text = panic_text(|| metrics.worker_poll_count(2));
    assert!(text.contains("no worker 2") && text.contains("has had 2"), "{text}");
}

#[test]
fn metrics_after_runtime_are_readable() {
    each(|_| ());
    let runtime = workers(2);
    let metrics = runtime.metrics();
    kit::join(runtime.spawn(async {})).unwrap();
    assert_eq!(runtime.block_on(async { Handle::current().metrics().spawned_tasks_count() }), 1);
    drop(runtime);
    assert_eq!((metrics.spawned_tasks_count(), metrics.num_alive_tasks()), (1, 0));
    assert_eq!(sum(&metrics, 2, RuntimeMetrics::worker_poll_count), 1);
    assert_eq!((metrics.worker_thread_id(0), metrics.worker_thread_id(1)), (None, None));
    assert_eq!(metrics.num_blocking_threads(), 0);
}
