//! What the SDK of OpenTelemetry collects.

use std::collections::BTreeMap;
use std::time::Duration;

use heist::runtime::{Builder, Runtime};
use heist::task::yield_now;
use heist_metrics::opentelemetry::observe_runtime;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};

struct Collector {
    exporter: InMemoryMetricExporter,
    provider: SdkMeterProvider,
}

/// A metric: whether it is a sum, and its values by attributes.
#[derive(Debug)]
struct Collected {
    is_sum: bool,
    unit: String,
    values: BTreeMap<String, u64>,
}

impl Collected {
    fn total(&self) -> u64 {
        self.values.values().sum()
    }
}

impl Collector {
    fn new() -> Collector {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        Collector { exporter, provider }
    }

    fn observe(&self, runtime: &Runtime, name: &'static str) {
        observe_runtime(runtime.handle(), &self.provider.meter("test"), &[KeyValue::new("name", name)]);
    }

    fn collect(&self) -> BTreeMap<String, Collected> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let exported = self.exporter.get_finished_metrics().unwrap();
        let metrics = exported.iter().flat_map(|resource| resource.scope_metrics()).flat_map(|scope| scope.metrics());
        metrics
            .map(|metric| {
                let AggregatedMetrics::U64(data) = metric.data() else { panic!("whole numbers: {metric:?}") };
                let (is_sum, values) = match data {
                    MetricData::Sum(sum) => {
                        assert!(sum.is_monotonic(), "{metric:?}");
                        (true, sum.data_points().map(|point| (text(point.attributes()), point.value())).collect())
                    }
                    MetricData::Gauge(gauge) => {
                        (false, gauge.data_points().map(|point| (text(point.attributes()), point.value())).collect())
                    }
                    other => panic!("neither sum nor gauge: {other:?}"),
                };
                (metric.name().to_owned(), Collected { is_sum, unit: metric.unit().to_owned(), values })
            })
            .collect()
    }
}

/// Returns the attributes in the order of their keys, without the number of the runtime.
fn text<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut texts: Vec<_> = attributes
        .filter(|attribute| attribute.key.as_str() != "tokio.runtime.id")
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    texts.sort();
    texts.join(" ")
}

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

#[test]
fn collection_after_tasks_has_their_exact_counts() {
    let collector = Collector::new();
    let runtime = current_thread();
    collector.observe(&runtime, "api");
    for tasks in [10, 35] {
        run_tasks(&runtime, if tasks == 10 { 10 } else { 25 });
        let metrics = collector.collect();
        let runtime_wide = |name: &str| metrics[name].values["name=api"];
        assert_eq!((runtime_wide("tokio.spawned_tasks_count"), runtime_wide("tokio.workers")), (tasks, 1));
        assert_eq!((runtime_wide("tokio.alive_tasks"), runtime_wide("heist.draining")), (0, 0));
        let of_worker = |name: &str| metrics[name].values["name=api tokio.worker.index=0"];
        assert_eq!(
            (of_worker("tokio.worker.polls"), of_worker("tokio.worker.local_schedules")),
            (2 * tasks, 2 * tasks)
        );
        assert!(metrics["tokio.worker.polls"].is_sum && !metrics["tokio.workers"].is_sum);
    }
}

#[test]
fn collection_over_resizes_keeps_the_counts_of_exited_workers() {
    let collector = Collector::new();
    let runtime = Builder::new_multi_thread().worker_threads(3).build().unwrap();
    collector.observe(&runtime, "api");
    run_tasks(&runtime, 100);
    runtime.resize(1).wait().unwrap();
    run_tasks(&runtime, 100);
    let metrics = collector.collect();
    assert_eq!(metrics["tokio.workers"].total(), 1);
    assert_eq!(metrics["tokio.worker.polls"].total(), 400);
    assert!(metrics["tokio.worker.polls"].values.len() >= 3);
}

