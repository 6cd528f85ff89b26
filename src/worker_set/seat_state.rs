//! The state of one seat, which its worker reads without the lock of the worker set.

use std::fmt;

use crate::primitive::atomic::{AtomicU8, Ordering};

/// The size, or a spare, asks for a worker here.
const WANTED: u8 = 1 << 0;
/// A thread has the seat, or is being started for it.
const OCCUPIED: u8 = 1 << 1;
/// The thread works: tasks in the seat's queues will be polled.
const ACTIVE: u8 = 1 << 2;
/// The worker has to rest: the workers get fewer processors than there are workers. Only in a seat
/// that is wanted.
const SURPLUS: u8 = 1 << 3;

/// The state of a seat. See [the page](crate::worker_set).
///
/// `claim_seat`, `request_retire`, `start_failed`, `set_surplus` and `clear_surplus` are called
/// under the lock of the worker set. The other changes are made by the seat's thread. Any thread
/// reads.
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
    /// The worker rests, because the workers get fewer processors than there are workers; see
    /// [`Builder::consolidate_workers`](crate::runtime::Builder::consolidate_workers).
    Resting,
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
            WorkerState::Resting => "resting",
            WorkerState::Retiring => "retiring",
            WorkerState::Exiting => "exiting",
        })
    }
}

/// What has to be done for a seat that is wanted.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SeatClaim {
    /// The seat was vacant. Start a thread, or call [`SeatState::start_failed`].
    Start,
    /// A thread has the seat, and stays.
    ClaimedBack,
}

impl SeatState {
    /// The state of a vacant seat.
    pub(crate) fn new() -> Self {
        SeatState(AtomicU8::new(0))
    }

    /// Asks for a worker in this seat.
    pub(crate) fn claim_seat(&self) -> SeatClaim {
        // Ordering: Acquire — pairs with the Release in `SeatState::try_vacate`: the next worker
        // finds the seat as the last one has left it. Release — pairs with the Acquire in
        // `SeatState::try_vacate`, if that finds the seat wanted.
        if self.0.fetch_or(WANTED | OCCUPIED, Ordering::AcqRel) & OCCUPIED == 0 {
            SeatClaim::Start
        } else {
            SeatClaim::ClaimedBack
        }
    }

    /// Asks the seat's worker to retire. The caller advances the tick and unparks the worker.
    pub(crate) fn request_retire(&self) {
        // Ordering: Release — pairs with the Acquire in `SeatState::is_wanted`.
        let was = self.0.fetch_and(!(WANTED | SURPLUS), Ordering::AcqRel);
        debug_assert!(was & OCCUPIED != 0, "a vacant seat has no worker to retire");
    }

    /// Makes the seat vacant again, because no thread was started for it.
    pub(crate) fn start_failed(&self) {
        // Ordering: Release — as in `SeatState::try_vacate`.
        self.0.swap(0, Ordering::AcqRel);
    }

    /// Called by the seat's thread when it begins to work.
    pub(crate) fn activate(&self) {
        // Ordering: Relaxed — nothing is published by it.
        self.0.fetch_or(ACTIVE, Ordering::Relaxed);
    }

    /// Called by the seat's thread when it ends its work.
    pub(crate) fn deactivate(&self) {
        // Ordering: Relaxed — as in `SeatState::activate`.
        self.0.fetch_and(!ACTIVE, Ordering::Relaxed);
    }

    /// Makes the seat vacant. Called by its thread, which has returned the local slot. Returns
    /// false if the seat is wanted again: the thread has to become active again.
    #[must_use]
    pub(crate) fn try_vacate(&self) -> bool {
        // Ordering: Release — pairs with the Acquire in `SeatState::claim_seat`: the next worker
        // sees what was done in the seat. Acquire, if the seat is wanted again — pairs with the
        // Release in `SeatState::claim_seat`.
        self.0.compare_exchange(OCCUPIED, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Asks the seat's worker to rest. The caller advances the tick and unparks the worker. Returns
    /// true if the worker was not asked before.
    pub(crate) fn set_surplus(&self) -> bool {
        // Ordering: Release — pairs with the Acquire in `SeatState::may_work`.
        self.0.fetch_or(SURPLUS, Ordering::Release) & SURPLUS == 0
    }

    /// Lets the seat's worker work again. The caller unparks it. Returns true if the worker was
    /// asked to rest.
    pub(crate) fn clear_surplus(&self) -> bool {
        // Ordering: Release — pairs with the Acquire in `SeatState::has_to_rest`.
        self.0.fetch_and(!SURPLUS, Ordering::Release) & SURPLUS != 0
    }

    /// Returns true if the seat's worker may stay.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `SeatState::request_retire`. A worker that
        // has seen the tick after it sees these bits.
        self.0.load(Ordering::Acquire) & WANTED != 0
    }

    /// Returns true if the seat's worker may stay, and does not have to rest.
    #[inline]
    pub(crate) fn may_work(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `SeatState::request_retire` and
        // `SeatState::set_surplus`. A worker that has seen the tick after it sees these bits.
        self.0.load(Ordering::Acquire) & (WANTED | SURPLUS) == WANTED
    }

    /// Returns true if the seat's worker may stay, and has to rest.
    pub(crate) fn has_to_rest(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `SeatState::clear_surplus` and
        // `SeatState::request_retire`.
        self.0.load(Ordering::Acquire) & (WANTED | SURPLUS) == WANTED | SURPLUS
    }

    /// Returns true if the seat's worker has to rest, and has ended its work.
    pub(crate) fn is_resting(&self) -> bool {
        // Ordering: Acquire — as in `SeatState::claim_seat`.
        self.0.load(Ordering::Acquire) == OCCUPIED | WANTED | SURPLUS
    }

    /// Returns true if a thread works here.
    pub(crate) fn is_active(&self) -> bool {
        // Ordering: Acquire — as in `SeatState::claim_seat`.
        self.0.load(Ordering::Acquire) & ACTIVE != 0
    }

    /// Returns true if a thread works here, or is being started.
    pub(crate) fn is_occupied(&self) -> bool {
        // Ordering: Acquire — as in `SeatState::claim_seat`.
        self.0.load(Ordering::Acquire) & OCCUPIED != 0
    }

    /// Returns the state of the seat's worker, for people.
    pub(crate) fn worker_state(&self) -> WorkerState {
        // Ordering: Relaxed — the state is only shown.
        let word = self.0.load(Ordering::Relaxed);
        match (word & WANTED != 0, word & ACTIVE != 0) {
            _ if word & OCCUPIED == 0 => WorkerState::Vacant,
            (true, false) if word & SURPLUS != 0 => WorkerState::Resting,
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

/// A worker thread that is about to be started: its seat, and the version of the worker set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMeta {
    /// The number of the seat, below the number of workers.
    pub index: usize,
    /// The version (see [`Resized::version`](crate::runtime::Resized::version)) in which the thread
    /// starts. Zero for the first workers of the runtime.
    pub version: u64,
}

impl WorkerMeta {
    pub(crate) fn new(seat: usize, version: u64) -> Self {
        WorkerMeta { index: seat, version }
    }
}
