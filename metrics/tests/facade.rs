//! What consumers of the facade `metrics` receive: its debugging recorder, and the exporter for
//! Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use heist::runtime::{Builder, Runtime};
use heist::task::yield_now;
use heist_metrics::{RuntimeMetricsReporter, RuntimeMetricsReporterBuilder, RuntimeMonitor};
use metrics::{Key, Label, Unit, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn run_tasks(runtime: &Runtime, tasks: usize) {
    runtime.block_on(async {
        for _ in 0..tasks {
            heist::spawn(yield_now()).await.unwrap();
        }
    });
}

fn reporter(recorder: &impl metrics::Recorder, runtime: &Runtime) -> RuntimeMetricsReporter {
    let monitor = RuntimeMonitor::new(runtime.handle());
    let builder = RuntimeMetricsReporterBuilder::default();
    with_local_recorder(recorder, || builder.describe().build_with_monitor(&monitor))
}

/// Returns the values by name. Those of groups have the name of the group after a space. Gauges
/// and counters that have been read are zero until they are published again.
fn values(snapshotter: &Snapshotter) -> BTreeMap<String, DebugValue> {
    let named = |key: &Key| match key.labels().next() {
        Some(label) => format!("{} {}", key.name(), label.value()),
        None => key.name().to_owned(),
    };
    snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| (named(key.key()), value)).collect()
}

fn gauge(value: f64) -> DebugValue {
    DebugValue::Gauge(value.into())
}

#[test]
fn debugging_recorder_after_tasks_has_their_exact_counts() {
    let recorder = DebuggingRecorder::new();
    let runtime = current_thread();
    let mut reporter = reporter(&recorder, &runtime);
    for tasks in [10, 0, 25] {
        run_tasks(&runtime, tasks);
        reporter.run_once();
        let values = values(&recorder.snapshotter());
        let tasks = tasks as u64;
        assert_eq!(values["heist_spawned_tasks_count"], DebugValue::Counter(tasks));
        for name in ["tokio_total_polls_count", "tokio_max_polls_count", "tokio_min_polls_count"] {
            assert_eq!(values[name], DebugValue::Counter(2 * tasks), "{name}");
        }
        assert_eq!(values["tokio_total_local_schedule_count"], DebugValue::Counter(2 * tasks));
        assert_eq!(values["tokio_workers_count"], gauge(1.0));
        assert_eq!(values["tokio_live_tasks_count"], gauge(0.0));
        assert_eq!(values["heist_draining"], gauge(0.0));
    }
}

#[test]
fn debugging_recorder_with_histogram_has_one_record_per_poll() {
    let recorder = DebuggingRecorder::new();
    let runtime = Builder::new_current_thread().enable_metrics_poll_time_histogram().build().unwrap();
    let mut reporter = reporter(&recorder, &runtime);
    run_tasks(&runtime, 10);
    reporter.run_once();
    let values = values(&recorder.snapshotter());
    let DebugValue::Histogram(records) = &values["tokio_poll_time_histogram"] else { panic!("a histogram") };
    assert_eq!(records.len(), 20);
    assert_eq!(values["heist_schedule_latency_histogram"], DebugValue::Histogram(Vec::new()), "it is not enabled");
}

