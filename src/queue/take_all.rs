//! Empties the queues of one seat.

use super::{Chain, LifoSlot, Owner, Thief};

/// Takes every task of a seat, the next to be polled first. Called by the ring's owner, which
/// pushes nothing there afterwards.
pub(crate) fn take_all(lifo: &LifoSlot, ring: &Owner) -> Chain {
    let mut tasks = Chain::new();
    if let Some(runnable) = lifo.pop() {
        tasks.push(runnable);
    }
    tasks.append(ring.evict_newest(0));
    tasks
}

/// Takes every task of a seat whose owner may push and pop meanwhile. A thief puts what it takes
/// into `hand`, which is empty before and after.
///
/// The slot comes first. A task that the owner displaces from it meanwhile is in the ring, and the
/// ring is emptied afterwards.
pub(crate) fn steal_all(lifo: &LifoSlot, ring: &Thief, hand: &Owner) -> Chain {
    let mut tasks = Chain::new();
    if let Some(runnable) = lifo.peek().and_then(|seen| lifo.claim(seen)) {
        tasks.push(runnable);
    }
    while let Some(runnable) = ring.steal(hand, 1) {
        tasks.push(runnable);
        tasks.append(hand.evict_newest(0));
    }
    tasks
}
