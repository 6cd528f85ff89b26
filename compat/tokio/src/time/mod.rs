//! Timers: heist's own types.

use std::future::IntoFuture;

pub use heist::time::{Duration, Instant, Interval, MissedTickBehavior, Sleep, Timeout};
#[cfg(feature = "test-util")]
pub use heist::time::{pause, resume};

use crate::runtime::install_messages;

pub mod error;

/// Waits until `duration` has elapsed.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    install_messages();
    heist::time::sleep(duration)
}

/// Waits until `deadline` is reached.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    install_messages();
    heist::time::sleep_until(deadline)
}

/// Ends `future` with an error after `duration`.
#[track_caller]
pub fn timeout<F>(duration: Duration, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    install_messages();
    heist::time::timeout(duration, future)
}

/// Ends `future` with an error at `deadline`.
#[track_caller]
pub fn timeout_at<F>(deadline: Instant, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    install_messages();
    heist::time::timeout_at(deadline, future)
}

/// Creates an [`Interval`] that ticks at once, and then each `period`.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    install_messages();
    heist::time::interval(period)
}

/// Creates an [`Interval`] that ticks at `start`, and then each `period`.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    install_messages();
    heist::time::interval_at(start, period)
}

/// Advances paused time by `duration`.
#[cfg(feature = "test-util")]
pub async fn advance(duration: Duration) {
    heist::time::advance(duration).await;
}
