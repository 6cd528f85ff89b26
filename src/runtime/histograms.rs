//! Histograms of poll times and of scheduling latencies: the settings of the builder, and the
//! metrics.

use std::ops::Range;
use std::time::Duration;

use super::{Builder, RuntimeMetrics};
use crate::metrics::buckets::HistogramConfiguration;
use crate::metrics::histogram::{Histogram, PollHistograms, no_bucket};
use crate::pool::HistogramSettings;

/// Settings of the histograms that [`RuntimeMetrics`] holds.
impl Builder {
    /// Makes each worker measure the duration of every poll of a task.
    ///
    /// That costs two reads of the clock for each poll. By default, the runtime does not measure
    /// single polls.
    ///
    /// # Examples
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
    /// let count = |bucket| metrics.poll_time_histogram_bucket_count(0, bucket);
    /// let polls: u64 = buckets.map(count).sum();
    /// assert_eq!(polls, 1);
    /// ```
    pub fn enable_metrics_poll_time_histogram(&mut self) -> &mut Builder {
        self.settings.poll_times.wanted = true;
        self
    }

    /// Sets the buckets of the poll time histogram, if poll times are measured.
    ///
    /// The default is ten buckets of 100 µs each. The last one also holds all longer times.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::{Builder, HistogramConfiguration};
    ///
    /// let buckets = HistogramConfiguration::linear(Duration::from_millis(1), 5);
    /// let runtime = Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .metrics_poll_time_histogram_configuration(buckets)
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// assert_eq!(metrics.poll_time_histogram_num_buckets(), 5);
    /// let second = metrics.poll_time_histogram_bucket_range(1);
    /// assert_eq!(second, Duration::from_millis(1)..Duration::from_millis(2));
    /// ```
    pub fn metrics_poll_time_histogram_configuration(&mut self, configuration: HistogramConfiguration) -> &mut Builder {
        self.settings.poll_times.scale = configuration;
        self
    }

    /// Makes each worker measure the scheduling latency of every task. The latency is the time from
    /// when a spawn, a wake or a yield queues the task until its poll.
    ///
    /// That costs two reads of the clock and two accesses to a table for each poll, and some memory
    /// for each waiting task. The workers share the table, in parts. By default, the runtime does
    /// not measure latencies.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .enable_metrics_schedule_latency_histogram()
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    ///
    /// let metrics = runtime.metrics();
    /// let buckets = 0..metrics.schedule_latency_histogram_num_buckets();
    /// let count = |bucket| metrics.schedule_latency_histogram_bucket_count(0, bucket);
    /// let polls: u64 = buckets.map(count).sum();
    /// assert_eq!(polls, 1);
    /// ```
    pub fn enable_metrics_schedule_latency_histogram(&mut self) -> &mut Builder {
        self.settings.latencies.wanted = true;
        self.track_task_schedule_latency()
    }

    /// Makes each worker measure scheduling latencies only for the
    /// [hooks of polls](Builder::on_before_task_poll); see
    /// [`TaskMeta::schedule_latency`](crate::pool::hooks::TaskMeta::schedule_latency).
    ///
    /// The cost is that of
    /// [`enable_metrics_schedule_latency_histogram`](Builder::enable_metrics_schedule_latency_histogram).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .track_task_schedule_latency()
    ///     .on_before_task_poll(|task| {
    ///         println!("{} has waited for {:?}", task.id(), task.schedule_latency().unwrap());
    ///     })
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// ```
    pub fn track_task_schedule_latency(&mut self) -> &mut Builder {
        self.settings.queue_times = true;
        self
    }

    /// Sets the buckets of the scheduling latency histogram, if latencies are measured.
    ///
    /// The default is ten buckets of 100 µs each. The last one also holds all longer times.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::{Builder, HistogramConfiguration};
    ///
    /// let buckets = HistogramConfiguration::linear(Duration::from_millis(1), 5);
    /// let runtime = Builder::new_current_thread()
    ///     .enable_metrics_schedule_latency_histogram()
    ///     .metrics_schedule_latency_histogram_configuration(buckets)
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// assert_eq!(metrics.schedule_latency_histogram_num_buckets(), 5);
    /// let second = metrics.schedule_latency_histogram_bucket_range(1);
    /// assert_eq!(second, Duration::from_millis(1)..Duration::from_millis(2));
    /// ```
    pub fn metrics_schedule_latency_histogram_configuration(
        &mut self,
        configuration: HistogramConfiguration,
    ) -> &mut Builder {
        self.settings.latencies.scale = configuration;
        self
    }
}

