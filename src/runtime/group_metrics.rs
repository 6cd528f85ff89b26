//! The figures of a group of tasks.

use std::time::Duration;

use crate::drain::outcome_counts::OutcomeCounts;
use crate::group::Group;
use crate::pool::Pool;

/// What a [`TaskGroup`](super::TaskGroup) does, and has done so far.
/// [`TaskGroup::metrics`](super::TaskGroup::metrics) returns it.
///
/// The figures are read one after the other, while the group goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMetrics {
    /// Tasks that live, and places that are held for tasks to come.
    pub live_tasks: usize,
    /// Spawns that wait for a place.
    pub waiting_spawns: usize,
    /// Tasks that are ready, and wait for a worker.
    pub queued_tasks: usize,
    /// Workers that poll tasks of the group.
    pub active_workers: usize,
    /// Blocking jobs that run, or have a thread next.
    pub blocking_jobs: usize,
    /// Blocking jobs that wait for the end of another one of the group.
    pub waiting_jobs: usize,
    /// Tasks spawned so far.
    pub spawned: u64,
    /// Tasks that ended with an output.
    pub completed: u64,
    /// Tasks that ended by a panic in a poll.
    pub panicked: u64,
    /// Tasks that ended without an output: aborted, or cancelled by a drain or a shutdown.
    pub cancelled: u64,
    /// Spawns that were refused because the group was full, drained or closed.
    pub refused: u64,
    /// Polls so far. The polls of a slice are added at its end.
    pub polls: u64,
    /// The time that workers have spent in slices of the group, by the clock. It is added at the
    /// end of each. It includes the time in which a worker has had no processor.
    pub busy: Duration,
}

impl GroupMetrics {
    pub(super) fn capture(group: &Group, pool: Option<&Pool>) -> GroupMetrics {
        let (live_tasks, waiting_spawns) = group.admission.counts();
        let (blocking_jobs, waiting_jobs) = group.blocking.counts();
        let counts = &group.counts;
        let OutcomeCounts { completed, panicked, cancelled } = counts.outcomes.get();
        GroupMetrics {
            live_tasks,
            waiting_spawns,
            queued_tasks: group.queue.len(),
            active_workers: pool.map_or(0, |pool| pool.groups.ready.limits(group.key).2),
            blocking_jobs,
            waiting_jobs,
            spawned: counts.spawned.get(),
            completed,
            panicked,
            cancelled,
            refused: counts.refused.get(),
            polls: counts.polls.get(),
            busy: Duration::from_nanos(counts.busy.get()),
        }
    }
}
