//! A future that completes at its deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::require_timers;
use super::timer_span::TimerSpan;
use crate::context;
use crate::context::budget;
use crate::context::messages;
use crate::primitive::Arc;
use crate::time::{Duration, Instant};
use crate::timer::{State, Timer, TimerWheel};

/// Waits until `duration` has passed since this call.
///
/// A duration of more than 584 years, such as [`Duration::MAX`], ends in the far future: 30 years
/// from now. See [`Sleep`] for the properties of the future.
///
/// # Panics
///
/// Panics outside of a runtime, and in a runtime without timers; see
/// [`Builder::enable_time`](crate::runtime::Builder::enable_time).
///
/// # Examples
///
/// ```
/// use heist::time::{Duration, Instant, sleep};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let start = Instant::now();
/// sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # });
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    require_timers();
    let deadline = Instant::now().later(duration);
    Sleep::new(deadline, true, TimerSpan::of_sleep(deadline))
}

/// Waits until `deadline`. A deadline in the past completes at once.
///
/// A deadline more than 584 years after the runtime was built is due at the end of these 584 years.
/// See [`Sleep`] for the properties of the future.
///
/// # Panics
///
/// Panics outside of a runtime, and in a runtime without timers; see
/// [`Builder::enable_time`](crate::runtime::Builder::enable_time).
///
/// # Examples
///
/// ```
/// use heist::time::{Duration, Instant, sleep_until};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let deadline = Instant::now() + Duration::from_millis(1);
/// sleep_until(deadline).await;
/// assert!(Instant::now() >= deadline);
/// # });
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    require_timers();
    Sleep::new(deadline, true, TimerSpan::of_sleep(deadline))
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It completes at its deadline or later, never earlier. After it has completed, every further poll
/// completes, too, until a [`reset`](Sleep::reset). It registers a timer with the runtime when it
/// is first polled and has to wait. The timer is a part of the future, so the future has to be
/// pinned, and nothing is allocated.
///
/// # Panics
///
/// Polling panics outside of a runtime. It also panics if the runtime that keeps the timer has been
/// shut down before the deadline.
///
/// # Cancel safety
///
/// Dropping a `Sleep` removes its timer from the runtime.
///
/// # Examples
///
/// One sleep can be used again and again without an allocation:
///
/// ```
/// use std::pin::pin;
/// use heist::time::{Duration, Instant, sleep};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let mut sleep = pin!(sleep(Duration::from_millis(1)));
/// for _ in 0..3 {
///     sleep.as_mut().await;
///     sleep.as_mut().reset(Instant::now() + Duration::from_millis(1));
/// }
/// # });
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless polled or awaited"]
pub struct Sleep {
    deadline: Instant,
    timer: Timer,
    span: TimerSpan,
    /// The next poll reads the clock, because the deadline is new and may have passed. After that
    /// poll, the timer wheel keeps the deadline.
    checks_clock: bool,
}

impl Sleep {
    /// Creates a sleep. If `checks_clock` is false, the first poll does not read the clock: the
    /// caller knows that the deadline is in the future.
    pub(super) fn new(deadline: Instant, checks_clock: bool, span: TimerSpan) -> Sleep {
        Sleep { deadline, timer: Timer::new(), span, checks_clock }
    }

    /// Returns the deadline of the sleep.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, sleep_until};
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// # let _guard = runtime.enter();
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// assert_eq!(sleep_until(deadline).deadline(), deadline);
    /// ```
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns true if a poll would complete now.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, sleep};
    /// use std::pin::pin;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut sleep = pin!(sleep(Duration::from_millis(1)));
    /// sleep.as_mut().await;
    /// assert!(sleep.is_elapsed());
    /// # });
    /// ```
    pub fn is_elapsed(&self) -> bool {
        match self.timer.state() {
            State::Idle => Instant::now() >= self.deadline,
            State::Armed => self.checks_clock && self.timer.has_passed(self.deadline.into_std()),
            State::Closed => self.timer.has_passed(self.deadline.into_std()),
            State::Fired => true,
        }
    }

    /// Changes the deadline, to an earlier or a later one. The future may have completed.
    ///
    /// A task that waits for the future need not poll it again: the new deadline wakes it. If the
    /// new deadline has passed at the next poll, that poll completes, as for a new `Sleep`.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, Instant, sleep};
    /// use std::pin::pin;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut idle = pin!(sleep(Duration::from_secs(60))); // one timer for a whole connection
    /// idle.as_mut().reset(Instant::now() + Duration::from_millis(1)); // reset at each message
    /// idle.await;
    /// # });
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        // SAFETY: the timer is not moved out of the field.
        let this = unsafe { self.get_unchecked_mut() };
        this.deadline = deadline;
        this.checks_clock = true;
        this.span.on_deadline(deadline);
        // SAFETY: the timer is a field of a pinned `Sleep`, and is pinned with it.
        unsafe { Pin::new_unchecked(&mut this.timer) }.reset(deadline.into_std());
    }

    /// Polls the future. If a timer is needed, `find` returns the timer wheel.
    pub(super) fn poll_on(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        find: impl FnOnce() -> Arc<TimerWheel>,
    ) -> Poll<()> {
        // SAFETY: the timer is not moved out of the field.
        let this = unsafe { self.get_unchecked_mut() };
        let span_poll = this.span.enter();
        let deadline = this.deadline.into_std();
        // SAFETY: the timer is a field of a pinned `Sleep`, and is pinned with it.
        let mut timer = unsafe { Pin::new_unchecked(&mut this.timer) };
        let state = match timer.state() {
            State::Idle => {
                let wheel = find();
                let clock = wheel.clock();
                if (this.checks_clock || clock.is_paused()) && clock.has_passed(deadline) {
                    timer.as_mut().mark_fired();
                    State::Fired
                } else {
                    timer.as_mut().arm(wheel, deadline, cx.waker())
                }
            }
            State::Armed if !this.checks_clock => timer.as_mut().update_waker(cx.waker()),
            State::Armed | State::Closed if timer.has_passed(deadline) => {
                timer.as_mut().mark_fired();
                State::Fired
            }
            State::Armed => timer.as_mut().update_waker(cx.waker()),
            ended => ended,
        };
        this.checks_clock = false;
        match state {
            State::Idle | State::Armed => span_poll.end(Poll::Pending),
            State::Fired => span_poll.end(Poll::Ready(())),
            State::Closed => panic!("{}", messages::shut_down()),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        budget::metered(cx, |cx| self.poll_on(cx, context::wheel))
    }
}
