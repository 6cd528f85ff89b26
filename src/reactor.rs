//! The reactor: what the kernel reports, brought to those who wait for it.
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
mod wait;
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
pub(crate) use shutdown_error::waiter_gone;
pub(crate) use source::{Opaque, Source, Transferred};
#[cfg(test)]
pub(crate) use source::{ReadyFuture, SHORT_IS_DRAINED};
pub(crate) use source_table::SourceKey;
#[cfg(test)]
pub(crate) use source_table::SourceTable;

use crate::sync::{Arc, CachePadded, Mutex, MutexGuard};
use crate::util::stripe::Stripe;
use crate::util::wake_list::WakeList;

/// What the kernel reports, in shards. Whoever sleeps does so in the shard driver of the first one,
/// the lead, and hears of all.
#[derive(Debug)]
pub(crate) struct Reactor {
    /// Invariant: as many as there are shard drivers.
    shards: Box<[CachePadded<Shard>]>,
    shard_drivers: ShardDrivers<ShardDriver>,
    /// Of the lead.
    waker: Waker,
    /// All shards, watched by whoever has the lead's shard driver. Nobody else takes it.
    watch: Mutex<PollSet>,
    /// Events of one rest, about: a shard that is ready when there are so many already is left for
    /// the next.
    enough: usize,
}

/// What a reactor has counted.
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
    /// A reactor with this many shards, or as many as the platform lets us watch at a time. From
    /// each it collects at most `capacity_busy` events at a look and `capacity_rest` after a rest.
    pub(crate) fn new(shards: usize, capacity_busy: usize, capacity_rest: usize) -> io::Result<Reactor> {
        let count = shards.clamp(1, PollSet::MOST);
        let new = |_| Shard::new(capacity_busy, capacity_rest);
        let (shards, shard_drivers): (Vec<_>, Vec<_>) =
            (0..count).map(new).collect::<io::Result<Vec<(Shard, ShardDriver)>>>()?.into_iter().unzip();
        let shards: Box<[_]> = shards.into_iter().map(CachePadded::new).collect();
        let waker = Waker::new(&shards[0].registry, SourceKey::INTERRUPT.into())?;
        let watch = Mutex::new(PollSet::new(shards.iter().map(|shard| &shard.registry)));
        Ok(Reactor {
            shards,
            shard_drivers: ShardDrivers::new(shard_drivers.into_iter()),
            waker,
            watch,
            enough: capacity_rest,
        })
    }

    /// Takes the lead's shard driver, unless somebody has it.
    pub(crate) fn try_drive(&self) -> Option<DriverGuard<'_>> {
        self.shard_drivers.try_lock_primary().map(|lead| DriverGuard { reactor: self, lead })
    }

    /// Whether somebody has the lead's shard driver now.
    pub(crate) fn is_driven(&self) -> bool {
        self.shard_drivers.is_primary_locked()
    }

    /// A look between two tasks, by one of so many workers that are awake, at the shards whose turn
    /// it is by `next`. While somebody sleeps in the lead's shard driver he is told of everything,
    /// and nobody else looks.
    pub(crate) fn try_poll(
        &self,
        next: &Cell<usize>,
        awake: impl FnOnce() -> usize,
        wakes: &mut WakeList,
    ) -> io::Result<usize> {
        match &*self.shards {
            [only] => {
                self.shard_drivers.try_lock_primary().map_or(Ok(0), |mut driver| only.turn_busy(&mut driver, wakes))
            }
            shards => {
                self.shard_drivers.poll_some(next, awake(), |shard, driver| shards[shard].turn_busy(driver, wakes))
            }
        }
    }

    /// Makes whoever rests in the lead's shard driver, or else the next who does, come back at
    /// once.
    ///
    /// Costs a system call each time, so it is for those who know that somebody rests. Who wants to
    /// be found by it takes the shard driver first and announces himself then: whoever else turned
    /// in between could use the interrupt up.
    pub(crate) fn interrupt(&self) -> io::Result<()> {
        self.waker.wake()
    }

    /// In which shard this thread registers next.
    fn next_shard(&self) -> usize {
        match self.shards.len() {
            1 => 0,
            shards => Stripe::next().index_in(shards),
        }
    }

    /// Registers `io` with `shard` for both directions, edge-triggered, until
    /// [`Reactor::deregister`]. It is taken to be ready for `presumed` until it proves not to be.
    ///
    /// A socket has to be connecting or listening already: the kernel reports an idle one as hung
    /// up.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the reactor is closed. Nothing stays registered
    /// then.
    fn register(&self, shard: usize, io: &mut impl mio::event::Source, presumed: Ready) -> io::Result<Arc<Source>> {
        self.shards[shard].register(io, presumed)
    }

    /// Undoes [`Reactor::register`]. The source gets no event any more, whatever the operating
    /// system says.
    fn deregister(&self, shard: usize, io: &mut impl mio::event::Source, source: &Arc<Source>) -> io::Result<()> {
        self.shards[shard].deregister(io, source)
    }

    /// Ends it: everybody who waits is woken, and every later operation and registration gives an
    /// error, each time.
    pub(crate) fn close_reactor(&self, wakes: &mut WakeList) {
        self.shards.iter().for_each(|shard| shard.sources.close_all_sources(wakes));
    }

    /// What has been counted so far.
    pub(crate) fn counts(&self) -> ReactorCounts {
        self.shards.iter().map(|shard| shard.counts()).sum()
    }

    /// How many sources there are.
    #[cfg(test)]
    pub(crate) fn sources(&self) -> usize {
        self.shards.iter().map(|shard| shard.sources.len()).sum()
    }
}

