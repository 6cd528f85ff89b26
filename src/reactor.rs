//! The reactor: what the kernel reports, brought to those who wait for it.
#![doc = include_str!("../docs/reactor.md")]

mod interest;
mod readiness;
mod registered;
mod shard;
mod source;
mod sources;
mod wait;
mod waiter;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod watch;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "reactor/watch_none.rs"]
mod watch;

#[cfg(all(test, not(heist_loom), target_os = "linux"))]
mod shard_tests;
#[cfg(all(test, not(heist_loom)))]
mod tests;

use std::cell::Cell;
use std::io;
use std::iter::Sum;
use std::ops::Add;
use std::time::{Duration, Instant};

use mio::Waker;

pub use interest::{Interest, Ready};
pub(crate) use readiness::Direction;
#[cfg(test)]
pub(crate) use readiness::{Readiness, Snapshot};
pub(crate) use registered::Registered;
pub(crate) use source::{Any, Moved, Source};
#[cfg(test)]
pub(crate) use source::{SHORT_IS_DRAINED, Waiting};
#[cfg(test)]
pub(crate) use sources::Sources;
pub(crate) use sources::Tag;

use shard::{Chair, Shard};
use watch::Watch;

use crate::stripe::Stripe;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, CachePadded, Mutex, MutexGuard};
use crate::wakes::Wakes;

/// What the kernel reports, in shards. Whoever sleeps does so in the chair of the first one, the lead, and hears of all.
#[derive(Debug)]
pub(crate) struct Reactor {
    /// Invariant: at least one.
    shards: Box<[CachePadded<Shard>]>,
    /// Of the lead.
    waker: Waker,
    /// All shards, watched by whoever sits in the lead's chair. Taken only by him.
    watch: Mutex<Watch>,
    /// Somebody sleeps, and will hear of whatever happens: nobody else need look.
    slept_in: CachePadded<AtomicBool>,
    /// Events of one rest, about: a shard that is ready when there are so many already is left for the next.
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
    /// A reactor with this many shards, or as many as the platform lets us watch at a time. From each it collects at most
    /// `capacity_busy` events at a look and `capacity_rest` after a rest.
    pub(crate) fn new(shards: usize, capacity_busy: usize, capacity_rest: usize) -> io::Result<Reactor> {
        let shards = shards.clamp(1, Watch::MOST);
        let new = |_| Shard::new(capacity_busy, capacity_rest).map(CachePadded::new);
        let shards = (0..shards).map(new).collect::<io::Result<Box<[_]>>>()?;
        let waker = Waker::new(&shards[0].registry, Tag::INTERRUPT.into())?;
        let watch = Watch::new(shards.iter().map(|shard| &shard.registry));
        Ok(Reactor {
            shards,
            waker,
            watch: Mutex::new(watch),
            slept_in: CachePadded::new(AtomicBool::new(false)),
            enough: capacity_rest,
        })
    }

    fn lead(&self) -> &Shard {
        &self.shards[0]
    }

