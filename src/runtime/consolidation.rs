//! Fewer workers while the processors are shared: the setting, and the metrics.

use std::ops::Range;
use std::time::Duration;

use super::{Builder, RuntimeMetrics};
use crate::metrics::histogram::no_bucket;
use crate::metrics::run_delays::RunDelays;

/// Settings for processors that other threads use, too.
impl Builder {
    /// Sets whether workers rest while they get fewer processors than there are workers. The
    /// default is true.
    ///
    /// If neighbours, a sidecar or a load generator use the same processors, the kernel takes them
    /// from the workers for milliseconds at a time. What a worker has begun waits then. Fewer
    /// workers often do the same work, and do not take the processors from each other. The runtime
    /// tries that when its workers wait for processors, and keeps the smaller number only if it
    /// polls about as many tasks. When processors come free, the other workers come back.
    ///
    /// This is no resize: [`worker_threads`](super::Runtime::worker_threads) stays, and no thread
    /// ends. [`RuntimeMetrics::effective_workers`] tells how many workers poll tasks, and an event
    /// of `tracing` with the target `heist::workers` tells when that changes. The setting has no
    /// effect on a current-thread runtime, nor on systems other than Linux.
    ///
    /// # Examples
    ///
    /// ```
    /// // Eight workers poll tasks, also on a machine that is overloaded.
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(8)
    ///     .consolidate_workers(false)
    ///     .build()
    ///     .unwrap();
    /// assert_eq!(runtime.metrics().effective_workers(), 8);
    /// ```
    pub fn consolidate_workers(&mut self, on: bool) -> &mut Builder {
        self.settings.consolidate = on;
        self
    }
}

/// Metrics of the processors that the workers get.
impl RuntimeMetrics {
    /// Returns how many of the workers poll tasks or wait for tasks. The others rest; see
    /// [`Builder::consolidate_workers`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// assert!((1..=metrics.num_workers()).contains(&metrics.effective_workers()));
    /// ```
    pub fn effective_workers(&self) -> usize {
        self.pool.worker_set.num_effective()
    }

    /// Returns for how long this worker's thread was ready and waited for a processor, in all. The
    /// watchdog reads it from the kernel about every 20 ms while a worker is awake.
    ///
    /// It is zero on a current-thread runtime, on systems other than Linux, and if
    /// [`Builder::consolidate_workers`] is off.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .build()
    ///     .unwrap();
    /// println!("waited for a processor: {:?}", runtime.metrics().worker_run_delay(0));
    /// ```
    #[track_caller]
    pub fn worker_run_delay(&self, worker: usize) -> Duration {
        self.seat(worker).run_delays.total()
    }

    /// Returns the number of buckets of the histogram of run delays.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// // Windows of about 20 ms in which the worker has waited for 10 ms or longer.
    /// let half = std::time::Duration::from_millis(10);
    /// let buckets = 0..metrics.run_delay_histogram_num_buckets();
    /// let long = buckets
    ///     .filter(|&bucket| metrics.run_delay_histogram_bucket_range(bucket).start >= half)
    ///     .map(|bucket| metrics.run_delay_histogram_bucket_count(0, bucket));
    /// let windows: u64 = long.sum();
    /// println!("{windows} windows");
    /// ```
    pub fn run_delay_histogram_num_buckets(&self) -> usize {
        RunDelays::scale().buckets()
    }

    /// Returns the run delays that this bucket counts.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .build()
    ///     .unwrap();
    /// assert!(runtime.metrics().run_delay_histogram_bucket_range(0).start.is_zero());
    /// ```
    #[track_caller]
    pub fn run_delay_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        let buckets = self.run_delay_histogram_num_buckets();
        if bucket >= buckets {
            no_bucket(bucket, buckets);
        }
        RunDelays::scale().range(bucket)
    }

    /// Returns in how many windows of about 20 ms the worker's run delay was in this bucket.
    /// Windows in which all workers sleep do not count.
    ///
    /// # Panics
    ///
    /// If there is no such worker, or no such bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .build()
    ///     .unwrap();
    /// println!("{}", runtime.metrics().run_delay_histogram_bucket_count(0, 0));
    /// ```
    #[track_caller]
    pub fn run_delay_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        self.seat(worker).run_delays.count(bucket)
    }
}
