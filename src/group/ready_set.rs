//! The groups that have tasks, and the workers that poll them.
//!
//! The protocol is on [the page](super), under "Ready groups".

use std::collections::BTreeMap;

use crate::group::Group;
use crate::group::counts::EndedAborts;
use crate::group::priority::Priority;
use crate::group::share::{Choice, FairShare, Place, VirtualTime};
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, CachePadded, Mutex, MutexGuard};
use crate::queue::LaneCursor;
use crate::raw_task::Runnable;

/// The index of the number of all ready groups.
const ALL: usize = Priority::ALL.len();

/// The groups with queued tasks. It decides which one a worker serves.
///
/// No task is run or dropped under the lock, and no group.
#[derive(Debug)]
pub(crate) struct ReadySet {
    locked: Mutex<ReadyLocked>,
    /// The number of ready groups of each priority, and of all, written under the lock.
    ready: CachePadded<[AtomicUsize; 4]>,
}

#[derive(Debug)]
struct ReadyLocked {
    shares: FairShare,
    /// The groups that are listed, by their keys.
    listed: BTreeMap<usize, Arc<Group>>,
}

/// What a worker wants to know from [`ReadySet::pick`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct PickRequest {
    /// The nanoseconds that the worker has spent on tasks without a group since its last request.
    pub(crate) default_time: u64,
    /// The worker has tasks without a group.
    pub(crate) default_ready: bool,
    /// The lowest priority that it serves.
    pub(crate) lowest: Priority,
}

/// What a worker polls next.
#[derive(Debug)]
pub(crate) enum Picked {
    /// Its tasks without a group.
    Default,
    /// Tasks of a group. The worker counts as one of the group's until it calls
    /// [`ReadySet::end_slice`].
    Group(PickedGroup),
    Nothing,
}

/// The group that a worker polls next.
#[derive(Debug)]
pub(crate) struct PickedGroup {
    pub(crate) group: Arc<Group>,
    /// The task to poll first.
    pub(crate) first: Runnable,
    pub(crate) aborts: EndedAborts,
    /// What the group was charged in advance.
    pub(crate) charged: VirtualTime,
}

impl ReadySet {
    pub(crate) fn new(min_share: u32) -> ReadySet {
        let ready = CachePadded::new([0; 4].map(AtomicUsize::new));
        let locked = ReadyLocked { shares: FairShare::new(min_share), listed: BTreeMap::new() };
        ReadySet { locked: Mutex::new(locked), ready }
    }

    /// Returns true if a group of this priority, or a higher one, is ready.
    ///
    /// Exact for a thread that has made its last read-modify-write of the idle word after the
    /// thread that has listed the group; otherwise a hint.
    #[inline]
    pub(crate) fn is_ready(&self, lowest: Priority) -> bool {
        self.num_ready(lowest) > 0
    }

