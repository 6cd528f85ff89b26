//! What a worker leaves to the others when it leaves its seat.

use super::{Pool, Seat};
use crate::local::Local;
use crate::queue::{Chain, LifoSlot, Owner};

/// All that waits in a seat, the next to be polled first. Called by the seat's worker, which pushes nothing there afterwards.
pub(crate) fn hand_over(lifo: &LifoSlot, ring: &Owner) -> Chain {
    let mut chain = Chain::new();
    if let Some(runnable) = lifo.pop() {
        chain.push(runnable);
    }
    chain.append(ring.shed(0));
    chain
}

impl Pool {
    /// Clears a seat for good or for the next worker: tasks go to the global queue, the wheel to whoever keeps the wards, and the lease
    /// back into the seat. The caller is counted neither as a searcher nor as a sleeper, and polls no more.
    ///
    /// The handshake at the end is for whatever was left to this worker: what it hands over, a wake-up granted to it, the search that
    /// somebody counted on, the reactor's chair.
    #[cold]
    pub(crate) fn vacate(&self, seat: &Seat, local: Box<Local>) {
        self.staff.get_up(seat.index);
        let chain = hand_over(&seat.lifo, &local.ring);
        if !chain.is_empty() {
            self.global.push_chain(chain);
        }
        if self.wards.admit(seat.index, &seat.wheel) {
            super::interrupt(&self.reactor);
        }
        seat.return_lease(local);
        self.notify();
    }
}
