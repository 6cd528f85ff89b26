//! How long a worker polls for events before it sleeps.

use std::cell::Cell;
use std::time::Duration;

/// The first window after none, in nanoseconds. It is long enough for an answer that is on its way.
const FIRST: u64 = 10_000;

/// An adaptive window of spinning, as in KVM's halt polling. It doubles while sleeps turn out
/// short, and halves while they turn out long.
///
/// A wake-up costs some 15 µs, and about six times that on a processor that has halted. A thread
/// that sleeps for less than that had better spin. A thread that sleeps for longer should not spin
/// at all. The last sleeps predict the next one.
#[derive(Debug)]
pub(crate) struct Spin {
    /// In nanoseconds.
    window: Cell<u64>,
    /// The longest window, and the longest sleep that justifies one. Zero: never spin.
    most: u64,
}

impl Spin {
    pub(crate) fn new(most: Duration) -> Self {
        Spin { window: Cell::new(0), most: u64::try_from(most.as_nanos()).unwrap_or(u64::MAX) }
    }

    /// Returns how long to spin now, in nanoseconds.
    pub(crate) fn window(&self) -> u64 {
        self.window.get()
    }

    /// Adapts the window to a sleep that took `nanos`, spinning included.
    pub(crate) fn update_window(&self, nanos: u64) {
        let window = self.window.get();
        self.window.set(if nanos <= self.most {
            window.saturating_mul(2).max(FIRST).min(self.most)
        } else if window > FIRST {
            window / 2
        } else {
            0
        });
    }

    /// Halves the window, because another thread needed the processor.
    pub(crate) fn back_off(&self) {
        self.window.set(self.window.get() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spin_window_opens_on_short_sleeps_and_closes_on_long_ones() {
        let spin = Spin::new(Duration::from_micros(50));
        assert_eq!(spin.window(), 0);
        let opened: Vec<u64> = (0..4).map(|_| (spin.update_window(3_000), spin.window()).1).collect();
        assert_eq!(opened, [10_000, 20_000, 40_000, 50_000]);
        let closed: Vec<u64> = (0..4).map(|_| (spin.update_window(1_000_000), spin.window()).1).collect();
        assert_eq!(closed, [25_000, 12_500, 6_250, 0]);
    }

    #[test]
    fn spin_window_of_any_length_stays_at_its_limit() {
        for most in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_nanos(u64::MAX / 2 + 2)] {
            let spin = Spin::new(most);
            (0..100).for_each(|_| spin.update_window(3_000));
            assert_eq!(u128::from(spin.window()), most.as_nanos().min(u64::MAX.into()));
            spin.update_window(u64::MAX);
            spin.back_off();
            assert!(spin.window() >= u64::MAX / 8);
        }
    }

    #[test]
    fn spin_with_limit_zero_never_opens_a_window() {
        let spin = Spin::new(Duration::ZERO);
        spin.update_window(0);
        spin.update_window(3_000);
        assert_eq!(spin.window(), 0);
    }
}
