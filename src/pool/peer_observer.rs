//! What a worker remembers of another worker between two checkpoints.

use std::cell::{Cell, OnceCell};

use crate::queue::{Owner, Ring};

/// A worker's observation of one other seat at a time.
#[derive(Debug)]
pub(crate) struct PeerObserver {
    seat: Cell<usize>,
    /// The seat's progress number.
    progress: Cell<u64>,
    /// When the number was read, on the pool's clock.
    since: Cell<u64>,
    scratch_ring: OnceCell<Owner>,
}

impl PeerObserver {
    /// Returns the state of the worker in seat `own`. It begins with the seat after that, so that
    /// workers observe different seats.
    pub(crate) fn new(own: usize) -> PeerObserver {
        PeerObserver {
            seat: Cell::new(own),
            progress: Cell::new(0),
            since: Cell::new(0),
            scratch_ring: OnceCell::new(),
        }
    }

    /// Returns the observed seat.
    pub(crate) fn seat(&self) -> usize {
        self.seat.get()
    }

    /// Begins to observe a seat, whose progress number was read no later than `now`.
    pub(crate) fn begin(&self, seat: usize, progress: u64, now: u64) {
        self.seat.set(seat);
        self.progress.set(progress);
        self.since.set(now);
    }

    /// Returns for how many nanoseconds the seat has been observed.
    pub(crate) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.since.get())
    }

    /// Returns true if the seat had this progress number at the beginning.
    pub(crate) fn has_seen(&self, progress: u64) -> bool {
        progress == self.progress.get()
    }

    /// Lends a ring for stolen tasks. It is empty before and after.
    pub(crate) fn scratch_ring(&self) -> &Owner {
        self.scratch_ring.get_or_init(|| Ring::new_pair().0)
    }
}
