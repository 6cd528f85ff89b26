//! A histogram of durations in one interval.

use std::ops::Range;
use std::time::Duration;

use heist::runtime::RuntimeMetrics;

/// How many durations of an interval were in each range.
///
/// It has no buckets if the runtime does not measure these durations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    buckets: Vec<HistogramBucket>,
}

impl DurationHistogram {
    /// Returns the buckets, the shortest durations first.
    pub fn buckets(&self) -> &[HistogramBucket] {
        &self.buckets
    }

    /// Returns the counts of the buckets.
    pub fn as_counts(&self) -> Vec<u64> {
        self.buckets.iter().map(HistogramBucket::count).collect()
    }
}

/// One range of a [`DurationHistogram`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramBucket {
    range: Range<Duration>,
    count: u64,
}

impl HistogramBucket {
    /// Returns the shortest duration of the range.
    pub fn range_start(&self) -> Duration {
        self.range.start
    }

    /// Returns the end of the range, which does not belong to it.
    pub fn range_end(&self) -> Duration {
        self.range.end
    }

    /// Returns the number of durations in the range.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Reads one of the runtime's histograms.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) buckets: fn(&RuntimeMetrics) -> usize,
    pub(crate) range: fn(&RuntimeMetrics, usize) -> Range<Duration>,
    pub(crate) count: fn(&RuntimeMetrics, usize, usize) -> u64,
}

pub(crate) const POLL_TIMES: Source = Source {
    buckets: RuntimeMetrics::poll_time_histogram_num_buckets,
    range: RuntimeMetrics::poll_time_histogram_bucket_range,
    count: RuntimeMetrics::poll_time_histogram_bucket_count,
};

pub(crate) const SCHEDULE_LATENCIES: Source = Source {
    buckets: RuntimeMetrics::schedule_latency_histogram_num_buckets,
    range: RuntimeMetrics::schedule_latency_histogram_bucket_range,
    count: RuntimeMetrics::schedule_latency_histogram_bucket_count,
};

impl Source {
    /// Returns the counts so far, summed up over all workers.
    pub(crate) fn totals(&self, runtime: &RuntimeMetrics) -> Vec<u64> {
        let workers = runtime.num_worker_slots();
        let total = |bucket| (0..workers).map(|worker| (self.count)(runtime, worker, bucket)).sum();
        (0..(self.buckets)(runtime)).map(total).collect()
    }

    /// Returns the histogram since the time of these totals, and replaces them.
    pub(crate) fn interval(&self, runtime: &RuntimeMetrics, totals: &mut Vec<u64>) -> DurationHistogram {
        let earlier = std::mem::replace(totals, self.totals(runtime));
        let counts = totals.iter().zip(earlier).map(|(now, earlier)| now.saturating_sub(earlier));
        let bucket = |(bucket, count)| HistogramBucket { range: (self.range)(runtime, bucket), count };
        DurationHistogram { buckets: counts.enumerate().map(bucket).collect() }
    }
}
