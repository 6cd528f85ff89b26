//! Samples of the figures of a runtime.

use std::fmt;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use heist::runtime::{Handle, RuntimeMetrics as Source};

use crate::RuntimeMetrics;
use crate::group_metrics::GroupTotals;
use crate::histogram::{POLL_TIMES, SCHEDULE_LATENCIES};
use crate::worker_counts::{Spread, WorkerCounts};

/// Samples the figures of a runtime.
///
/// # Examples
///
/// ```
/// let runtime = heist::runtime::Runtime::new()?;
/// for interval in heist_metrics::RuntimeMonitor::new(runtime.handle()).intervals().take(3) {
///     println!("{} tasks, {:.2} workers busy", interval.live_tasks_count, interval.busy_ratio());
///     std::thread::sleep(std::time::Duration::from_millis(1));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RuntimeMonitor {
    handle: Handle,
}

impl RuntimeMonitor {
    /// Returns a monitor of this runtime.
    pub fn new(runtime: &Handle) -> RuntimeMonitor {
        RuntimeMonitor { handle: runtime.clone() }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Returns an iterator without an end. Each item has the changes since the item before. The
    /// first item has the changes since this call.
    pub fn intervals(&self) -> RuntimeIntervals {
        let source = self.handle.metrics();
        RuntimeIntervals {
            handle: self.handle.clone(),
            sampled_at: Instant::now(),
            workers: WorkerCounts::read_all(&source),
            runtime: RuntimeCounts::read(&source),
            poll_times: POLL_TIMES.totals(&source),
            schedule_latencies: SCHEDULE_LATENCIES.totals(&source),
            groups: GroupTotals::read(&self.handle),
            source,
        }
    }
}

/// Figures of a runtime, sample by sample. [`RuntimeMonitor::intervals`] returns it.
pub struct RuntimeIntervals {
    handle: Handle,
    source: Source,
    sampled_at: Instant,
    workers: Vec<WorkerCounts>,
    runtime: RuntimeCounts,
    poll_times: Vec<u64>,
    schedule_latencies: Vec<u64>,
    groups: GroupTotals,
}

impl Iterator for RuntimeIntervals {
    type Item = RuntimeMetrics;

    /// Returns the figures since the last sample. It is never `None`.
    fn next(&mut self) -> Option<RuntimeMetrics> {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(std::mem::replace(&mut self.sampled_at, now));
        let mut interval = RuntimeMetrics { elapsed, ..self.runtime_figures() };
        self.add_worker_figures(&mut interval);
        interval.poll_time_histogram = POLL_TIMES.interval(&self.source, &mut self.poll_times);
        interval.schedule_latency_histogram = SCHEDULE_LATENCIES.interval(&self.source, &mut self.schedule_latencies);
        interval.groups = self.groups.interval(&self.handle);
        Some(interval)
    }
}

impl RuntimeIntervals {
    fn runtime_figures(&mut self) -> RuntimeMetrics {
        let source = &self.source;
        let now = RuntimeCounts::read(source);
        let earlier = std::mem::replace(&mut self.runtime, now);
        let count = |figure: fn(&RuntimeCounts) -> u64| figure(&now).saturating_sub(figure(&earlier));
        RuntimeMetrics {
            workers_count: source.num_workers(),
            live_tasks_count: source.num_alive_tasks(),
            global_queue_depth: source.global_queue_depth(),
            blocking_queue_depth: source.blocking_queue_depth(),
            blocking_threads_count: source.num_blocking_threads(),
            idle_blocking_threads_count: source.num_idle_blocking_threads(),
            num_remote_schedules: count(|counts| counts.remote_schedules),
            budget_forced_yield_count: count(|counts| counts.forced_yields),
            io_driver_ready_count: count(|counts| counts.ready_events),
            effective_workers_count: source.effective_workers(),
            spare_workers_count: source.num_spare_workers(),
            draining: is_draining(&self.handle),
            spawned_tasks_count: count(|counts| counts.spawned),
            spare_start_count: count(|counts| counts.spare_starts),
            stall_count: count(|counts| counts.stalls),
            rescue_count: count(|counts| counts.rescues),
            preempted_rescue_count: count(|counts| counts.preempted_rescues),
            io_driver_fd_registered_count: count(|counts| counts.registered),
            io_driver_fd_deregistered_count: count(|counts| counts.deregistered),
            ..RuntimeMetrics::default()
        }
    }

