//! The places of a pool.

use std::ops::Index;

use crate::pool::Seat;
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// All places that a pool can have. They are furnished in ascending order, each when it is first
/// taken, and never moved.
#[derive(Debug)]
pub(crate) struct SeatTable {
    places: Box<[OnceLock<Box<Seat>>]>,
    /// Those below it are furnished.
    furnished: AtomicUsize,
}

impl SeatTable {
    /// Room for `most` seats.
    pub(super) fn new(most: usize) -> Self {
        SeatTable { places: (0..most).map(|_| OnceLock::new()).collect(), furnished: AtomicUsize::new(0) }
    }

    /// Furnishes all places below `count`. Called by one thread at a time.
    pub(super) fn init_up_to(&self, count: usize, make: impl Fn(usize) -> Seat) {
        for index in self.len()..count {
            self.places[index].get_or_init(|| Box::new(make(index)));
            // Ordering: Release — pairs with the Acquire in `len`.
            self.furnished.store(index + 1, Ordering::Release);
        }
    }

    /// How many seats have ever been taken. All loops go over these.
    pub(crate) fn len(&self) -> usize {
        // Ordering: Acquire — pairs with the Release in `furnish`.
        self.furnished.load(Ordering::Acquire)
    }

    /// The seat with this number, if it has ever been taken.
    pub(crate) fn get(&self, index: usize) -> Option<&Seat> {
        Some(self.places.get(index)?.get()?)
    }

    /// All seats that have ever been taken.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.places[..self.len()].iter().filter_map(|place| Some(&**place.get()?))
    }

    /// The same, once around from a start that `choose` picks, given how many there are.
    pub(crate) fn iter_from(&self, choose: impl FnOnce(usize) -> usize) -> impl Iterator<Item = &Seat> {
        let places = &self.places[..self.len()];
        let (before, after) = places.split_at(choose(places.len()));
        after.iter().chain(before).filter_map(|place| Some(&**place.get()?))
    }
}

impl Index<usize> for SeatTable {
    type Output = Seat;

    fn index(&self, index: usize) -> &Seat {
        self.get(index).expect("a seat is furnished before anybody knows its number")
    }
}
