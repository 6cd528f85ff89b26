//! The book's line for one seat, where its worker can read it.

use std::fmt;

use crate::sync::atomic::{AtomicU8, Ordering};

/// The size of the pool asks for a worker here.
const WANTED: u8 = 1 << 0;
/// A thread has the seat, or is being started for it.
const TAKEN: u8 = 1 << 1;
/// The thread works: what is pushed into the seat's queues will be looked at.
const SEATED: u8 = 1 << 2;

/// The state of a seat. See [the page](crate::worker_set::resize).
///
/// `want`, `ask` and `release` are called by whoever carries out an order, the others by the seat's
/// thread.
pub(crate) struct SeatState(AtomicU8);

/// The state of a worker, in a [`WorkerDump`](crate::runtime::WorkerDump).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkerState {
    /// There is no worker with this index now.
    Vacant,
    /// The worker's thread is being started.
    Starting,
    /// The worker runs tasks, or waits for tasks.
    Active,
    /// A resize or an end of the need for a spare has asked the worker to exit. The worker exits at
    /// its next task boundary.
    Retiring,
    /// The worker runs no more tasks, and its thread is about to exit.
    Exiting,
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WorkerState::Vacant => "vacant",
            WorkerState::Starting => "starting",
            WorkerState::Active => "active",
            WorkerState::Retiring => "retiring",
            WorkerState::Exiting => "exiting",
        })
    }
}

/// What has to be done for a seat that is wanted.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SeatClaim {
    /// It was vacant: start a thread, or [`SeatState::start_failed`] it.
    Start,
    /// Somebody is there, and stays.
    TakenBack,
}

impl SeatState {
    /// A vacant seat.
    pub(crate) fn new() -> Self {
        SeatState(AtomicU8::new(0))
    }

    /// The seat is to have a worker.
    pub(crate) fn claim_seat(&self) -> SeatClaim {
        // Ordering: Acquire — pairs with the Release in `leave`: the next worker finds the seat as
        // the last one has left it. Release — pairs with the Acquire in `leave` that finds the seat
        // wanted.
        if self.0.fetch_or(WANTED | TAKEN, Ordering::AcqRel) & TAKEN == 0 {
            SeatClaim::Start
        } else {
            SeatClaim::TakenBack
        }
    }

    /// The seat's worker is to leave. The caller advances the tick and unparks it.
    pub(crate) fn request_retire(&self) {
        // Ordering: Release — pairs with the Acquire in `is_wanted`.
        let was = self.0.fetch_and(!WANTED, Ordering::AcqRel);
        debug_assert!(was & TAKEN != 0, "a vacant seat was asked for");
    }

    /// There is no thread for the seat after all.
    pub(crate) fn start_failed(&self) {
        // Ordering: Release — as in `leave`.
        self.0.swap(0, Ordering::AcqRel);
    }

    /// The thread sits down.
    pub(crate) fn activate(&self) {
        // Ordering: Relaxed — nothing is published by it.
        self.0.fetch_or(SEATED, Ordering::Relaxed);
    }

    /// The thread works no more.
    pub(crate) fn deactivate(&self) {
        // Ordering: Relaxed — as in `sit`.
        self.0.fetch_and(!SEATED, Ordering::Relaxed);
    }

    /// The thread leaves, having given back the local slot. False if the seat is wanted again: it
    /// has to sit down again.
    #[must_use]
    pub(crate) fn try_vacate(&self) -> bool {
        // Ordering: Release — pairs with the Acquire in `want`: what was done in the seat lies
        // before its next worker. Acquire, if it is wanted again — pairs with the Release in
        // `want`.
        self.0.compare_exchange(TAKEN, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the seat's worker may stay.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `ask`. Who has seen the tick that follows
        // it sees the word.
        self.0.load(Ordering::Acquire) & WANTED != 0
    }

    /// Whether there is a thread that works.
    pub(crate) fn is_active(&self) -> bool {
        // Ordering: Acquire — as in `want`.
        self.0.load(Ordering::Acquire) & SEATED != 0
    }

    /// Whether there is a thread, or one that comes.
    pub(crate) fn is_occupied(&self) -> bool {
        // Ordering: Acquire — as in `want`.
        self.0.load(Ordering::Acquire) & TAKEN != 0
    }

    /// Returns the state of the seat's worker, for people.
    pub(crate) fn worker_state(&self) -> WorkerState {
        // Ordering: Relaxed — the state is only shown.
        let word = self.0.load(Ordering::Relaxed);
        match (word & WANTED != 0, word & SEATED != 0) {
            _ if word & TAKEN == 0 => WorkerState::Vacant,
            (true, false) => WorkerState::Starting,
            (true, true) => WorkerState::Active,
            (false, true) => WorkerState::Retiring,
            (false, false) => WorkerState::Exiting,
        }
    }
}

impl fmt::Debug for SeatState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.worker_state().fmt(f)
    }
}
