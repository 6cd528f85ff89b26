//! Histograms of what polls take, and of what tasks wait for them: asked for at the builder, read
//! from the metrics.

use std::ops::Range;
use std::time::Duration;

use super::{Builder, RuntimeMetrics};
use crate::metrics::buckets::HistogramConfiguration;
use crate::metrics::histogram::{Histogram, PollHistograms, no_bucket};
use crate::pool::HistogramSettings;

/// Histograms, which are read by [`RuntimeMetrics`].
impl Builder {
    /// Has each worker measure how long every poll of a task takes.
    ///
    /// That costs two looks at the clock for each poll. A runtime without it does not measure
    /// single polls.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::{Builder, HistogramConfiguration, LogHistogram};
    ///
    /// let runtime = Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(
    ///         LogHistogram::builder().max_value(Duration::from_secs(1)).max_error(0.25),
    ///     ))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    ///
    /// let metrics = runtime.metrics();
    /// let buckets = 0..metrics.poll_time_histogram_num_buckets();
    /// let polls: u64 = buckets.map(|bucket| metrics.poll_time_histogram_bucket_count(0, bucket)).sum();
    /// assert_eq!(polls, 1);
    /// ```
    pub fn enable_metrics_poll_time_histogram(&mut self) -> &mut Builder {
        self.settings.poll_times.wanted = true;
        self
    }

    /// Into which buckets the times of polls go, if they are measured. The default is ten of 100 µs
    /// each, the last of which takes everything that is longer, too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::{Builder, HistogramConfiguration};
    ///
    /// let runtime = Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .metrics_poll_time_histogram_configuration(HistogramConfiguration::linear(Duration::from_millis(1), 5))
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// assert_eq!(metrics.poll_time_histogram_num_buckets(), 5);
    /// assert_eq!(metrics.poll_time_histogram_bucket_range(1), Duration::from_millis(1)..Duration::from_millis(2));
    /// ```
    pub fn metrics_poll_time_histogram_configuration(&mut self, configuration: HistogramConfiguration) -> &mut Builder {
        self.settings.poll_times.scale = configuration;
        self
    }

    /// Has each worker measure how long every task waits, from when it is queued (being spawned,
    /// woken, or having let others go first) until it is polled.
    ///
    /// That costs two looks at the clock and two at a table for each poll, and some memory for each
    /// task that waits. The table is shared among the workers, in parts. A runtime without it
    /// measures nothing of the kind.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_metrics_schedule_latency_histogram().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    ///
    /// let metrics = runtime.metrics();
    /// let buckets = 0..metrics.schedule_latency_histogram_num_buckets();
    /// let polls: u64 = buckets.map(|bucket| metrics.schedule_latency_histogram_bucket_count(0, bucket)).sum();
    /// assert_eq!(polls, 1);
    /// ```
    pub fn enable_metrics_schedule_latency_histogram(&mut self) -> &mut Builder {
        self.settings.latencies.wanted = true;
        self.track_task_schedule_latency()
    }

    /// Has each worker measure how long every task waits, as
    /// [`enable_metrics_schedule_latency_histogram`](Builder::enable_metrics_schedule_latency_histogram)
    /// does and at the same cost, but for the [hooks of polls](Builder::on_before_task_poll) alone:
    /// see [`TaskMeta::schedule_latency`](crate::pool::hooks::TaskMeta::schedule_latency).
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .track_task_schedule_latency()
    ///     .on_before_task_poll(|task| println!("{} has waited for {:?}", task.id(), task.schedule_latency().unwrap()))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// ```
    pub fn track_task_schedule_latency(&mut self) -> &mut Builder {
        self.settings.queue_times = true;
        self
    }

    /// Into which buckets the times go that tasks wait, if they are measured. The default is ten of
    /// 100 µs each, the last of which takes everything that is longer, too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::{Builder, HistogramConfiguration};
    ///
    /// let runtime = Builder::new_current_thread()
    ///     .enable_metrics_schedule_latency_histogram()
    ///     .metrics_schedule_latency_histogram_configuration(HistogramConfiguration::linear(Duration::from_millis(1), 5))
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// assert_eq!(metrics.schedule_latency_histogram_num_buckets(), 5);
    /// assert_eq!(metrics.schedule_latency_histogram_bucket_range(1), Duration::from_millis(1)..Duration::from_millis(2));
    /// ```
    pub fn metrics_schedule_latency_histogram_configuration(
        &mut self,
        configuration: HistogramConfiguration,
    ) -> &mut Builder {
        self.settings.latencies.scale = configuration;
        self
    }
}

/// Histograms, if the builder was asked for them. They are kept for each worker, and follow the
/// rules for figures of a worker.
impl RuntimeMetrics {
    /// Whether it is measured how long polls take; see
    /// [`Builder::enable_metrics_poll_time_histogram`](super::Builder::enable_metrics_poll_time_histogram).
    ///
    /// ```
    /// use heist::runtime::Builder;
    ///
    /// let mut builder = Builder::new_current_thread();
    /// assert!(!builder.build().unwrap().metrics().poll_time_histogram_enabled());
    /// builder.enable_metrics_poll_time_histogram();
    /// assert!(builder.build().unwrap().metrics().poll_time_histogram_enabled());
    /// ```
    pub fn poll_time_histogram_enabled(&self) -> bool {
        self.pool.settings.poll_times.wanted
    }

