//! Time as the runtime counts it: whole nanoseconds since an anchor.
//!
//! A `u64` of them lasts for 584 years. Every conversion saturates, so that no instant and no duration is too early, too late
//! or too long; what lies beyond the end is never due.

use std::time::{Duration, Instant};

/// Counts nanoseconds since its anchor; copies count alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    anchor: Instant,
}

impl Clock {
    /// A clock whose zero is now.
    pub(crate) fn new() -> Self {
        Clock::anchored(Instant::now())
    }

    /// A clock whose zero is `anchor`.
    pub(crate) fn anchored(anchor: Instant) -> Self {
        Clock { anchor }
    }

    /// Nanoseconds since the anchor; zero if the system's clock has stepped back behind it.
    pub(crate) fn now(&self) -> u64 {
        self.deadline(Instant::now())
    }

    /// `at` on this clock: zero if it lies before the anchor, `u64::MAX` if it lies beyond the end.
    pub(crate) fn deadline(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.anchor).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether `at` has come.
    pub(crate) fn has_passed(&self, at: Instant) -> bool {
        Instant::now() >= at
    }

    /// The instant at which this clock shows `nanos`, if the system can name it.
    pub(crate) fn instant(&self, nanos: u64) -> Option<Instant> {
        self.anchor.checked_add(Duration::from_nanos(nanos))
    }
}

/// `start + wait`, or an instant more than a lifetime away if the system cannot name that one.
pub(crate) fn later(start: Instant, mut wait: Duration) -> Instant {
    loop {
        match start.checked_add(wait) {
            Some(at) => return at,
            None => wait /= 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_goes_there_and_back() {
        let clock = Clock::new();
        for nanos in [0, 1, 999_999_999, 1_000_000_000, u64::MAX / 4] {
            let at = clock.instant(nanos).expect("a nameable instant");
            assert_eq!(clock.deadline(at), nanos);
        }
    }

    #[test]
    fn both_ends_saturate() {
        let now = Instant::now();
        let clock = Clock::anchored(now);
        let before = now.checked_sub(Duration::from_nanos(1)).expect("an instant before now");
        assert_eq!(clock.deadline(before), 0);
        assert_eq!(clock.deadline(later(now, Duration::MAX)), u64::MAX);
        // A clock that has stepped back shows zero, not a huge number.
        assert_eq!(Clock::anchored(later(now, Duration::from_secs(3600))).now(), 0);
    }

    #[test]
    fn the_clock_does_not_run_backwards() {
        let clock = Clock::new();
        let shown: Vec<u64> = (0..1000).map(|_| clock.now()).collect();
        assert!(shown.is_sorted());
    }

    #[test]
    fn later_is_exact_where_it_can_be() {
        let now = Instant::now();
        assert_eq!(later(now, Duration::from_millis(7)), now + Duration::from_millis(7));
        let lifetime = Duration::from_secs(100 * 365 * 24 * 3600);
        assert!(later(now, Duration::MAX) > now + lifetime);
    }
}
