//! Which threads are there.

use std::time::Instant;

use crate::sync::{Condvar, Mutex, release_gone, thread, wait_for};

/// Which threads are still there, and who closes up behind the last of them.
#[derive(Debug)]
pub(crate) struct LiveThreads {
    locked: Mutex<LiveState>,
    changed: Condvar,
}

#[derive(Debug)]
struct LiveState {
    present: usize,
    /// The closer waits no longer: the last to leave closes up.
    abandoned: bool,
    /// How often the thread that clears the seats has got something new to clear.
    changes: u64,
    /// Whether a thread is clearing the seats.
    clearing: bool,
    /// To be joined by the closer; those that are gone before are let go of.
    threads: Vec<thread::JoinHandle<()>>,
}

/// What a pass over the seats has done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClearPass {
    /// Whether no task was left that could be found, and no seat was in use.
    pub(crate) cleared: bool,
    /// How many local slots the pass has given back. Each of them is a change.
    pub(crate) returned: u64,
}

/// Marks the thread that clears the seats, until it is dropped, also by a panic.
struct ClearingMark<'a>(&'a LiveThreads);

impl Drop for ClearingMark<'_> {
    fn drop(&mut self) {
        self.0.locked.lock().clearing = false;
        self.0.changed.notify_all();
    }
}

impl LiveThreads {
    pub(crate) fn new() -> Self {
        let locked = LiveState { present: 0, abandoned: false, changes: 0, clearing: false, threads: Vec::new() };
        LiveThreads { locked: Mutex::new(locked), changed: Condvar::new() }
    }

    pub(crate) fn inc(&self) {
        self.locked.lock().present += 1;
    }

    /// Counts the caller as present, if the pool `is_open`. The closer counts after it has closed
    /// the pool. So the closer sees the caller, or the caller sees that the pool is closed.
    #[must_use]
    pub(crate) fn enter_if(&self, is_open: impl FnOnce() -> bool) -> bool {
        let mut locked = self.locked.lock();
        let open = is_open();
        locked.present += usize::from(open);
        open
    }

    /// How many are there.
    pub(crate) fn count(&self) -> usize {
        self.locked.lock().present
    }

    /// Keeps a thread that has been started, and lets go of those that are gone. The caller counts
    /// as present: the thread itself may have left again.
    pub(crate) fn track(&self, started: thread::JoinHandle<()>) {
        let mut locked = self.locked.lock();
        release_gone(&mut locked.threads);
        locked.threads.push(started);
    }

    /// Hands out all threads that may not have ended.
    pub(crate) fn take_threads(&self) -> Vec<thread::JoinHandle<()>> {
        std::mem::take(&mut self.locked.lock().threads)
    }

    /// Notes that a thread leaves. Returns true if the thread has to close up. This returns true
    /// once.
    #[must_use]
    pub(crate) fn dec(&self) -> bool {
        let mut locked = self.locked.lock();
        locked.present -= 1;
        self.changed.notify_all();
        locked.present == 0 && std::mem::take(&mut locked.abandoned)
    }

    /// Returns whether a thread is clearing the seats. For a local pool that is the pool's own
    /// thread.
    pub(crate) fn is_clearing(&self) -> bool {
        self.locked.lock().clearing
    }

    /// Notes a change while the pool is being cleared: a task has been queued, or a local slot has
    /// come back. The thread that did that and saw the phase calls this.
    pub(crate) fn note_change(&self) {
        self.locked.lock().changes += 1;
        self.changed.notify_all();
    }

    /// Makes passes over the seats, until one pass has cleared everything. Sleeps between two
    /// passes until there is a change. One thread at a time does so. Returns false if the deadline
    /// came first.
    #[must_use]
    pub(crate) fn clear_by(&self, deadline: Option<Instant>, mut pass: impl FnMut() -> ClearPass) -> bool {
        let mut locked = self.locked.lock();
        if !wait_for(&self.changed, &mut locked, deadline, |locked| !locked.clearing) {
            return false;
        }
        locked.clearing = true;
        drop(locked);
        let _turn = ClearingMark(self);
        loop {
            // Read before the pass: so a change that the pass has missed ends the sleep.
            let seen = self.locked.lock().changes;
            let pass = pass();
            if pass.cleared {
                return true;
            }
            // Without this, the pass's own changes would end each sleep at once.
            let own = seen + pass.returned;
            if !wait_for(&self.changed, &mut self.locked.lock(), deadline, |locked| locked.changes != own) {
                return false;
            }
        }
    }

    /// Waits until nobody is there. False if the deadline came first: then the last to leave closes
    /// up.
    #[must_use]
    pub(crate) fn wait_until_empty(&self, deadline: Option<Instant>) -> bool {
        let mut locked = self.locked.lock();
        let empty = wait_for(&self.changed, &mut locked, deadline, |locked| locked.present == 0);
        locked.abandoned |= !empty;
        empty
    }
}
