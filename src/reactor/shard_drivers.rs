//! Who turns which shard of the reactor.

use std::cell::Cell;
use std::io;

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{CachePadded, Mutex, MutexGuard};

/// A shard driver for each shard, with one place. The first is the lead's: only there does anybody
/// sleep, and he sleeps for all.
///
/// What turning is, the caller says: he gets the number of the shard and what lies in its shard
/// driver.
#[derive(Debug)]
pub(crate) struct ShardDrivers<C> {
    /// Invariant: at least one.
    shard_drivers: Box<[CachePadded<Mutex<C>>]>,
    /// Somebody sleeps, and will hear of whatever happens: nobody else need look.
    blocked: CachePadded<AtomicBool>,
}

impl<C> ShardDrivers<C> {
    /// # Panics
    ///
    /// If there are none.
    pub(crate) fn new(shard_drivers: impl Iterator<Item = C>) -> Self {
        let shard_drivers: Box<[_]> = shard_drivers.map(Mutex::new).map(CachePadded::new).collect();
        assert!(!shard_drivers.is_empty(), "a reactor has at least one shard");
        ShardDrivers { shard_drivers, blocked: CachePadded::new(AtomicBool::new(false)) }
    }

    /// Takes the lead's shard driver, unless somebody has it.
    pub(crate) fn try_lock_primary(&self) -> Option<MutexGuard<'_, C>> {
        self.shard_drivers[0].try_lock()
    }

    /// Whether somebody has the lead's shard driver now. Does not take it: whoever wants to sleep
    /// there must not find it taken for nothing.
    pub(crate) fn is_primary_locked(&self) -> bool {
        self.shard_drivers[0].is_locked()
    }

    /// A look between two tasks, by one of so many workers that are awake: turns the shards whose
    /// turn it is by `next`, so many that the workers together see them all. Answers how many
    /// events were found.
    pub(crate) fn poll_some(
        &self,
        next: &Cell<usize>,
        awake: usize,
        mut turn: impl FnMut(usize, &mut C) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = self.shard_drivers.len();
        // Ordering: Relaxed — a hint. Who looks though somebody has just gone to sleep takes at
        // most what the sleeper is woken for; who does not look though the sleeper has just got up
        // leaves it to him, and to the next look.
        if self.blocked.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let mut found = 0;
        for _ in 0..count.div_ceil(awake) {
            let shard = next.get() % count;
            next.set(next.get().wrapping_add(1));
            // Whoever sits there is at it.
            if let Some(mut driver) = self.shard_drivers[shard].try_lock() {
                found += turn(shard, &mut driver)?;
            }
        }
        Ok(found)
    }

    /// Does `wait`, a wait for all shards, by whoever has the lead's shard driver.
    pub(crate) fn while_blocked<R>(&self, wait: impl FnOnce() -> R) -> R {
        // Ordering: Relaxed — see `look`.
        self.blocked.store(true, Ordering::Relaxed);
        let result = wait();
        self.blocked.store(false, Ordering::Relaxed);
        result
    }

    /// Turns the shards that are `ready`, one after the other, until there are `enough` events; by
    /// whoever has the lead's shard driver. Answers how many there are, and which shard has been
    /// left as it was and should be the first the next time.
    pub(crate) fn drive_ready(
        &self,
        lead: &mut C,
        ready: impl Iterator<Item = usize>,
        enough: usize,
        mut turn: impl FnMut(usize, &mut C) -> io::Result<usize>,
    ) -> io::Result<(usize, Option<usize>)> {
        let mut found = 0;
        for shard in ready {
            if found >= enough {
                return Ok((found, Some(shard)));
            }
            found += match shard {
                0 => turn(0, lead)?,
                // Whoever sits there is awake, and about to get up. Were he not waited for, the
                // shard would be found ready again at once, for as long as he does not run.
                _ => turn(shard, &mut self.shard_drivers[shard].lock())?,
            };
        }
        Ok((found, None))
    }

    /// Whether somebody is in the middle of `asleep`.
    #[cfg(test)]
    pub(crate) fn is_slept_in(&self) -> bool {
        // Ordering: Relaxed — see `look`.
        self.blocked.load(Ordering::Relaxed)
    }

    /// Takes the shard driver of a shard that is not the lead, unless somebody has it.
    #[cfg(test)]
    pub(crate) fn try_sit(&self, shard: usize) -> Option<MutexGuard<'_, C>> {
        self.shard_drivers[shard].try_lock()
    }
}
