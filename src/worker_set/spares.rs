//! Spare workers: threads that work while others are stuck.

use std::io;

use crate::block_in_place::blocked_workers::BlockedWorkers;
use crate::context::thread_role::{self, ThreadRole};
use crate::phase::Phase;
use crate::pool::Pool;
use crate::sync::Arc;
use crate::worker_set::completion::Resized;
use crate::worker_set::{Spare, ThreadHost, WorkerSet, WorkerSetLocked};

/// Why no spare came.
#[derive(Debug)]
pub(crate) enum SpareError {
    /// There are as many as the caller wants.
    Enough,
    /// There are as many as there may be.
    AllOut,
    /// Somebody changes the worker set just now, or the last spare has not left its seat yet: try
    /// again.
    NotNow,
    /// The pool is being closed.
    Closed,
    /// The operating system gives no thread.
    Refused(io::Error),
}

impl WorkerSet {
    /// Seats a spare, unless `enough` are there to stay: takes back one that leaves, or starts a
    /// thread in a seat above the others. It counts as a worker, but not as one of those that were
    /// asked for, and a resize that comes to its seat keeps it.
    ///
    /// It is in line with the orders: while one is carried out there is no spare, and orders that
    /// come meanwhile are the caller's to carry out.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) fn start_spare(&self, thread_host: &impl ThreadHost, enough: usize) -> Result<usize, SpareError> {
        let mut locked = self.locked.lock();
        if locked.phase >= Phase::ShuttingDown {
            return Err(SpareError::Closed);
        }
        if locked.running {
            return Err(SpareError::NotNow);
        }
        if locked.staying() >= enough {
            return Err(SpareError::Enough);
        }
        if let Some(spare) = locked.spares.iter_mut().find(|spare| spare.dismissed) {
            spare.dismissed = false;
            // It has not left: that is done under this lock.
            let _ = self.words[spare.seat].claim_seat();
            return Ok(spare.seat);
        }
        if locked.spares.len() >= self.max_spares() {
            return Err(SpareError::AllOut);
        }
        let Some(seat) = (locked.size..self.words.len()).find(|&seat| !self.is_occupied(seat)) else {
            return Err(SpareError::NotNow);
        };
        locked.running = true;
        let _ = self.words[seat].claim_seat();
        // The new thread, and we: it must have been filed before the threads are joined.
        (0..2).for_each(|_| thread_host.inc_live());
        self.add_active(1);
        locked.spares.push(Spare { seat, coming: true, dismissed: false });
        self.publish_spares(&locked);
        let version = locked.version;
        drop(locked);
        let started = thread_host.start(seat, version);
        let mut locked = self.locked.lock();
        debug_assert!(locked.running, "another thread ran a request meanwhile");
        locked.running = false;
        let Err(error) = started else {
            locked.spares.iter_mut().filter(|spare| spare.seat == seat).for_each(|spare| spare.coming = false);
            drop(locked);
            thread_host.dec_live();
            return Ok(seat);
        };
        self.words[seat].start_failed();
        self.sub_active(1);
        locked.spares.retain(|spare| spare.seat != seat);
        self.publish_spares(&locked);
        drop(locked);
        (0..2).for_each(|_| thread_host.dec_live());
        Err(SpareError::Refused(error))
    }

    /// Has spares called, by `call`, until there are as many as workers that are out: one that is
    /// taken back may be one that is out itself. False if there is none to be had.
    ///
    /// Said by whoever has stepped out, and by whoever has closed the line to others: who finds it
    /// closed leaves it to him. `call` also answers whether it has carried out an order afterwards.
    #[must_use]
    pub(crate) fn ensure_spares(
        &self,
        out: &BlockedWorkers,
        call: impl Fn(usize) -> (Result<usize, SpareError>, bool),
    ) -> bool {
        loop {
            // Whoever has found the line closed by us was counted before, and we have locked the
            // book since.
            let enough = out.count();
            if enough == 0 {
                return true;
            }
            match call(enough) {
                // An order closes the line, and may take a spare's seat: whatever was the answer
                // before is old.
                (Ok(_), _) | (_, true) => {}
                (Err(SpareError::Enough | SpareError::NotNow), false) => return true,
                (Err(SpareError::AllOut | SpareError::Closed | SpareError::Refused(_)), false) => return false,
            }
        }
    }

    /// Whether more than `enough` are there to stay.
    pub(crate) fn has_too_many(&self, enough: usize) -> bool {
        self.locked.lock().staying() > enough
    }

    /// Tells a spare to leave, the highest that `may_go`. It leaves as any worker does that is
    /// asked. False if there is none.
    pub(crate) fn stop_spare(&self, thread_host: &impl ThreadHost, may_go: impl Fn(usize) -> bool) -> bool {
        let mut locked = self.locked.lock();
        let here = |spare: &&mut Spare| !spare.coming && !spare.dismissed;
        let spares = locked.spares.iter_mut().filter(|spare| here(spare) && may_go(spare.seat));
        let Some(spare) = spares.max_by_key(|spare| spare.seat) else { return false };
        spare.dismissed = true;
        let seat = spare.seat;
        self.words[seat].request_retire();
        drop(locked);
        thread_host.wake_seats(&[seat]);
        true
    }
}

impl WorkerSetLocked {
    /// How many spares are there, or come, to stay.
    fn staying(&self) -> usize {
        self.spares.iter().filter(|spare| !spare.dismissed).count()
    }
}

impl Pool {
    /// Carries out the orders that have been put into the book, and tells of the changes; unless
    /// somebody is at it already, perhaps this very thread: then he does both.
    pub(crate) fn run_resizes(self: &Arc<Pool>) {
        self.carry_out_orders();
        // Whoever has stepped out meanwhile has left it to us.
        self.start_spares();
    }

    /// True if there was one: the caller calls the spares that others have left to it.
    fn carry_out_orders(self: &Arc<Pool>) -> bool {
        let carried = {
            let _role = thread_role::enter(ThreadRole::Resizing);
            self.worker_set.run_requests(self)
        };
        if carried {
            self.worker_set.run_resize_hooks(|resized: Resized| {
                if let Some(hook) = &self.settings.after_resize {
                    hook(resized);
                }
            });
        }
        carried
    }

    /// Seats a spare in place of a worker that does not come back from its poll, or will not for a
    /// while. The caller sees to it that the spare is dismissed when that is over.
    ///
    /// # Errors
    ///
    /// If there is none; see [`SpareError`].
    pub(crate) fn start_spare(self: &Arc<Pool>) -> Result<usize, SpareError> {
        let (called, _) = self.call_one(usize::MAX);
        self.start_spares();
        called
    }

    /// Seats a spare, unless there are `enough`. True if an order was carried out afterwards: then
    /// the answer may be old.
    pub(crate) fn call_one(self: &Arc<Pool>, enough: usize) -> (Result<usize, SpareError>, bool) {
        let called = {
            let _role = thread_role::enter(ThreadRole::Resizing);
            self.worker_set.start_spare(self, enough)
        };
        if called.is_ok() {
            self.stalls.count_spare();
        }
        // Whoever wanted to resize meanwhile has left it to us.
        let carried = self.carry_out_orders();
        (called, carried)
    }
}
