//! The figures of a runtime in one interval.

use std::time::Duration;

use crate::{DurationHistogram, GroupMetrics};

/// What a runtime does, and has done in an interval. [`RuntimeIntervals`](crate::RuntimeIntervals)
/// returns it.
///
/// A field with `total` has the sum over all workers. Fields with `max` and `min` have the values
/// of the worker with the most, and of the one with the least. The sum and the greatest value
/// include workers that have exited in the interval, and spare workers. The smallest value leaves
/// them out.
///
/// The fields up to [`io_driver_ready_count`](RuntimeMetrics::io_driver_ready_count) have the names
/// that they have in the crate `tokio-metrics`. The others are heist's own.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RuntimeMetrics {
    /// The length of the interval.
    pub elapsed: Duration,
    /// Workers. A resize changes it.
    pub workers_count: usize,
    /// Tasks that have not ended.
    pub live_tasks_count: usize,
    /// Tasks in the global queue.
    pub global_queue_depth: usize,
    /// How often workers have gone to sleep.
    pub total_park_count: u64,
    /// The same, of the worker with the most.
    pub max_park_count: u64,
    /// The same, of the worker with the least.
    pub min_park_count: u64,
    /// How long workers have been busy.
    pub total_busy_duration: Duration,
    /// The same, of the worker with the most.
    pub max_busy_duration: Duration,
    /// The same, of the worker with the least.
    pub min_busy_duration: Duration,
    /// The recent mean length of a poll. Each worker counts by its polls.
    pub mean_poll_duration: Duration,
    /// The same, of the worker with the shortest polls.
    pub mean_poll_duration_worker_min: Duration,
    /// The same, of the worker with the longest polls.
    pub mean_poll_duration_worker_max: Duration,
    /// The lengths of polls. It has no buckets without
    /// [`enable_metrics_poll_time_histogram`](heist::runtime::Builder::enable_metrics_poll_time_histogram).
    pub poll_time_histogram: DurationHistogram,
    /// How often workers woke up and slept again without a poll.
    pub total_noop_count: u64,
    /// The same, of the worker with the most.
    pub max_noop_count: u64,
    /// The same, of the worker with the least.
    pub min_noop_count: u64,
    /// Tasks that workers have stolen.
    pub total_steal_count: u64,
    /// The same, of the worker with the most.
    pub max_steal_count: u64,
    /// The same, of the worker with the least.
    pub min_steal_count: u64,
    /// How often workers have stolen one task or more.
    pub total_steal_operations: u64,
    /// The same, of the worker with the most.
    pub max_steal_operations: u64,
    /// The same, of the worker with the least.
    pub min_steal_operations: u64,
    /// How often threads that are not workers have queued a task.
    pub num_remote_schedules: u64,
    /// How often workers have queued a task.
    pub total_local_schedule_count: u64,
    /// The same, of the worker with the most.
    pub max_local_schedule_count: u64,
    /// The same, of the worker with the least.
    pub min_local_schedule_count: u64,
    /// How often a worker's queue was full.
    pub total_overflow_count: u64,
    /// The same, of the worker with the most.
    pub max_overflow_count: u64,
    /// The same, of the worker with the least.
    pub min_overflow_count: u64,
    /// Polls of tasks.
    pub total_polls_count: u64,
    /// The same, of the worker with the most.
    pub max_polls_count: u64,
    /// The same, of the worker with the least.
    pub min_polls_count: u64,
    /// Tasks in the queues of workers.
    pub total_local_queue_depth: usize,
    /// The same, of the worker with the most.
    pub max_local_queue_depth: usize,
    /// The same, of the worker with the least.
    pub min_local_queue_depth: usize,
    /// Blocking jobs that wait for a thread.
    pub blocking_queue_depth: usize,
    /// Threads for blocking jobs.
    pub blocking_threads_count: usize,
    /// Threads for blocking jobs that wait for a job.
    pub idle_blocking_threads_count: usize,
    /// Polls that had to yield because their budget was spent.
    pub budget_forced_yield_count: u64,
    /// Readiness events of the reactor.
    pub io_driver_ready_count: u64,
    /// Workers that poll tasks or wait for tasks. The others rest while processors are shared.
    pub effective_workers_count: usize,
    /// Spare workers, which stand in for stuck ones.
    pub spare_workers_count: usize,
    /// Set while the runtime drains, and after it has begun its shutdown.
    pub draining: bool,
    /// Tasks spawned.
    pub spawned_tasks_count: u64,
    /// Spare workers started.
    pub spare_start_count: u64,
    /// Polls above the stall threshold that have been reported.
    pub stall_count: u64,
    /// How often the work behind a long poll was taken over.
    pub rescue_count: u64,
    /// How often the work of a worker without a processor was taken over.
    pub preempted_rescue_count: u64,
    /// For how long workers were ready and had no processor.
    pub total_run_delay: Duration,
    /// Sockets and other descriptors registered.
    pub io_driver_fd_registered_count: u64,
    /// Sockets and other descriptors deregistered.
    pub io_driver_fd_deregistered_count: u64,
    /// The times from the queueing of a task to its poll. It has no buckets without
    /// [`enable_metrics_schedule_latency_histogram`](heist::runtime::Builder::enable_metrics_schedule_latency_histogram).
    pub schedule_latency_histogram: DurationHistogram,
    /// The groups of tasks, in the order of their names.
    pub groups: Vec<GroupMetrics>,
}

impl RuntimeMetrics {
    /// Returns how many workers were busy on average:
    /// [`total_busy_duration`](Self::total_busy_duration) by [`elapsed`](Self::elapsed). It is zero
    /// for an interval without a length.
    pub fn busy_ratio(&self) -> f64 {
        ratio(self.total_busy_duration.as_nanos() as f64, self.elapsed.as_nanos() as f64)
    }

    /// Returns the number of polls for each sleep that had a poll before it. It is zero if there
    /// was no such sleep.
    pub fn mean_polls_per_park(&self) -> f64 {
        let parks = self.total_park_count.saturating_sub(self.total_noop_count);
        ratio(self.total_polls_count as f64, parks as f64)
    }
}

/// Returns the quotient, or zero if the divisor is zero.
fn ratio(dividend: f64, divisor: f64) -> f64 {
    if divisor > 0.0 { dividend / divisor } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_without_a_divisor_are_zero() {
        let empty = RuntimeMetrics { total_polls_count: 5, ..RuntimeMetrics::default() };
        assert_eq!((empty.busy_ratio(), empty.mean_polls_per_park()), (0.0, 0.0));
    }

    #[test]
    fn ratios_of_an_interval_are_quotients() {
        let interval = RuntimeMetrics {
            elapsed: Duration::from_secs(2),
            total_busy_duration: Duration::from_secs(3),
            total_polls_count: 12,
            total_park_count: 5,
            total_noop_count: 1,
            ..RuntimeMetrics::default()
        };
        assert_eq!((interval.busy_ratio(), interval.mean_polls_per_park()), (1.5, 3.0));
    }
}
