//! For how long a worker was ready and waited for a processor.

use std::time::Duration;

use crate::metrics::buckets::HistogramConfiguration;
use crate::metrics::counter::Counter;
use crate::metrics::histogram::Histogram;

/// The width of a bucket, and their number. The last one takes a window in which the worker had
/// hardly any processor, and all longer windows.
const WIDTH: Duration = Duration::from_millis(1);
const BUCKETS: usize = 21;

/// The run delays of one seat's worker, one per window of the watchdog, which writes them.
#[derive(Debug)]
pub(crate) struct RunDelays {
    total: Counter,
    windows: Histogram,
}

impl RunDelays {
    pub(crate) fn new() -> RunDelays {
        RunDelays { total: Counter::new(), windows: Histogram::new(RunDelays::scale()) }
    }

    /// Returns how the windows are sorted into buckets.
    pub(crate) fn scale() -> HistogramConfiguration {
        HistogramConfiguration::linear(WIDTH, BUCKETS)
    }

    /// Adds the run delay of one window.
    pub(crate) fn record(&self, delay: Duration) {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.total.add(nanos);
        self.windows.add(nanos);
    }

    /// Returns the sum of all windows.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.total.get())
    }

    /// Returns the number of windows in this bucket.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    #[track_caller]
    pub(crate) fn count(&self, bucket: usize) -> u64 {
        self.windows.count(bucket)
    }
}
