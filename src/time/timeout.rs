//! A future with a limited time.

use std::error::Error;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, io};

use super::require_timers;
use super::sleep::{Sleep, sleep_until};
use super::timer_span::TimerSpan;
use crate::context;
use crate::context::budget;
use crate::primitive::Arc;
use crate::time::{Duration, Instant};
use crate::timer::TimerWheel;

/// Limits the time of `future` to `duration` from now.
///
/// Each poll polls `future` first. So a future that is ready never times out, and one that never
/// waits uses no timer. See [`Timeout`]. A duration of more than 584 years, such as
/// [`Duration::MAX`], ends in the far future, as for [`sleep`](super::sleep()).
///
/// # Errors
///
/// Resolves to [`Elapsed`] if the time passes first. The inner future stays in the [`Timeout`], and
/// is dropped with it.
///
/// # Panics
///
/// Panics outside of a runtime, and in a runtime without timers; see
/// [`Builder::enable_time`](crate::runtime::Builder::enable_time).
///
/// # Examples
///
/// ```
/// use heist::time::{Duration, timeout};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// assert_eq!(timeout(Duration::from_secs(1), async { 7 }).await, Ok(7));
///
/// let never = std::future::pending::<()>();
/// assert!(timeout(Duration::from_millis(1), never).await.is_err());
/// # });
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    require_timers();
    let deadline = Instant::now().later(duration);
    // Unless `duration` is zero, the deadline is in the future, so the first poll need not read the
    // clock.
    Timeout::new(future, Sleep::new(deadline, duration.is_zero(), TimerSpan::of_sleep(deadline)))
}

/// Limits the time of `future` to `deadline`. In all other respects this is [`timeout`].
///
/// # Errors
///
/// Resolves to [`Elapsed`] if the deadline passes first.
///
/// # Panics
///
/// Panics outside of a runtime, and in a runtime without timers; see
/// [`Builder::enable_time`](crate::runtime::Builder::enable_time).
///
/// # Examples
///
/// ```
/// use heist::time::{Duration, Instant, timeout_at};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let deadline = Instant::now() + Duration::from_millis(1);
/// // Several steps share one deadline.
/// assert_eq!(timeout_at(deadline, async { 7 }).await, Ok(7));
/// assert!(timeout_at(deadline, std::future::pending::<()>()).await.is_err());
/// # });
/// ```
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout::new(future, sleep_until(deadline))
}

/// The future of [`timeout`] and [`timeout_at`].
///
/// # Panics
///
/// If the inner future waits, polling panics where polling a [`Sleep`] does.
///
/// # Cancel safety
///
/// Dropping it drops the inner future and removes the timer.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled or awaited"]
pub struct Timeout<T> {
    value: T,
    delay: Sleep,
}

impl<T> Timeout<T> {
    pub(super) fn new(future: impl IntoFuture<IntoFuture = T>, delay: Sleep) -> Self {
        Timeout { value: future.into_future(), delay }
    }

    /// Returns a reference to the inner future.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, timeout};
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// # let _guard = runtime.enter();
    /// let late = timeout(Duration::from_secs(1), std::future::ready(7));
    /// assert_eq!(late.get_ref().clone().into_inner(), 7);
    /// ```
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// Returns a mutable reference to the inner future.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, timeout};
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// # let _guard = runtime.enter();
    /// let mut late = timeout(Duration::from_secs(1), std::future::ready(7));
    /// *late.get_mut() = std::future::ready(8);
    /// assert_eq!(late.into_inner().into_inner(), 8);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// Returns the inner future, without its limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::time::{Duration, timeout};
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// # let _guard = runtime.enter();
    /// let late = timeout(Duration::from_secs(1), std::future::ready(7));
    /// assert_eq!(late.into_inner().into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: Future> Timeout<T> {
    /// Polls the inner future, and then the timer. If a timer is needed, `find` returns the timer
    /// wheel.
    pub(super) fn poll_on(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        find: impl FnOnce() -> Arc<TimerWheel>,
    ) -> Poll<Result<T::Output, Elapsed>> {
        // SAFETY: neither of the two fields is moved out.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the future is a field of a pinned `Timeout`, and is pinned with it.
        let value = unsafe { Pin::new_unchecked(&mut this.value) };
        let had_budget = budget::has_any();
        if let Poll::Ready(value) = value.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        // SAFETY: the sleep is a field of a pinned `Timeout`, and is pinned with it.
        let delay = unsafe { Pin::new_unchecked(&mut this.delay) };
        // If the inner future spends the whole budget in each poll, the timer is still polled.
        let spent_inside = had_budget && !budget::has_any();
        if !spent_inside && !budget::may_proceed(cx) {
            return Poll::Pending;
        }
        let elapsed = delay.poll_on(cx, find);
        if elapsed.is_ready() {
            budget::spend();
        }
        elapsed.map(|()| Err(Elapsed(())))
    }
}

impl<T: Future> Future for Timeout<T> {
    type Output = Result<T::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_on(cx, context::wheel)
    }
}

/// The time of a [`Timeout`] passed before the inner future was ready.
///
/// It converts to an [`io::Error`] of the kind [`TimedOut`](io::ErrorKind::TimedOut).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
