//! The wheels of vacant seats.

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use crate::timer::TimerWheel;
use crate::util::wake_list::WakeList;

/// Wheels that have timers and whose seats nobody sits in, or somebody who is stuck. Their guardian
/// is whoever sleeps in the reactor. See [the page](crate::worker_set::resize).
///
/// The guardian's note in a wheel is written under the lock of the list, and only while the wheel
/// is in it; so a wheel that is in it has a guardian who knows of it, or one that has been
/// interrupted.
#[derive(Debug)]
pub(crate) struct OrphanWheels {
    /// How many there are: nearly always none, and then nobody takes the lock. Written under it.
    count: AtomicUsize,
    list: Mutex<Vec<OrphanWheel>>,
}

#[derive(Debug)]
struct OrphanWheel {
    seat: usize,
    wheel: Arc<TimerWheel>,
}

impl OrphanWheels {
    pub(crate) fn new() -> Self {
        OrphanWheels { count: AtomicUsize::new(0), list: Mutex::new(Vec::new()) }
    }

    /// The worker of `seat`, its keeper, leaves or is stuck. True if the guardian has to hear of
    /// it: it may sleep.
    ///
    /// Nobody arms a timer any more on a wheel whose worker has left: one that is empty stays so.
    /// If the worker is stuck, the watchdog looks again.
    #[must_use]
    pub(crate) fn add(&self, seat: usize, wheel: &Arc<TimerWheel>) -> bool {
        if wheel.is_empty() {
            return false;
        }
        let mut list = self.list.lock();
        if list.iter().any(|orphan_wheel| orphan_wheel.seat == seat) {
            return false;
        }
        list.push(OrphanWheel { seat, wheel: Arc::clone(wheel) });
        self.publish_next_due(&list);
        true
    }

    /// The worker of `seat` sees to its wheel itself from now on. Called by that worker: of nobody
    /// else is it known that he does.
    #[inline]
    pub(crate) fn remove(&self, seat: usize) {
        if !self.is_empty() {
            self.dismiss_one(seat);
        }
    }

    #[cold]
    fn dismiss_one(&self, seat: usize) {
        self.remove_locked(&mut self.list.lock(), seat);
    }

    fn remove_locked(&self, list: &mut Vec<OrphanWheel>, seat: usize) {
        if let Some(at) = list.iter().position(|orphan_wheel| orphan_wheel.seat == seat) {
            list.swap_remove(at).wheel.end_backup_sleep();
            self.publish_next_due(list);
        }
    }

    /// Called by the guardian on its way to sleep: the first deadline, noted in each wheel. Wheels
    /// that have become empty go.
    #[inline]
    #[must_use]
    pub(crate) fn begin_sleep(&self) -> Option<u64> {
        if self.is_empty() { None } else { self.keep_all() }
    }

    #[cold]
    fn keep_all(&self) -> Option<u64> {
        let mut list = self.list.lock();
        list.retain(|orphan_wheel| !orphan_wheel.wheel.is_empty());
        self.publish_next_due(&list);
        list.iter().filter_map(|orphan_wheel| orphan_wheel.wheel.begin_backup_sleep()).min()
    }

    /// Called by the guardian when it is awake again, and before anybody else can become the
    /// guardian.
    #[inline]
    pub(crate) fn end_sleep(&self) {
        if !self.is_empty() {
            self.resume_all();
        }
    }

    #[cold]
    fn resume_all(&self) {
        self.list.lock().iter().for_each(|orphan_wheel| orphan_wheel.wheel.end_backup_sleep());
    }

    /// When the first timer is due, or earlier.
    #[inline]
    pub(crate) fn next_due(&self) -> u64 {
        if self.is_empty() { u64::MAX } else { self.first_due() }
    }

    #[cold]
    fn first_due(&self) -> u64 {
        self.list.lock().iter().map(|orphan_wheel| orphan_wheel.wheel.next_due()).min().unwrap_or(u64::MAX)
    }

    /// Fires what is due at `now`. The wakers are in `wakes`, and the caller wakes them. It is the
    /// worker of `seat`, and turns its own wheel: if that has become a orphan wheel it is none any
    /// more.
    #[inline]
    pub(crate) fn turn(&self, seat: usize, now: u64, wakes: &mut WakeList) {
        if !self.is_empty() {
            self.turn_all(seat, now, wakes);
        }
    }

    #[cold]
    fn turn_all(&self, seat: usize, now: u64, wakes: &mut WakeList) {
        let mut list = self.list.lock();
        self.remove_locked(&mut list, seat);
        for orphan_wheel in list.iter().filter(|orphan_wheel| orphan_wheel.wheel.next_due() <= now) {
            orphan_wheel.wheel.turn(now, wakes);
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `publish`. A guardian that a leaver's
        // interrupt has called sees the leaver's orphan wheel; one that reads an older number is
        // interrupted.
        self.count.load(Ordering::Acquire) == 0
    }

    fn publish_next_due(&self, list: &[OrphanWheel]) {
        // Ordering: Release — pairs with the Acquire in `is_empty`.
        self.count.store(list.len(), Ordering::Release);
    }
}
