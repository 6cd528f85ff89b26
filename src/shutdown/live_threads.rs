//! The live threads of a pool, and the one that clears its seats.

use std::time::Instant;

use crate::primitive::{Condvar, Mutex, release_gone, thread, wait_for};

/// Counts the threads that the closer waits for. The last of them may have to finish the shutdown.
#[derive(Debug)]
pub(crate) struct LiveThreads {
    locked: Mutex<LiveState>,
    changed: Condvar,
}

#[derive(Debug)]
struct LiveState {
    live: usize,
    /// Set when the closer waits no longer: the last thread to exit finishes the shutdown.
    abandoned: bool,
    /// How often there was something new for the thread that clears the seats.
    changes: u64,
    /// Set while a thread clears the seats.
    clearing: bool,
    /// The threads that the closer joins. Threads that have ended are released before.
    threads: Vec<thread::JoinHandle<()>>,
}

/// What a pass over the seats has done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClearPass {
    /// Set if the pass has found every task and no seat was in use.
    pub(crate) cleared: bool,
    /// How many local slots the pass has given back. Each of them is a change.
    pub(crate) returned: u64,
}

/// Marks that a thread clears the seats, until it is dropped, also by a panic.
struct ClearingMark<'a>(&'a LiveThreads);

impl Drop for ClearingMark<'_> {
    fn drop(&mut self) {
        self.0.locked.lock().clearing = false;
        self.0.changed.notify_all();
    }
}

impl LiveThreads {
    pub(crate) fn new() -> Self {
        let locked = LiveState { live: 0, abandoned: false, changes: 0, clearing: false, threads: Vec::new() };
        LiveThreads { locked: Mutex::new(locked), changed: Condvar::new() }
    }

    /// Counts one more live thread.
    pub(crate) fn inc(&self) {
        self.locked.lock().live += 1;
    }

    /// Counts the caller as live, if the pool `is_open`. The closer reads the count after it has
    /// closed the pool. So the closer sees the caller, or the caller sees that the pool is closed.
    #[must_use]
    pub(crate) fn enter_if(&self, is_open: impl FnOnce() -> bool) -> bool {
        let mut locked = self.locked.lock();
        let open = is_open();
        locked.live += usize::from(open);
        open
    }

    /// Returns the number of live threads.
    pub(crate) fn count(&self) -> usize {
        self.locked.lock().live
    }

    /// Keeps the handle of a started thread, and releases those of threads that have ended. The
    /// caller is counted as live, because the thread itself may have exited already.
    pub(crate) fn track(&self, started: thread::JoinHandle<()>) {
        let mut locked = self.locked.lock();
        release_gone(&mut locked.threads);
        locked.threads.push(started);
    }

    /// Returns the handles of all threads that may not have ended.
    pub(crate) fn take_threads(&self) -> Vec<thread::JoinHandle<()>> {
        std::mem::take(&mut self.locked.lock().threads)
    }

    /// Counts a thread out. Returns true, once, if the caller has to finish the shutdown.
    #[must_use]
    pub(crate) fn dec(&self) -> bool {
        let mut locked = self.locked.lock();
        locked.live -= 1;
        self.changed.notify_all();
        locked.live == 0 && std::mem::take(&mut locked.abandoned)
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
        let _clearing = ClearingMark(self);
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

    /// Waits until no thread is live. Returns false if the deadline came first: then the last
    /// thread to exit finishes the shutdown.
    #[must_use]
    pub(crate) fn wait_until_empty(&self, deadline: Option<Instant>) -> bool {
        let mut locked = self.locked.lock();
        let empty = wait_for(&self.changed, &mut locked, deadline, |locked| locked.live == 0);
        locked.abandoned |= !empty;
        empty
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::primitive::real_now;

    #[test]
    fn seats_are_cleared_by_one_thread_at_a_time() {
        let live_threads = LiveThreads::new();
        let mut passes = 0;
        let cleared = live_threads.clear_by(None, || {
            passes += 1;
            assert!(live_threads.is_clearing());
            assert!(!live_threads.clear_by(Some(real_now()), || unreachable!("a pass is under way")));
            // A change comes meanwhile, so there is a second pass.
            live_threads.note_change();
            ClearPass { cleared: passes == 2, returned: 0 }
        });
        assert_eq!((cleared, passes, live_threads.is_clearing()), (true, 2, false));
    }

    #[test]
    fn last_thread_finishes_the_shutdown_that_was_abandoned() {
        for waits in [true, false] {
            let live_threads = LiveThreads::new();
            live_threads.inc();
            assert!(live_threads.enter_if(|| true) && !live_threads.enter_if(|| false));
            if waits {
                assert!(!live_threads.wait_until_empty(Some(real_now())));
            }
            assert_eq!(live_threads.count(), 2);
            assert!(!live_threads.dec());
            assert_eq!(live_threads.dec(), waits);
        }
    }
}
