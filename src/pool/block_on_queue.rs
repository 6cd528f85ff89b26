//! The threads in `block_on` that wait to drive a current-thread runtime.

use crate::park::Parker;
use crate::primitive::{Arc, Mutex};

/// The drivers that wait for the seat of a current-thread runtime, in order of arrival.
///
/// A driver that wants the seat enqueues itself first, and then tries to take the seat. A driver
/// that releases the seat gives it back first, and then unparks the first waiter. So either the
/// waiter finds the seat free, or the releasing driver finds the waiter. If the unparked waiter
/// quits, it unparks the next one.
#[derive(Debug, Default)]
pub(crate) struct BlockOnQueue {
    waiting: Mutex<Vec<Arc<Parker>>>,
}

impl BlockOnQueue {
    /// Takes the seat by `take`, if it is free. Otherwise `driver` stays in the queue, and is
    /// unparked when the seat is released.
    pub(crate) fn acquire_or_enqueue<L>(&self, driver: &Arc<Parker>, take: impl FnOnce() -> Option<L>) -> Option<L> {
        self.enqueue(driver);
        let local_slot = take()?;
        self.remove_waiter(driver);
        Some(local_slot)
    }

    fn enqueue(&self, driver: &Arc<Parker>) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|other| Arc::ptr_eq(other, driver)) {
            waiting.push(Arc::clone(driver));
        }
    }

    fn remove_waiter(&self, driver: &Arc<Parker>) {
        self.waiting.lock().retain(|other| !Arc::ptr_eq(other, driver));
    }

    /// Removes `driver`, which waits no longer. It may have been unparked for the seat, so the next
    /// waiter is unparked.
    pub(crate) fn quit(&self, driver: &Arc<Parker>) {
        self.remove_waiter(driver);
        self.unpark_first();
    }

    /// Gives the seat back by `give_back`, and unparks the first waiter.
    pub(crate) fn release(&self, give_back: impl FnOnce()) {
        give_back();
        self.unpark_first();
    }

    fn unpark_first(&self) {
        let next = self.waiting.lock().first().cloned();
        if let Some(next) = next {
            // The result is not needed: no waiter sleeps in the reactor.
            let _ = next.unpark();
        }
    }
}
