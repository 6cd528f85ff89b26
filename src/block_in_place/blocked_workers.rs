//! Workers that step out of their seats in the midst of a poll, to block.

use crate::pool::current_task::CurrentTask;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, wait_for};

/// Who is out, and who attends to them when the runtime is being shut down.
#[derive(Debug)]
pub(crate) struct BlockedWorkers {
    /// How many are out. Written under the lock.
    count: AtomicUsize,
    locked: Mutex<BlockedState>,
    changed: Condvar,
    /// The task that the helper drops, if it does.
    pub(crate) ending: CurrentTask,
}

#[derive(Debug)]
struct BlockedState {
    out: usize,
    /// There is an helper.
    attended: bool,
    /// Something may have been queued since the helper has looked, or somebody has left.
    called: bool,
}

impl BlockedWorkers {
    pub(crate) fn new() -> Self {
        let locked = BlockedState { out: 0, attended: false, called: false };
        BlockedWorkers {
            count: AtomicUsize::new(0),
            locked: Mutex::new(locked),
            changed: Condvar::new(),
            ending: CurrentTask::new(),
        }
    }

    /// How many workers are out.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        // Ordering: Relaxed — a figure: who is out is said by the seats. Who has to know it exactly
        // has a lock in common with whoever went out before: the worker set's, or that of the
        // seat's local slot.
        self.count.load(Ordering::Relaxed)
    }

    /// One more.
    pub(crate) fn begin_section(&self) {
        let mut locked = self.locked.lock();
        locked.out += 1;
        self.publish_count(&locked);
    }

    /// One less.
    pub(crate) fn end_section(&self) {
        let mut locked = self.locked.lock();
        locked.out -= 1;
        self.publish_count(&locked);
        if locked.attended && locked.out == 0 {
            self.changed.notify_all();
        }
    }

    fn publish_count(&self, locked: &BlockedState) {
        // Ordering: Relaxed — see `count`.
        self.count.store(locked.out, Ordering::Relaxed);
    }

    /// The runtime is being shut down, which can be seen by now: calls the helper, if anybody is
    /// out. True if the caller has to start it.
    ///
    /// Asked by whoever closes the runtime, and by whoever has stepped out and sees that: under the
    /// lock one of them comes second, and sees the other.
    #[must_use]
    pub(crate) fn claim_helper(&self) -> bool {
        let mut locked = self.locked.lock();
        if locked.out == 0 {
            return false;
        }
        locked.called = true;
        self.changed.notify_all();
        !std::mem::replace(&mut locked.attended, true)
    }

    /// There is no thread for it.
    pub(crate) fn release_helper(&self) {
        self.locked.lock().attended = false;
    }

    /// Calls the helper, if there is one.
    pub(crate) fn notify_helper(&self) {
        let mut locked = self.locked.lock();
        if locked.attended {
            locked.called = true;
            self.changed.notify_all();
        }
    }

    /// The helper waits until it is called. False if nobody is out any more: then it is none.
    #[must_use]
    pub(crate) fn wait_for_call(&self) -> bool {
        let mut locked = self.locked.lock();
        wait_for(&self.changed, &mut locked, None, |locked| locked.called || locked.out == 0);
        locked.called = false;
        locked.attended = locked.out > 0;
        locked.attended
    }
}