/// The lead's shard driver, taken. While somebody has it nobody is woken: drop it first, then wake.
#[derive(Debug)]
#[must_use = "the chair is held in order to turn the reactor"]
pub(crate) struct DriverGuard<'a> {
    reactor: &'a Reactor,
    lead: MutexGuard<'a, ShardDriver>,
}

impl DriverGuard<'_> {
    /// Collects what has happened already, at most `capacity_busy` events of each shard. All
    /// readiness is stored when it returns, and whoever waited for it is in `wakes`. Answers how
    /// many events found their source.
    pub(crate) fn poll_busy(&mut self, wakes: &mut WakeList) -> io::Result<usize> {
        match &*self.reactor.shards {
            [only] => only.turn_busy(&mut self.lead, wakes),
            _ => self.watch_all(Some(Duration::ZERO), wakes),
        }
    }

    /// Waits for events until `deadline`, or for ever; then does what [`DriverGuard::poll_busy`] does,
    /// with at most `capacity_rest` events of each shard. It may come back early with none: after
    /// an interrupt, after a signal, or for no reason.
    pub(crate) fn rest(&mut self, deadline: Option<Instant>, wakes: &mut WakeList) -> io::Result<usize> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match &*self.reactor.shards {
            [only] => only.turn_rest(&mut self.lead, left, wakes),
            _ => self.watch_all(left, wakes),
        }
    }

    /// Waits so long until one of the shards has something to tell, and turns those that have.
    fn watch_all(&mut self, timeout: Option<Duration>, wakes: &mut WakeList) -> io::Result<usize> {
        let Reactor { shards, shard_drivers, watch, enough, .. } = self.reactor;
        let mut watch = watch.lock();
        shard_drivers.while_blocked(|| watch.wait(timeout))?;
        let ready = (0..shards.len()).map(|step| watch.in_turn(step)).filter(|&shard| watch.is_ready(shard));
        let turn =
            |shard: usize, driver: &mut ShardDriver| shards[shard].turn_rest(driver, Some(Duration::ZERO), wakes);
        let (found, left) = shard_drivers.drive_ready(&mut self.lead, ready, *enough, turn)?;
        if let Some(shard) = left {
            watch.begin_at(shard);
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
