//! Delivers the kernel's I/O events to the tasks that wait for them.
#![doc = include_str!("../docs/reactor.md")]

mod interest;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod poll_set;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "reactor/poll_set_none.rs"]
mod poll_set;
mod readiness;
mod registered;
mod shard;
mod shard_drivers;
mod shutdown_error;
mod source;
mod source_table;
mod waiter;

#[cfg(all(test, not(heist_loom), target_os = "linux"))]
mod shard_tests;
#[cfg(all(test, not(heist_loom)))]
mod tests;

use std::cell::Cell;
use std::io;
use std::iter::Sum;
use std::ops::Add;
use std::time::{Duration, Instant};

pub use interest::{Interest, Ready};
use mio::Waker;
use poll_set::PollSet;
#[cfg(test)]
pub(crate) use readiness::Readiness;
pub(crate) use readiness::{Direction, Snapshot};
pub(crate) use registered::Registered;
use shard::{Shard, ShardDriver};
pub(crate) use shard_drivers::ShardDrivers;
pub use shutdown_error::is_rt_shutdown_err;
#[cfg(unix)]
pub(crate) use shutdown_error::signal_shutdown_error;
#[cfg(any(test, feature = "internals"))]
pub(crate) use source::ReadyFuture;
#[cfg(test)]
pub(crate) use source::SHORT_IS_DRAINED;
pub(crate) use source::{Opaque, Source, Transferred};
pub(crate) use source_table::SourceKey;
#[cfg(test)]
pub(crate) use source_table::SourceTable;

use crate::primitive::{
    Arc, CachePadded, Mutex, MutexGuard, add_reactor, charge_reactor_poll, is_simulated, real_now, sleep_in_reactor,
    sleep_key, wake_reactor,
};
use crate::util::stripe::Stripe;
use crate::util::wake_list::WakeList;

/// The event queues of the kernel, in shards, and the sources registered with them.
///
/// A worker that sleeps for events has the driver of the first shard, the primary, and observes
/// the events of all shards.
#[derive(Debug)]
pub(crate) struct Reactor {
    /// Invariant: as many as there are shard drivers.
    shards: Box<[CachePadded<Shard>]>,
    shard_drivers: ShardDrivers<ShardDriver>,
    /// Interrupts a wait at the primary shard.
    waker: Waker,
    /// Waits for all shards. Only the worker that has the primary shard's driver locks it.
    poll_set: Mutex<PollSet>,
    /// About how many events one wait delivers. If there are so many already, the next ready shard
    /// is left for the next wait.
    max_events: usize,
}

/// Statistics of a reactor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReactorCounts {
    /// Resources that were registered.
    pub(crate) registered: u64,
    /// Resources that were deregistered.
    pub(crate) deregistered: u64,
    /// Events that found their resource.
    pub(crate) events: u64,
}

impl Reactor {
    /// Makes a reactor with this many shards, or as many as the platform can wait for at a time.
    ///
    /// From each shard it collects at most `max_busy_events` between two tasks, and at most
    /// `max_idle_events` after a wait.
    pub(crate) fn new(shards: usize, max_busy_events: usize, max_idle_events: usize) -> io::Result<Reactor> {
        let count = shards.clamp(1, PollSet::MAX);
        let new = |_| Shard::new(max_busy_events, max_idle_events);
        let (shards, shard_drivers): (Vec<_>, Vec<_>) =
            (0..count).map(new).collect::<io::Result<Vec<(Shard, ShardDriver)>>>()?.into_iter().unzip();
        let shards: Box<[_]> = shards.into_iter().map(CachePadded::new).collect();
        add_reactor(shards.iter().map(|shard| &shard.registry));
        let waker = Waker::new(&shards[0].registry, SourceKey::INTERRUPT.into())?;
        let poll_set = Mutex::new(PollSet::new(shards.iter().map(|shard| &shard.registry)));
        Ok(Reactor {
            shards,
            shard_drivers: ShardDrivers::new(shard_drivers.into_iter()),
            waker,
            poll_set,
            max_events: max_idle_events,
        })
    }

