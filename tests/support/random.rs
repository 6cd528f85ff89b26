//! Random numbers that depend on a seed alone.

/// Random numbers of a program, which depend on its seed alone.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn micros_below(&mut self, bound: u64) -> std::time::Duration {
        std::time::Duration::from_micros(self.below(bound))
    }

    pub(crate) fn branch(&mut self) -> Random {
        Random::new(self.below(u64::MAX))
    }
}
