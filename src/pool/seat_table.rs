//! The seats of a pool, created on first use.

use std::ops::Index;

use crate::pool::Seat;
use crate::primitive::OnceLock;
use crate::primitive::atomic::{AtomicUsize, Ordering};

/// All seats that a pool can have. They are created in ascending order, each when it is first
/// needed, and never moved.
#[derive(Debug)]
pub(crate) struct SeatTable {
    seats: Box<[OnceLock<Box<Seat>>]>,
    /// The seats below this index have been created.
    initialized: AtomicUsize,
}

impl SeatTable {
    /// Returns a table with room for `most` seats.
    pub(super) fn new(most: usize) -> Self {
        SeatTable { seats: (0..most).map(|_| OnceLock::new()).collect(), initialized: AtomicUsize::new(0) }
    }

    /// Creates all seats below `count`. Must be called by one thread at a time.
    pub(super) fn init_up_to(&self, count: usize, make: impl Fn(usize) -> Seat) {
        for index in self.len()..count {
            self.seats[index].get_or_init(|| Box::new(make(index)));
            // Ordering: Release — pairs with the Acquire in `SeatTable::len`.
            self.initialized.store(index + 1, Ordering::Release);
        }
    }

    /// Returns how many seats have been created. All iterators cover these.
    pub(crate) fn len(&self) -> usize {
        // Ordering: Acquire — pairs with the Release in `SeatTable::init_up_to`.
        self.initialized.load(Ordering::Acquire)
    }

    /// Returns the seat of this index, if it has been created.
    pub(crate) fn get(&self, index: usize) -> Option<&Seat> {
        Some(self.seats.get(index)?.get()?)
    }

    /// Iterates over all seats that have been created.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.seats[..self.len()].iter().filter_map(|seat| Some(&**seat.get()?))
    }

    /// Iterates over the same seats, once around from the index that `choose` picks below their
    /// number.
    pub(crate) fn iter_from(&self, choose: impl FnOnce(usize) -> usize) -> impl Iterator<Item = &Seat> {
        let seats = &self.seats[..self.len()];
        let (before, after) = seats.split_at(choose(seats.len()));
        after.iter().chain(before).filter_map(|seat| Some(&**seat.get()?))
    }
}

impl Index<usize> for SeatTable {
    type Output = Seat;

    fn index(&self, index: usize) -> &Seat {
        self.get(index).expect("a seat is created before its index is used")
    }
}
