//! One part of the reactor: a poll of the operating system and its sources.

use std::io;
use std::time::Duration;

use mio::{Events, Poll, Registry};

use super::interest::Ready;
use super::source::Source;
use super::{ReactorCounts, wait};
use crate::reactor::source_table::SourceTable;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::util::wake_list::WakeList;

/// A poll and what is registered with it. A reactor has at least one; its first is the lead.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) registry: Registry,
    pub(super) sources: SourceTable,
    tally: ShardCounters,
}

/// What belongs to the one who turns a shard.
#[derive(Debug)]
pub(super) struct ShardDriver {
    poll: Poll,
    /// For a look between two tasks: few, so that they fit where they are put.
    busy: Events,
    /// For a rest: many, for there is nothing else to do.
    rest: Events,
}

/// Counts since the shard was made.
#[derive(Debug)]
struct ShardCounters {
    registered: AtomicU64,
    deregistered: AtomicU64,
    events: AtomicU64,
}

/// What every resource is registered for, once and for all.
#[cfg(any(target_os = "linux", target_os = "android"))]
const EVERYTHING: mio::Interest = mio::Interest::READABLE.add(mio::Interest::WRITABLE).add(mio::Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const EVERYTHING: mio::Interest = mio::Interest::READABLE.add(mio::Interest::WRITABLE);

impl Shard {
    /// With what belongs to its shard driver.
    pub(super) fn new(capacity_busy: usize, capacity_rest: usize) -> io::Result<(Shard, ShardDriver)> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let busy = Events::with_capacity(capacity_busy);
        let rest = Events::with_capacity(capacity_rest);
        let tally =
            ShardCounters { registered: AtomicU64::new(0), deregistered: AtomicU64::new(0), events: AtomicU64::new(0) };
        Ok((Shard { registry, sources: SourceTable::new(), tally }, ShardDriver { poll, busy, rest }))
    }

    /// Registers `io`; see [`super::Reactor::register`].
    pub(super) fn register(&self, io: &mut impl mio::event::Source, presumed: Ready) -> io::Result<Arc<Source>> {
        let source = self.sources.insert(presumed)?;
        if let Err(error) = self.registry.register(io, source.tag.into(), EVERYTHING) {
            self.sources.remove(&source);
            return Err(error);
        }
        // Ordering: Relaxed, a count that nothing is inferred from. So are the other two.
        self.tally.registered.fetch_add(1, Ordering::Relaxed);
        Ok(source)
    }

    pub(super) fn deregister(&self, io: &mut impl mio::event::Source, source: &Arc<Source>) -> io::Result<()> {
        let result = self.registry.deregister(io);
        self.sources.remove(source);
        self.tally.deregistered.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Collects what has happened already, few events of it, and brings them to their sources.
    pub(super) fn turn_busy(&self, driver: &mut ShardDriver, wakes: &mut WakeList) -> io::Result<usize> {
        wait::without_waiting(&mut driver.poll, &mut driver.busy)?;
        Ok(self.deliver(&driver.busy, wakes))
    }

    /// Waits so long for events, or for ever; collects many, and brings them to their sources.
    pub(super) fn turn_rest(
        &self,
        driver: &mut ShardDriver,
        timeout: Option<Duration>,
        wakes: &mut WakeList,
    ) -> io::Result<usize> {
        let ShardDriver { poll, rest, .. } = driver;
        match timeout {
            None => wait::for_ever(poll, rest)?,
            Some(left) if left.is_zero() => wait::without_waiting(poll, rest)?,
            Some(left) => wait::at_most(poll, rest, left)?,
        }
        Ok(self.deliver(rest, wakes))
    }

    /// Brings what was collected to the sources.
    fn deliver(&self, events: &Events, wakes: &mut WakeList) -> usize {
        if events.is_empty() {
            return 0;
        }
        let found = self.sources.deliver(events.iter().map(|event| (event.token().into(), heard(event))), wakes);
        self.tally.events.fetch_add(found as u64, Ordering::Relaxed);
        found
    }

    pub(super) fn counts(&self) -> ReactorCounts {
        ReactorCounts {
            registered: self.tally.registered.load(Ordering::Relaxed),
            deregistered: self.tally.deregistered.load(Ordering::Relaxed),
            events: self.tally.events.load(Ordering::Relaxed),
        }
    }
}

/// What an event says, in our terms.
///
/// An error makes both directions worth trying, for whichever operation comes first picks it up. It
/// also makes mio call the writing side closed, which would be for good; so that is believed only
/// when the reading side is closed as well, as it is after every real hang-up or reset.
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
