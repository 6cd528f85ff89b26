//! Waiting until a time, for at most a time, or again and again.
//!
//! - [`sleep()`] and [`sleep_until`] wait.
//! - [`timeout()`] and [`timeout_at`] give another future a limited time.
//! - [`interval()`] and [`interval_at`] tick with a period.
//!
//! All of them are made anywhere and cost nothing until they are first polled and have to wait. That has to happen inside of a
//! runtime: in a task, in `block_on`, or under the guard of `Handle::enter`.
//!
//! # Precision
//!
//! Nothing here completes early. A timer is filed in ticks of 2^15 ns (32.8 µs), rounded up; what comes on top of that is the
//! system's own wake-up latency and the load. Sleeps shorter than a millisecond work.
//!
//! Any [`Duration`] and any [`Instant`] will do: what lies in the past is due at once, and what is too far away to be named, such
//! as [`Duration::MAX`] from now, waits for more than a lifetime.

mod instant;
mod interval;
mod sleep;
mod timeout;

#[cfg(test)]
mod tests;

pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, timeout, timeout_at};

#[doc(no_inline)]
pub use std::time::Duration;

/// What can go wrong with time.
pub mod error {
    pub use super::timeout::Elapsed;
}
