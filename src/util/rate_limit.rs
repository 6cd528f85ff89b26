//! Limits how often a message is logged.

use crate::primitive::atomic::{AtomicU64, Ordering};

/// The least time between two messages, in nanoseconds.
const INTERVAL: u64 = 1_000_000_000;

/// Passes one event per second, and counts the events that it has held back since.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// The pool's nanoseconds at the last event that passed, at least one. Zero before the first.
    last: AtomicU64,
    suppressed: AtomicU64,
}

impl RateLimit {
    pub(crate) fn new() -> Self {
        RateLimit { last: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Returns how many events were held back since the last one, if this event passes.
    #[must_use]
    pub(crate) fn try_pass(&self, now: u64) -> Option<u64> {
        let due = |last: u64| (last == 0 || now >= last.saturating_add(INTERVAL)).then_some(now.max(1));
        // Ordering: Relaxed — these are figures; nothing is read through them.
        if self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_err() {
            // Ordering: Relaxed — a figure.
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        // Ordering: Relaxed — a figure.
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn rate_limit_within_a_second_counts_what_it_holds_back() {
        let limit = RateLimit::new();
        assert_eq!(limit.try_pass(0), Some(0));
        assert_eq!([limit.try_pass(1), limit.try_pass(INTERVAL)], [None, None]);
        assert_eq!(limit.try_pass(INTERVAL + 1), Some(2));
        assert_eq!(limit.try_pass(u64::MAX), Some(0));
        assert_eq!(limit.try_pass(u64::MAX - 1), None);
    }
}
