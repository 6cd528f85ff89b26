//! The reactor: what the kernel reports, brought to those who wait for it.
#![doc = include_str!("../docs/reactor.md")]

mod interest;
mod readiness;
mod registered;
mod source;
mod sources;
mod wait;
mod waiter;

#[cfg(all(test, not(heist_loom)))]
mod tests;

use std::io;
use std::time::Instant;

use mio::{Events, Poll, Registry, Waker};

pub use interest::{Interest, Ready};
pub(crate) use readiness::Direction;
#[cfg(test)]
pub(crate) use readiness::{Readiness, Snapshot};
pub(crate) use registered::Registered;
pub(crate) use source::{Any, Moved, Source};
#[cfg(test)]
pub(crate) use source::{SHORT_IS_DRAINED, Waiting};
pub(crate) use sources::{Sources, Tag};

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::wakes::Wakes;

/// One poll of the operating system, its sources, and a chair for whoever turns it.
#[derive(Debug)]
pub(crate) struct Reactor {
    chair: Mutex<Chair>,
    registry: Registry,
    waker: Waker,
    sources: Sources,
    tally: Tally,
}

/// What belongs to the one who turns.
#[derive(Debug)]
struct Chair {
    poll: Poll,
    /// For a look between two tasks: few, so that they fit where they are put.
    busy: Events,
    /// For a rest: many, for there is nothing else to do.
    rest: Events,
}

/// Counts since the reactor was made.
#[derive(Debug)]
struct Tally {
    registered: AtomicU64,
    deregistered: AtomicU64,
    events: AtomicU64,
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

/// What every resource is registered for, once and for all.
#[cfg(any(target_os = "linux", target_os = "android"))]
const EVERYTHING: mio::Interest = mio::Interest::READABLE.add(mio::Interest::WRITABLE).add(mio::Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const EVERYTHING: mio::Interest = mio::Interest::READABLE.add(mio::Interest::WRITABLE);

impl Reactor {
    /// A reactor that collects at most `capacity_busy` events at a look and `capacity_rest` after a rest.
    pub(crate) fn new(capacity_busy: usize, capacity_rest: usize) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, Tag::INTERRUPT.into())?;
        let busy = Events::with_capacity(capacity_busy);
        let rest = Events::with_capacity(capacity_rest);
        let tally = Tally { registered: AtomicU64::new(0), deregistered: AtomicU64::new(0), events: AtomicU64::new(0) };
        Ok(Reactor { chair: Mutex::new(Chair { poll, busy, rest }), registry, waker, sources: Sources::new(), tally })
    }

