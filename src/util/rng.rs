//! Small random numbers, for choosing a victim: xorshift (Marsaglia, 2003).

use std::cell::Cell;

/// A generator that belongs to one worker.
#[derive(Debug)]
pub(crate) struct Rng(Cell<u64>);

impl Rng {
    /// Creates a generator. The same seed gives the same numbers.
    pub(crate) fn new(seed: u64) -> Self {
        // Xorshift never leaves zero.
        Rng(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    /// Returns a number below `limit`, which is not zero. The bias is far below anything that a
    /// scheduler could notice.
    pub(crate) fn below(&self, limit: usize) -> usize {
        (((self.next() >> 32) * limit as u64) >> 32) as usize
    }

    /// Returns the next number, which is not zero.
    pub(crate) fn next(&self) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        x
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn rng_numbers_stay_below_the_limit_and_reach_each_value() {
        let rng = Rng::new(0);
        let mut seen = [0; 7];
        for _ in 0..1_000 {
            seen[rng.below(7)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
    }

    /// The product needs more bits than an address has on some machines.
    #[test]
    fn rng_numbers_below_a_large_limit_reach_its_upper_half() {
        let limit = (1 << 31) - 1;
        let rng = Rng::new(0);
        let drawn: Vec<usize> = (0..100).map(|_| rng.below(limit)).collect();
        assert!(drawn.iter().all(|&number| number < limit));
        assert!(drawn.iter().any(|&number| number > limit / 2));
    }
}
