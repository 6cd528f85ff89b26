//! The blocked workers of a pool, and the helper that they need at a shutdown.

use crate::pool::current_task::CurrentTask;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Condvar, Mutex, wait_for};

/// The number of blocked workers, and the state of the helper.
#[derive(Debug)]
pub(crate) struct BlockedWorkers {
    /// The number of blocked workers. Written under the lock.
    count: AtomicUsize,
    locked: Mutex<BlockedState>,
    changed: Condvar,
    /// The task that the helper is dropping.
    pub(crate) ending: CurrentTask,
}

#[derive(Debug)]
struct BlockedState {
    blocked: usize,
    /// A helper exists.
    has_helper: bool,
    /// Since the helper's last pass, a task may have been queued or a thread may have exited.
    is_notified: bool,
    /// Another thread has wanted to start the helper since the last claim.
    is_wanted_again: bool,
}

impl BlockedWorkers {
    pub(crate) fn new() -> Self {
        let locked = BlockedState { blocked: 0, has_helper: false, is_notified: false, is_wanted_again: false };
        BlockedWorkers {
            count: AtomicUsize::new(0),
            locked: Mutex::new(locked),
            changed: Condvar::new(),
            ending: CurrentTask::new(),
        }
    }

    /// Returns the number of blocked workers.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        // Ordering: Relaxed — a statistic. The seats say which workers are blocked. A thread that
        // needs the exact number has a lock in common with the workers that have blocked before. It
        // is that of the worker set, or that of the seat's local slot.
        self.count.load(Ordering::Relaxed)
    }

    /// Counts a worker that begins a section.
    pub(crate) fn begin_section(&self) {
        let mut locked = self.locked.lock();
        locked.blocked += 1;
        self.publish_count(&locked);
    }

    /// Uncounts a worker whose section ends.
    pub(crate) fn end_section(&self) {
        let mut locked = self.locked.lock();
        locked.blocked -= 1;
        self.publish_count(&locked);
        if locked.has_helper && locked.blocked == 0 {
            self.changed.notify_all();
        }
    }

    fn publish_count(&self, locked: &BlockedState) {
        // Ordering: Relaxed — see `BlockedWorkers::count`.
        self.count.store(locked.blocked, Ordering::Relaxed);
    }

    /// Notifies the helper, if a worker is blocked. Returns true if the caller has to start the
    /// helper. Called after the shutdown is published.
    ///
    /// Called by the closer, and by a worker that begins a section and sees the shutdown. Under the
    /// lock, one of them is second, and sees the other.
    #[must_use]
    pub(crate) fn claim_helper(&self) -> bool {
        let mut locked = self.locked.lock();
        if locked.blocked == 0 {
            return false;
        }
        locked.is_notified = true;
        self.changed.notify_all();
        locked.is_wanted_again = locked.has_helper;
        !std::mem::replace(&mut locked.has_helper, true)
    }

    /// Takes back a claim, because no thread could be started. Returns true if another thread has
    /// wanted the helper meanwhile: then the caller keeps the claim, and tries again in its place.
    #[must_use]
    pub(crate) fn release_helper(&self) -> bool {
        let mut locked = self.locked.lock();
        locked.has_helper = std::mem::replace(&mut locked.is_wanted_again, false);
        locked.has_helper
    }

    /// Notifies the helper, if there is one.
    pub(crate) fn notify_helper(&self) {
        let mut locked = self.locked.lock();
        if locked.has_helper {
            locked.is_notified = true;
            self.changed.notify_all();
        }
    }

    /// Waits until the helper is notified. Returns false if no worker is blocked any more: then the
    /// caller is the helper no longer.
    #[must_use]
    pub(crate) fn wait_for_notify(&self) -> bool {
        let mut locked = self.locked.lock();
        wait_for(&self.changed, &mut locked, None, |locked| locked.is_notified || locked.blocked == 0);
        locked.is_notified = false;
        locked.has_helper = locked.blocked > 0;
        locked.has_helper
    }
}
