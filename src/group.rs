#![doc = include_str!("../docs/groups.md")]

pub(crate) mod admission;
pub(crate) mod blocking_slots;
pub(crate) mod counts;
pub(crate) mod grouped;
pub(crate) mod priority;
pub(crate) mod ready_set;
pub(crate) mod share;
pub(crate) mod table;

#[cfg(all(test, not(heist_loom)))]
mod tests;

use std::any::Any;
use std::fmt;

use crate::group::admission::AdmissionControl;
use crate::group::blocking_slots::BlockingSlots;
use crate::group::counts::{AbortCounts, EndedAborts, GroupCounts};
use crate::group::priority::Priority;
use crate::group::table::GroupTable;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{Arc, Weak};
use crate::queue::{GlobalQueue, LaneCursor};
use crate::raw_task::{Route, Runnable};

/// The runtime of a group, as its tasks see it. The pool implements it. By this trait, the waker of
/// a task calls up into the scheduler.
pub(crate) trait GroupHost: Send + Sync {
    /// Queues a task that has been woken, and announces its group if that has become ready.
    fn queue_in_group(self: Arc<Self>, group: &Arc<Group>, runnable: Runnable);

    /// Returns the groups of the runtime.
    fn groups(&self) -> &GroupTable;

    /// Returns the runtime, for the upper layer, which knows its type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// What a group is built with.
#[derive(Debug, Clone)]
pub(crate) struct GroupSettings {
    pub(crate) name: Arc<str>,
    pub(crate) priority: Priority,
    pub(crate) weight: u32,
    pub(crate) max_workers: usize,
    pub(crate) max_tasks: usize,
    pub(crate) max_blocking: usize,
    /// Lanes of the queue.
    pub(crate) lanes: usize,
}

/// A group of tasks. See [the page](self).
///
/// Handles, permits and tasks share it. With the last of them it is dropped, and its name is free.
pub(crate) struct Group {
    pub(crate) settings: GroupSettings,
    /// Its key in the [`ReadySet`](ready_set::ReadySet).
    pub(crate) key: usize,
    pub(crate) admission: AdmissionControl,
    /// Its blocking jobs.
    pub(crate) blocking: BlockingSlots,
    /// Its tasks that are ready.
    pub(crate) queue: GlobalQueue,
    /// The ready set is responsible for the tasks in the queue, or a thread is about to tell it of
    /// them.
    listed: AtomicBool,
    pub(crate) counts: GroupCounts,
    pub(crate) aborts: AbortCounts,
    host: Weak<dyn GroupHost>,
}

impl Group {
    /// Creates a group with this key. The caller registers it.
    pub(crate) fn new(settings: GroupSettings, key: usize, host: Weak<dyn GroupHost>) -> Group {
        Group {
            key,
            admission: AdmissionControl::new(settings.max_tasks),
            blocking: BlockingSlots::new(settings.max_blocking),
            queue: GlobalQueue::new(settings.lanes),
            listed: AtomicBool::new(false),
            counts: GroupCounts::new(),
            aborts: AbortCounts::new(),
            host,
            settings,
        }
    }

    /// Returns the runtime, unless it has been dropped.
    pub(crate) fn host(&self) -> Option<Arc<dyn GroupHost>> {
        self.host.upgrade()
    }

    /// Takes the task to poll next out of the queue.
    pub(crate) fn take(&self, cursor: &LaneCursor) -> Option<(Runnable, EndedAborts)> {
        self.aborts.take(|| self.queue.take(cursor, 1).pop())
    }

    /// Records that the queue has a task. Returns true if the caller has to list the group.
    #[must_use]
    pub(crate) fn claim_listing(&self) -> bool {
        // Ordering: Release — pairs with the Acquire in `Group::try_unlist`: a thread that clears
        // the flag sees the task. Acquire — pairs with the Release there, in the same order.
        !self.listed.swap(true, Ordering::AcqRel)
    }

    /// Ends the responsibility of the ready set, unless the queue has a task after all. Returns
    /// true if it has ended. Called under the lock of the ready set.
    #[must_use]
    pub(crate) fn try_unlist(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `Group::claim_listing`: a push that found
        // the flag set is seen below. Release — keeps the flag's order for the next one.
        self.listed.swap(false, Ordering::AcqRel);
        self.queue.len() == 0 || !self.claim_listing()
    }
}

impl Route for Group {
    fn queue_woken(self: Arc<Self>, runnable: Runnable) {
        // A task that has not ended keeps its runtime from ending.
        match self.host() {
            Some(host) => host.queue_in_group(&self, runnable),
            None => drop(runnable),
        }
    }

    fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// No user code runs under a lock of the group, so a panic of user code leaves nothing
/// inconsistent.
impl std::panic::UnwindSafe for Group {}
impl std::panic::RefUnwindSafe for Group {}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(host) = self.host() {
            host.groups().unregister(&self.settings.name, self.key);
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.settings.name)
            .field("priority", &self.settings.priority)
            .finish_non_exhaustive()
    }
}
