//! What only a simulation changes, as it is without one.

use std::time::Duration;

/// Lets another thread of a simulation run. Called between two steps of a worker.
#[inline(always)]
pub(crate) fn preemption_point() {}

/// Sleeps in place of a reactor, on a simulated thread. Returns how long the reactor may still
/// wait: here all of the limit.
#[inline(always)]
pub(crate) fn sleep_in_reactor(_: usize, limit: Option<Duration>) -> Option<Duration> {
    limit
}

/// Ends [`sleep_in_reactor`].
#[inline(always)]
pub(crate) fn wake_reactor(_: usize) {}

/// Returns the number of the next stripe, which `real` draws.
#[inline(always)]
pub(crate) fn next_stripe(real: impl FnOnce() -> u64) -> u64 {
    real()
}

/// Returns true on a thread of a simulation.
#[inline(always)]
pub(crate) fn is_simulated() -> bool {
    false
}

/// Records what this thread does, in a simulation.
#[inline(always)]
pub(crate) fn record_event(_: impl FnOnce() -> String) {}

/// What a simulation does to a poll: nothing without one.
#[derive(Debug)]
pub(crate) struct PollFault;

impl PollFault {
    /// Panics in place of the poll, in a simulation.
    #[inline(always)]
    pub(crate) fn raise(&self) {}
}

/// Injects the faults of a poll that is about to begin, in a simulation.
#[inline(always)]
pub(crate) fn before_poll(_: impl FnOnce() -> String, _: impl FnOnce()) -> PollFault {
    PollFault
}
