//! A histogram of durations.

use crate::metrics::buckets::HistogramConfiguration;
use crate::metrics::counter::Counter;

/// Counts durations by bucket. One thread at a time adds, any thread reads.
#[derive(Debug)]
pub(crate) struct Histogram {
    scale: HistogramConfiguration,
    counts: Box<[Counter]>,
}

impl Histogram {
    pub(crate) fn new(scale: HistogramConfiguration) -> Self {
        let counts = (0..scale.buckets()).map(|_| Counter::new()).collect();
        Histogram { scale, counts }
    }

    /// Adds a duration. Called by the histogram's one writer.
    pub(crate) fn add(&self, nanos: u64) {
        self.counts[self.scale.bucket(nanos)].add(1);
    }

    /// Returns the number of durations in this bucket.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    #[track_caller]
    pub(crate) fn count(&self, bucket: usize) -> u64 {
        let buckets = self.counts.len();
        match self.counts.get(bucket) {
            Some(count) => count.get(),
            None => no_bucket(bucket, buckets),
        }
    }
}

/// Histograms of one seat, updated at each poll if they are enabled.
#[derive(Debug)]
pub(crate) struct PollHistograms {
    /// Lengths of polls.
    pub(crate) poll_times: Option<Histogram>,
    /// Times between queueing a task and polling it.
    pub(crate) latencies: Option<Histogram>,
}

/// Panics because there is no such bucket.
#[track_caller]
pub(crate) fn no_bucket(bucket: usize, buckets: usize) -> ! {
    panic!("there is no bucket {bucket}: this histogram has {buckets}")
}