    /// Returns true if no group is ready. As exact as [`ReadySet::is_ready`].
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // Ordering: Relaxed — see `ReadySet::is_ready`.
        self.ready[ALL].load(Ordering::Relaxed) == 0
    }

    /// Returns the number of groups of this priority, or a higher one, that are ready.
    pub(crate) fn num_ready(&self, lowest: Priority) -> usize {
        // Ordering: Relaxed — the idle word orders it, as it does for the global queue's length.
        self.ready[lowest.index()..ALL].iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Adds a group, and returns its key.
    pub(crate) fn insert(&self, priority: Priority, weight: u32, max_workers: usize) -> usize {
        self.locked.lock().shares.insert(priority, weight, max_workers)
    }

    /// Removes a group that is being dropped.
    pub(crate) fn remove(&self, key: usize) {
        self.locked.lock().shares.remove(key);
    }

    /// Lists a group. Called after [`Group::claim_listing`] has returned true. If a worker may take
    /// its tasks, returns the priority at which it is served.
    pub(crate) fn list(&self, group: &Arc<Group>) -> Option<Priority> {
        let mut locked = self.locked.lock();
        locked.shares.list(group.key);
        let ready = locked.shares.ready_priority(group.key);
        let replaced = locked.listed.insert(group.key, Arc::clone(group));
        self.publish(&locked);
        drop(locked);
        drop(replaced);
        ready
    }

    /// Picks what a worker polls next.
    pub(crate) fn pick(&self, request: PickRequest, cursor: &LaneCursor) -> Picked {
        // Dropped after the lock is released.
        let mut unlisted = Vec::new();
        let mut locked = self.locked.lock();
        if request.default_time > 0 {
            locked.shares.charge_default(request.default_time);
        }
        loop {
            let key = match locked.shares.choose(request.default_ready, request.lowest) {
                Choice::Group(key) => key,
                Choice::Default => {
                    locked.shares.start_default();
                    self.publish(&locked);
                    return Picked::Default;
                }
                Choice::Nothing => {
                    self.publish(&locked);
                    return Picked::Nothing;
                }
            };
            let Some(group) = locked.listed.get(&key).map(Arc::clone) else {
                unreachable!("a group that is ready is listed")
            };
            let Some((first, aborts)) = group.take(cursor) else {
                unlisted.extend(locked.unlist_if_empty(&group));
                unlisted.push(group);
                continue;
            };
            let charged = locked.shares.begin_slice(key);
            unlisted.extend(locked.unlist_if_empty(&group));
            self.publish(&locked);
            return Picked::Group(PickedGroup { group, first, aborts, charged });
        }
    }

    /// Ends a slice of a worker that [`ReadySet::pick`] has given the group to. It took `nanos`,
    /// and the group was `charged` in advance.
    ///
    /// If the group has been at its limit and has tasks, it is ready now. The caller picks again,
    /// or wakes another worker.
    pub(crate) fn end_slice(&self, group: &Arc<Group>, nanos: u64, charged: VirtualTime) {
        let mut locked = self.locked.lock();
        locked.shares.end_slice(group.key, nanos, charged);
        let unlisted = locked.unlist_if_empty(group);
        self.publish(&locked);
        drop(locked);
        drop(unlisted);
    }

    /// Sets the weight of a group.
    pub(crate) fn set_weight(&self, key: usize, weight: u32) {
        self.locked.lock().shares.set_weight(key, weight);
    }

    /// Sets the limit of workers of a group. If the group is ready, returns the priority at which
    /// it is served.
    pub(crate) fn set_max_workers(&self, key: usize, max_workers: usize) -> Option<Priority> {
        let mut locked = self.locked.lock();
        locked.shares.set_max_workers(key, max_workers);
        self.publish(&locked);
        locked.shares.ready_priority(key)
    }

    /// Returns the priority at which a group is served.
    pub(crate) fn priority(&self, key: usize) -> Priority {
        self.locked.lock().shares.priority(key)
    }

    /// Counts a joiner, which lifts the group. If the group is ready, returns the priority at which
    /// it is served.
    pub(crate) fn add_joiner(&self, key: usize, joiner: Priority) -> Option<Priority> {
        let mut locked = self.locked.lock();
        locked.shares.add_joiner(key, joiner);
        self.publish(&locked);
        locked.shares.ready_priority(key)
    }

    /// Counts a joiner out.
    pub(crate) fn remove_joiner(&self, key: usize, joiner: Priority) {
        let mut locked = self.locked.lock();
        locked.shares.remove_joiner(key, joiner);
        self.publish(&locked);
    }

    /// Returns the weight, the limit of workers, and the number of workers of a group.
    pub(crate) fn limits(&self, key: usize) -> (u32, usize, usize) {
        let locked = self.locked.lock();
        (locked.shares.weight(key), locked.shares.max_workers(key), locked.shares.active(key))
    }

    /// Publishes the numbers of ready groups, if they have changed.
    fn publish(&self, locked: &MutexGuard<'_, ReadyLocked>) {
        let numbers = Priority::ALL.map(|priority| locked.shares.num_ready(priority));
        let all = numbers.iter().sum();
        for (count, ready) in self.ready.iter().zip(numbers.into_iter().chain([all])) {
            // Ordering: Relaxed — the lock is held, and readers are described at
            // `ReadySet::is_ready`.
            if count.load(Ordering::Relaxed) != ready {
                // Ordering: Relaxed — as above.
                count.store(ready, Ordering::Relaxed);
            }
        }
    }
}

impl ReadyLocked {
    /// Unlists a group that is listed and has no task. Returns the reference of the list, which the
    /// caller drops after it has released the lock.
    #[must_use]
    fn unlist_if_empty(&mut self, group: &Arc<Group>) -> Option<Arc<Group>> {
        let listed = self.shares.place_of(group.key) != Place::Unlisted;
        if !listed || group.queue.len() > 0 || !group.try_unlist() {
            return None;
        }
        self.shares.unlist(group.key);
        self.listed.remove(&group.key)
    }
}
