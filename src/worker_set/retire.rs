//! What a worker leaves to the others when it leaves its seat.

use crate::pool::local::Local;
use crate::pool::{Pool, Seat, WakeHelper};
use crate::queue::{Chain, LifoSlot, Owner, take_all};

/// Those to whom a leaver leaves what it has; the models have others.
pub(crate) trait HandOff {
    /// Tasks, the next to be polled first.
    fn take_tasks(&self, tasks: Chain);
    /// The timers of the seat.
    fn take_wheel(&self);
    /// Whatever was left to the leaver: a wake-up granted to it, a search that somebody counted on,
    /// the reactor's shard driver. The full handshake of the idle protocol.
    fn notify(&self);
}

/// Empties a seat. Called by its worker, which is counted neither as a searcher nor as a sleeper,
/// and pushes nothing there afterwards.
pub(crate) fn hand_off(lifo: &LifoSlot, ring: &Owner, hand_off: &impl HandOff) {
    let tasks = take_all(lifo, ring);
    if !tasks.is_empty() {
        hand_off.take_tasks(tasks);
    }
    hand_off.take_wheel();
    // Also if nothing is left behind.
    hand_off.notify();
}

/// Everybody else in the pool.
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
    /// The timers of a seat whose worker cannot see to them get another keeper. False if they have
    /// one.
    pub(crate) fn adopt_timers(&self, seat: &Seat) -> bool {
        let taken = self.orphan_wheels.add(seat.index, &seat.wheel);
        if taken {
            crate::pool::interrupt(&self.reactor);
        }
        taken
    }

    /// What waits in a seat goes to the others, because its worker will not come back for a while.
    pub(crate) fn hand_over(&self, seat: &Seat, local: &Local) {
        hand_off(&seat.lifo, &local.ring, &PoolHandOff { pool: self, seat });
    }

    /// Leaves a seat to the others, and the local slot to the next worker. As [`hand_off`].
    #[cold]
    pub(crate) fn retire_worker(&self, seat: &Seat, local: Box<Local>) {
        self.worker_set.deactivate_seat(seat.index);
        self.hand_over(seat, &local);
        seat.return_local(local);
    }
}