#[test]
fn debugging_recorder_of_removed_group_has_zeros() {
    let recorder = DebuggingRecorder::new();
    let runtime = current_thread();
    let mut reporter = reporter(&recorder, &runtime);
    let group = runtime.group("ingest").build().unwrap();
    runtime.block_on(group.spawn(async {})).unwrap();
    let waiting = group.spawn(std::future::pending::<()>());
    with_local_recorder(&recorder, || reporter.run_once());
    let published = values(&recorder.snapshotter());
    assert_eq!(published["heist_group_spawned_count ingest"], DebugValue::Counter(2));
    assert_eq!(published["heist_group_completed_count ingest"], DebugValue::Counter(1));
    assert_eq!(published["heist_group_live_tasks_count ingest"], gauge(1.0));

    waiting.abort();
    assert!(runtime.block_on(waiting).unwrap_err().is_cancelled());
    drop(group);
    // The recorder's snapshots clear gauges. So this one is set by hand.
    let live = with_local_recorder(&recorder, || metrics::gauge!("heist_group_live_tasks_count", "group" => "ingest"));
    live.set(7.0);
    reporter.run_once();
    let published = values(&recorder.snapshotter());
    assert_eq!(published["heist_group_live_tasks_count ingest"], gauge(0.0));
    assert_eq!(published["heist_group_spawned_count ingest"], DebugValue::Counter(0));
}

#[test]
fn prometheus_page_after_tasks_has_their_exact_counts() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = current_thread();
    let group = runtime.group("batch").build().unwrap();
    let mut reporter = reporter(&recorder, &runtime);
    run_tasks(&runtime, 10);
    reporter.run_once();
    // The queue of a group counts for neither kind of schedule.
    let (grouped, remote) = (group.spawn(async {}), runtime.spawn(async {}));
    runtime.block_on(async { (grouped.await.unwrap(), remote.await.unwrap()) });
    reporter.run_once();
    let page = recorder.handle().render();
    for line in [
        "# TYPE tokio_total_polls_count counter",
        "tokio_total_polls_count 22",
        "heist_spawned_tasks_count 12",
        "# TYPE tokio_workers_count gauge",
        "# HELP tokio_workers_count Workers",
        "tokio_workers_count 1",
        "tokio_num_remote_schedules 1",
        "tokio_total_local_schedule_count 20",
        "heist_group_completed_count{group=\"batch\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not on the page:\n{page}");
    }
}

#[test]
fn transformer_of_names_applies_to_every_figure() {
    let recorder = DebuggingRecorder::new();
    let runtime = current_thread();
    let _group = runtime.group("batch").build().unwrap();
    let builder = RuntimeMetricsReporterBuilder::default()
        .with_metrics_transformer(|name| Key::from_parts(format!("my_{name}"), vec![Label::new("app", "shop")]));
    let monitor = RuntimeMonitor::new(runtime.handle());
    let mut reporter = with_local_recorder(&recorder, || builder.describe().build_with_monitor(&monitor));
    reporter.run_once();
    let snapshot = recorder.snapshotter().snapshot().into_vec();
    assert!(snapshot.len() > 60, "{}", snapshot.len());
    for (key, unit, description, _) in snapshot {
        assert!(key.key().name().starts_with("my_"), "{key:?}");
        assert_eq!(key.key().labels().next(), Some(&Label::new("app", "shop")));
        assert!(unit.is_some() && description.is_some_and(|text| !text.is_empty()), "{key:?}");
    }
}

#[test]
fn reporter_of_drained_runtime_ends_after_a_last_sample() {
    let recorder = DebuggingRecorder::new();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let reporter = reporter(&recorder, &runtime);
    let reporting = runtime.spawn(reporter.run());
    run_tasks(&runtime, 10);
    let report = runtime.drain(Duration::from_secs(60)).wait();
    assert!(report.stragglers.is_empty(), "{report:?}");
    runtime.block_on(reporting).unwrap();
    let values = values(&recorder.snapshotter());
    assert_eq!(values["heist_spawned_tasks_count"], DebugValue::Counter(11), "the reporter is a task, too");
    assert_eq!(values["heist_draining"], gauge(1.0));
}

#[test]
#[should_panic(expected = "the interval of a reporter is zero; use a second or more")]
fn reporter_builder_with_zero_interval_panics() {
    let _ = RuntimeMetricsReporterBuilder::default().with_interval(Duration::ZERO);
}

type Published = BTreeMap<String, (MetricKind, Option<Unit>)>;

