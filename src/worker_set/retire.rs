//! The hand-off of a worker that retires or blocks.

use crate::pool::local::Local;
use crate::pool::{Pool, Seat, WakeHelper};
use crate::queue::{Chain, LifoSlot, Owner, take_all};

/// The receivers of a hand-off. The models have others.
pub(crate) trait HandOff {
    /// Takes the tasks, the next to be polled first.
    fn take_tasks(&self, tasks: Chain);
    /// Takes the timers of the seat.
    fn take_wheel(&self);
    /// Makes the full handshake of the idle protocol. It passes on what others relied on the worker
    /// for: a granted wake-up, a search, the reactor's shard driver.
    fn notify(&self);
}

/// Hands off everything in a seat. Called by its worker, which counts neither as a searcher nor as
/// a sleeper, and pushes nothing there afterwards.
pub(crate) fn hand_off(lifo: &LifoSlot, ring: &Owner, hand_off: &impl HandOff) {
    let tasks = take_all(lifo, ring);
    if !tasks.is_empty() {
        hand_off.take_tasks(tasks);
    }
    hand_off.take_wheel();
    // Also if nothing was handed off.
    hand_off.notify();
}

/// The rest of the pool.
struct PoolHandOff<'a> {
    pool: &'a Pool,
    seat: &'a Seat,
}

impl HandOff for PoolHandOff<'_> {
    fn take_tasks(&self, tasks: Chain) {
        self.pool.publish(tasks, WakeHelper::Later);
    }

    fn take_wheel(&self) {
        self.pool.adopt_timers(self.seat);
    }

    fn notify(&self) {
        self.pool.notify();
    }
}

impl Pool {
    /// Adds the wheel of a seat to the orphan wheels, because its worker cannot turn it. Returns
    /// false if it is empty, or an orphan wheel already.
    pub(crate) fn adopt_timers(&self, seat: &Seat) -> bool {
        let added = self.orphan_wheels.add(seat.index, &seat.wheel);
        if added {
            crate::pool::interrupt(&self.reactor);
        }
        added
    }

    /// Hands off the tasks and timers of a seat whose worker will not poll for a while.
    pub(crate) fn hand_over(&self, seat: &Seat, local: &Local) {
        hand_off(&seat.lifo, &local.ring, &PoolHandOff { pool: self, seat });
    }

    /// Vacates a seat: hands off everything in it, and returns the local slot for the next worker.
    #[cold]
    pub(crate) fn retire_worker(&self, seat: &Seat, local: Box<Local>) {
        self.worker_set.deactivate_seat(seat.index);
        self.hand_over(seat, &local);
        seat.return_local(local);
    }
}
