//! A moment in time.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::{fmt, time};

use super::{Duration, pause};
use crate::clock;

/// A moment on the clock of this module. It converts to and from [`std::time::Instant`] at no cost,
/// and the clock is the same.
///
/// It differs from the standard type in two ways. The difference of two instants is zero where it
/// would be negative, and never panics. With the feature `test-util`, [`now`](Instant::now) reads
/// the clock of the current runtime, which may be paused.
///
/// # Panics
///
/// Adding or subtracting a [`Duration`] with an operator panics if the system cannot represent the
/// result. See [`checked_add`](Instant::checked_add). [`sleep`](super::sleep()) and
/// [`timeout`](super::timeout()) accept every duration.
///
/// # Examples
///
/// ```
/// use heist::time::{Duration, Instant};
///
/// let earlier = Instant::now();
/// let later = earlier + Duration::from_millis(5);
/// assert_eq!(later - earlier, Duration::from_millis(5));
/// assert_eq!(earlier - later, Duration::ZERO);
/// assert_eq!(Instant::from_std(later.into_std()), later);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Instant {
    std: time::Instant,
}

impl Instant {
    /// Returns the current instant. In a runtime with paused time, it is the instant at which time
    /// stands still.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// assert!(start.elapsed() < Duration::from_secs(60));
    /// ```
    pub fn now() -> Instant {
        Instant { std: pause::now() }
    }

    /// Converts from an instant of the standard library.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// let std = std::time::Instant::now();
    /// assert_eq!(Instant::from_std(std).into_std(), std);
    /// ```
    pub fn from_std(std: time::Instant) -> Instant {
        Instant { std }
    }

    /// Converts to an instant of the standard library.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// let now = Instant::now();
    /// assert_eq!(Instant::from_std(now.into_std()), now);
    /// ```
    pub fn into_std(self) -> time::Instant {
        self.std
    }

    /// Returns the time from `earlier` to this instant. Returns zero if `earlier` is later.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// let later = start + Duration::from_secs(1);
    /// assert_eq!(later.duration_since(start), Duration::from_secs(1));
    /// assert_eq!(start.duration_since(later), Duration::ZERO);
    /// ```
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }

    /// Returns the time from `earlier` to this instant. Returns `None` if `earlier` is later.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// let later = start + Duration::from_secs(1);
    /// assert_eq!(start.checked_duration_since(later), None);
    /// ```
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.std.checked_duration_since(earlier.std)
    }

    /// Returns the time from `earlier` to this instant. Returns zero if `earlier` is later, as
    /// [`duration_since`](Instant::duration_since) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// let later = start + Duration::from_secs(1);
    /// assert_eq!(start.saturating_duration_since(later), Duration::ZERO);
    /// ```
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }

    /// Returns the time since this instant. Returns zero if the instant is in the future.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// println!("{:?}", start.elapsed());
    /// ```
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }

    /// Returns this instant plus `duration`. Returns `None` if the system cannot represent the
    /// result.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// assert_eq!(Instant::now().checked_add(Duration::MAX), None);
    /// ```
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.std.checked_add(duration).map(Instant::from_std)
    }

    /// Returns this instant minus `duration`. Returns `None` if the system cannot represent the
    /// result.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant};
    ///
    /// let now = Instant::now();
    /// assert_eq!(now.checked_sub(Duration::ZERO), Some(now));
    /// ```
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.std.checked_sub(duration).map(Instant::from_std)
    }

    /// Returns this instant plus `duration`, or an instant in the far future if that does not fit
    /// on a clock.
    pub(super) fn later(self, duration: Duration) -> Instant {
        Instant::from_std(clock::later(self.std, duration))
    }
}

impl From<time::Instant> for Instant {
    fn from(std: time::Instant) -> Instant {
        Instant::from_std(std)
    }
}

impl From<Instant> for time::Instant {
    fn from(instant: Instant) -> time::Instant {
        instant.into_std()
    }
}

const TOO_LATE: &str = "the system cannot represent an instant so late; add less, or use `Instant::checked_add`";
const TOO_EARLY: &str = "the system cannot represent an instant so early; subtract less, or use `Instant::checked_sub`";

impl Add<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    ///
    /// Panics if the system cannot represent the result.
    #[track_caller]
    fn add(self, duration: Duration) -> Instant {
        self.checked_add(duration).expect(TOO_LATE)
    }
}

impl AddAssign<Duration> for Instant {
    /// # Panics
    ///
    /// Panics if the system cannot represent the result.
    #[track_caller]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Returns zero if `earlier` is later.
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    ///
    /// Panics if the system cannot represent the result.
    #[track_caller]
    fn sub(self, duration: Duration) -> Instant {
        self.checked_sub(duration).expect(TOO_EARLY)
    }
}

impl SubAssign<Duration> for Instant {
    /// # Panics
    ///
    /// Panics if the system cannot represent the result.
    #[track_caller]
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn instant_converted_to_std_and_back_is_equal() {
        let std = time::Instant::now();
        let ours = Instant::from_std(std);
        assert_eq!((ours.into_std(), Instant::from(std), time::Instant::from(ours)), (std, ours, std));
        assert_eq!(format!("{ours:?}"), format!("{std:?}"));
        assert_eq!(HashSet::from([ours, Instant::from_std(std)]).len(), 1);
    }

    #[test]
    fn instant_difference_to_later_instant_is_zero() {
        let second = Duration::from_secs(1);
        let now = Instant::now();
        let later = now + second;
        assert!(later > now);
        assert_eq!((later - now, now - later), (second, Duration::ZERO));
        assert_eq!((later.duration_since(now), now.duration_since(later)), (second, Duration::ZERO));
        assert_eq!(
            (later.saturating_duration_since(now), now.saturating_duration_since(later)),
            (second, Duration::ZERO)
        );
        assert_eq!((later.checked_duration_since(now), now.checked_duration_since(later)), (Some(second), None));
        assert_eq!((Instant::now() + second * 3600).elapsed(), Duration::ZERO);
    }

    #[test]
    fn instant_plus_and_minus_duration_moves() {
        let second = Duration::from_secs(1);
        let now = Instant::now();
        let mut moved = now;
        moved += second;
        assert_eq!((moved, now.checked_add(second)), (now + second, Some(now + second)));
        moved -= second;
        assert_eq!((moved, (now + second).checked_sub(second)), (now, Some(now)));
        assert_eq!((now + second) - second, now);
    }

    #[test]
    fn instant_out_of_range_is_none_or_far_future() {
        let now = Instant::now();
        assert_eq!((now.checked_add(Duration::MAX), now.checked_sub(Duration::MAX)), (None, None));
        assert_eq!(now.later(Duration::MAX) - now, Duration::from_secs(30 * 365 * 24 * 3600));
        assert_eq!(now.later(Duration::from_nanos(1)) - now, Duration::from_nanos(1));
    }
}
