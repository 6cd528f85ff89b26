//! Which group is served next: start-time fair queueing per priority, with a minimum share for the
//! lower priorities.
//!
//! After P. Goyal, H. M. Vin and H. Cheng, "Start-time fair queueing", SIGCOMM 1996. The argument
//! and the bounds are on [the page](super), under "Shares".

use std::collections::BTreeSet;

use slab::Slab;

use crate::group::priority::Priority;

/// The weight of the tasks without a group, and of a group that sets none.
pub(crate) const DEFAULT_WEIGHT: u32 = 100;

/// The highest weight.
pub(crate) const MAX_WEIGHT: u32 = 10_000;

/// The time in nanoseconds that a slice is charged when it begins. When it ends, the charge becomes
/// the time that it took.
pub(crate) const ADVANCE: u64 = 100_000;

/// The tasks without a group may lag behind by so many nanoseconds. While a worker polls a group,
/// it does not see whether they are ready. So being idle gives them this much credit.
const DEFAULT_LAG: u64 = 50_000_000;

/// A lower priority is served out of turn when it is owed so many nanoseconds.
const OWED: i64 = 100_000;

/// A priority is never owed more than this, in nanoseconds. So it does not save up for a burst.
const MOST_OWED: i64 = 5_000_000;

/// A priority never owes more than this, in nanoseconds. So it waits for a second at most after it
/// has had all workers for itself.
const MOST_DEBT: i64 = 50_000_000;

/// The time that a group has had, divided by its weight.
pub(crate) type VirtualTime = u128;

/// Decides between the groups that are ready, and the tasks without a group.
#[derive(Debug)]
pub(crate) struct FairShare {
    entries: Slab<Entry>,
    classes: [Class; 3],
    /// The virtual time of the tasks without a group.
    default_time: VirtualTime,
    /// The minimum share of a lower priority, in percent.
    min_share: u32,
}

#[derive(Debug)]
struct Entry {
    /// The priority that it is built with.
    base: Priority,
    /// The priority at which it is served.
    priority: Priority,
    /// How many joiners of each priority wait for one of its tasks.
    joiners: [u32; 3],
    /// Its virtual time when it was lifted, and the one at which it went on.
    lifted_at: Option<(VirtualTime, VirtualTime)>,
    weight: u32,
    max_workers: usize,
    /// The workers that poll its tasks.
    active: usize,
    time: VirtualTime,
    place: Place,
}

/// Where the queued tasks of a group are accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has no task that the ready set knows of.
    Unlisted,
    /// A worker may take its tasks.
    Ready,
    /// Its tasks wait until one of its workers stops.
    AtLimit,
}

#[derive(Debug)]
struct Class {
    ready: BTreeSet<(VirtualTime, usize)>,
    /// The start time of the slice that began last. A group that becomes ready starts here: being
    /// idle earns nothing.
    time: VirtualTime,
    /// The time that it is owed because higher priorities ran, in nanoseconds.
    owed: i64,
}

/// What a worker polls next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The tasks without a group.
    Default,
    Group(usize),
    Nothing,
}

impl FairShare {
    pub(crate) fn new(min_share: u32) -> FairShare {
        let class = || Class { ready: BTreeSet::new(), time: 0, owed: 0 };
        FairShare { entries: Slab::new(), classes: [class(), class(), class()], default_time: 0, min_share }
    }

    /// Adds a group, and returns its key.
    pub(crate) fn insert(&mut self, priority: Priority, weight: u32, max_workers: usize) -> usize {
        self.entries.insert(Entry {
            base: priority,
            priority,
            joiners: [0; 3],
            lifted_at: None,
            weight,
            max_workers,
            active: 0,
            time: 0,
            place: Place::Unlisted,
        })
    }

    /// Removes a group that has no worker and no task.
    pub(crate) fn remove(&mut self, key: usize) {
        self.unlist(key);
        self.entries.remove(key);
    }

    /// Records that a group has tasks.
    pub(crate) fn list(&mut self, key: usize) {
        if self.entries[key].place == Place::Unlisted {
            self.forfeit_credit(key);
        }
        self.place(key);
    }

