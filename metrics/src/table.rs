//! Which figures are published through the facade, and under which names.

use std::time::Duration;

use metrics::Unit;

use crate::{DurationHistogram, GroupMetrics, RuntimeMetrics};

/// A published figure of an interval `T`.
pub(crate) struct Figure<T: 'static> {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) description: &'static str,
    pub(crate) value: Value<T>,
}

/// Reads a figure from an interval. A counter is increased by its value.
pub(crate) enum Value<T: 'static> {
    Counter(fn(&T) -> u64),
    Gauge(fn(&T) -> f64),
    Histogram(fn(&T) -> &DurationHistogram),
}

const fn counter<T>(name: &'static str, unit: Unit, description: &'static str, value: fn(&T) -> u64) -> Figure<T> {
    Figure { name, unit, description, value: Value::Counter(value) }
}

const fn gauge<T>(name: &'static str, unit: Unit, description: &'static str, value: fn(&T) -> f64) -> Figure<T> {
    Figure { name, unit, description, value: Value::Gauge(value) }
}

const fn histogram<T>(
    name: &'static str,
    unit: Unit,
    description: &'static str,
    value: fn(&T) -> &DurationHistogram,
) -> Figure<T> {
    Figure { name, unit, description, value: Value::Histogram(value) }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The figures of the runtime. Those that begin with `tokio` have the names, kinds and units of the
/// crate `tokio-metrics`, so that dashboards work.
pub(crate) const RUNTIME: &[Figure<RuntimeMetrics>] = &[
    gauge("tokio_workers_count", Unit::Count, "Workers", |interval| interval.workers_count as f64),
    gauge("tokio_live_tasks_count", Unit::Count, "Tasks that have not ended", |interval| {
        interval.live_tasks_count as f64
    }),
    gauge("tokio_global_queue_depth", Unit::Count, "Tasks in the global queue", |interval| {
        interval.global_queue_depth as f64
    }),
    gauge("tokio_total_park_count", Unit::Count, "Sleeps of workers in the interval, over all workers", |interval| {
        interval.total_park_count as f64
    }),
    gauge(
        "tokio_max_park_count",
        Unit::Count,
        "Sleeps of workers in the interval, on the worker with the most",
        |interval| interval.max_park_count as f64,
    ),
    gauge(
        "tokio_min_park_count",
        Unit::Count,
        "Sleeps of workers in the interval, on the worker with the least",
        |interval| interval.min_park_count as f64,
    ),
    counter(
        "tokio_total_busy_duration",
        Unit::Microseconds,
        "Time that workers were busy, over all workers",
        |interval| micros(interval.total_busy_duration),
    ),
    counter(
        "tokio_max_busy_duration",
        Unit::Microseconds,
        "Time that workers were busy, on the worker with the most",
        |interval| micros(interval.max_busy_duration),
    ),
    counter(
        "tokio_min_busy_duration",
        Unit::Microseconds,
        "Time that workers were busy, on the worker with the least",
        |interval| micros(interval.min_busy_duration),
    ),
    gauge("tokio_busy_ratio", Unit::Percent, "Workers that were busy on average in the interval", |interval| {
        interval.busy_ratio()
    }),
    gauge("tokio_mean_poll_duration", Unit::Microseconds, "Recent mean length of a poll", |interval| {
        micros(interval.mean_poll_duration) as f64
    }),
    gauge(
        "tokio_mean_poll_duration_worker_min",
        Unit::Microseconds,
        "Recent mean length of a poll, on the worker with the shortest",
        |interval| micros(interval.mean_poll_duration_worker_min) as f64,
    ),
    gauge(
        "tokio_mean_poll_duration_worker_max",
        Unit::Microseconds,
        "Recent mean length of a poll, on the worker with the longest",
        |interval| micros(interval.mean_poll_duration_worker_max) as f64,
    ),
    histogram("tokio_poll_time_histogram", Unit::Microseconds, "Lengths of polls", |interval| {
        &interval.poll_time_histogram
    }),
    counter(
        "tokio_total_noop_count",
        Unit::Count,
        "Wake-ups of workers that found no task, over all workers",
        |interval| interval.total_noop_count,
    ),
    counter(
        "tokio_max_noop_count",
        Unit::Count,
        "Wake-ups of workers that found no task, on the worker with the most",
        |interval| interval.max_noop_count,
    ),
    counter(
        "tokio_min_noop_count",
        Unit::Count,
        "Wake-ups of workers that found no task, on the worker with the least",
        |interval| interval.min_noop_count,
    ),
    counter("tokio_total_steal_count", Unit::Count, "Tasks stolen by workers, over all workers", |interval| {
        interval.total_steal_count
    }),
    counter("tokio_max_steal_count", Unit::Count, "Tasks stolen by workers, on the worker with the most", |interval| {
        interval.max_steal_count
    }),
    counter(
        "tokio_min_steal_count",
        Unit::Count,
        "Tasks stolen by workers, on the worker with the least",
        |interval| interval.min_steal_count,
    ),
    counter("tokio_total_steal_operations", Unit::Count, "Steals of one task or more, over all workers", |interval| {
        interval.total_steal_operations
    }),
    counter(
        "tokio_max_steal_operations",
        Unit::Count,
        "Steals of one task or more, on the worker with the most",
        |interval| interval.max_steal_operations,
    ),
    counter(
        "tokio_min_steal_operations",
        Unit::Count,
        "Steals of one task or more, on the worker with the least",
        |interval| interval.min_steal_operations,
    ),
    counter("tokio_num_remote_schedules", Unit::Count, "Tasks queued by threads that are not workers", |interval| {
        interval.num_remote_schedules
    }),
    counter("tokio_total_local_schedule_count", Unit::Count, "Tasks queued by workers, over all workers", |interval| {
        interval.total_local_schedule_count
    }),
    counter(
        "tokio_max_local_schedule_count",
        Unit::Count,
        "Tasks queued by workers, on the worker with the most",
        |interval| interval.max_local_schedule_count,
    ),
    counter(
        "tokio_min_local_schedule_count",
        Unit::Count,
        "Tasks queued by workers, on the worker with the least",
        |interval| interval.min_local_schedule_count,
    ),
    counter(
        "tokio_total_overflow_count",
        Unit::Count,
        "Times that a worker's queue was full, over all workers",
        |interval| interval.total_overflow_count,
    ),
    counter(
        "tokio_max_overflow_count",
        Unit::Count,
        "Times that a worker's queue was full, on the worker with the most",
        |interval| interval.max_overflow_count,
    ),
    counter(
        "tokio_min_overflow_count",
        Unit::Count,
        "Times that a worker's queue was full, on the worker with the least",
        |interval| interval.min_overflow_count,
    ),
    counter("tokio_total_polls_count", Unit::Count, "Polls of tasks, over all workers", |interval| {
        interval.total_polls_count
    }),
    counter("tokio_max_polls_count", Unit::Count, "Polls of tasks, on the worker with the most", |interval| {
        interval.max_polls_count
    }),
    counter("tokio_min_polls_count", Unit::Count, "Polls of tasks, on the worker with the least", |interval| {
        interval.min_polls_count
    }),
    gauge(
        "tokio_total_local_queue_depth",
        Unit::Count,
        "Tasks in the queues of workers, over all workers",
        |interval| interval.total_local_queue_depth as f64,
    ),
    gauge(
        "tokio_max_local_queue_depth",
        Unit::Count,
        "Tasks in the queues of workers, on the worker with the most",
        |interval| interval.max_local_queue_depth as f64,
    ),
    gauge(
        "tokio_min_local_queue_depth",
        Unit::Count,
        "Tasks in the queues of workers, on the worker with the least",
        |interval| interval.min_local_queue_depth as f64,
    ),
    gauge("tokio_mean_polls_per_park", Unit::Percent, "Polls for each sleep that had a poll before it", |interval| {
        interval.mean_polls_per_park()
    }),
    gauge("tokio_blocking_queue_depth", Unit::Count, "Blocking jobs that wait for a thread", |interval| {
        interval.blocking_queue_depth as f64
    }),
    gauge("tokio_blocking_threads_count", Unit::Count, "Threads for blocking jobs", |interval| {
        interval.blocking_threads_count as f64
    }),
    gauge(
        "tokio_idle_blocking_threads_count",
        Unit::Count,
        "Threads for blocking jobs that wait for a job",
        |interval| interval.idle_blocking_threads_count as f64,
    ),
    counter(
        "tokio_budget_forced_yield_count",
        Unit::Count,
        "Polls that had to yield because their budget was spent",
        |interval| interval.budget_forced_yield_count,
    ),
    counter("tokio_io_driver_ready_count", Unit::Count, "Readiness events of the reactor", |interval| {
        interval.io_driver_ready_count
    }),
    gauge("heist_effective_workers_count", Unit::Count, "Workers that poll tasks or wait for tasks", |interval| {
        interval.effective_workers_count as f64
    }),
    gauge("heist_spare_workers_count", Unit::Count, "Spare workers, which stand in for stuck ones", |interval| {
        interval.spare_workers_count as f64
    }),
    gauge("heist_draining", Unit::Count, "One while the runtime drains or shuts down, else zero", |interval| {
        f64::from(u8::from(interval.draining))
    }),
    counter("heist_spawned_tasks_count", Unit::Count, "Tasks spawned", |interval| interval.spawned_tasks_count),
    counter("heist_spare_start_count", Unit::Count, "Spare workers started", |interval| interval.spare_start_count),
    counter("heist_stall_count", Unit::Count, "Polls above the stall threshold", |interval| interval.stall_count),
    counter("heist_rescue_count", Unit::Count, "Takeovers of the work behind a long poll", |interval| {
        interval.rescue_count
    }),
    counter(
        "heist_preempted_rescue_count",
        Unit::Count,
        "Takeovers of the work of a worker without a processor",
        |interval| interval.preempted_rescue_count,
    ),
    counter(
        "heist_total_run_delay",
        Unit::Microseconds,
        "Time that workers were ready and had no processor",
        |interval| micros(interval.total_run_delay),
    ),
    counter(
        "heist_io_driver_fd_registered_count",
        Unit::Count,
        "Descriptors registered with the reactor",
        |interval| interval.io_driver_fd_registered_count,
    ),
    counter(
        "heist_io_driver_fd_deregistered_count",
        Unit::Count,
        "Descriptors deregistered from the reactor",
        |interval| interval.io_driver_fd_deregistered_count,
    ),
    histogram(
        "heist_schedule_latency_histogram",
        Unit::Microseconds,
        "Times from the queueing of a task to its poll",
        |interval| &interval.schedule_latency_histogram,
    ),
];

/// The figures of each group of tasks.
pub(crate) const GROUP: &[Figure<GroupMetrics>] = &[
    gauge("heist_group_live_tasks_count", Unit::Count, "Live tasks of the group, and places held", |group| {
        group.live_tasks_count as f64
    }),
    gauge("heist_group_waiting_spawns_count", Unit::Count, "Spawns that wait for a place in the group", |group| {
        group.waiting_spawns_count as f64
    }),
    gauge("heist_group_queued_tasks_count", Unit::Count, "Tasks of the group that wait for a worker", |group| {
        group.queued_tasks_count as f64
    }),
    gauge("heist_group_active_workers_count", Unit::Count, "Workers that poll tasks of the group", |group| {
        group.active_workers_count as f64
    }),
    gauge("heist_group_blocking_jobs_count", Unit::Count, "Blocking jobs of the group that run", |group| {
        group.blocking_jobs_count as f64
    }),
    gauge(
        "heist_group_waiting_jobs_count",
        Unit::Count,
        "Blocking jobs of the group that wait for another one",
        |group| group.waiting_jobs_count as f64,
    ),
    counter("heist_group_spawned_count", Unit::Count, "Tasks spawned in the group", |group| group.spawned_count),
    counter("heist_group_completed_count", Unit::Count, "Tasks of the group that ended with an output", |group| {
        group.completed_count
    }),
    counter("heist_group_panicked_count", Unit::Count, "Tasks of the group that ended by a panic", |group| {
        group.panicked_count
    }),
    counter("heist_group_cancelled_count", Unit::Count, "Tasks of the group that were cancelled", |group| {
        group.cancelled_count
    }),
    counter("heist_group_refused_count", Unit::Count, "Spawns that the group refused", |group| group.refused_count),
    counter("heist_group_polls_count", Unit::Count, "Polls of tasks of the group", |group| group.polls_count),
    counter("heist_group_busy_duration", Unit::Microseconds, "Time that workers have spent with the group", |group| {
        micros(group.busy_duration)
    }),
];
