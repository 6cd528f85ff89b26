//! Sleeps, timeouts and intervals.
//!
//! - [`sleep()`] and [`sleep_until`] wait.
//! - [`timeout()`] and [`timeout_at`] limit the time of another future.
//! - [`interval()`] and [`interval_at`] tick with a period.
//!
//! All of these functions must be called inside of a runtime with timers: in a task, in `block_on`,
//! or while the guard of `Handle::enter` lives. In other places they panic. The argument of
//! `block_on` is evaluated before `block_on` begins, so write
//! `runtime.block_on(async { sleep(duration).await })`.
//!
//! A future takes a timer only when it is first polled and has to wait. The timer belongs to the
//! runtime in which that happens.
//!
//! # Precision
//!
//! No future of this module completes early. A timer has a resolution of 2^15 ns (32.8 µs), and its
//! deadline is rounded up. The wake-up latency of the operating system and the load come on top of
//! that. Sleeps shorter than a millisecond work.
//!
//! Every [`Duration`] and every [`Instant`] is valid. A deadline in the past is due at once.
//!
//! The clock of a runtime lasts for 584 years. A longer duration, such as [`Duration::MAX`], ends
//! in the far future: 30 years from now. An instant after the clock's end is due at the clock's
//! end. Only a test with paused time can observe that, because its time advances to there.
//!
//! # Tests
//!
//! With the feature `test-util`, the time of a current-thread runtime can be paused (`pause`,
//! `resume`, `advance`, and `Builder::start_paused`). While no task can run, paused time advances
//! to the next timer. So a test that sleeps for an hour ends at once, and measures exactly an hour.
//! See `pause`.
//!
//! The feature is for tests only: with it, every timer wakes its thread separately.

mod instant;
mod interval;
#[cfg(feature = "test-util")]
mod pause;
#[cfg(not(feature = "test-util"))]
#[path = "time/pause_none.rs"]
mod pause;
mod sleep;
mod timeout;
#[cfg(feature = "tracing-spans")]
mod timer_span;
#[cfg(not(feature = "tracing-spans"))]
#[path = "time/timer_span_none.rs"]
mod timer_span;

#[cfg(test)]
mod tests;

#[doc(no_inline)]
pub use std::time::Duration;

pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
#[cfg(feature = "test-util")]
pub use pause::{advance, pause, resume};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, timeout, timeout_at};

use crate::context;

/// Checks that this thread is inside of a runtime that has timers.
///
/// # Panics
///
/// Panics with the caller's location if it is not.
#[inline]
#[track_caller]
fn require_timers() {
    // On a worker, the check does not touch the pool's reference count, which all workers share.
    let on_worker = context::seated(|seated| {
        seated.is_some_and(|seated| seated.pool.settings.time && context::is_inside_or_grouped(seated.pool))
    });
    if !on_worker {
        let Some(pool) = context::pool() else { panic!("{}", context::messages::no_runtime()) };
        assert!(pool.settings.time, "{}", context::NO_TIMERS);
    }
}

/// Errors of this module.
pub mod error {
    pub use super::timeout::Elapsed;
}
