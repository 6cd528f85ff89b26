//! Publishes the figures through the facade `metrics`.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use heist::runtime::Handle;
use heist::time::timeout;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata};

use crate::table::{Figure, GROUP, RUNTIME, Value, micros};
use crate::{DurationHistogram, GroupMetrics, RuntimeIntervals, RuntimeMetrics, RuntimeMonitor};

/// The time between two samples, if none is set.
const INTERVAL: Duration = Duration::from_secs(30);

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Builds a [`RuntimeMetricsReporter`].
///
/// The names are those of the fields of [`RuntimeMetrics`], after `tokio_` or `heist_`. The figures
/// of a group have the label `group`. Durations are in microseconds.
///
/// # Examples
///
/// Install an exporter first. This one makes a page for Prometheus:
///
/// ```
/// use std::time::Duration;
///
/// use heist_metrics::RuntimeMetricsReporterBuilder;
/// use metrics_exporter_prometheus::PrometheusBuilder;
///
/// let page = PrometheusBuilder::new().install_recorder()?;
/// let mut builder = heist::runtime::Builder::new_multi_thread();
/// let runtime = builder.worker_threads(2).enable_all().build()?;
/// let reporter = RuntimeMetricsReporterBuilder::default().with_interval(Duration::from_secs(5));
/// runtime.spawn(reporter.describe_and_run());
/// while !page.render().contains("tokio_workers_count 2\n") {
///     std::thread::yield_now(); // the task has not run yet
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RuntimeMetricsReporterBuilder {
    interval: Duration,
    transformer: Transformer,
}

type Transformer = Box<dyn FnMut(&'static str) -> Key + Send>;

impl Default for RuntimeMetricsReporterBuilder {
    fn default() -> RuntimeMetricsReporterBuilder {
        RuntimeMetricsReporterBuilder { interval: INTERVAL, transformer: Box::new(Key::from_static_name) }
    }
}

impl RuntimeMetricsReporterBuilder {
    /// Sets the time between two samples. The default is 30 seconds.
    ///
    /// # Panics
    ///
    /// Panics if the interval is zero.
    #[must_use]
    #[track_caller]
    pub fn with_interval(mut self, interval: Duration) -> RuntimeMetricsReporterBuilder {
        assert!(!interval.is_zero(), "the interval of a reporter is zero; use a second or more");
        self.interval = interval;
        self
    }

    /// Sets a function that makes a key of each name. It may change the name and add labels.
    ///
    /// # Examples
    ///
    /// ```
    /// use metrics::{Key, Label};
    ///
    /// let builder = heist_metrics::RuntimeMetricsReporterBuilder::default();
    /// let label = Label::new("runtime", "api");
    /// let builder = builder
    ///     .with_metrics_transformer(move |name| Key::from_parts(name, vec![label.clone()]));
    /// ```
    #[must_use]
    pub fn with_metrics_transformer(
        mut self,
        transformer: impl FnMut(&'static str) -> Key + Send + 'static,
    ) -> RuntimeMetricsReporterBuilder {
        self.transformer = Box::new(transformer);
        self
    }

    /// Gives a description and a unit of each figure to the recorder of this thread. Do it once for
    /// each recorder: some refuse a second description.
    #[must_use]
    pub fn describe(mut self) -> RuntimeMetricsReporterBuilder {
        describe(RUNTIME, &mut self.transformer);
        describe(GROUP, &mut self.transformer);
        self
    }

    /// Returns a reporter of the current runtime; see [`build_with_monitor`](Self::build_with_monitor).
    ///
    /// # Panics
    ///
    /// Panics outside of a heist runtime.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> RuntimeMetricsReporter {
        let monitor = RuntimeMonitor::new(&Handle::current());
        self.build_with_monitor(&monitor)
    }

    /// Returns a reporter of the runtime of this monitor. Counting begins now.
    ///
    /// The reporter publishes to the recorder that this thread has now: a local one, or the global
    /// one. Figures of groups that are built later go to the recorder of the thread that reports.
    #[must_use]
    pub fn build_with_monitor(mut self, monitor: &RuntimeMonitor) -> RuntimeMetricsReporter {
        let mut reporter = RuntimeMetricsReporter {
            interval: self.interval,
            intervals: monitor.intervals(),
            runtime: register(RUNTIME, &mut self.transformer, &[]),
            groups: BTreeMap::new(),
            transformer: self.transformer,
        };
        for group in monitor.handle().groups() {
            reporter.register_group(group.name());
        }
        reporter
    }

    /// Describes the figures, and publishes them until the runtime drains. This is a task of its
    /// own; see [`RuntimeMetricsReporter::run`].
    ///
    /// # Panics
    ///
    /// Panics at the first poll outside of a heist runtime with timers.
    pub async fn describe_and_run(self) {
        self.describe().build().run().await;
    }

    /// Publishes the figures until the runtime drains, without a description of them.
    ///
    /// # Panics
    ///
    /// Panics at the first poll outside of a heist runtime with timers.
    pub async fn run_without_describing(self) {
        self.build().run().await;
    }
}

impl fmt::Debug for RuntimeMetricsReporterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeMetricsReporterBuilder").field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// Publishes the figures of a runtime through the facade `metrics`.
/// [`RuntimeMetricsReporterBuilder`] builds it.
pub struct RuntimeMetricsReporter {
    interval: Duration,
    intervals: RuntimeIntervals,
    runtime: Vec<Target>,
    groups: BTreeMap<String, Vec<Target>>,
    transformer: Transformer,
}

impl RuntimeMetricsReporter {
    /// Takes one sample, and publishes it.
    pub fn run_once(&mut self) {
        let Some(interval) = self.intervals.next() else { return };
        publish(RUNTIME, &self.runtime, &interval);
        self.publish_groups(&interval);
    }

    /// Publishes a sample now, and then one per interval. Returns after a last sample when the
    /// runtime on which it runs begins to drain, so that the drain need not wait for it.
    ///
    /// To see the figures of the drain itself, call [`run_once`](Self::run_once) on a thread that
    /// is not part of the runtime.
    ///
    /// # Panics
    ///
    /// Panics at the first poll outside of a heist runtime with timers.
    pub async fn run(mut self) {
        let handle = Handle::current();
        let mut draining = pin!(handle.draining());
        loop {
            self.run_once();
            if timeout(self.interval, draining.as_mut()).await.is_ok() {
                return self.run_once();
            }
        }
    }

    fn publish_groups(&mut self, interval: &RuntimeMetrics) {
        let is_present = |name: &str| interval.groups.iter().any(|group| group.name == name);
        // Else a gauge would show the last value of a group that is gone, for ever.
        self.groups.retain(|name, targets| {
            let present = is_present(name);
            if !present {
                publish(GROUP, targets, &GroupMetrics::default());
            }
            present
        });
        for group in &interval.groups {
            self.register_group(&group.name);
            publish(GROUP, &self.groups[&group.name], group);
        }
    }

    fn register_group(&mut self, name: &str) {
        if !self.groups.contains_key(name) {
            let labels = [Label::new("group", name.to_owned())];
            self.groups.insert(name.to_owned(), register(GROUP, &mut self.transformer, &labels));
        }
    }
}

impl fmt::Debug for RuntimeMetricsReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeMetricsReporter")
            .field("interval", &self.interval)
            .field("intervals", &self.intervals)
            .finish_non_exhaustive()
    }
}

