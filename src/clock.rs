//! The runtime's clock: whole nanoseconds since an anchor.
//!
//! A `u64` of nanoseconds lasts for 584 years. Every conversion saturates, so no instant and no
//! duration is too early, too late or too long. An instant beyond the clock's end is due at the
//! end. A wait that is longer than the clock ends in the far future, 30 years from its beginning.
//!
//! There are two times. *Real time* is what has really passed: workers use it for their intervals.
//! *Timer time* is what timers see. The two are equal unless a test has paused timer time (feature
//! `test-util`).

#[cfg(feature = "test-util")]
mod pause;
#[cfg(not(feature = "test-util"))]
#[path = "clock/pause_none.rs"]
mod pause;

use std::time::{Duration, Instant};

use crate::primitive::real_now;
pub(crate) use pause::AdvancePermit;
use pause::PausableTime;
#[cfg(feature = "test-util")]
pub(crate) use pause::Refusal;

/// The last moment of a clock, 584 years after its anchor. `u64::MAX` is reserved for timers that
/// are never due.
const END: u64 = u64::MAX - 1;

/// The length of a wait that does not fit on a clock: 30 years of 365 days, as in Tokio.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Counts nanoseconds since its anchor. Clones show the same time, and are paused together.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    anchor: Instant,
    time: PausableTime,
}

impl Clock {
    /// Makes a clock whose zero is now.
    pub(crate) fn new() -> Self {
        Clock::anchored(real_now())
    }

    /// Makes a clock whose zero is `anchor`.
    pub(crate) fn anchored(anchor: Instant) -> Self {
        Clock { anchor, time: PausableTime::not_pausable() }
    }

    /// Makes a clock whose zero is now and which a test can pause. It starts paused if `paused`.
    pub(crate) fn pausable(paused: bool) -> Self {
        Clock { anchor: real_now(), time: PausableTime::pausable(paused) }
    }

    /// Returns the real time: nanoseconds since the anchor, or zero if the system's clock has
    /// stepped back behind it.
    pub(crate) fn now(&self) -> u64 {
        self.deadline(real_now())
    }

    /// Returns `at` on this clock: zero if it is before the anchor, the last moment if it is beyond
    /// the end.
    pub(crate) fn deadline(&self, at: Instant) -> u64 {
        nanos(at, self.anchor)
    }

    /// Returns the timer time at the real time `real`.
    #[inline]
    pub(crate) fn to_timer_time(&self, real: u64) -> u64 {
        self.time.to_timer_time(real)
    }

    /// Returns the timer time as an instant.
    #[inline]
    pub(crate) fn timer_now(&self) -> Instant {
        self.time.timer_now(self.anchor)
    }

    /// Returns true if the timer time is `at` or later.
    #[inline]
    pub(crate) fn has_passed(&self, at: Instant) -> bool {
        self.timer_now() >= at
    }

    /// Returns the real instant at which the timer time `until` is reached. Returns `None` if the
    /// system cannot name it, or time is paused.
    #[inline]
    pub(crate) fn real_deadline(&self, until: Option<u64>) -> Option<Instant> {
        self.anchor.checked_add(Duration::from_nanos(self.time.real_deadline(until?)?))
    }

    /// Returns true if timer time is paused.
    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.time.is_paused()
    }

    /// Returns the right to advance paused time to `until`, unless a blocking job inhibits it. The
    /// caller uses it once it has made sure that there is nothing else to do.
    #[inline]
    pub(crate) fn permit_advance(&self, until: Option<u64>) -> Option<AdvancePermit> {
        self.time.permit_advance(until)
    }

    /// Advances paused time.
    #[inline]
    pub(crate) fn advance_by_permit(&self, permit: AdvancePermit) {
        self.time.advance_by_permit(permit);
    }

    /// Stops automatic advances of paused time until a blocking job has ended.
    #[inline]
    pub(crate) fn inhibit_auto_advance(&self) {
        self.time.inhibit_auto_advance();
    }

    /// Allows automatic advances again: a blocking job has ended, and its waiter has been woken.
    /// Returns true if paused time may advance now, so that its worker has to check again.
    #[inline]
    #[must_use]
    pub(crate) fn allow_auto_advance(&self) -> bool {
        self.time.allow_auto_advance()
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
    fn instant_converted_there_and_back_is_the_same() {
        let clock = Clock::new();
        for nanos in [0, 1, 999_999_999, 1_000_000_000, u64::MAX / 4] {
            let at = clock.real_deadline(Some(nanos)).expect("an instant that the system can name");
            assert_eq!(clock.deadline(at), nanos);
        }
    }

    #[test]
    fn deadline_outside_of_the_clock_saturates() {
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
    fn clock_never_runs_backwards() {
        let clock = Clock::new();
        let times: Vec<u64> = (0..1000).map(|_| clock.now()).collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn later_of_a_wait_longer_than_a_clock_is_the_far_future() {
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
