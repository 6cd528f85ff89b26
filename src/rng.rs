//! Small random numbers, for choosing a victim: xorshift (Marsaglia, 2003).

use std::cell::Cell;

/// A generator that belongs to one worker.
#[derive(Debug)]
pub(crate) struct Rng(Cell<u64>);

impl Rng {
    /// The same seed gives the same numbers.
    pub(crate) fn new(seed: u64) -> Self {
        // Xorshift stays at zero for ever.
        Rng(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    /// A number below `limit`, which is not zero. The bias is far below anything a scheduler could notice.
    pub(crate) fn below(&self, limit: usize) -> usize {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        ((x >> 32) as usize * limit) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn numbers_stay_below_the_limit_and_reach_each_value() {
        let rng = Rng::new(0);
        let mut seen = [0; 7];
        for _ in 0..1_000 {
            seen[rng.below(7)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
    }
}
