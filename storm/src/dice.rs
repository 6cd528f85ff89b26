//! Random numbers, reproducible by a seed.

use std::time::Duration;

/// A random number generator. Each thread, task and hook has its own.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

/// The output function of SplitMix64.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns a number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Returns an index below `len`, which is not zero.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Returns true one time in `n`.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Returns up to `most` microseconds, and often zero.
    pub(crate) fn micros(&mut self, most: u64) -> Duration {
        if self.one_in(4) { Duration::ZERO } else { Duration::from_micros(self.below(most + 1)) }
    }

    /// Returns a new generator, whose numbers do not depend on later calls of this one.
    pub(crate) fn fork(&mut self) -> Dice {
        Dice(self.next())
    }
}
