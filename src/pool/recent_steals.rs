//! Whether tasks were recently stolen from a worker, or by it.

use std::cell::Cell;

use crate::primitive::wake_policy;

/// When tasks were last stolen from a worker, or by it.
#[derive(Debug)]
pub(super) struct RecentSteals {
    /// The count of stolen tasks at the last record. It may wrap around.
    stolen: Cell<u32>,
    /// When the count last changed.
    seen: Cell<Option<u64>>,
    recent: Cell<bool>,
}

impl RecentSteals {
    pub(super) fn new() -> Self {
        RecentSteals { stolen: Cell::new(0), seen: Cell::new(None), recent: Cell::new(false) }
    }

    /// Records at `now` how many tasks have been stolen so far.
    pub(super) fn record(&self, now: u64, stolen: u32) {
        if self.stolen.replace(stolen) != stolen {
            self.seen.set(Some(now));
        }
        self.recent.set(self.seen.get().is_some_and(|seen| now.saturating_sub(seen) <= wake_policy().recent_nanos));
    }

    /// Returns true if, at the last record, a task had been stolen within 20 ms.
    #[inline]
    pub(super) fn is_recent(&self) -> bool {
        self.recent.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::wake_policy::WakePolicy;

    const RECENT_NANOS: u64 = WakePolicy::HEIST.recent_nanos;

    #[test]
    fn steal_is_recent_for_twenty_milliseconds() {
        let recent_steals = RecentSteals::new();
        recent_steals.record(5, 0);
        assert!(!recent_steals.is_recent());
        recent_steals.record(10, u32::MAX);
        assert!(recent_steals.is_recent());
        recent_steals.record(10 + RECENT_NANOS, u32::MAX);
        assert!(recent_steals.is_recent());
        recent_steals.record(11 + RECENT_NANOS, u32::MAX);
        assert!(!recent_steals.is_recent());
        // One more steal: the count wraps around.
        recent_steals.record(12 + RECENT_NANOS, 0);
        assert!(recent_steals.is_recent());
    }
}
