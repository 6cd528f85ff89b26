//! Workers that step out of their seats in the midst of a poll, to block.
#![doc = include_str!("../../docs/block-in-place.md")]

use super::drain_counts::CurrentTask;
use super::{Pool, Seat};
use crate::local::Local;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, wait_for};

/// Who is out, and who attends to them when the runtime is being shut down.
#[derive(Debug)]
pub(crate) struct BlockedWorkers {
    /// How many are out. Written under the lock.
    count: AtomicUsize,
    book: Mutex<BlockedState>,
    changed: Condvar,
    /// The task that the attendant drops, if it does.
    pub(crate) ending: CurrentTask,
}

#[derive(Debug)]
struct BlockedState {
    out: usize,
    /// There is an attendant.
    attended: bool,
    /// Something may have been queued since the attendant has looked, or somebody has left.
    called: bool,
}

impl BlockedWorkers {
    pub(crate) fn new() -> Self {
        let book = BlockedState { out: 0, attended: false, called: false };
        BlockedWorkers {
            count: AtomicUsize::new(0),
            book: Mutex::new(book),
            changed: Condvar::new(),
            ending: CurrentTask::new(),
        }
    }

    /// How many workers are out.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        // Ordering: Relaxed — a figure: who is out is said by the seats. Who has to know it exactly has a lock in common with whoever went
        // out before: the staff's, or that of the seat's lease.
        self.count.load(Ordering::Relaxed)
    }

    /// One more.
    pub(crate) fn begin(&self) {
        let mut book = self.book.lock();
        book.out += 1;
        self.publish(&book);
    }

    /// One less.
    pub(crate) fn end(&self) {
        let mut book = self.book.lock();
        book.out -= 1;
        self.publish(&book);
        if book.attended && book.out == 0 {
            self.changed.notify_all();
        }
    }

    fn publish(&self, book: &BlockedState) {
        // Ordering: Relaxed — see `count`.
        self.count.store(book.out, Ordering::Relaxed);
    }

    /// The runtime is being shut down, which can be seen by now: calls the attendant, if anybody is out. True if the caller has to start it.
    ///
    /// Asked by whoever closes the runtime, and by whoever has stepped out and sees that: under the lock one of them comes second, and sees the
    /// other.
    #[must_use]
    pub(crate) fn claim_helper(&self) -> bool {
        let mut book = self.book.lock();
        if book.out == 0 {
            return false;
        }
        book.called = true;
        self.changed.notify_all();
        !std::mem::replace(&mut book.attended, true)
    }

    /// There is no thread for it.
    pub(crate) fn release_helper(&self) {
        self.book.lock().attended = false;
    }

    /// Calls the attendant, if there is one.
    pub(crate) fn notify_helper(&self) {
        let mut book = self.book.lock();
        if book.attended {
            book.called = true;
            self.changed.notify_all();
        }
    }

    /// The attendant waits until it is called. False if nobody is out any more: then it is none.
    #[must_use]
    pub(crate) fn wait_for_call(&self) -> bool {
        let mut book = self.book.lock();
        wait_for(&self.changed, &mut book, None, |book| book.called || book.out == 0);
        book.called = false;
        book.attended = book.out > 0;
        book.attended
    }
}

/// A worker is out. It comes back when this is dropped, also if it unwinds.
#[must_use = "the worker comes back when it is dropped"]
#[derive(Debug)]
pub(crate) struct BlockingSection<'a> {
    pool: &'a Arc<Pool>,
    seat: &'a Seat,
}

impl Pool {
    /// The worker of `seat`, which polls a task, steps out. What waits in the seat goes to the others, and a spare comes to help them, unless
    /// there is one already that nobody else needs. The caller is seen as seated no more.
    #[cold]
    pub(crate) fn step_out<'a>(self: &'a Arc<Pool>, seat: &'a Seat, local: &Local) -> BlockingSection<'a> {
        self.hand_over(seat, local);
        self.outings.begin();
        let outing = BlockingSection { pool: self, seat };
        seat.step_out();
        self.call_spares();
        outing
    }

    /// Calls spares for those who are out, if there are too few. If there is none to be had the sentinel tries again, and says why.
    pub(crate) fn call_spares(self: &Arc<Pool>) {
        if !self.staff.ensure_spares(&self.outings, |enough| self.call_one(enough)) {
            // It may have seen one whose thread was refused then, and gone to sleep.
            self.begin_watch();
        }
    }

    /// How many spares there have to be for those who are out.
    pub(crate) fn wanted_spares(&self) -> usize {
        self.outings.count().min(self.staff.most_spares())
    }
}

impl Drop for BlockingSection<'_> {
    fn drop(&mut self) {
        self.seat.come_back();
        self.pool.outings.end();
        self.pool.wards.remove(self.seat.index);
        self.pool.begin_watch();
        // Where there is a sentinel it lets spares go that are not needed for a while.
        if self.pool.vigil.is_none() {
            let staff = &self.pool.staff;
            while staff.has_too_many(self.pool.outings.count()) && staff.stop_spare(self.pool, |_| true) {}
            // Somebody may have stepped out who had counted on one of them.
            self.pool.call_spares();
        }
    }
}
