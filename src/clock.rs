//! Time as the runtime counts it: whole nanoseconds since an anchor.
//!
//! A `u64` of them lasts for 584 years. Every conversion saturates, so that no instant and no
//! duration is too early, too late or too long. An instant beyond the clock's end is due at the
//! end. A wait that is longer than the clock ends in the far future, 30 years from its beginning.
//!
//! There is what has really passed, by which the workers pace themselves; and what timers are
//! *shown*, which is the same, unless a test has paused it (feature `test-util`).

#[cfg(feature = "test-util")]
mod pause;
#[cfg(not(feature = "test-util"))]
#[path = "clock/pause_none.rs"]
mod pause;

use std::time::{Duration, Instant};

pub(crate) use pause::AdvancePermit;
use pause::PausableTime;
#[cfg(feature = "test-util")]
pub(crate) use pause::Refusal;

/// The last moment that a clock shows, 584 years after its anchor. `u64::MAX` is left for what is
/// never due.
const END: u64 = u64::MAX - 1;

/// The length of a wait that does not fit on a clock: 30 years of 365 days, as in Tokio.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Counts nanoseconds since its anchor; clones count alike, and are paused together.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    anchor: Instant,
    pause: PausableTime,
}

impl Clock {
    /// A clock whose zero is now.
    pub(crate) fn new() -> Self {
        Clock::anchored(Instant::now())
    }

    /// A clock whose zero is `anchor`.
    pub(crate) fn anchored(anchor: Instant) -> Self {
        Clock { anchor, pause: PausableTime::not_pausable() }
    }

    /// A clock whose zero is now, and which a test may pause; or finds paused.
    pub(crate) fn pausable(paused: bool) -> Self {
        Clock { anchor: Instant::now(), pause: PausableTime::pausable(paused) }
    }

    /// Nanoseconds that have really passed since the anchor; zero if the system's clock has stepped
    /// back behind it.
    pub(crate) fn now(&self) -> u64 {
        self.deadline(Instant::now())
    }

    /// Returns `at` on this clock: zero if it lies before the anchor, the last moment if it lies
    /// beyond the end.
    pub(crate) fn deadline(&self, at: Instant) -> u64 {
        nanos(at, self.anchor)
    }

    /// What timers are shown when so much has really passed.
    #[inline]
    pub(crate) fn to_timer_time(&self, real: u64) -> u64 {
        self.pause.to_timer_time(real)
    }

    /// The instant that timers are shown.
    #[inline]
    pub(crate) fn timer_now(&self) -> Instant {
        self.pause.timer_now(self.anchor)
    }

    /// Whether timers are shown `at`, or a later instant.
    #[inline]
    pub(crate) fn has_passed(&self, at: Instant) -> bool {
        self.timer_now() >= at
    }

    /// When to get up, really, for a timer that is due at `until`, if the system can name it and
    /// there is any telling.
    #[inline]
    pub(crate) fn real_deadline(&self, until: Option<u64>) -> Option<Instant> {
        self.anchor.checked_add(Duration::from_nanos(self.pause.real_deadline(until?)?))
    }

    /// Whether the time that timers are shown stands still.
    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.pause.is_paused()
    }

    /// The right to let paused time pass up to `until`, if no blocking job holds it. The caller
    /// sees to it that nothing else can be done, and then uses it.
    #[inline]
    pub(crate) fn permit_advance(&self, until: Option<u64>) -> Option<AdvancePermit> {
        self.pause.permit_advance(until)
    }

    /// Lets paused time pass.
    #[inline]
    pub(crate) fn advance_by_permit(&self, permit: AdvancePermit) {
        self.pause.advance_by_permit(permit);
    }

    /// A blocking job has come: paused time does not pass by itself until it has ended.
    #[inline]
    pub(crate) fn inhibit_auto_advance(&self) {
        self.pause.inhibit_auto_advance();
    }

    /// A blocking job has ended, and whoever waited for it has been woken. True if paused time may
    /// pass by itself now, so that its worker has to look again.
    #[inline]
    #[must_use]
    pub(crate) fn allow_auto_advance(&self) -> bool {
        self.pause.allow_auto_advance()
    }
}

/// Returns how much later `at` is than `anchor`, at most [`END`].
fn nanos(at: Instant, anchor: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(anchor).as_nanos()).map_or(END, |nanos| nanos.min(END))
}

/// Returns `start + wait`. If the wait does not fit on a clock, or the system cannot name the
/// result, returns an instant in the far future. Returns `start` if the system cannot name that
/// either.
pub(crate) fn later(start: Instant, wait: Duration) -> Instant {
    let fits = wait.as_nanos() <= u128::from(END);
    let exact = if fits { start.checked_add(wait) } else { None };
    exact.or_else(|| start.checked_add(FAR_FUTURE)).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_goes_there_and_back() {
        let clock = Clock::new();
        for nanos in [0, 1, 999_999_999, 1_000_000_000, u64::MAX / 4] {
            let at = clock.real_deadline(Some(nanos)).expect("a nameable instant");
            assert_eq!(clock.deadline(at), nanos);
        }
    }

    #[test]
    fn both_ends_saturate() {
        let now = Instant::now();
        let clock = Clock::anchored(now);
        let before = now.checked_sub(Duration::from_nanos(1)).expect("an instant before now");
        assert_eq!(clock.deadline(before), 0);
        assert_eq!(clock.deadline(now + Duration::from_nanos(END)), END);
        assert_eq!(clock.deadline(now + Duration::from_nanos(u64::MAX)), END);
        assert_eq!(clock.deadline(now + Duration::from_secs(1 << 40)), END);
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
    fn later_is_exact_up_to_the_length_of_a_clock_and_the_far_future_beyond_it() {
        let now = Instant::now();
        for fits in [Duration::ZERO, Duration::from_millis(7), Duration::from_nanos(END)] {
            assert_eq!(later(now, fits), now + fits);
        }
        for too_long in [Duration::from_nanos(u64::MAX), Duration::from_secs(1 << 40), Duration::MAX] {
            assert_eq!(later(now, too_long), now + FAR_FUTURE);
        }
        let last = (0..64).rev().fold(now, |at, bit| at.checked_add(Duration::from_secs(1 << bit)).unwrap_or(at));
        assert_eq!(later(last, FAR_FUTURE), last);
    }
}
