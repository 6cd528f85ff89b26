//! The timer wheels of seats that are vacant, stalled or in a blocking section.

use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Mutex};
use crate::timer::TimerWheel;
use crate::util::wake_list::WakeList;

/// Wheels with timers whose seat is vacant, or whose worker is stuck. Their backup sleeper is the
/// worker that sleeps in the reactor. See [the page](crate::worker_set).
///
/// `backup_until` of a wheel is written under the lock of the list, and only while the wheel is in
/// the list. So a wheel in the list has a backup sleeper that knows of it, or one that has been
/// interrupted.
#[derive(Debug)]
pub(crate) struct OrphanWheels {
    /// The length of the list, written under its lock. It is nearly always zero, and then no thread
    /// takes the lock.
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

    /// Adds the wheel of `seat`, whose worker retires or is stuck. Returns true if the caller has
    /// to interrupt the backup sleeper, which may sleep already.
    ///
    /// An empty wheel is not added. If the worker has retired, no timer is armed there any more. If
    /// it is stuck, the watchdog checks again.
    #[must_use]
    pub(crate) fn add(&self, seat: usize, wheel: &Arc<TimerWheel>) -> bool {
        if wheel.is_empty() {
            return false;
        }
        let mut list = self.list.lock();
        if list.iter().any(|orphan| orphan.seat == seat) {
            return false;
        }
        list.push(OrphanWheel { seat, wheel: Arc::clone(wheel) });
        self.publish_count(&list);
        true
    }

    /// Removes the wheel of `seat`, whose worker fires its timers itself from now on. Only that
    /// worker may call this: no other thread can know that it does.
    #[inline]
    pub(crate) fn remove(&self, seat: usize) {
        if !self.is_empty() {
            self.remove_slow(seat);
        }
    }

    #[cold]
    fn remove_slow(&self, seat: usize) {
        self.remove_locked(&mut self.list.lock(), seat);
    }

    fn remove_locked(&self, list: &mut Vec<OrphanWheel>, seat: usize) {
        if let Some(at) = list.iter().position(|orphan| orphan.seat == seat) {
            list.swap_remove(at).wheel.end_backup_sleep();
            self.publish_count(list);
        }
    }

    /// Returns the first deadline, and stores in each wheel until when the backup sleeper sleeps.
    /// Called by the backup sleeper on its way to sleep. Wheels that have become empty are removed.
    #[inline]
    #[must_use]
    pub(crate) fn begin_sleep(&self) -> Option<u64> {
        if self.is_empty() { None } else { self.begin_sleep_slow() }
    }

    #[cold]
    fn begin_sleep_slow(&self) -> Option<u64> {
        let mut list = self.list.lock();
        list.retain(|orphan| !orphan.wheel.is_empty());
        self.publish_count(&list);
        list.iter().filter_map(|orphan| orphan.wheel.begin_backup_sleep()).min()
    }

    /// Stores that the backup sleeper is awake again. Called by it, before another thread can
    /// become the backup sleeper.
    #[inline]
    pub(crate) fn end_sleep(&self) {
        if !self.is_empty() {
            self.end_sleep_slow();
        }
    }

    #[cold]
    fn end_sleep_slow(&self) {
        self.list.lock().iter().for_each(|orphan| orphan.wheel.end_backup_sleep());
    }

    /// Returns when the first timer is due, or an earlier time.
    #[inline]
    pub(crate) fn next_due(&self) -> u64 {
        if self.is_empty() { u64::MAX } else { self.next_due_slow() }
    }

    #[cold]
    fn next_due_slow(&self) -> u64 {
        self.list.lock().iter().map(|orphan| orphan.wheel.next_due()).min().unwrap_or(u64::MAX)
    }

    /// Fires every timer that is due at `now`, and moves their wakers to `wakes`, for the caller to
    /// wake.
    ///
    /// The caller is the worker of `seat`, which fires the timers of its own wheel. So that wheel
    /// is removed from the list if it is there.
    #[inline]
    pub(crate) fn fire_due(&self, seat: usize, now: u64, wakes: &mut WakeList) {
        if !self.is_empty() {
            self.fire_due_slow(seat, now, wakes);
        }
    }

    #[cold]
    fn fire_due_slow(&self, seat: usize, now: u64, wakes: &mut WakeList) {
        let mut list = self.list.lock();
        self.remove_locked(&mut list, seat);
        for orphan in list.iter().filter(|orphan| orphan.wheel.next_due() <= now) {
            orphan.wheel.fire_due(now, wakes);
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `OrphanWheels::publish_count`. A backup
        // sleeper that a retiring worker has interrupted sees that worker's orphan wheel. One that
        // reads an older count is interrupted.
        self.count.load(Ordering::Acquire) == 0
    }

    fn publish_count(&self, list: &[OrphanWheel]) {
        // Ordering: Release — pairs with the Acquire in `OrphanWheels::is_empty`: the change of the
        // list.
        self.count.store(list.len(), Ordering::Release);
    }
}