#[test]
fn collection_of_two_runtimes_keeps_them_apart() {
    let collector = Collector::new();
    let (api, batch) = (current_thread(), current_thread());
    collector.observe(&api, "api");
    collector.observe(&batch, "batch");
    run_tasks(&api, 3);
    run_tasks(&batch, 5);
    drop(batch.drain(Duration::from_secs(60)).wait());
    let metrics = collector.collect();
    let values = |name: &str| metrics[name].values.values().copied().collect::<Vec<_>>();
    assert_eq!(values("tokio.spawned_tasks_count"), [3, 5]);
    assert_eq!(values("tokio.worker.polls"), [6, 10]);
    assert_eq!(values("heist.draining"), [0, 1]);
}

#[test]
fn collection_with_groups_and_histograms_has_exact_counts() {
    let collector = Collector::new();
    let runtime = Builder::new_current_thread()
        .enable_metrics_poll_time_histogram()
        .enable_metrics_schedule_latency_histogram()
        .build()
        .unwrap();
    let (ingest, _idle) = (runtime.group("ingest").build().unwrap(), runtime.group("idle").build().unwrap());
    collector.observe(&runtime, "api");
    for _ in 0..4 {
        runtime.block_on(ingest.spawn(yield_now())).unwrap();
    }
    let metrics = collector.collect();
    let completed = &metrics["heist.group.completed"].values;
    assert_eq!(completed["heist.group.name=ingest name=api"], 4);
    assert_eq!(completed["heist.group.name=idle name=api"], 0);
    for name in ["tokio.worker.poll_time_bucket", "heist.worker.schedule_latency_bucket"] {
        assert_eq!(metrics[name].values["le=+Inf name=api tokio.worker.index=0"], 8, "{name}");
        assert!(metrics[name].values.len() > 2);
    }
}

/// Name, unit, and whether the value only grows, as opentelemetry-instrumentation-tokio 0.3.0 has
/// them.
const TOKIO: [(&str, &str, bool); 23] = [
    ("tokio.workers", "{worker}", false),
    ("tokio.global_queue_depth", "{task}", false),
    ("tokio.alive_tasks", "{task}", false),
    ("tokio.worker.park_count", "", true),
    ("tokio.worker.busy_duration", "ms", true),
    ("tokio.blocking_threads", "{thread}", false),
    ("tokio.idle_blocking_threads", "{thread}", false),
    ("tokio.remote_schedules", "{task}", true),
    ("tokio.budget_forced_yields", "{yield}", true),
    ("tokio.io_driver.fd_registrations", "{fd}", true),
    ("tokio.io_driver.fd_deregistrations", "{fd}", true),
    ("tokio.io_driver.fd_readies", "{event}", true),
    ("tokio.spawned_tasks_count", "{task}", true),
    ("tokio.blocking_queue_depth", "{task}", false),
    ("tokio.worker.noops", "{operation}", true),
    ("tokio.worker.task_steals", "", true),
    ("tokio.worker.steal_operations", "", true),
    ("tokio.worker.polls", "{task}", true),
    ("tokio.worker.local_schedules", "{task}", true),
    ("tokio.worker.overflows", "", true),
    ("tokio.worker.local_queue_depth", "{task}", false),
    ("tokio.worker.mean_poll_time", "ns", false),
    ("tokio.worker.poll_time_bucket", "", false),
];

#[test]
fn names_of_the_instrumentation_for_tokio_are_collected() {
    let collector = Collector::new();
    let runtime = Builder::new_current_thread().enable_metrics_poll_time_histogram().build().unwrap();
    collector.observe(&runtime, "api");
    let metrics = collector.collect();
    let collected = metrics.iter().filter(|(name, _)| name.starts_with("tokio."));
    let collected: BTreeMap<_, _> =
        collected.map(|(name, of)| (name.as_str(), (of.unit.as_str(), of.is_sum))).collect();
    let expected: BTreeMap<_, _> = TOKIO.iter().map(|(name, unit, is_sum)| (*name, (*unit, *is_sum))).collect();
    assert_eq!(collected, expected);
}
