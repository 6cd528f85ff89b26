//! Ticks with a period.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::require_timers;
use super::sleep::Sleep;
use crate::context;
use crate::context::budget;
use crate::sync::Arc;
use crate::time::{Duration, Instant};
use crate::timer::TimerWheel;

/// A tick that comes later than this, or than half a period, counts as missed; less is taken for
/// ordinary lateness, after which every behaviour keeps to the schedule.
const TOLERANCE: Duration = Duration::from_millis(5);

/// Ticks at once, and then every `period`.
///
/// A period of more than 584 years, such as [`Duration::MAX`], ends in the far future, as for
/// [`sleep`](super::sleep()).
///
/// # Panics
///
/// If `period` is zero. If it is called outside of a runtime, or inside of one without timers: see
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

/// Ticks at `start`, and then every `period`. As [`interval`] otherwise.
///
/// # Panics
///
/// If `period` is zero. If it is called outside of a runtime, or inside of one without timers: see
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

/// What an [`Interval`] does when ticks were missed, because nobody asked for them or the machine
/// was too busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Ticks as fast as it is asked, until it has caught up with its schedule. No tick is lost.
    #[default]
    Burst,
    /// Ticks at once, and from then on a period after that: the schedule moves.
    Delay,
    /// Ticks at once, and from then on when the schedule says: the missed ones are left out.
    Skip,
}

impl MissedTickBehavior {
    /// When to tick after the tick of `scheduled`, which was missed and is made up for `now`.
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

/// `late % period`.
fn remainder(late: Duration, period: Duration) -> Duration {
    let nanos = late.as_nanos() % period.as_nanos();
    let second = Duration::from_secs(1).as_nanos();
    // Less than `period`, so that its seconds fit where the period's do.
    Duration::new((nanos / second) as u64, (nanos % second) as u32)
}

/// What [`interval`] and [`interval_at`] return: a clockwork that is asked for its ticks with
/// [`tick`](Interval::tick).
///
/// The ticks keep to a schedule, however long the work between them takes, as long as that is
/// shorter than the period. What happens otherwise is up to the [`MissedTickBehavior`].
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
            "an interval's `period` must be longer than zero: give one of at least a nanosecond, or call `task::yield_now` in a \
             loop to go on as soon as the others have had their turn"
        );
        Interval { delay: Box::pin(Sleep::new(start, true)), period, behavior: MissedTickBehavior::default() }
    }

    /// Waits for the next tick, and returns the time for which it was scheduled.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, no tick has been used up.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut interval = interval(Duration::from_millis(1));
    /// for _ in 0..3 {
    ///     interval.tick().await; // the first one at once
    /// }
    /// # });
    /// ```
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick; of several tasks that poll, the last one is woken.
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

    /// Polls, and asks `find` for a wheel if one is needed.
    pub(super) fn poll_on(&mut self, cx: &mut Context<'_>, find: impl FnOnce() -> Arc<TimerWheel>) -> Poll<Instant> {
        ready!(self.delay.as_mut().poll_on(cx, find));
        let scheduled = self.delay.deadline();
        let now = Instant::now();
        let missed = now.saturating_duration_since(scheduled) > TOLERANCE.min(self.period / 2);
        let behavior = if missed { self.behavior } else { MissedTickBehavior::Burst };
        self.delay.as_mut().reset(behavior.next(scheduled, now, self.period));
        Poll::Ready(scheduled)
    }

    /// Starts anew: the next tick comes one period from now.
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

    /// Starts anew: the next tick comes at once.
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

    /// Starts anew: the next tick comes `after` from now.
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

    /// Starts anew: the next tick comes at `deadline`, or at once if that is past.
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

    /// The time between two ticks.
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

    /// What happens when ticks were missed.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, MissedTickBehavior, interval};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// assert_eq!(interval(Duration::from_secs(60)).missed_tick_behavior(), MissedTickBehavior::Burst);
    /// # });
    /// ```
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Says what happens when ticks were missed; [`MissedTickBehavior::Burst`] if nothing is said.
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
