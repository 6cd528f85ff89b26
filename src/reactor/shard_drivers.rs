//! Decides which worker polls which shard of the reactor.

use std::cell::Cell;
use std::io;

use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{CachePadded, Mutex, MutexGuard};

/// One shard driver for each shard. The first belongs to the primary shard: a worker sleeps only
/// there, and it sleeps for all shards.
///
/// The caller says what polling a shard means: its closure gets the number of the shard and the
/// content of that shard's driver.
#[derive(Debug)]
pub(crate) struct ShardDrivers<C> {
    /// Invariant: at least one.
    drivers: Box<[CachePadded<Mutex<C>>]>,
    /// Set while a worker sleeps for all shards. That worker observes every event, so no other
    /// worker needs to poll.
    blocked: CachePadded<AtomicBool>,
}

impl<C> ShardDrivers<C> {
    /// # Panics
    ///
    /// If there are none.
    pub(crate) fn new(drivers: impl Iterator<Item = C>) -> Self {
        let drivers: Box<[_]> = drivers.map(Mutex::new).map(CachePadded::new).collect();
        assert!(!drivers.is_empty(), "a reactor has at least one shard");
        ShardDrivers { drivers, blocked: CachePadded::new(AtomicBool::new(false)) }
    }

    /// Takes the primary shard's driver, if it is free.
    pub(crate) fn try_lock_primary(&self) -> Option<MutexGuard<'_, C>> {
        self.drivers[0].try_lock()
    }

    /// Returns whether the primary shard's driver is taken now.
    ///
    /// Does not take it: a worker that wants to sleep there must not find it taken for nothing.
    pub(crate) fn is_primary_locked(&self) -> bool {
        self.drivers[0].is_locked()
    }

    /// Polls some shards between two tasks, for one of `awake` workers. Returns how many events
    /// were found.
    ///
    /// `next` is the worker's position in the shards. Each call polls so many that the workers
    /// together poll them all.
    pub(crate) fn poll_some(
        &self,
        next: &Cell<usize>,
        awake: usize,
        mut poll_shard: impl FnMut(usize, &mut C) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = self.drivers.len();
        // Ordering: Relaxed — a hint. A worker that polls although another has just gone to sleep
        // takes at most the events that the sleeper is woken for. A worker that does not poll
        // although the sleeper has just woken leaves the events to the sleeper and to its own next
        // call.
        if self.blocked.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let mut found = 0;
        for _ in 0..count.div_ceil(awake) {
            let shard = next.get() % count;
            next.set(next.get().wrapping_add(1));
            // If the driver is taken, another worker polls this shard now.
            if let Some(mut driver) = self.drivers[shard].try_lock() {
                found += poll_shard(shard, &mut driver)?;
            }
        }
        Ok(found)
    }

    /// Calls `wait`, which waits for all shards. The caller has the primary shard's driver.
    pub(crate) fn while_blocked<R>(&self, wait: impl FnOnce() -> R) -> R {
        // Ordering: Relaxed — a hint; see `ShardDrivers::poll_some`.
        self.blocked.store(true, Ordering::Relaxed);
        let result = wait();
        self.blocked.store(false, Ordering::Relaxed);
        result
    }

    /// Polls the shards that are `ready`, one after the other, until there are `max_events` or
    /// more. The caller has the primary shard's driver.
    ///
    /// Returns how many events there are, and the first shard that was left out. That one should be
    /// the first in the next call.
    pub(crate) fn drive_ready(
        &self,
        primary: &mut C,
        ready: impl Iterator<Item = usize>,
        max_events: usize,
        mut poll_shard: impl FnMut(usize, &mut C) -> io::Result<usize>,
    ) -> io::Result<(usize, Option<usize>)> {
        let mut found = 0;
        for shard in ready {
            if found >= max_events {
                return Ok((found, Some(shard)));
            }
            found += match shard {
                0 => poll_shard(0, primary)?,
                // A worker that has this driver is awake and releases it soon. Without waiting for
                // it, the shard would be found ready again at once, for as long as that worker does
                // not run.
                _ => poll_shard(shard, &mut self.drivers[shard].lock())?,
            };
        }
        Ok((found, None))
    }

    /// Returns whether a worker is inside of [`ShardDrivers::while_blocked`].
    #[cfg(test)]
    pub(crate) fn is_blocked(&self) -> bool {
        // Ordering: Relaxed — a hint; see `ShardDrivers::poll_some`.
        self.blocked.load(Ordering::Relaxed)
    }

    /// Takes the driver of any shard, if it is free.
    #[cfg(test)]
    pub(crate) fn try_lock_shard(&self, shard: usize) -> Option<MutexGuard<'_, C>> {
        self.drivers[shard].try_lock()
    }
}