    /// Takes the lead's chair, unless somebody has it.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        self.lead().try_sit().map(|lead| Turn { reactor: self, lead })
    }

    /// Whether somebody has the lead's chair now. Does not take it: whoever wants to rest in it must not find it taken for nothing.
    pub(crate) fn is_turned(&self) -> bool {
        self.lead().is_turned()
    }

    /// A look between two tasks, by one of so many workers: at the shards whose turn it is by `next`, so many that the workers
    /// together see them all. While somebody sleeps in the lead, he is told of everything, and nobody else looks.
    pub(crate) fn look(&self, next: &Cell<usize>, workers: usize, wakes: &mut Wakes) -> io::Result<usize> {
        match &*self.shards {
            [only] => only.try_turn_busy(wakes),
            // Ordering: Relaxed — a hint. Who looks though somebody has just gone to sleep takes at most what the sleeper is woken
            // for; who does not look though the sleeper has just got up leaves it to him, and to the next checkpoint.
            _ if self.slept_in.load(Ordering::Relaxed) => Ok(0),
            shards => {
                let mut found = 0;
                for _ in 0..shards.len().div_ceil(workers) {
                    let shard = &shards[next.get() % shards.len()];
                    next.set(next.get().wrapping_add(1));
                    found += shard.try_turn_busy(wakes)?;
                }
                Ok(found)
            }
        }
    }

    /// Makes whoever rests in the lead's chair, or else the next who does, come back at once.
    ///
    /// Costs a system call each time, so it is for those who know that somebody rests. Who wants to be found by it takes the
    /// chair first and announces himself then: whoever else turned in between could use the interrupt up.
    pub(crate) fn interrupt(&self) -> io::Result<()> {
        self.waker.wake()
    }

    /// In which shard this thread registers next.
    fn draw(&self) -> usize {
        match self.shards.len() {
            1 => 0,
            shards => Stripe::draw().among(shards),
        }
    }

    /// Registers `io` with `shard` for both directions, edge-triggered, until [`Reactor::deregister`]. It is taken to be ready for
    /// `presumed` until it proves not to be.
    ///
    /// A socket has to be connecting or listening already: the kernel reports an idle one as hung up.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the reactor is closed. Nothing stays registered then.
    fn register(&self, shard: usize, io: &mut impl mio::event::Source, presumed: Ready) -> io::Result<Arc<Source>> {
        self.shards[shard].register(io, presumed)
    }

    /// Undoes [`Reactor::register`]. The source gets no event any more, whatever the operating system says.
    fn deregister(&self, shard: usize, io: &mut impl mio::event::Source, source: &Arc<Source>) -> io::Result<()> {
        self.shards[shard].deregister(io, source)
    }

    /// Ends it: everybody who waits is woken, and every later operation and registration gives an error, each time.
    pub(crate) fn close(&self, wakes: &mut Wakes) {
        self.shards.iter().for_each(|shard| shard.sources.close(wakes));
    }

    /// What has been counted so far.
    pub(crate) fn counts(&self) -> ReactorCounts {
        self.shards.iter().map(|shard| shard.counts()).sum()
    }

    /// How many sources there are.
    #[cfg(test)]
    pub(crate) fn sources(&self) -> usize {
        self.shards.iter().map(|shard| shard.sources.count()).sum()
    }
}

/// The lead's chair, taken. While somebody has it nobody is woken: drop it first, then wake.
#[derive(Debug)]
#[must_use = "the chair is held in order to turn the reactor"]
pub(crate) struct Turn<'a> {
    reactor: &'a Reactor,
    lead: MutexGuard<'a, Chair>,
}

impl Turn<'_> {
    /// Collects what has happened already, at most `capacity_busy` events of each shard. All readiness is stored when it returns,
    /// and whoever waited for it is in `wakes`. Answers how many events found their source.
    pub(crate) fn poll_busy(&mut self, wakes: &mut Wakes) -> io::Result<usize> {
        match &*self.reactor.shards {
            [only] => only.turn_busy(&mut self.lead, wakes),
            _ => self.watch_all(Some(Duration::ZERO), wakes),
        }
    }

    /// Waits for events until `deadline`, or for ever; then does what [`Turn::poll_busy`] does, with at most `capacity_rest`
    /// events of each shard. It may come back early with none: after an interrupt, after a signal, or for no reason.
    pub(crate) fn rest(&mut self, deadline: Option<Instant>, wakes: &mut Wakes) -> io::Result<usize> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match &*self.reactor.shards {
            [only] => only.turn_rest(&mut self.lead, left, wakes),
            _ => self.watch_all(left, wakes),
        }
    }

    /// Waits so long until one of the shards has something to tell, and turns those that have.
    fn watch_all(&mut self, timeout: Option<Duration>, wakes: &mut Wakes) -> io::Result<usize> {
        let reactor = self.reactor;
        let mut watch = reactor.watch.lock();
        reactor.asleep(|| watch.wait(timeout))?;
        let mut found = 0;
        for step in 0..reactor.shards.len() {
            let index = watch.in_turn(step);
            if !watch.is_ready(index) {
                continue;
            }
            if found >= reactor.enough {
                // It stays ready, and is the first the next time.
                watch.begin_at(index);
                break;
            }
            found += self.turn_ready(index, wakes)?;
        }
        Ok(found)
    }

    fn turn_ready(&mut self, index: usize, wakes: &mut Wakes) -> io::Result<usize> {
        let shard = &self.reactor.shards[index];
        if index == 0 {
            return shard.turn_rest(&mut self.lead, Some(Duration::ZERO), wakes);
        }
        // Whoever sits there is awake, and about to get up. Were he not waited for, the shard would be found ready again at once, for
        // as long as he does not run.
        shard.turn_rest(&mut shard.sit(), Some(Duration::ZERO), wakes)
    }
}

impl Reactor {
    /// Does `wait` while it is known that somebody sleeps here.
    fn asleep<R>(&self, wait: impl FnOnce() -> R) -> R {
        // Ordering: Relaxed — see `look`.
        self.slept_in.store(true, Ordering::Relaxed);
        let result = wait();
        self.slept_in.store(false, Ordering::Relaxed);
        result
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
