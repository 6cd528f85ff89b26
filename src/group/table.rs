//! The groups of a runtime, by name.

use std::collections::BTreeMap;

use crate::group::admission::GroupGate;
use crate::group::ready_set::ReadySet;
use crate::group::{Group, GroupHost, GroupSettings};
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{Arc, Mutex, Weak};
use crate::queue::Chain;
use crate::raw_task::{Header, Id};

/// The groups of a runtime.
#[derive(Debug)]
pub(crate) struct GroupTable {
    names: Mutex<Names>,
    pub(crate) ready: ReadySet,
    /// Spare workers serve no background group.
    reserving: AtomicBool,
}

#[derive(Debug)]
struct Names {
    groups: BTreeMap<Arc<str>, Weak<Group>>,
    /// The runtime is being shut down.
    closed: bool,
}

/// Why no group was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegisterError {
    /// A group of this runtime has the name.
    NameInUse,
    /// The runtime is being shut down.
    Closed,
}

impl GroupTable {
    pub(crate) fn new(min_share: u32) -> GroupTable {
        let names = Names { groups: BTreeMap::new(), closed: false };
        GroupTable { names: Mutex::new(names), ready: ReadySet::new(min_share), reserving: AtomicBool::new(false) }
    }

    /// Returns true if spare workers serve no background group.
    #[inline]
    pub(crate) fn is_reserving(&self) -> bool {
        // Ordering: Relaxed — the watchdog wakes a spare after it has cleared the flag.
        self.reserving.load(Ordering::Relaxed)
    }

    /// Sets whether spare workers serve no background group. Returns true if the caller has to wake
    /// a spare, because it may serve them now.
    pub(crate) fn set_reserving(&self, reserving: bool) -> bool {
        // Ordering: Relaxed — as above.
        self.is_reserving() != reserving && self.reserving.swap(reserving, Ordering::Relaxed) && !reserving
    }

    /// Creates a group.
    pub(crate) fn register(
        &self,
        settings: GroupSettings,
        host: Weak<dyn GroupHost>,
    ) -> Result<Arc<Group>, RegisterError> {
        let mut names = self.names.lock();
        if names.closed {
            return Err(RegisterError::Closed);
        }
        // A group whose last reference is gone, and that is not unregistered yet, is no group any
        // more. A reference from `upgrade` may be the last one, so it is dropped after the lock.
        let existing = names.groups.get(&settings.name).and_then(Weak::upgrade);
        if existing.is_some() {
            drop(names);
            return Err(RegisterError::NameInUse);
        }
        let key = self.ready.insert(settings.priority, settings.weight, settings.max_workers);
        let group = Arc::new(Group::new(settings, key, host));
        names.groups.insert(Arc::clone(&group.settings.name), Arc::downgrade(&group));
        Ok(group)
    }

    /// Forgets a group that is being dropped.
    pub(super) fn unregister(&self, name: &Arc<str>, key: usize) {
        let mut names = self.names.lock();
        // A newer group may have the name.
        if names.groups.get(name).is_some_and(|group| group.strong_count() == 0) {
            names.groups.remove(name);
        }
        drop(names);
        self.ready.remove(key);
    }

    /// Returns all groups, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Group>> {
        self.names.lock().groups.values().filter_map(Weak::upgrade).collect()
    }

    /// Refuses all further groups, and all further tasks of groups, because the runtime is being
    /// shut down. Wakes the spawns that wait.
    pub(crate) fn close_all(&self) {
        self.names.lock().closed = true;
        for group in self.all() {
            group.queue.close_queue();
            group.admission.set_gate(GroupGate::Closed);
        }
    }

    /// Calls `visit` with each task that is queued in a group. No user code may run in it.
    pub(crate) fn for_each_queued(&self, mut visit: impl FnMut(&Header)) {
        self.all().iter().for_each(|group| group.queue.for_each(&mut visit));
    }

    /// Takes out the queued tasks for which `is_wanted` returns true, to drop them. Marks them as
    /// cancelled, so that none is polled. The caller wakes a worker afterwards: it may have missed
    /// the other tasks.
    ///
    /// A task that stays keeps its place among those that stay. A group may have tasks that it is
    /// not listed for yet, so this visits all.
    pub(crate) fn take_queued(&self, is_wanted: impl Fn(Id) -> bool) -> Chain {
        let mut wanted = Chain::new();
        for group in self.all() {
            let mut unwanted = Chain::new();
            let mut all = group.queue.take_all();
            while let Some(runnable) = all.pop() {
                if is_wanted(runnable.header().id()) {
                    runnable.header().cancel_queued();
                    wanted.push(runnable);
                } else {
                    unwanted.push(runnable);
                }
            }
            // A worker that has found the queue empty meanwhile has unlisted the group.
            if !unwanted.is_empty() {
                group.queue.push_chain(unwanted);
                if group.claim_listing() {
                    self.ready.list(&group);
                }
            }
        }
        wanted
    }
}
