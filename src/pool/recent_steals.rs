//! Whether a worker has shared its tasks of late.

use std::cell::Cell;

/// For so long, in nanoseconds, a theft is recent.
const RECENT: u64 = 20_000_000;

/// What a worker remembers of tasks that were stolen from it, or by it.
#[derive(Debug)]
pub(super) struct RecentSteals {
    /// How many there had been when it last looked; it may wrap around.
    stolen: Cell<u32>,
    /// When it last saw that there were more.
    seen: Cell<Option<u64>>,
    recent: Cell<bool>,
}

impl RecentSteals {
    pub(super) fn new() -> Self {
        RecentSteals { stolen: Cell::new(0), seen: Cell::new(None), recent: Cell::new(false) }
    }

    /// Notes at `now` how many tasks have been stolen so far.
    pub(super) fn record(&self, now: u64, stolen: u32) {
        if self.stolen.replace(stolen) != stolen {
            self.seen.set(Some(now));
        }
        self.recent.set(self.seen.get().is_some_and(|seen| now.saturating_sub(seen) <= RECENT));
    }

    /// Whether one of them was stolen within the last 20 ms, as of the last note.
    #[inline]
    pub(super) fn is_recent(&self) -> bool {
        self.recent.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theft_is_recent_for_twenty_milliseconds() {
        let recent_steals = RecentSteals::new();
        recent_steals.record(5, 0);
        assert!(!recent_steals.is_recent());
        recent_steals.record(10, u32::MAX);
        assert!(recent_steals.is_recent());
        recent_steals.record(10 + RECENT, u32::MAX);
        assert!(recent_steals.is_recent());
        recent_steals.record(11 + RECENT, u32::MAX);
        assert!(!recent_steals.is_recent());
        // One more, and the count has wrapped around.
        recent_steals.record(12 + RECENT, 0);
        assert!(recent_steals.is_recent());
    }
}
