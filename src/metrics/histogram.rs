//! How often something took how long.

use crate::metrics::buckets::HistogramConfiguration;
use crate::metrics::counter::Counter;

/// Counts durations by bucket. One thread at a time adds, anybody reads.
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

    /// Something has taken so many nanoseconds. Called by the one writer.
    pub(crate) fn add(&self, nanos: u64) {
        self.counts[self.scale.bucket(nanos)].add(1);
    }

    /// How often something fell into this bucket.
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

/// What is measured at each poll of a seat, where somebody wants to know.
#[derive(Debug)]
pub(crate) struct PollHistograms {
    /// How long polls took.
    pub(crate) poll_times: Option<Histogram>,
    /// How long tasks were queued before they were polled.
    pub(crate) latencies: Option<Histogram>,
}

/// There is no such bucket.
#[track_caller]
pub(crate) fn no_bucket(bucket: usize, buckets: usize) -> ! {
    panic!("there is no bucket {bucket}: this histogram has {buckets}")
}
