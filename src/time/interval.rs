//! Ticks with a period.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::require_timers;
use super::sleep::Sleep;
use super::timer_span::TimerSpan;
use crate::context;
use crate::context::budget;
use crate::primitive::Arc;
use crate::time::{Duration, Instant};
use crate::timer::TimerWheel;

/// How late a tick may be before it counts as missed; half a period if that is less. Below it, the
/// next tick keeps to the schedule for every [`MissedTickBehavior`].
const TOLERANCE: Duration = Duration::from_millis(5);

/// Returns an interval that ticks at once, and then after every `period`.
///
/// A period of more than 584 years, such as [`Duration::MAX`], ends in the far future, as for
/// [`sleep`](super::sleep()).
///
/// # Panics
///
/// Panics if `period` is zero. Panics outside of a runtime, and in a runtime without timers; see
/// [`Builder::enable_time`](crate::runtime::Builder::enable_time).
///
/// # Examples
///
/// ```
/// use heist::time::{Duration, interval};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let mut interval = interval(Duration::from_millis(1));
/// let first = interval.tick().await;
/// let second = interval.tick().await;
/// assert_eq!(second - first, Duration::from_millis(1));
/// # });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    let interval = Interval::new(Instant::now(), period);
    require_timers();
    interval
}

/// Returns an interval that ticks at `start`, and then after every `period`. In all other respects
/// this is [`interval`].
///
/// # Panics
///
/// Panics if `period` is zero. Panics outside of a runtime, and in a runtime without timers; see
/// [`Builder::enable_time`](crate::runtime::Builder::enable_time).
///
/// # Examples
///
/// ```
/// use heist::time::{Duration, Instant, interval_at};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let start = Instant::now() + Duration::from_millis(2);
/// let mut interval = interval_at(start, Duration::from_secs(60));
/// assert_eq!(interval.tick().await, start);
/// # });
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    let interval = Interval::new(start, period);
    require_timers();
    interval
}

/// What an [`Interval`] does after missed ticks. Ticks are missed if the program does not await
/// them in time, or the machine is too busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Ticks as fast as the program awaits, until it has caught up with its schedule. No tick is
    /// lost.
    #[default]
    Burst,
    /// Ticks at once, and then one period later: the schedule moves.
    Delay,
    /// Ticks at once, and then at the next time of the schedule: missed ticks are skipped.
    Skip,
}

impl MissedTickBehavior {
    /// Returns the time of the tick that follows the one of `scheduled`, which was missed and takes
    /// place `now`.
    fn next(self, scheduled: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            MissedTickBehavior::Burst => scheduled.later(period),
            MissedTickBehavior::Delay => now.later(period),
            MissedTickBehavior::Skip => {
                let late = now.saturating_duration_since(scheduled);
                now.later(period - remainder(late, period))
            }
        }
    }
}

/// Returns `late % period`.
fn remainder(late: Duration, period: Duration) -> Duration {
    let nanos = late.as_nanos() % period.as_nanos();
    let second = Duration::from_secs(1).as_nanos();
    // The remainder is less than `period`, so its seconds fit in a `Duration`.
    Duration::new((nanos / second) as u64, (nanos % second) as u32)
}

/// Ticks with a period. [`interval`] and [`interval_at`] return it, and [`tick`](Interval::tick)
/// awaits a tick.
///
/// As long as the work between two ticks is shorter than the period, the ticks keep to their
/// schedule. If it is longer, the [`MissedTickBehavior`] decides.
#[derive(Debug)]
pub struct Interval {
    delay: Pin<Box<Sleep>>,
    period: Duration,
    behavior: MissedTickBehavior,
}

impl Interval {
    #[track_caller]
    pub(super) fn new(start: Instant, period: Duration) -> Interval {
        assert!(
            !period.is_zero(),
            "an interval's `period` must be longer than zero; use at least a nanosecond, or call `task::yield_now` in a loop to \
             let other tasks run in between"
        );
        let delay = Sleep::new(start, true, TimerSpan::of_interval(start));
        Interval { delay: Box::pin(delay), period, behavior: MissedTickBehavior::default() }
    }

    /// Waits for the next tick, and returns the time for which it was scheduled.
    ///
    /// # Cancel safety
    ///
    /// It is cancel safe: if the future is dropped, no tick is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut interval = interval(Duration::from_millis(1));
    /// for _ in 0..3 {
    ///     interval.tick().await; // the first tick comes at once
    /// }
    /// # });
    /// ```
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick. If several tasks poll, only the last one is woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut interval = interval(Duration::from_millis(1));
    /// std::future::poll_fn(|cx| interval.poll_tick(cx)).await;
    /// # });
    /// ```
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        budget::metered(cx, |cx| self.poll_on(cx, context::wheel))
    }

    /// Polls for the next tick. If a timer is needed, `find` returns the timer wheel.
    pub(super) fn poll_on(&mut self, cx: &mut Context<'_>, find: impl FnOnce() -> Arc<TimerWheel>) -> Poll<Instant> {
        ready!(self.delay.as_mut().poll_on(cx, find));
        let scheduled = self.delay.deadline();
        let now = Instant::now();
        let missed = now.saturating_duration_since(scheduled) > TOLERANCE.min(self.period / 2);
        let behavior = if missed { self.behavior } else { MissedTickBehavior::Burst };
        self.delay.as_mut().reset(behavior.next(scheduled, now, self.period));
        Poll::Ready(scheduled)
    }

    /// Restarts the interval: the next tick comes one period from now.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut interval = interval(Duration::from_millis(5));
    /// let first = interval.tick().await;
    /// interval.reset();
    /// assert!(interval.tick().await >= first + Duration::from_millis(5));
    /// # });
    /// ```
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Restarts the interval: the next tick comes at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut interval = interval(Duration::from_secs(60));
    /// interval.tick().await;
    /// interval.reset_immediately();
    /// interval.tick().await; // does not take a minute
    /// # });
    /// ```
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// Restarts the interval: the next tick comes `after` from now.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut interval = interval(Duration::from_secs(60));
    /// interval.tick().await;
    /// interval.reset_after(Duration::from_millis(1));
    /// interval.tick().await; // does not take a minute
    /// # });
    /// ```
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(Instant::now().later(after));
    }

    /// Restarts the interval: the next tick comes at `deadline`, or at once if that is in the past.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut interval = interval(Duration::from_secs(60));
    /// interval.tick().await;
    /// let soon = Instant::now() + Duration::from_millis(1);
    /// interval.reset_at(soon);
    /// assert_eq!(interval.tick().await, soon);
    /// # });
    /// ```
    pub fn reset_at(&mut self, deadline: Instant) {
        self.delay.as_mut().reset(deadline);
    }

    /// Returns the time between two ticks.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// assert_eq!(interval(Duration::from_secs(60)).period(), Duration::from_secs(60));
    /// # });
    /// ```
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Returns what happens after missed ticks.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, MissedTickBehavior, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let interval = interval(Duration::from_secs(60));
    /// assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
    /// # });
    /// ```
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Sets what happens after missed ticks. The default is [`MissedTickBehavior::Burst`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, MissedTickBehavior, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut interval = interval(Duration::from_secs(60));
    /// interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    /// assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Delay);
    /// # });
    /// ```
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }
}
