//! What only a simulation changes, as it is without one.

use std::io;
use std::iter;
use std::net::SocketAddr;
use std::time::Duration;

use mio::Registry;

pub(crate) use super::os_sockets as sockets;
use super::wake_policy::WakePolicy;

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

/// Adds a reactor with these event queues to the simulation of this thread.
#[inline(always)]
pub(crate) fn add_reactor<'a>(_: impl Iterator<Item = &'a Registry> + Clone) {}

/// Returns what a simulated sleep for the events of this queue waits for.
#[inline(always)]
pub(crate) fn sleep_key(_: &Registry) -> usize {
    0
}

/// Takes the events of simulated sockets: tokens, and whether they are readable, writable, closed
/// for reading, closed for writing, in error.
#[inline(always)]
pub(crate) fn simulated_events(_: &Registry, _: usize) -> impl Iterator<Item = (usize, [bool; 5])> {
    iter::empty()
}

/// Resolves the name of a host of the simulation, on a thread of one.
#[inline(always)]
pub(crate) fn resolve_simulated(_: &str, _: u16) -> Option<io::Result<Vec<SocketAddr>>> {
    None
}

/// The simulation to which something belongs: none.
#[derive(Debug)]
pub(crate) struct Simulation;

impl Simulation {
    /// Returns the simulation of this thread.
    #[inline(always)]
    pub(crate) fn of_this_thread() -> Simulation {
        Simulation
    }

    /// Ends the simulation if this thread is not a part of it.
    #[inline(always)]
    pub(crate) fn check_thread(&self, _: impl FnOnce() -> String) {}
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

/// Returns heist's policy.
#[inline(always)]
pub(crate) const fn wake_policy() -> WakePolicy {
    WakePolicy::HEIST
}

/// Charges a simulated thread for a read-modify-write of the idle word.
#[inline(always)]
pub(crate) fn occupy_idle_word<T>(_: &T) {}

/// Charges a simulated thread for a section under a lock of the global queue.
#[inline(always)]
pub(crate) fn occupy_global_queue<T>(_: &T) {}

/// Charges a simulated thread for a look at a seat, if its worker is awake.
#[inline(always)]
pub(crate) fn charge_inspection(_: impl FnOnce() -> bool) {}

/// Charges a simulated thread for the cache lines of tasks that it has stolen.
#[inline(always)]
pub(crate) fn charge_moved_tasks(_: u64) {}

/// Charges a simulated thread for a poll of the reactor.
#[inline(always)]
pub(crate) fn charge_reactor_poll() {}

/// Pauses a simulated searcher before it takes from a LIFO slot.
#[inline(always)]
pub(crate) fn pause_before_lifo() {}