    /// Moves a group to the start time of the slice that began last, if it is behind. Called before
    /// it competes again.
    fn forfeit_credit(&mut self, key: usize) {
        let entry = &self.entries[key];
        self.set_time(key, entry.time.max(self.classes[entry.priority.index()].time));
    }

    /// Returns the priority at which a group is served.
    pub(crate) fn priority(&self, key: usize) -> Priority {
        self.entries[key].priority
    }

    /// Returns the priority at which a group is served, if a worker may take its tasks.
    pub(crate) fn ready_priority(&self, key: usize) -> Option<Priority> {
        let entry = &self.entries[key];
        (entry.place == Place::Ready).then_some(entry.priority)
    }

    /// Records that a group has no tasks.
    pub(crate) fn unlist(&mut self, key: usize) {
        self.move_to(key, Place::Unlisted);
    }

    pub(crate) fn place_of(&self, key: usize) -> Place {
        self.entries[key].place
    }

    /// Returns the number of groups of a priority that are ready.
    pub(crate) fn num_ready(&self, priority: Priority) -> usize {
        self.classes[priority.index()].ready.len()
    }

    /// Returns what a worker polls next. It serves no priority below `lowest`. `default_ready`
    /// tells whether it has tasks without a group.
    pub(crate) fn choose(&self, default_ready: bool, lowest: Priority) -> Choice {
        let served = Priority::ALL.into_iter().filter(|&priority| priority >= lowest);
        let is_ready =
            |priority: &Priority| self.num_ready(*priority) > 0 || (default_ready && *priority == Priority::default());
        let mut ready = served.filter(is_ready);
        let Some(mut chosen) = ready.next() else { return Choice::Nothing };
        // From below: the lowest priority that is owed time, or else the highest.
        for higher in ready {
            if self.owed(chosen) >= OWED {
                break;
            }
            chosen = higher;
        }
        let first = self.classes[chosen.index()].ready.first();
        match first {
            Some(&(time, _)) if chosen == Priority::default() && default_ready && self.default_start() <= time => {
                Choice::Default
            }
            Some(&(_, key)) => Choice::Group(key),
            None => Choice::Default,
        }
    }

    fn owed(&self, priority: Priority) -> i64 {
        self.classes[priority.index()].owed
    }

    /// Returns the virtual time at which the tasks without a group would start now.
    fn default_start(&self) -> VirtualTime {
        let class = &self.classes[Priority::default().index()];
        self.default_time.max(class.time.saturating_sub(scaled(DEFAULT_LAG, DEFAULT_WEIGHT)))
    }

    /// Records that a worker turns to the tasks without a group.
    pub(crate) fn start_default(&mut self) {
        self.default_time = self.default_start();
        let class = &mut self.classes[Priority::default().index()];
        class.time = class.time.max(self.default_time);
    }

    /// Charges the tasks without a group for `nanos` of a worker's time.
    pub(crate) fn charge_default(&mut self, nanos: u64) {
        self.default_time += scaled(nanos, DEFAULT_WEIGHT);
        self.charge_class(Priority::default(), nanos);
    }

    /// Counts a worker that begins a slice of a group that is ready. Returns what the group is
    /// charged in advance.
    pub(crate) fn begin_slice(&mut self, key: usize) -> VirtualTime {
        let entry = &mut self.entries[key];
        debug_assert!(entry.place == Place::Ready && entry.active < entry.max_workers);
        let (start, priority) = (entry.time, entry.priority);
        let charged = scaled(ADVANCE, entry.weight);
        self.set_time(key, start + charged);
        self.entries[key].active += 1;
        self.place(key);
        let class = &mut self.classes[priority.index()];
        class.time = class.time.max(start);
        charged
    }

    /// Counts a worker that ends a slice, which took `nanos` and was `charged` in advance. If the
    /// group has been at its limit, it is ready now.
    pub(crate) fn end_slice(&mut self, key: usize, nanos: u64, charged: VirtualTime) {
        let Entry { weight, time, priority, .. } = self.entries[key];
        self.set_time(key, (time + scaled(nanos, weight)).saturating_sub(charged));
        self.entries[key].active -= 1;
        if self.entries[key].place != Place::Unlisted {
            self.place(key);
        }
        self.charge_class(priority, nanos);
    }

