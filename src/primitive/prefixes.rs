//! Hashes of the beginnings of a schedule.

/// After how many turns a prefix ends.
pub(crate) const LENGTHS: [u64; 4] = [16, 64, 256, 1_024];

/// The hashes of the first turns of a simulation: of the order of its threads, without times.
///
/// Two runs with the same hash have run the same threads in the same order so far.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes {
    turns: u64,
    hash: u64,
    at: [u64; LENGTHS.len()],
}

impl Prefixes {
    pub(super) fn new() -> Prefixes {
        Prefixes { turns: 0, hash: 0xcbf2_9ce4_8422_2325, at: [0; LENGTHS.len()] }
    }

    /// Records that another thread runs.
    pub(super) fn record_turn(&mut self, thread: usize) {
        self.turns += 1;
        // The FNV-1a hash, by words.
        self.hash = (self.hash ^ thread as u64).wrapping_mul(0x0100_0000_01b3);
        if let Some(length) = LENGTHS.iter().position(|&length| length == self.turns) {
            self.at[length] = self.hash;
        }
    }

    /// Returns the hash after each of [`LENGTHS`]. A prefix that is longer than the schedule is all
    /// of it.
    pub(crate) fn hashes(&self) -> [u64; LENGTHS.len()] {
        std::array::from_fn(|n| if LENGTHS[n] <= self.turns { self.at[n] } else { self.hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(turns: impl Iterator<Item = usize>) -> [u64; LENGTHS.len()] {
        let mut prefixes = Prefixes::new();
        turns.for_each(|thread| prefixes.record_turn(thread));
        prefixes.hashes()
    }

    #[test]
    fn prefixes_differ_from_the_first_different_turn_on() {
        let same = hashes((0..2_000).map(|turn| turn % 3));
        let other = hashes((0..2_000).map(|turn| if turn < 100 { turn % 3 } else { turn % 2 }));
        assert_eq!(same[..2], other[..2]);
        assert!(same[2] != other[2] && same[3] != other[3]);
    }

    #[test]
    fn prefix_of_a_short_schedule_is_all_of_it() {
        let short = hashes(0..20);
        assert!(short[0] != short[1] && short[1..].iter().all(|&hash| hash == short[1]));
        assert_ne!(short[1], hashes(0..21)[1]);
    }
}
