//! `docs/metrics.md` lists what is published, with its kind and unit, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use heist::runtime::{Builder, Runtime};
use heist_metrics::opentelemetry::observe_runtime;
use heist_metrics::{RuntimeMetricsReporterBuilder, RuntimeMonitor};
use metrics::{Unit, with_local_recorder};
use metrics_util::MetricKind;
use metrics_util::debugging::DebuggingRecorder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A row of a table, by column: two names with their kinds, a meaning, a source.
fn rows() -> Vec<[String; 6]> {
    let page = fs::read_to_string(repository().join("docs/metrics.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("six columns: {cells:?}"))
    })
    .collect()
}

/// Returns the words in backticks.
fn code(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread()
        .enable_metrics_poll_time_histogram()
        .enable_metrics_schedule_latency_histogram()
        .build();
    runtime.unwrap()
}

#[test]
fn page_lists_the_names_of_the_facade_with_kind_and_unit() {
    let recorder = DebuggingRecorder::new();
    let runtime = runtime();
    let _group = runtime.group("batch").build().unwrap();
    let monitor = RuntimeMonitor::new(runtime.handle());
    with_local_recorder(&recorder, || {
        drop(RuntimeMetricsReporterBuilder::default().describe().build_with_monitor(&monitor));
    });
    let snapshot = recorder.snapshotter().snapshot().into_vec().into_iter();
    let published: BTreeMap<String, String> = snapshot
        .map(|(key, unit, _, _)| {
            let kind = match key.kind() {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram => "histogram",
            };
            let unit = match unit.expect("a unit") {
                Unit::Count | Unit::Percent => "",
                Unit::Microseconds => ", µs",
                other => panic!("the page has no word for {other:?}"),
            };
            (key.key().name().to_owned(), format!("{kind}{unit}"))
        })
        .collect();
    let rows = rows();
    let listed: Vec<(String, String)> =
        rows.iter().flat_map(|[names, kind, ..]| code(names).map(move |name| (name, kind.clone()))).collect();
    assert_eq!(listed.len(), published.len(), "a name is listed twice, or is absent");
    assert_eq!(listed.into_iter().collect::<BTreeMap<_, _>>(), published);
}

#[test]
fn page_lists_the_names_of_opentelemetry_with_kind_and_unit() {
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    let runtime = runtime();
    let _group = runtime.group("batch").build().unwrap();
    observe_runtime(runtime.handle(), &provider.meter("test"), &[]);
    provider.force_flush().unwrap();
    let exported = exporter.get_finished_metrics().unwrap();
    let metrics = exported.iter().flat_map(|resource| resource.scope_metrics()).flat_map(|scope| scope.metrics());
    let collected: BTreeMap<String, String> = metrics
        .map(|metric| {
            let kind = match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(_)) => "counter",
                AggregatedMetrics::U64(MetricData::Gauge(_)) => "gauge",
                other => panic!("neither counter nor gauge: {other:?}"),
            };
            let unit = match metric.unit() {
                "ms" => ", ms",
                "ns" => ", ns",
                "" => "",
                count => {
                    assert!(count.starts_with('{') && count.ends_with('}'), "the page has no word for {count}");
                    ""
                }
            };
            (metric.name().to_owned(), format!("{kind}{unit}"))
        })
        .collect();
    let rows = rows();
    let listed: Vec<(String, String)> =
        rows.iter().flat_map(|[_, _, names, kind, ..]| code(names).map(move |name| (name, kind.clone()))).collect();
    assert_eq!(listed.len(), collected.len(), "a name is listed twice, or is absent");
    assert_eq!(listed.into_iter().collect::<BTreeMap<_, _>>(), collected);
}

#[test]
fn page_names_sources_that_exist() {
    let root = repository();
    let mut text = fs::read_to_string(root.join("metrics/src/runtime_metrics.rs")).expect("the sample");
    for file in ["metrics", "worker_metrics", "group_metrics", "histograms", "consolidation"] {
        text += &fs::read_to_string(root.join(format!("src/runtime/{file}.rs"))).expect("the figures");
    }
    for row in rows() {
        let sources: Vec<String> = code(&row[5]).collect();
        assert_eq!(sources.len(), 1, "{row:?}");
        let exists = [format!("pub fn {}(", sources[0]), format!("pub {}:", sources[0])];
        assert!(exists.iter().any(|definition| text.contains(definition)), "there is no `{}`", sources[0]);
    }
}

#[test]
fn page_about_observing_has_the_example_of_the_readme() {
    let root = repository();
    let [readme, page] =
        ["metrics/README.md", "docs/observing.md"].map(|file| fs::read_to_string(root.join(file)).expect("a page"));
    let section = page.split("## Metrics in a dashboard").nth(1).expect("the section");
    let example = section.split("```").nth(1).expect("a piece of code");
    let example = example.split_once('\n').expect("more than one line").1;
    assert!(example.lines().count() > 5, "{example}");
    assert!(readme.contains(example), "cargo test runs the README; this is not there:\n{example}");
}