    /// How many buckets the times of polls go into; none if they are not measured.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_metrics_poll_time_histogram().build().unwrap();
    /// assert_eq!(runtime.metrics().poll_time_histogram_num_buckets(), 10);
    /// ```
    pub fn poll_time_histogram_num_buckets(&self) -> usize {
        num_buckets(&self.pool.settings.poll_times)
    }

    /// Which times of polls go into this bucket: from the first to less than the second. The last
    /// bucket ends at `u64::MAX` nanoseconds. From zero to zero if they are not measured.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_metrics_poll_time_histogram().build().unwrap();
    /// assert_eq!(runtime.metrics().poll_time_histogram_bucket_range(0), Duration::ZERO..Duration::from_micros(100));
    /// ```
    ///
    /// # Panics
    ///
    /// If they are measured, and there is no such bucket.
    #[track_caller]
    pub fn poll_time_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        bucket_range(&self.pool.settings.poll_times, bucket)
    }

    /// How many polls of `worker` took so long that they fell into this bucket; counted when a poll
    /// has ended. Zero if they are not measured.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_metrics_poll_time_histogram().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// let metrics = runtime.metrics();
    /// for bucket in 0..metrics.poll_time_histogram_num_buckets() {
    ///     println!("{:?}: {}", metrics.poll_time_histogram_bucket_range(bucket), metrics.poll_time_histogram_bucket_count(0, bucket));
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker. If polls are measured, and there is no such bucket.
    #[track_caller]
    pub fn poll_time_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        self.bucket_count(worker, bucket, |histograms| histograms.poll_times.as_ref())
    }

    /// Whether it is measured how long tasks wait to be polled; see
    /// [`Builder::enable_metrics_schedule_latency_histogram`](super::Builder::enable_metrics_schedule_latency_histogram).
    ///
    /// ```
    /// use heist::runtime::Builder;
    ///
    /// let mut builder = Builder::new_current_thread();
    /// assert!(!builder.build().unwrap().metrics().schedule_latency_histogram_enabled());
    /// builder.enable_metrics_schedule_latency_histogram();
    /// assert!(builder.build().unwrap().metrics().schedule_latency_histogram_enabled());
    /// ```
    pub fn schedule_latency_histogram_enabled(&self) -> bool {
        self.pool.settings.latencies.wanted
    }

    /// How many buckets the times go into that tasks wait; none if they are not measured.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_metrics_schedule_latency_histogram().build().unwrap();
    /// assert_eq!(runtime.metrics().schedule_latency_histogram_num_buckets(), 10);
    /// ```
    pub fn schedule_latency_histogram_num_buckets(&self) -> usize {
        num_buckets(&self.pool.settings.latencies)
    }

    /// Which waits go into this bucket: from the first to less than the second. The last bucket
    /// ends at `u64::MAX` nanoseconds. From zero to zero if they are not measured.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_metrics_schedule_latency_histogram().build().unwrap();
    /// assert_eq!(runtime.metrics().schedule_latency_histogram_bucket_range(0), Duration::ZERO..Duration::from_micros(100));
    /// ```
    ///
    /// # Panics
    ///
    /// If they are measured, and there is no such bucket.
    #[track_caller]
    pub fn schedule_latency_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        bucket_range(&self.pool.settings.latencies, bucket)
    }

    /// How many tasks, wherever they were queued, had waited so long when `worker` began to poll
    /// them that they fell into this bucket. Zero if that is not measured.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_metrics_schedule_latency_histogram().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// let metrics = runtime.metrics();
    /// for bucket in 0..metrics.schedule_latency_histogram_num_buckets() {
    ///     println!("{:?}: {}", metrics.schedule_latency_histogram_bucket_range(bucket), metrics.schedule_latency_histogram_bucket_count(0, bucket));
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker. If waits are measured, and there is no such bucket.
    #[track_caller]
    pub fn schedule_latency_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        self.bucket_count(worker, bucket, |histograms| histograms.latencies.as_ref())
    }

    #[track_caller]
    fn bucket_count(&self, worker: usize, bucket: usize, choose: fn(&PollHistograms) -> Option<&Histogram>) -> u64 {
        let histograms = self.seat(worker).histograms.as_deref();
        match histograms.and_then(choose) {
            Some(histogram) => histogram.count(bucket),
            None => 0,
        }
    }
}

fn num_buckets(settings: &HistogramSettings) -> usize {
    if settings.wanted { settings.scale.buckets() } else { 0 }
}

#[track_caller]
fn bucket_range(settings: &HistogramSettings, bucket: usize) -> Range<Duration> {
    match num_buckets(settings) {
        0 => Duration::ZERO..Duration::ZERO,
        buckets if bucket < buckets => settings.scale.range(bucket),
        buckets => no_bucket(bucket, buckets),
    }
}
