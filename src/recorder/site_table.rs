//! The places where tasks were spawned, with a number for each.
//!
//! A record has room for a number, and none for a pointer beside a task's id. One table of the
//! process serves all runtimes, because the places are static. An entry never changes.

use std::panic::Location;

use crate::primitive::OnceLock;

/// Entries of the table. A program has some hundred places at which it spawns tasks.
const LEN: usize = 1 << 12;

/// Most entries that are inspected for one place.
const PROBES: usize = 16;

type Entry = OnceLock<&'static Location<'static>>;

static TABLE: [Entry; LEN] = [const { Entry::new() }; LEN];

/// Returns the number of a place. Zero if the table has no room for it.
pub(crate) fn number_of(place: &'static Location<'static>) -> u16 {
    let first = hash(place);
    for probe in 0..PROBES {
        let index = (first + probe) % LEN;
        if std::ptr::eq(*TABLE[index].get_or_init(|| place), place) {
            return index as u16 + 1;
        }
    }
    0
}

/// Returns the place of a number.
pub(crate) fn place_of(number: u16) -> Option<&'static Location<'static>> {
    TABLE.get(usize::from(number).checked_sub(1)?)?.get().copied()
}

fn hash(place: &'static Location<'static>) -> usize {
    let address = std::ptr::from_ref(place).addr() as u64;
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - LEN.ilog2())) as usize
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn number_of_a_place_leads_back_to_it() {
        let places = [Location::caller(), Location::caller(), Location::caller()];
        let numbers = places.map(number_of);
        for (place, number) in places.into_iter().zip(numbers) {
            assert_eq!(place_of(number), Some(place));
            assert_eq!(number_of(place), number);
        }
        assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2]);
        assert_eq!((place_of(0), place_of(u16::MAX)), (None, None));
    }
}
