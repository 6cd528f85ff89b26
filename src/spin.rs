//! How long a worker polls for events before it sleeps.

use std::cell::Cell;
use std::time::Duration;

/// The first window after none, in nanoseconds. It is long enough for an answer that is on its way.
const FIRST: u64 = 10_000;

/// For how long the window is closed after the worker has lost its processor, in nanoseconds:
/// first, and at most.
const FIRST_CLOSED: u64 = 5_000_000;
const LONGEST_CLOSED: u64 = 320_000_000;

/// An adaptive window of spinning, as in KVM's halt polling. It doubles while sleeps turn out
/// short, and halves while they turn out long.
///
/// A wake-up costs some 15 µs, and about six times that on a processor that has halted. A thread
/// that sleeps for less than that had better spin. A thread that sleeps for longer should not spin
/// at all. The last sleeps predict the next one.
///
/// A worker that spins yields its processor between two polls. If another thread needs it, the
/// worker may get it back only after some milliseconds. So the window is closed then, for twice as
/// long each time.
#[derive(Debug)]
pub(crate) struct Spin {
    /// In nanoseconds.
    window: Cell<u64>,
    /// No window opens before this time, because another thread needed the processor.
    closed_until: Cell<u64>,
    /// For how long the window is closed the next time, in nanoseconds.
    closed_for: Cell<u64>,
    /// The longest window, and the longest sleep that justifies one. Zero: never spin.
    most: u64,
}

impl Spin {
    pub(crate) fn new(most: Duration) -> Self {
        Spin {
            window: Cell::new(0),
            closed_until: Cell::new(0),
            closed_for: Cell::new(FIRST_CLOSED),
            most: u64::try_from(most.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Returns how long to spin now, in nanoseconds.
    pub(crate) fn window(&self) -> u64 {
        self.window.get()
    }

    /// Adapts the window to a sleep that took `nanos` until `now`, spinning included.
    pub(crate) fn update_window(&self, nanos: u64, now: u64) {
        if now < self.closed_until.get() {
            return;
        }
        let window = self.window.get();
        self.window.set(if nanos <= self.most {
            window.saturating_mul(2).max(FIRST).min(self.most)
        } else if window > FIRST {
            window / 2
        } else {
            0
        });
    }

    /// Closes the window for a while, because another thread needed the processor. If that has
    /// happened a moment ago as well, the while is twice as long.
    pub(crate) fn back_off(&self, now: u64) {
        let closed_for = self.closed_for.get();
        let again = now < self.closed_until.get().saturating_add(closed_for);
        let closed_for = if again { (closed_for * 2).min(LONGEST_CLOSED) } else { FIRST_CLOSED };
        self.window.set(0);
        self.closed_for.set(closed_for);
        self.closed_until.set(now.saturating_add(closed_for));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spin_window_opens_on_short_sleeps_and_closes_on_long_ones() {
        let spin = Spin::new(Duration::from_micros(50));
        assert_eq!(spin.window(), 0);
        let opened: Vec<u64> = (0..4).map(|_| (spin.update_window(3_000, 0), spin.window()).1).collect();
        assert_eq!(opened, [10_000, 20_000, 40_000, 50_000]);
        let closed: Vec<u64> = (0..4).map(|_| (spin.update_window(1_000_000, 0), spin.window()).1).collect();
        assert_eq!(closed, [25_000, 12_500, 6_250, 0]);
    }

    #[test]
    fn spin_window_stays_closed_for_twice_as_long_each_time_the_processor_is_lost() {
        let spin = Spin::new(Duration::from_micros(50));
        let mut now = 1_000_000_000;
        let mut closed_for = Vec::new();
        for _ in 0..9 {
            spin.update_window(3_000, now);
            assert_eq!(spin.window(), FIRST);
            spin.back_off(now);
            assert_eq!(spin.window(), 0);
            let lost = now;
            while spin.window() == 0 {
                now += 1_000_000;
                spin.update_window(3_000, now);
            }
            closed_for.push((now - lost) / 1_000_000);
            spin.update_window(1_000_000, now);
        }
        assert_eq!(closed_for, [5, 10, 20, 40, 80, 160, 320, 320, 320]);
        // After a longer time the waits begin anew.
        now += 2 * LONGEST_CLOSED;
        spin.back_off(now);
        spin.update_window(3_000, now + FIRST_CLOSED);
        assert_eq!(spin.window(), FIRST);
    }

    #[test]
    fn spin_window_of_any_length_stays_at_its_limit() {
        for most in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_nanos(u64::MAX / 2 + 2)] {
            let spin = Spin::new(most);
            (0..100).for_each(|_| spin.update_window(3_000, 0));
            assert_eq!(u128::from(spin.window()), most.as_nanos().min(u64::MAX.into()));
            spin.update_window(u64::MAX, 0);
            assert!(spin.window() >= u64::MAX / 8);
            spin.back_off(u64::MAX);
            assert_eq!(spin.window(), 0);
        }
    }

    #[test]
    fn spin_with_limit_zero_never_opens_a_window() {
        let spin = Spin::new(Duration::ZERO);
        spin.update_window(0, 0);
        spin.update_window(3_000, 0);
        assert_eq!(spin.window(), 0);
    }
}
