//! What one simulation yields, from the runtime's own metrics.

use std::time::Duration;

use heist::runtime::{Builder, Handle, HistogramConfiguration, LogHistogram};
use heist::sim::scaling::{Contention, contention};
use heist::time::Instant;

/// Enables the histogram of scheduling latencies, with an error of 6 %.
pub fn enable(builder: &mut Builder) {
    let scale = LogHistogram::builder().max_value(Duration::from_secs(1)).precision_exact(4).build();
    builder
        .enable_metrics_schedule_latency_histogram()
        .metrics_schedule_latency_histogram_configuration(HistogramConfiguration::log(scale));
}

/// The counts of a runtime at one moment of virtual time.
pub struct Snapshot {
    at: Instant,
    busy: Duration,
    steals: u64,
    stolen: u64,
    sleeps: u64,
    useless: u64,
    /// The scheduling latencies, by bucket.
    delays: Vec<u64>,
    /// The locks of the global queue.
    queue: Contention,
}

impl Snapshot {
    /// Reads the metrics of the runtime that the caller is inside of.
    pub fn now() -> Snapshot {
        let metrics = Handle::current().metrics();
        let workers = metrics.num_workers();
        let sum = |of: &dyn Fn(usize) -> u64| (0..workers).map(of).sum();
        let buckets = 0..metrics.schedule_latency_histogram_num_buckets();
        Snapshot {
            at: Instant::now(),
            busy: (0..workers).map(|worker| metrics.worker_total_busy_duration(worker)).sum(),
            steals: sum(&|worker| metrics.worker_steal_operations(worker)),
            stolen: sum(&|worker| metrics.worker_steal_count(worker)),
            sleeps: sum(&|worker| metrics.worker_park_count(worker)),
            useless: sum(&|worker| metrics.worker_noop_count(worker)),
            delays: buckets
                .map(|bucket| sum(&|worker| metrics.schedule_latency_histogram_bucket_count(worker, bucket)))
                .collect(),
            queue: contention()[1],
        }
    }

    /// Returns the figures of the time since this snapshot. The tasks have computed for `computed`,
    /// and completed so many operations.
    pub fn figures(&self, operations: u64, computed: Duration) -> Figures {
        let (end, metrics) = (Snapshot::now(), Handle::current().metrics());
        let elapsed = (end.at - self.at).as_secs_f64();
        let capacity = elapsed * metrics.num_workers() as f64;
        let delays: Vec<u64> = end.delays.iter().zip(&self.delays).map(|(end, begin)| end - begin).collect();
        let quantile = |part: f64| {
            let rank = (delays.iter().sum::<u64>() as f64 * part).ceil() as u64;
            let mut seen = 0;
            let bucket = delays.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            let range = metrics.schedule_latency_histogram_bucket_range(bucket.unwrap_or(0));
            (range.start + range.end.saturating_sub(range.start) / 2).as_secs_f64() * 1e6
        };
        let per_1000 = |count: u64| count as f64 * 1e3 / operations.max(1) as f64;
        Figures {
            operations,
            useful: computed.as_secs_f64() / capacity,
            busy: (end.busy - self.busy).as_secs_f64() / capacity,
            rate: operations as f64 / (elapsed * 1e3),
            steals: per_1000(end.steals - self.steals),
            stolen: per_1000(end.stolen - self.stolen),
            sleeps: per_1000(end.sleeps - self.sleeps),
            useless: per_1000(end.useless - self.useless),
            delay: [0.5, 0.99, 0.999].map(quantile),
            locks: per_1000(end.queue.accesses - self.queue.accesses),
            taken: (end.queue.waits - self.queue.waits) as f64
                / (end.queue.accesses - self.queue.accesses).max(1) as f64,
        }
    }
}

/// The figures of one simulation.
#[derive(Clone, Debug)]
pub struct Figures {
    pub operations: u64,
    /// The part of the workers' time in which tasks computed.
    pub useful: f64,
    /// The part of the workers' time in which they did not sleep.
    pub busy: f64,
    /// Operations per millisecond.
    pub rate: f64,
    /// Per thousand operations, as are the next three.
    pub steals: f64,
    pub stolen: f64,
    pub sleeps: f64,
    pub useless: f64,
    /// The time from when a task is queued to its poll, in µs: p50, p99 and p99.9.
    pub delay: [f64; 3],
    /// How often a lock of the global queue was taken, per thousand operations.
    pub locks: f64,
    /// The part of them for which another worker had to be waited for.
    pub taken: f64,
}
