//! The state of the root future of a `block_on`: whether it has been woken, and where its thread
//! sleeps.

use crate::primitive::atomic::{AtomicU8, Ordering};

/// The root future has been woken since it was last polled.
const WOKEN: u8 = 1 << 0;
/// The root's thread occupies the seat of a current-thread runtime. It sleeps on the seat's parker,
/// not on its own.
const DRIVING: u8 = 1 << 1;

/// The state word of a root future.
///
/// Only read-modify-writes change it. So a waker sees where the thread sleeps, or the thread sees
/// the wake before it sleeps.
#[derive(Debug)]
pub(crate) struct RootState(AtomicU8);

/// Where the thread of a root future sleeps.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParkedOn {
    /// On the parker of the seat that the thread occupies.
    Seat,
    /// On its own parker.
    Own,
}

impl RootState {
    /// Creates the state of a future that has to be polled for the first time.
    pub(crate) fn new() -> Self {
        RootState(AtomicU8::new(WOKEN))
    }

    /// Records a wake. Returns the parker that the caller has to unpark.
    pub(crate) fn wake(&self) -> ParkedOn {
        // Ordering: Release — pairs with the Acquire in `RootState::take_wake`: what was written
        // before the wake. A wake that finds an earlier one publishes, too.
        if self.0.fetch_or(WOKEN, Ordering::AcqRel) & DRIVING != 0 { ParkedOn::Seat } else { ParkedOn::Own }
    }

    /// Returns true if the future has to be polled, and clears the wake.
    pub(crate) fn take_wake(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `RootState::wake`.
        self.0.fetch_and(!WOKEN, Ordering::AcqRel) & WOKEN != 0
    }

    /// Returns true if there is a wake.
    pub(crate) fn has_wake(&self) -> bool {
        // Ordering: Acquire — as in `RootState::take_wake`. A later wake unparks the seat.
        self.0.load(Ordering::Acquire) & WOKEN != 0
    }

    /// Records that the thread occupies the seat.
    pub(crate) fn begin_drive(&self) {
        // Ordering: AcqRel — pairs with the read-modify-write in `RootState::wake`, as the type
        // says.
        self.0.fetch_or(DRIVING, Ordering::AcqRel);
    }

    /// Records that the thread has given the seat back.
    pub(crate) fn end_drive(&self) {
        // Ordering: AcqRel — as in `RootState::begin_drive`.
        self.0.fetch_and(!DRIVING, Ordering::AcqRel);
    }
}
