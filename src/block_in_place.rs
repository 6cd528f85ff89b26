//! `block_in_place`: a worker blocks inside of a poll, and the rest of its seat goes on without it.
#![doc = include_str!("../docs/block-in-place.md")]

pub(crate) mod blocked_workers;

use crate::pool::local::Local;
use crate::pool::{Pool, Seat};
use crate::sync::Arc;

/// A worker is out. It comes back when this is dropped, also if it unwinds.
#[must_use = "the worker comes back when it is dropped"]
#[derive(Debug)]
pub(crate) struct BlockingSection<'a> {
    pool: &'a Arc<Pool>,
    seat: &'a Seat,
}

impl Pool {
    /// The worker of `seat`, which polls a task, steps out. What waits in the seat goes to the
    /// others, and a spare comes to help them, unless there is one already that nobody else needs.
    /// The caller is seen as seated no more.
    #[cold]
    pub(crate) fn step_out<'a>(self: &'a Arc<Pool>, seat: &'a Seat, local: &Local) -> BlockingSection<'a> {
        self.hand_over(seat, local);
        self.blocked_workers.begin_section();
        let section = BlockingSection { pool: self, seat };
        seat.begin_blocking();
        self.start_spares();
        section
    }

    /// Calls spares for those who are out, if there are too few. If there is none to be had the
    /// watchdog tries again, and says why.
    pub(crate) fn start_spares(self: &Arc<Pool>) {
        if !self.worker_set.ensure_spares(&self.blocked_workers, |enough| self.call_one(enough)) {
            // It may have seen one whose thread was refused then, and gone to sleep.
            self.begin_watch();
        }
    }

    /// How many spares there have to be for those who are out.
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
        // Where there is a watchdog it lets spares go that are not needed for a while.
        if self.pool.watchdog_sleep.is_none() {
            let worker_set = &self.pool.worker_set;
            while worker_set.has_too_many(self.pool.blocked_workers.count())
                && worker_set.stop_spare(self.pool, |_| true)
            {}
            // Somebody may have stepped out who had counted on one of them.
            self.pool.start_spares();
        }
    }
}
