//! Waiting until a time, for at most a time, or again and again.
//!
//! - [`sleep()`] and [`sleep_until`] wait.
//! - [`timeout()`] and [`timeout_at`] give another future a limited time.
//! - [`interval()`] and [`interval_at`] tick with a period.
//!
//! All of them are made inside of a runtime with timers: in a task, in `block_on`, or under the
//! guard of `Handle::enter`. Elsewhere the call panics. The argument of `block_on` is evaluated
//! before `block_on` begins: write `runtime.block_on(async { sleep(duration).await })`.
//!
//! They take no timer until they are first polled and have to wait. The runtime in which that
//! happens keeps the timer.
//!
//! # Precision
//!
//! Nothing here completes early. A timer is filed in ticks of 2^15 ns (32.8 µs), rounded up; what
//! comes on top of that is the system's own wake-up latency and the load. Sleeps shorter than a
//! millisecond work.
//!
//! Any [`Duration`] and any [`Instant`] is accepted. A deadline in the past is due at once.
//!
//! The clock of a runtime lasts for 584 years. A longer duration, such as [`Duration::MAX`], ends
//! in the far future: 30 years from now. An instant after the clock's end is due at the clock's
//! end. Only a test with paused time can see that, because its time leaps there.
//!
//! # Tests
//!
//! Under the feature `test-util` the time of a current-thread runtime can be paused (`pause`,
//! `resume`, `advance`, and `Builder::start_paused`). A test that sleeps for an hour is through at
//! once then, and measures exactly an hour: while nothing can run, time leaps to the next timer.
//! See `pause`. The feature is for tests only: it makes every timer wake its thread by itself.

mod instant;
mod interval;
#[cfg(feature = "test-util")]
mod pause;
#[cfg(not(feature = "test-util"))]
#[path = "time/pause_none.rs"]
mod pause;
mod sleep;
mod timeout;

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

/// Panics, with the caller's location, unless this thread is inside of a runtime that has timers.
#[inline]
#[track_caller]
fn require_timers() {
    // On a worker this is answered without touching the count of its pool, which all workers share.
    let on_worker = context::seated(|seated| {
        seated.is_some_and(|seated| seated.pool.settings.time && context::is_inside(seated.pool))
    });
    if !on_worker {
        let pool = context::pool().expect(context::NO_RUNTIME);
        assert!(pool.settings.time, "{}", context::NO_TIMERS);
    }
}

/// What can go wrong with time.
pub mod error {
    pub use super::timeout::Elapsed;
}
