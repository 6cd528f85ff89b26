//! Whether the root future of a `block_on` has been woken, and where its thread sleeps.

use crate::sync::atomic::{AtomicU8, Ordering};

/// The root future has been woken since it was last polled.
const WOKEN: u8 = 1 << 0;
/// The root's thread sits in the seat of a current-thread runtime: it sleeps there, not on its own
/// parker.
const DRIVING: u8 = 1 << 1;

/// The state word of a root future. Changed by read-modify-writes only: a waker sees where the
/// thread sleeps, or the thread sees the wake before it sleeps.
#[derive(Debug)]
pub(crate) struct RootState(AtomicU8);

/// Where the thread of a root future sleeps.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParkedOn {
    /// On the parker of the seat that it sits in.
    Seat,
    /// On its own parker.
    Own,
}

impl RootState {
    /// The word of a future that has to be polled for the first time.
    pub(crate) fn new() -> Self {
        RootState(AtomicU8::new(WOKEN))
    }

    /// The future is woken. Answers which parker to unpark.
    pub(crate) fn wake(&self) -> ParkedOn {
        // Ordering: Release — pairs with the Acquire in `take_wake`, also for a wake that finds an
        // earlier one.
        if self.0.fetch_or(WOKEN, Ordering::AcqRel) & DRIVING != 0 { ParkedOn::Seat } else { ParkedOn::Own }
    }

    /// Whether the future has to be polled; takes the wake.
    pub(crate) fn take_wake(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `wake`.
        self.0.fetch_and(!WOKEN, Ordering::AcqRel) & WOKEN != 0
    }

    /// Whether a wake is there to be taken.
    pub(crate) fn has_wake(&self) -> bool {
        // Ordering: Acquire — as in `take_wake`. A wake that comes later unparks the seat.
        self.0.load(Ordering::Acquire) & WOKEN != 0
    }

    /// The thread sits down in the seat.
    pub(crate) fn sit_down(&self) {
        // Ordering: AcqRel — with the waker's read-modify-write, see the type.
        self.0.fetch_or(DRIVING, Ordering::AcqRel);
    }

    /// The thread leaves the seat.
    pub(crate) fn get_up(&self) {
        // Ordering: as in `sit_down`.
        self.0.fetch_and(!DRIVING, Ordering::AcqRel);
    }
}
