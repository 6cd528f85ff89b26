//! Who waits to drive a current-thread runtime.

use crate::park::Parker;
use crate::sync::{Arc, Mutex};

/// The threads that wait for the seat of a current-thread runtime to become free, in the order in
/// which they came.
///
/// Who wants to sit stands in line first and tries the seat then. Who gets up gives the seat back
/// first and calls then. So the one sees the free seat, or the other sees him in line. A call may
/// come to somebody who leaves the line for good: he calls the next.
#[derive(Debug, Default)]
pub(crate) struct BlockOnQueue {
    waiting: Mutex<Vec<Arc<Parker>>>,
}

impl BlockOnQueue {
    /// Sits down by `take`, if the seat is free. Else `driver` stands in line, until somebody who
    /// gets up calls.
    pub(crate) fn acquire_or_enqueue<L>(&self, driver: &Arc<Parker>, take: impl FnOnce() -> Option<L>) -> Option<L> {
        self.queue(driver);
        let local_slot = take()?;
        self.remove_waiter(driver);
        Some(local_slot)
    }

    fn queue(&self, driver: &Arc<Parker>) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|other| Arc::ptr_eq(other, driver)) {
            waiting.push(Arc::clone(driver));
        }
    }

    fn remove_waiter(&self, driver: &Arc<Parker>) {
        self.waiting.lock().retain(|other| !Arc::ptr_eq(other, driver));
    }

    /// `driver` waits no longer: whatever call has come to it is the next one's.
    pub(crate) fn quit(&self, driver: &Arc<Parker>) {
        self.remove_waiter(driver);
        self.pass_on();
    }

    /// Gives the seat back by `give_back`, and calls the first in line.
    pub(crate) fn release(&self, give_back: impl FnOnce()) {
        give_back();
        self.pass_on();
    }

    fn pass_on(&self) {
        let next = self.waiting.lock().first().cloned();
        if let Some(next) = next {
            // Nobody in line sleeps in the reactor.
            let _ = next.unpark();
        }
    }
}