    /// Takes the chair, unless somebody has it.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        self.chair.try_lock().map(|chair| Turn { reactor: self, chair })
    }

    /// Whether somebody has the chair now. Does not take it: whoever wants to rest in it must not find it taken for nothing.
    pub(crate) fn is_turned(&self) -> bool {
        self.chair.is_locked()
    }

    /// Makes whoever rests in the chair, or else the next who does, come back at once.
    ///
    /// Costs a system call each time, so it is for those who know that somebody rests. Who wants to be found by it takes the
    /// chair first and announces himself then: whoever else turned in between could use the interrupt up.
    pub(crate) fn interrupt(&self) -> io::Result<()> {
        self.waker.wake()
    }

    /// Registers `io` for both directions, edge-triggered, until [`Reactor::deregister`]. It is taken to be ready for
    /// `presumed` until it proves not to be.
    ///
    /// A socket has to be connecting or listening already: the kernel reports an idle one as hung up.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the reactor is closed. Nothing stays registered then.
    pub(crate) fn register(&self, io: &mut impl mio::event::Source, presumed: Ready) -> io::Result<Arc<Source>> {
        let source = self.sources.enrol(presumed)?;
        if let Err(error) = self.registry.register(io, source.tag.into(), EVERYTHING) {
            self.sources.dismiss(&source);
            return Err(error);
        }
        // Ordering: Relaxed, a count that nothing is inferred from. So are the other two.
        self.tally.registered.fetch_add(1, Ordering::Relaxed);
        Ok(source)
    }

    /// Undoes [`Reactor::register`]. The source gets no event any more, whatever the operating system says.
    pub(crate) fn deregister(&self, io: &mut impl mio::event::Source, source: &Arc<Source>) -> io::Result<()> {
        let result = self.registry.deregister(io);
        self.sources.dismiss(source);
        self.tally.deregistered.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Ends it: everybody who waits is woken, and every later operation and registration gives an error, each time.
    pub(crate) fn close(&self, wakes: &mut Wakes) {
        self.sources.close(wakes);
    }

    /// What has been counted so far.
    pub(crate) fn counts(&self) -> ReactorCounts {
        ReactorCounts {
            registered: self.tally.registered.load(Ordering::Relaxed),
            deregistered: self.tally.deregistered.load(Ordering::Relaxed),
            events: self.tally.events.load(Ordering::Relaxed),
        }
    }

    /// Brings what was collected to the sources.
    fn deliver(&self, events: &Events, wakes: &mut Wakes) -> usize {
        if events.is_empty() {
            return 0;
        }
        let found = self.sources.deliver(events.iter().map(|event| (event.token().into(), heard(event))), wakes);
        self.tally.events.fetch_add(found as u64, Ordering::Relaxed);
        found
    }
}

/// The chair, taken. While somebody has it nobody is woken: drop it first, then wake.
#[derive(Debug)]
#[must_use = "the chair is held in order to turn the reactor"]
pub(crate) struct Turn<'a> {
    reactor: &'a Reactor,
    chair: MutexGuard<'a, Chair>,
}

impl Turn<'_> {
    /// Collects what has happened already, at most `capacity_busy` events. All readiness is stored when it returns, and
    /// whoever waited for it is in `wakes`. Answers how many events found their source.
    pub(crate) fn poll_busy(&mut self, wakes: &mut Wakes) -> io::Result<usize> {
        let Chair { poll, busy, .. } = &mut *self.chair;
        wait::without_waiting(poll, busy)?;
        Ok(self.reactor.deliver(busy, wakes))
    }

    /// Waits for events until `deadline`, or for ever; then does what [`Turn::poll_busy`] does, with at most `capacity_rest`
    /// events. It may come back early with none: after an interrupt, after a signal, or for no reason.
    pub(crate) fn rest(&mut self, deadline: Option<Instant>, wakes: &mut Wakes) -> io::Result<usize> {
        let Chair { poll, rest, .. } = &mut *self.chair;
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => wait::for_ever(poll, rest)?,
            Some(left) if left.is_zero() => wait::without_waiting(poll, rest)?,
            Some(left) => wait::at_most(poll, rest, left)?,
        }
        Ok(self.reactor.deliver(rest, wakes))
    }
}

/// What an event says, in our terms.
///
/// An error makes both directions worth trying, for whichever operation comes first picks it up. It also makes mio call the
/// writing side closed, which would be for good; so that is believed only when the reading side is closed as well, as it is
/// after every real hang-up or reset.
fn heard(event: &mio::event::Event) -> Ready {
    let mut ready = Ready::EMPTY;
    let mut note = |is: bool, what: Ready| {
        if is {
            ready |= what;
        }
    };
    let (error, read_closed) = (event.is_error(), event.is_read_closed());
    note(event.is_readable(), Ready::READABLE);
    note(event.is_writable(), Ready::WRITABLE);
    note(read_closed, Ready::READ_CLOSED);
    note(event.is_write_closed() && (read_closed || !error), Ready::WRITE_CLOSED);
    note(error, Ready::ERROR | Ready::READABLE | Ready::WRITABLE);
    note(event.is_priority(), Ready::PRIORITY);
    ready
}
