//! One shard of the reactor: a poll of the operating system and the sources registered with it.

use std::io;
use std::time::Duration;

use mio::{Events, Poll, Registry, Token};

use super::ReactorCounts;
use super::interest::Ready;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::poll_set;
use super::source::Source;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Arc, is_simulated, simulated_events};
use crate::reactor::source_table::SourceTable;
use crate::util::wake_list::WakeList;

/// The part of a shard that all threads share. A reactor has at least one shard; its first is the
/// primary.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) registry: Registry,
    pub(super) sources: SourceTable,
    counters: ShardCounters,
}

/// The part of a shard that belongs to the worker that polls it.
#[derive(Debug)]
pub(super) struct ShardDriver {
    poll: Poll,
    /// Filled by a poll between two tasks. Few, so that the woken tasks fit into the worker's ring.
    busy_events: Events,
    /// Filled by a worker without a task. Many, because it has nothing else to do.
    idle_events: Events,
}

/// Counts since the shard was made.
#[derive(Debug)]
struct ShardCounters {
    registered: AtomicU64,
    deregistered: AtomicU64,
    events: AtomicU64,
}

/// The interest of every registration. It never changes.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ALL_INTERESTS: mio::Interest = mio::Interest::READABLE.add(mio::Interest::WRITABLE).add(mio::Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const ALL_INTERESTS: mio::Interest = mio::Interest::READABLE.add(mio::Interest::WRITABLE);

impl Shard {
    /// Makes a shard and its driver.
    pub(super) fn new(max_busy_events: usize, max_idle_events: usize) -> io::Result<(Shard, ShardDriver)> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let busy_events = Events::with_capacity(max_busy_events);
        let idle_events = Events::with_capacity(max_idle_events);
        let counters =
            ShardCounters { registered: AtomicU64::new(0), deregistered: AtomicU64::new(0), events: AtomicU64::new(0) };
        let shard = Shard { registry, sources: SourceTable::new(), counters };
        Ok((shard, ShardDriver { poll, busy_events, idle_events }))
    }

    /// Registers `io`; see [`super::Reactor::register`].
    pub(super) fn register(&self, io: &mut impl mio::event::Source, presumed: Ready) -> io::Result<Arc<Source>> {
        let source = self.sources.insert(presumed)?;
        if let Err(error) = self.registry.register(io, source.key.into(), ALL_INTERESTS) {
            self.sources.remove(&source);
            return Err(error);
        }
        // Ordering: Relaxed — a statistic; nothing is inferred from it. The same holds for the
        // other two counters.
        self.counters.registered.fetch_add(1, Ordering::Relaxed);
        Ok(source)
    }

    pub(super) fn deregister(&self, io: &mut impl mio::event::Source, source: &Arc<Source>) -> io::Result<()> {
        let result = self.registry.deregister(io);
        self.sources.remove(source);
        self.counters.deregistered.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Collects a few events that are there already, and delivers them to their sources. Returns
    /// how many found their source.
    pub(super) fn poll_busy(&self, driver: &mut ShardDriver, wakes: &mut WakeList) -> io::Result<usize> {
        let simulated = self.deliver_simulated(driver.busy_events.capacity(), wakes);
        poll_now(&mut driver.poll, &mut driver.busy_events)?;
        Ok(simulated + self.deliver(&driver.busy_events, wakes))
    }

    /// Waits for events, for `timeout` or without a limit; collects many, and delivers them to
    /// their sources. Returns how many found their source.
    pub(super) fn poll_idle(
        &self,
        driver: &mut ShardDriver,
        timeout: Option<Duration>,
        wakes: &mut WakeList,
    ) -> io::Result<usize> {
        let ShardDriver { poll, idle_events, .. } = driver;
        let simulated = self.deliver_simulated(idle_events.capacity(), wakes);
        match timeout {
            None => poll_forever(poll, idle_events)?,
            Some(left) if left.is_zero() => poll_now(poll, idle_events)?,
            Some(left) => poll_timeout(poll, idle_events, left)?,
        }
        Ok(simulated + self.deliver(idle_events, wakes))
    }

    /// Delivers the events of simulated sockets. Returns how many found their source.
    fn deliver_simulated(&self, limit: usize, wakes: &mut WakeList) -> usize {
        if !is_simulated() {
            return 0;
        }
        let events = simulated_events(&self.registry, limit);
        let found =
            self.sources.deliver(events.map(|(token, is)| (Token(token).into(), simulated_readiness(is))), wakes);
        // Ordering: Relaxed — a statistic.
        self.counters.events.fetch_add(found as u64, Ordering::Relaxed);
        found
    }

    fn deliver(&self, events: &Events, wakes: &mut WakeList) -> usize {
        if events.is_empty() {
            return 0;
        }
        let found = self.sources.deliver(events.iter().map(|event| (event.token().into(), readiness_of(event))), wakes);
        self.counters.events.fetch_add(found as u64, Ordering::Relaxed);
        found
    }

    pub(super) fn counts(&self) -> ReactorCounts {
        ReactorCounts {
            registered: self.counters.registered.load(Ordering::Relaxed),
            deregistered: self.counters.deregistered.load(Ordering::Relaxed),
            events: self.counters.events.load(Ordering::Relaxed),
        }
    }
}

/// Returns what an event of mio means for a source.
///
/// An error makes both directions ready, because either operation can collect it. An error also
/// makes mio report the writing side as closed, which would be for good. So the report counts only
/// if the reading side is closed as well, as it is after every real hang-up or reset.
fn readiness_of(event: &mio::event::Event) -> Ready {
    let mut ready = Ready::EMPTY;
    let mut add_if = |condition: bool, added: Ready| {
        if condition {
            ready |= added;
        }
    };
    let (error, read_closed) = (event.is_error(), event.is_read_closed());
    add_if(event.is_readable(), Ready::READABLE);
    add_if(event.is_writable(), Ready::WRITABLE);
    add_if(read_closed, Ready::READ_CLOSED);
    add_if(event.is_write_closed() && (read_closed || !error), Ready::WRITE_CLOSED);
    add_if(error, Ready::ERROR | Ready::READABLE | Ready::WRITABLE);
    add_if(event.is_priority(), Ready::PRIORITY);
    ready
}

/// Returns what an event of a simulated socket means for a source.
fn simulated_readiness([readable, writable, read_closed, write_closed, error]: [bool; 5]) -> Ready {
    let all = [
        (readable, Ready::READABLE),
        (writable, Ready::WRITABLE),
        (read_closed, Ready::READ_CLOSED),
        (write_closed, Ready::WRITE_CLOSED),
        (error, Ready::ERROR | Ready::READABLE | Ready::WRITABLE),
    ];
    all.into_iter().filter(|(is, _)| *is).fold(Ready::EMPTY, |ready, (_, added)| ready | added)
}

/// Polls once. A signal that interrupts it counts as no events.
fn poll_once(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}

/// Collects the events that are there already.
fn poll_now(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    poll_once(poll, events, Some(Duration::ZERO))
}

/// Waits for events without a time limit.
fn poll_forever(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    poll_once(poll, events, None)
}

/// Waits for events, at most for `timeout`, which the kernel takes to the nanosecond.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn poll_timeout(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    let found = poll_set::ppoll(&mut [poll_set::pollfd_for(poll)], Some(timeout))?;
    events.clear();
    if found > 0 { poll_now(poll, events) } else { Ok(()) }
}

/// Waits for events, at most for `timeout`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn poll_timeout(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    poll_once(poll, events, Some(timeout))
}