/// Histograms, if the builder has enabled them. Each worker has its own.
impl RuntimeMetrics {
    /// Returns true if poll times are measured; see
    /// [`Builder::enable_metrics_poll_time_histogram`](super::Builder::enable_metrics_poll_time_histogram).
    ///
    /// # Examples
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

    /// Returns the number of buckets for poll times. It is zero if poll times are not measured.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .build()
    ///     .unwrap();
    /// assert_eq!(runtime.metrics().poll_time_histogram_num_buckets(), 10);
    /// ```
    pub fn poll_time_histogram_num_buckets(&self) -> usize {
        num_buckets(&self.pool.settings.poll_times)
    }

    /// Returns the range of poll times of this bucket. The end does not belong to the bucket.
    ///
    /// The last bucket ends at `u64::MAX` nanoseconds. The range is `0..0` if poll times are not
    /// measured.
    ///
    /// # Panics
    ///
    /// Panics if poll times are measured and there is no such bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .build()
    ///     .unwrap();
    /// let first = runtime.metrics().poll_time_histogram_bucket_range(0);
    /// assert_eq!(first, Duration::ZERO..Duration::from_micros(100));
    /// ```
    #[track_caller]
    pub fn poll_time_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        bucket_range(&self.pool.settings.poll_times, bucket)
    }

    /// Returns how many polls of the worker had a duration in this bucket. A poll is counted when
    /// it has ended.
    ///
    /// The result is zero if poll times are not measured.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`, or if poll times are measured and there is
    /// no such bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// let metrics = runtime.metrics();
    /// for bucket in 0..metrics.poll_time_histogram_num_buckets() {
    ///     let range = metrics.poll_time_histogram_bucket_range(bucket);
    ///     println!("{range:?}: {}", metrics.poll_time_histogram_bucket_count(0, bucket));
    /// }
    /// ```
    #[track_caller]
    pub fn poll_time_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        self.bucket_count(worker, bucket, |histograms| histograms.poll_times.as_ref())
    }

    /// Returns true if scheduling latencies are measured; see
    /// [`Builder::enable_metrics_schedule_latency_histogram`](super::Builder::enable_metrics_schedule_latency_histogram).
    ///
    /// # Examples
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

    /// Returns the number of buckets for scheduling latencies. It is zero if latencies are not
    /// measured.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .enable_metrics_schedule_latency_histogram()
    ///     .build()
    ///     .unwrap();
    /// assert_eq!(runtime.metrics().schedule_latency_histogram_num_buckets(), 10);
    /// ```
    pub fn schedule_latency_histogram_num_buckets(&self) -> usize {
        num_buckets(&self.pool.settings.latencies)
    }

    /// Returns the range of scheduling latencies of this bucket. The end does not belong to the
    /// bucket.
    ///
    /// The last bucket ends at `u64::MAX` nanoseconds. The range is `0..0` if latencies are not
    /// measured.
    ///
    /// # Panics
    ///
    /// Panics if latencies are measured and there is no such bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .enable_metrics_schedule_latency_histogram()
    ///     .build()
    ///     .unwrap();
    /// let first = runtime.metrics().schedule_latency_histogram_bucket_range(0);
    /// assert_eq!(first, Duration::ZERO..Duration::from_micros(100));
    /// ```
    #[track_caller]
    pub fn schedule_latency_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        bucket_range(&self.pool.settings.latencies, bucket)
    }

    /// Returns how many tasks had a latency in this bucket when the worker began to poll them. It
    /// does not matter where they were queued.
    ///
    /// The result is zero if latencies are not measured.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`, or if latencies are measured and there is no
    /// such bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .enable_metrics_schedule_latency_histogram()
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// let metrics = runtime.metrics();
    /// for bucket in 0..metrics.schedule_latency_histogram_num_buckets() {
    ///     let range = metrics.schedule_latency_histogram_bucket_range(bucket);
    ///     println!("{range:?}: {}", metrics.schedule_latency_histogram_bucket_count(0, bucket));
    /// }
    /// ```
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
