//! `block_in_place`: a worker blocks within a poll, and other workers run what its seat has.
#![doc = include_str!("../docs/block-in-place.md")]

pub(crate) mod blocked_workers;

use crate::pool::local::Local;
use crate::pool::{Pool, Seat};
use crate::primitive::Arc;

/// A blocking section. It ends when this is dropped, also during an unwind.
#[must_use = "the section ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct BlockingSection<'a> {
    pool: &'a Arc<Pool>,
    seat: &'a Seat,
}

impl Pool {
    /// Begins a blocking section of the worker of `seat`, which polls a task. Hands off what waits
    /// in the seat, and starts a spare, unless one is free. The calling thread is no worker
    /// already.
    #[cold]
    pub(crate) fn step_out<'a>(self: &'a Arc<Pool>, seat: &'a Seat, local: &Local) -> BlockingSection<'a> {
        self.hand_over(seat, local);
        // The section is no time that the tasks without a group have a worker.
        local.begin_default_interval(0);
        self.blocked_workers.begin_section();
        let section = BlockingSection { pool: self, seat };
        seat.begin_blocking();
        self.adjust_spares();
        section
    }

    /// Starts spares for blocked workers, if there are too few. If no spare can start, the watchdog
    /// tries again, and logs why. The watchdog stops spares that have not been needed for a while.
    ///
    /// Without a watchdog, surplus spares are stopped here. The begin or end of the next section
    /// tries again to start a spare.
    pub(crate) fn adjust_spares(self: &Arc<Pool>) {
        if !self.worker_set.ensure_spares(&self.blocked_workers, |enough| self.try_start_spare(enough)) {
            // The watchdog may have seen a spare that was then refused, and have gone to sleep.
            self.begin_watch();
        }
        if self.watchdog_sleep.is_none() {
            self.worker_set.stop_surplus_spares(self, &self.blocked_workers);
        }
    }

    /// Returns the number of spares that blocked workers need.
    pub(crate) fn wanted_spares(&self) -> usize {
        self.blocked_workers.count().min(self.worker_set.max_spares())
    }
}

impl Drop for BlockingSection<'_> {
    fn drop(&mut self) {
        self.seat.end_blocking();
        self.pool.blocked_workers.end_section();
        self.pool.orphan_wheels.remove(self.seat.index);
        self.pool.begin_watch();
        // Without a watchdog, this thread stops what is surplus, or starts what was refused before.
        if self.pool.watchdog_sleep.is_none() {
            self.pool.adjust_spares();
        }
    }
}