    pub(crate) fn active(&self, key: usize) -> usize {
        self.entries[key].active
    }

    pub(crate) fn weight(&self, key: usize) -> u32 {
        self.entries[key].weight
    }

    pub(crate) fn set_weight(&mut self, key: usize, weight: u32) {
        self.entries[key].weight = weight;
    }

    pub(crate) fn max_workers(&self, key: usize) -> usize {
        self.entries[key].max_workers
    }

    /// Sets the limit of workers. If it is lower than before, surplus workers stop after their
    /// slices.
    pub(crate) fn set_max_workers(&mut self, key: usize, max_workers: usize) {
        let raised = std::mem::replace(&mut self.entries[key].max_workers, max_workers) < max_workers;
        if raised && self.entries[key].place != Place::Unlisted {
            // While it waited at its limit, it did not compete.
            self.forfeit_credit(key);
        }
        if self.entries[key].place != Place::Unlisted {
            self.place(key);
        }
    }

    /// Counts a joiner of this priority, which waits for a task of the group. Until
    /// [`FairShare::remove_joiner`], the group is served at that priority at least.
    pub(crate) fn add_joiner(&mut self, key: usize, joiner: Priority) {
        self.entries[key].joiners[joiner.index()] += 1;
        self.update_priority(key);
    }

    /// Counts a joiner out.
    pub(crate) fn remove_joiner(&mut self, key: usize, joiner: Priority) {
        self.entries[key].joiners[joiner.index()] -= 1;
        self.update_priority(key);
    }

    fn update_priority(&mut self, key: usize) {
        let entry = &self.entries[key];
        let has_joiner = |priority: &Priority| entry.joiners[priority.index()] > 0;
        let highest = Priority::ALL.into_iter().rev().find(has_joiner).unwrap_or(entry.base).max(entry.base);
        if highest == entry.priority {
            return;
        }
        let place = entry.place;
        self.unlist(key);
        let start = self.classes[highest.index()].time;
        let entry = &mut self.entries[key];
        // The time that it has had while it was lifted counts when it is back.
        let (base_time, began) = entry.lifted_at.take().unwrap_or((entry.time, entry.time));
        let own_time = base_time + entry.time.saturating_sub(began);
        if highest == entry.base {
            entry.time = own_time;
        } else {
            entry.lifted_at = Some((own_time, start));
            entry.time = start;
        }
        entry.priority = highest;
        self.forfeit_credit(key);
        self.move_to(key, place);
    }

    /// Lower priorities that are ready are owed a share of what a higher one has had.
    fn charge_class(&mut self, charged: Priority, nanos: u64) {
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        let share = i64::from(self.min_share);
        let class = &mut self.classes[charged.index()];
        class.owed = class.owed.saturating_sub(nanos).max(-MOST_DEBT);
        for class in &mut self.classes[..charged.index()] {
            let earned = nanos.saturating_mul(share) / (100 - share);
            class.owed = class.owed.saturating_add(earned).min(MOST_OWED);
        }
    }

    fn set_time(&mut self, key: usize, time: VirtualTime) {
        let entry = &mut self.entries[key];
        let ready = &mut self.classes[entry.priority.index()].ready;
        if ready.remove(&(entry.time, key)) {
            ready.insert((time, key));
        }
        entry.time = time;
    }

    /// Places a group that has tasks.
    fn place(&mut self, key: usize) {
        let entry = &self.entries[key];
        self.move_to(key, if entry.active < entry.max_workers { Place::Ready } else { Place::AtLimit });
    }

    fn move_to(&mut self, key: usize, place: Place) {
        let entry = &mut self.entries[key];
        let ready = &mut self.classes[entry.priority.index()].ready;
        if place == Place::Ready {
            ready.insert((entry.time, key));
        } else {
            ready.remove(&(entry.time, key));
        }
        entry.place = place;
    }
}

/// Returns the virtual time of so many nanoseconds.
fn scaled(nanos: u64, weight: u32) -> VirtualTime {
    VirtualTime::from(nanos) * VirtualTime::from(MAX_WEIGHT) / VirtualTime::from(weight)
}