    fn add_worker_figures(&mut self, interval: &mut RuntimeMetrics) {
        let now = WorkerCounts::read_all(&self.source);
        let earlier = std::mem::replace(&mut self.workers, now);
        // A worker with a new index has had no count before.
        let earlier = earlier.into_iter().chain(std::iter::repeat(WorkerCounts::default()));
        let deltas: Vec<WorkerCounts> = self.workers.iter().zip(earlier).map(|(now, then)| now.since(then)).collect();
        let present = interval.workers_count.min(deltas.len());
        let spread = |figure: fn(&WorkerCounts) -> u64| Spread::of(deltas.iter().map(figure), present);

        let parks = spread(|worker| worker.parks);
        (interval.total_park_count, interval.max_park_count, interval.min_park_count) =
            (parks.total, parks.max, parks.min);
        let busy = spread(|worker| worker.busy);
        interval.total_busy_duration = Duration::from_nanos(busy.total);
        interval.max_busy_duration = Duration::from_nanos(busy.max);
        interval.min_busy_duration = Duration::from_nanos(busy.min);
        let noops = spread(|worker| worker.noops);
        (interval.total_noop_count, interval.max_noop_count, interval.min_noop_count) =
            (noops.total, noops.max, noops.min);
        let stolen = spread(|worker| worker.stolen);
        (interval.total_steal_count, interval.max_steal_count, interval.min_steal_count) =
            (stolen.total, stolen.max, stolen.min);
        let steals = spread(|worker| worker.steals);
        (interval.total_steal_operations, interval.max_steal_operations, interval.min_steal_operations) =
            (steals.total, steals.max, steals.min);
        let scheduled = spread(|worker| worker.scheduled);
        (interval.total_local_schedule_count, interval.max_local_schedule_count, interval.min_local_schedule_count) =
            (scheduled.total, scheduled.max, scheduled.min);
        let overflows = spread(|worker| worker.overflows);
        (interval.total_overflow_count, interval.max_overflow_count, interval.min_overflow_count) =
            (overflows.total, overflows.max, overflows.min);
        let polls = spread(|worker| worker.polls);
        (interval.total_polls_count, interval.max_polls_count, interval.min_polls_count) =
            (polls.total, polls.max, polls.min);
        interval.total_run_delay = Duration::from_nanos(spread(|worker| worker.run_delay).total);

        let depths = (0..deltas.len()).map(|worker| self.source.worker_local_queue_depth(worker) as u64);
        let depths = Spread::of(depths.collect::<Vec<_>>().into_iter(), present);
        (interval.total_local_queue_depth, interval.max_local_queue_depth, interval.min_local_queue_depth) =
            (depths.total as usize, depths.max as usize, depths.min as usize);
        self.add_poll_durations(&deltas, interval);
    }

    /// Adds the mean length of a poll: each worker's recent mean, weighted by its polls.
    fn add_poll_durations(&self, deltas: &[WorkerCounts], interval: &mut RuntimeMetrics) {
        let polled = deltas.iter().enumerate().filter(|(_, counts)| counts.polls > 0);
        let means: Vec<(Duration, u64)> =
            polled.map(|(worker, counts)| (self.source.worker_mean_poll_time(worker), counts.polls)).collect();
        let polls: u64 = means.iter().map(|(_, polls)| polls).sum();
        let sum: f64 = means.iter().map(|(mean, polls)| mean.as_nanos() as f64 * *polls as f64).sum();
        if polls > 0 {
            interval.mean_poll_duration = Duration::from_nanos((sum / polls as f64) as u64);
        }
        interval.mean_poll_duration_worker_min = means.iter().map(|(mean, _)| *mean).min().unwrap_or_default();
        interval.mean_poll_duration_worker_max = means.iter().map(|(mean, _)| *mean).max().unwrap_or_default();
    }
}

impl fmt::Debug for RuntimeIntervals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeIntervals")
            .field("handle", &self.handle)
            .field("sampled_at", &self.sampled_at)
            .finish_non_exhaustive()
    }
}

/// Returns true if the runtime drains, or has begun its shutdown.
pub(crate) fn is_draining(handle: &Handle) -> bool {
    let draining = pin!(handle.draining());
    draining.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Counts of the runtime as a whole, so far.
#[derive(Debug, Clone, Copy)]
struct RuntimeCounts {
    remote_schedules: u64,
    forced_yields: u64,
    ready_events: u64,
    registered: u64,
    deregistered: u64,
    spawned: u64,
    spare_starts: u64,
    stalls: u64,
    rescues: u64,
    preempted_rescues: u64,
}

impl RuntimeCounts {
    fn read(source: &Source) -> RuntimeCounts {
        RuntimeCounts {
            remote_schedules: source.remote_schedule_count(),
            forced_yields: source.budget_forced_yield_count(),
            ready_events: source.io_driver_ready_count(),
            registered: source.io_driver_fd_registered_count(),
            deregistered: source.io_driver_fd_deregistered_count(),
            spawned: source.spawned_tasks_count(),
            spare_starts: source.spare_start_count(),
            stalls: source.stall_count(),
            rescues: source.rescue_count(),
            preempted_rescues: source.preempted_rescue_count(),
        }
    }
}