    /// Takes the primary shard's driver, if it is free.
    pub(crate) fn try_drive(&self) -> Option<DriverGuard<'_>> {
        self.shard_drivers.try_lock_primary().map(|primary| DriverGuard { reactor: self, primary })
    }

    /// Returns whether the primary shard's driver is taken now.
    pub(crate) fn is_driven(&self) -> bool {
        self.shard_drivers.is_primary_locked()
    }

    /// Polls some shards between two tasks, for one of `awake` workers. Returns how many events
    /// found their source.
    ///
    /// `next` is the worker's position in the shards. While a worker sleeps with the primary
    /// shard's driver, it observes all events, and no other worker polls.
    pub(crate) fn try_poll(
        &self,
        next: &Cell<usize>,
        awake: impl FnOnce() -> usize,
        wakes: &mut WakeList,
    ) -> io::Result<usize> {
        charge_reactor_poll();
        match &*self.shards {
            [only] => {
                self.shard_drivers.try_lock_primary().map_or(Ok(0), |mut driver| only.poll_busy(&mut driver, wakes))
            }
            shards => {
                self.shard_drivers.poll_some(next, awake(), |shard, driver| shards[shard].poll_busy(driver, wakes))
            }
        }
    }

    /// Ends the current wait with the primary shard's driver, or the next one if there is none.
    ///
    /// Each call costs a system call, so the caller should know that a worker waits. A worker that
    /// wants to be interrupted takes the driver first, and announces its sleep then. In the other
    /// order, another worker that polls in between could use up the interrupt.
    pub(crate) fn interrupt(&self) -> io::Result<()> {
        wake_reactor(self.sleep_key());
        self.waker.wake()
    }

    /// Returns what a simulated sleep in this reactor waits for.
    fn sleep_key(&self) -> usize {
        sleep_key(&self.shards[0].registry)
    }

    /// Returns the shard with which this thread registers next.
    pub(crate) fn next_shard(&self) -> usize {
        match self.shards.len() {
            1 => 0,
            shards => Stripe::next().index_in(shards),
        }
    }

    /// Registers `io` with `shard` for both directions, edge-triggered, until
    /// [`Reactor::deregister`]. It counts as ready for `presumed` until an operation would block.
    ///
    /// A socket must be connecting or listening already: the kernel reports an idle one as hung
    /// up.
    ///
    /// # Errors
    ///
    /// If the operating system refuses, or the reactor is closed. Nothing stays registered then.
    pub(crate) fn register(
        &self,
        shard: usize,
        io: &mut impl mio::event::Source,
        presumed: Ready,
    ) -> io::Result<Arc<Source>> {
        self.shards[shard].register(io, presumed)
    }

    /// Undoes [`Reactor::register`]. The source gets no more events, even if the operating system
    /// reports an error.
    pub(crate) fn deregister(
        &self,
        shard: usize,
        io: &mut impl mio::event::Source,
        source: &Arc<Source>,
    ) -> io::Result<()> {
        self.shards[shard].deregister(io, source)
    }

    /// Closes the reactor: wakes every waiter. From then on each operation and each registration
    /// fails.
    pub(crate) fn close_reactor(&self, wakes: &mut WakeList) {
        self.shards.iter().for_each(|shard| shard.sources.close_all_sources(wakes));
    }

    /// Returns the statistics so far.
    pub(crate) fn counts(&self) -> ReactorCounts {
        self.shards.iter().map(|shard| shard.counts()).sum()
    }

    /// Returns how many sources there are.
    #[cfg(test)]
    pub(crate) fn sources(&self) -> usize {
        self.shards.iter().map(|shard| shard.sources.len()).sum()
    }
}

/// The right to poll the reactor and to wait for it: the primary shard's driver, locked.
///
/// No task is woken under this lock: drop the guard first, then wake.
#[derive(Debug)]
#[must_use = "the guard is for polling the reactor; dropping it at once polls nothing"]
pub(crate) struct DriverGuard<'a> {
    reactor: &'a Reactor,
    primary: MutexGuard<'a, ShardDriver>,
}

impl DriverGuard<'_> {
    /// Collects the events that are there already, at most `max_busy_events` of a single shard, or
    /// `max_idle_events` of each of several. Returns how many found their source.
    ///
    /// When it returns, all readiness is stored, and the wakers of the waiters are in `wakes`.
    pub(crate) fn poll_busy(&mut self, wakes: &mut WakeList) -> io::Result<usize> {
        charge_reactor_poll();
        match &*self.reactor.shards {
            [only] => only.poll_busy(&mut self.primary, wakes),
            _ => self.wait_all_shards(Some(Duration::ZERO), wakes),
        }
    }

    /// Waits for events until `deadline`, or without a limit. Then does what
    /// [`DriverGuard::poll_busy`] does, with at most `max_idle_events` of each shard.
    ///
    /// May return early without events: after an interrupt, after a signal, or for no reason.
    pub(crate) fn poll_idle(&mut self, deadline: Option<Instant>, wakes: &mut WakeList) -> io::Result<usize> {
        if is_simulated() {
            let found = self.poll_busy(wakes)?;
            if found > 0 {
                return Ok(found);
            }
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(real_now()));
        let left = sleep_in_reactor(self.reactor.sleep_key(), left);
        match &*self.reactor.shards {
            [only] => only.poll_idle(&mut self.primary, left, wakes),
            _ => self.wait_all_shards(left, wakes),
        }
    }

    /// Waits until one of the shards has events, at most for `timeout`, and polls those that have.
    fn wait_all_shards(&mut self, timeout: Option<Duration>, wakes: &mut WakeList) -> io::Result<usize> {
        let Reactor { shards, shard_drivers, poll_set, max_events, .. } = self.reactor;
        let mut poll_set = poll_set.lock();
        shard_drivers.while_blocked(|| poll_set.wait(timeout))?;
        let ready = (0..shards.len())
            .map(|step| poll_set.nth(step))
            .filter(|&shard| poll_set.is_ready(shard) || is_simulated());
        let poll_shard =
            |shard: usize, driver: &mut ShardDriver| shards[shard].poll_idle(driver, Some(Duration::ZERO), wakes);
        let (found, left_out) = shard_drivers.drive_ready(&mut self.primary, ready, *max_events, poll_shard)?;
        if let Some(shard) = left_out {
            poll_set.set_first(shard);
        }
        Ok(found)
    }
}

impl Add for ReactorCounts {
    type Output = ReactorCounts;

    fn add(self, other: ReactorCounts) -> ReactorCounts {
        ReactorCounts {
            registered: self.registered + other.registered,
            deregistered: self.deregistered + other.deregistered,
            events: self.events + other.events,
        }
    }
}

impl Sum for ReactorCounts {
    fn sum<I: Iterator<Item = ReactorCounts>>(counts: I) -> ReactorCounts {
        counts.fold(ReactorCounts::default(), Add::add)
    }
}