/// Where a figure is published.
enum Target {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

fn describe<T>(figures: &[Figure<T>], transformer: &mut Transformer) {
    for figure in figures {
        let name = transformer(figure.name).name_shared();
        let (unit, text) = (Some(figure.unit), figure.description.into());
        metrics::with_recorder(|recorder| match figure.value {
            Value::Counter(_) => recorder.describe_counter(name, unit, text),
            Value::Gauge(_) => recorder.describe_gauge(name, unit, text),
            Value::Histogram(_) => recorder.describe_histogram(name, unit, text),
        });
    }
}

fn register<T>(figures: &[Figure<T>], transformer: &mut Transformer, labels: &[Label]) -> Vec<Target> {
    let mut target = |figure: &Figure<T>| {
        let key = transformer(figure.name).with_extra_labels(labels.to_vec());
        metrics::with_recorder(|recorder| match figure.value {
            Value::Counter(_) => Target::Counter(recorder.register_counter(&key, &METADATA)),
            Value::Gauge(_) => Target::Gauge(recorder.register_gauge(&key, &METADATA)),
            Value::Histogram(_) => Target::Histogram(recorder.register_histogram(&key, &METADATA)),
        })
    };
    figures.iter().map(&mut target).collect()
}

fn publish<T>(figures: &[Figure<T>], targets: &[Target], interval: &T) {
    for (figure, target) in figures.iter().zip(targets) {
        match (&figure.value, target) {
            (Value::Counter(value), Target::Counter(counter)) => counter.increment(value(interval)),
            (Value::Gauge(value), Target::Gauge(gauge)) => gauge.set(value(interval)),
            (Value::Histogram(value), Target::Histogram(histogram)) => record(histogram, value(interval)),
            _ => unreachable!("`register` makes a target of the kind of its figure"),
        }
    }
}

/// Records the durations of each bucket as its shortest one, like `tokio-metrics`.
fn record(histogram: &Histogram, durations: &DurationHistogram) {
    for bucket in durations.buckets().iter().filter(|bucket| bucket.count() > 0) {
        histogram.record_many(micros(bucket.range_start()) as f64, bucket.count() as usize);
    }
}
