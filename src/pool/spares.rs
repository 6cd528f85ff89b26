//! Spare workers: threads that work while others are stuck.

use std::io;

use super::worker_set::{ThreadHost, WorkerSet, WorkerSetLocked};
use super::{BlockedWorkers, Pool, Resized};
use crate::phase::Phase;
use crate::sync::Arc;
use crate::thread_role::{self, ThreadRole};

/// Why no spare came.
#[derive(Debug)]
pub(crate) enum SpareError {
    /// There are as many as the caller wants.
    Enough,
    /// There are as many as there may be.
    AllOut,
    /// Somebody changes the worker set just now, or the last spare has not left its seat yet: try again.
    NotNow,
    /// The pool is being closed.
    Closed,
    /// The operating system gives no thread.
    Refused(io::Error),
}

/// A spare's seat, above those that the size of the pool asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spare {
    pub(super) seat: usize,
    /// Its thread is being started.
    coming: bool,
    /// It has been told to leave.
    dismissed: bool,
}

impl WorkerSet {
    /// Seats a spare, unless `enough` are there to stay: takes back one that leaves, or starts a thread in a seat above the others. It counts as a worker, but not as one of
    /// those that were asked for, and a resize that comes to its seat keeps it.
    ///
    /// It is in line with the orders: while one is carried out there is no spare, and orders that come meanwhile are the caller's to carry out.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) fn start_spare(&self, crew: &impl ThreadHost, enough: usize) -> Result<usize, SpareError> {
        let mut book = self.book.lock();
        if book.phase >= Phase::ShuttingDown {
            return Err(SpareError::Closed);
        }
        if book.running {
            return Err(SpareError::NotNow);
        }
        if book.staying() >= enough {
            return Err(SpareError::Enough);
        }
        if let Some(spare) = book.spares.iter_mut().find(|spare| spare.dismissed) {
            spare.dismissed = false;
            // It has not left: that is done under this lock.
            let _ = self.words[spare.seat].claim_seat();
            return Ok(spare.seat);
        }
        if book.spares.len() >= self.most_spares() {
            return Err(SpareError::AllOut);
        }
        let Some(seat) = (book.size..self.words.len()).find(|&seat| !self.is_taken(seat)) else {
            return Err(SpareError::NotNow);
        };
        book.running = true;
        let _ = self.words[seat].claim_seat();
        // The new thread, and we: it must have been filed before the threads are joined.
        (0..2).for_each(|_| crew.inc_live());
        self.count_on(1);
        book.spares.push(Spare { seat, coming: true, dismissed: false });
        self.show_spares(&book);
        let version = book.version;
        drop(book);
        let started = crew.start(seat, version);
        let mut book = self.book.lock();
        debug_assert!(book.running, "the line has been broken");
        book.running = false;
        let Err(error) = started else {
            book.spares.iter_mut().filter(|spare| spare.seat == seat).for_each(|spare| spare.coming = false);
            drop(book);
            crew.dec_live();
            return Ok(seat);
        };
        self.words[seat].release();
        self.count_off(1);
        book.spares.retain(|spare| spare.seat != seat);
        self.show_spares(&book);
        drop(book);
        (0..2).for_each(|_| crew.dec_live());
        Err(SpareError::Refused(error))
    }

    /// Has spares called, by `call`, until there are as many as workers that are out: one that is taken back may be one that is out itself. False
    /// if there is none to be had.
    ///
    /// Said by whoever has stepped out, and by whoever has closed the line to others: who finds it closed leaves it to him. `call` also answers
    /// whether it has carried out an order afterwards.
    #[must_use]
    pub(crate) fn ensure_spares(
        &self,
        out: &BlockedWorkers,
        call: impl Fn(usize) -> (Result<usize, SpareError>, bool),
    ) -> bool {
        loop {
            // Whoever has found the line closed by us was counted before, and we have locked the book since.
            let enough = out.count();
            if enough == 0 {
                return true;
            }
            match call(enough) {
                // An order closes the line, and may take a spare's seat: whatever was the answer before is old.
                (Ok(_), _) | (_, true) => {}
                (Err(SpareError::Enough | SpareError::NotNow), false) => return true,
                (Err(SpareError::AllOut | SpareError::Closed | SpareError::Refused(_)), false) => return false,
            }
        }
    }

    /// Whether more than `enough` are there to stay.
    pub(super) fn has_too_many(&self, enough: usize) -> bool {
        self.book.lock().staying() > enough
    }

    /// Tells a spare to leave, the highest that `may_go`. It leaves as any worker does that is asked. False if there is none.
    pub(crate) fn stop_spare(&self, crew: &impl ThreadHost, may_go: impl Fn(usize) -> bool) -> bool {
        let mut book = self.book.lock();
        let here = |spare: &&mut Spare| !spare.coming && !spare.dismissed;
        let spares = book.spares.iter_mut().filter(|spare| here(spare) && may_go(spare.seat));
        let Some(spare) = spares.max_by_key(|spare| spare.seat) else { return false };
        spare.dismissed = true;
        let seat = spare.seat;
        self.words[seat].request_retire();
        drop(book);
        crew.wake_seats(&[seat]);
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
    /// Carries out the orders that have been put into the book, and tells of the changes; unless somebody is at it already, perhaps this very
    /// thread: then he does both.
    pub(crate) fn run_resizes(self: &Arc<Pool>) {
        self.carry_out_orders();
        // Whoever has stepped out meanwhile has left it to us.
        self.call_spares();
    }

    /// True if there was one: the caller calls the spares that others have left to it.
    fn carry_out_orders(self: &Arc<Pool>) -> bool {
        let carried = {
            let _duty = thread_role::enter(ThreadRole::Resizing);
            self.staff.run_requests(self)
        };
        if carried {
            self.staff.run_resize_hooks(|resized: Resized| {
                if let Some(hook) = &self.settings.after_resize {
                    hook(resized);
                }
            });
        }
        carried
    }

    /// Seats a spare in place of a worker that does not come back from its poll, or will not for a while. The caller sees to it that
    /// the spare is dismissed when that is over.
    ///
    /// # Errors
    ///
    /// If there is none; see [`NoSpare`].
    pub(crate) fn start_spare(self: &Arc<Pool>) -> Result<usize, SpareError> {
        let (called, _) = self.call_one(usize::MAX);
        self.call_spares();
        called
    }

    /// Seats a spare, unless there are `enough`. True if an order was carried out afterwards: then the answer may be old.
    pub(super) fn call_one(self: &Arc<Pool>, enough: usize) -> (Result<usize, SpareError>, bool) {
        let called = {
            let _duty = thread_role::enter(ThreadRole::Resizing);
            self.staff.start_spare(self, enough)
        };
        if called.is_ok() {
            self.stalls.count_spare();
        }
        // Whoever wanted to resize meanwhile has left it to us.
        let carried = self.carry_out_orders();
        (called, carried)
    }
}
