//! The figures of a group of tasks in one interval.

use std::collections::BTreeMap;
use std::time::Duration;

use heist::runtime::{GroupMetrics as Totals, Handle};

/// What a [`TaskGroup`](heist::runtime::TaskGroup) does, and has done in an interval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMetrics {
    /// The name of the group.
    pub name: String,
    /// Tasks that live, and places that are held for tasks to come.
    pub live_tasks_count: usize,
    /// Spawns that wait for a place.
    pub waiting_spawns_count: usize,
    /// Tasks that are ready, and wait for a worker.
    pub queued_tasks_count: usize,
    /// Workers that poll tasks of the group.
    pub active_workers_count: usize,
    /// Blocking jobs that run, or have a thread next.
    pub blocking_jobs_count: usize,
    /// Blocking jobs that wait for the end of another one of the group.
    pub waiting_jobs_count: usize,
    /// Tasks spawned in the interval.
    pub spawned_count: u64,
    /// Tasks that ended with an output.
    pub completed_count: u64,
    /// Tasks that ended by a panic.
    pub panicked_count: u64,
    /// Tasks that were aborted, or cancelled by a drain or a shutdown.
    pub cancelled_count: u64,
    /// Spawns that were refused.
    pub refused_count: u64,
    /// Polls of tasks of the group.
    pub polls_count: u64,
    /// The time that workers have spent with tasks of the group.
    pub busy_duration: Duration,
}

/// The counts of each group at the last sample, by name.
#[derive(Debug, Default)]
pub(crate) struct GroupTotals(BTreeMap<String, Totals>);

impl GroupTotals {
    pub(crate) fn read(handle: &Handle) -> GroupTotals {
        GroupTotals(handle.groups().into_iter().map(|group| (group.name().to_owned(), group.metrics())).collect())
    }

    /// Returns the figures of each group since the last sample, and replaces the counts.
    pub(crate) fn interval(&mut self, handle: &Handle) -> Vec<GroupMetrics> {
        let earlier = std::mem::replace(self, GroupTotals::read(handle)).0;
        self.0.iter().map(|(name, now)| since(name, now, earlier.get(name))).collect()
    }
}

/// Returns the figures since the earlier ones. If they are those of a former group of the same
/// name, the new group is counted from zero.
fn since(name: &str, now: &Totals, earlier: Option<&Totals>) -> GroupMetrics {
    let earlier = earlier.filter(|earlier| is_continued(earlier, now));
    let count = |figure: fn(&Totals) -> u64| figure(now) - earlier.map_or(0, figure);
    GroupMetrics {
        name: name.to_owned(),
        live_tasks_count: now.live_tasks,
        waiting_spawns_count: now.waiting_spawns,
        queued_tasks_count: now.queued_tasks,
        active_workers_count: now.active_workers,
        blocking_jobs_count: now.blocking_jobs,
        waiting_jobs_count: now.waiting_jobs,
        spawned_count: count(|group| group.spawned),
        completed_count: count(|group| group.completed),
        panicked_count: count(|group| group.panicked),
        cancelled_count: count(|group| group.cancelled),
        refused_count: count(|group| group.refused),
        polls_count: count(|group| group.polls),
        busy_duration: now.busy - earlier.map_or(Duration::ZERO, |group| group.busy),
    }
}

/// Returns true if no count has fallen.
fn is_continued(earlier: &Totals, now: &Totals) -> bool {
    let counts =
        |group: &Totals| [group.spawned, group.completed, group.panicked, group.cancelled, group.refused, group.polls];
    earlier.busy <= now.busy && counts(earlier).iter().zip(counts(now)).all(|(earlier, now)| *earlier <= now)
}