fn published(recorder: &DebuggingRecorder) -> Published {
    let figures = recorder.snapshotter().snapshot().into_vec().into_iter();
    figures.map(|(key, unit, _, _)| (key.key().name().to_owned(), (key.kind(), unit))).collect()
}

#[test]
fn names_of_tokio_metrics_are_published_with_kind_and_unit() {
    let recorder = DebuggingRecorder::new();
    drop(reporter(&recorder, &current_thread()));
    let mut ours = published(&recorder);
    ours.retain(|name, _| name.starts_with("tokio_"));

    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let recorder = DebuggingRecorder::new();
    let monitor = tokio_metrics::RuntimeMonitor::new(tokio.handle());
    with_local_recorder(&recorder, || {
        drop(tokio_metrics::RuntimeMetricsReporterBuilder::default().describe().build_with_monitor(monitor))
    });
    let mut expected = published(&recorder);
    assert!(expected.len() >= 10, "{expected:?}");
    let unstable = UNSTABLE.iter().map(|(name, kind, unit)| (format!("tokio_{name}"), (*kind, Some(*unit))));
    expected.extend(unstable);
    assert_eq!(ours, expected);
}

const COUNTER: MetricKind = MetricKind::Counter;
const GAUGE: MetricKind = MetricKind::Gauge;
const COUNT: Unit = Unit::Count;
const MICROS: Unit = Unit::Microseconds;

/// What tokio-metrics 0.5.2 publishes only with `--cfg tokio_unstable`.
const UNSTABLE: [(&str, MetricKind, Unit); 32] = [
    ("mean_poll_duration", GAUGE, MICROS),
    ("mean_poll_duration_worker_min", GAUGE, MICROS),
    ("mean_poll_duration_worker_max", GAUGE, MICROS),
    ("poll_time_histogram", MetricKind::Histogram, MICROS),
    ("total_noop_count", COUNTER, COUNT),
    ("max_noop_count", COUNTER, COUNT),
    ("min_noop_count", COUNTER, COUNT),
    ("total_steal_count", COUNTER, COUNT),
    ("max_steal_count", COUNTER, COUNT),
    ("min_steal_count", COUNTER, COUNT),
    ("total_steal_operations", COUNTER, COUNT),
    ("max_steal_operations", COUNTER, COUNT),
    ("min_steal_operations", COUNTER, COUNT),
    ("num_remote_schedules", COUNTER, COUNT),
    ("total_local_schedule_count", COUNTER, COUNT),
    ("max_local_schedule_count", COUNTER, COUNT),
    ("min_local_schedule_count", COUNTER, COUNT),
    ("total_overflow_count", COUNTER, COUNT),
    ("max_overflow_count", COUNTER, COUNT),
    ("min_overflow_count", COUNTER, COUNT),
    ("total_polls_count", COUNTER, COUNT),
    ("max_polls_count", COUNTER, COUNT),
    ("min_polls_count", COUNTER, COUNT),
    ("total_local_queue_depth", GAUGE, COUNT),
    ("max_local_queue_depth", GAUGE, COUNT),
    ("min_local_queue_depth", GAUGE, COUNT),
    ("blocking_queue_depth", GAUGE, COUNT),
    ("blocking_threads_count", GAUGE, COUNT),
    ("idle_blocking_threads_count", GAUGE, COUNT),
    ("budget_forced_yield_count", COUNTER, COUNT),
    ("io_driver_ready_count", COUNTER, COUNT),
    ("mean_polls_per_park", GAUGE, Unit::Percent),
];

#[test]
fn task_monitor_of_tokio_metrics_counts_polls_on_heist() {
    let monitor = tokio_metrics::TaskMonitor::new();
    current_thread().block_on(async {
        for _ in 0..10 {
            heist::spawn(monitor.instrument(yield_now())).await.unwrap();
        }
    });
    let figures = monitor.cumulative();
    assert_eq!((figures.instrumented_count, figures.total_poll_count, figures.dropped_count), (10, 20, 10));
}
