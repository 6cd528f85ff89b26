//! Models of several threads in `block_on` on one current-thread runtime: one occupies the seat,
//! the others wait in the `BlockOnQueue`.

use super::support::start;
use crate::park::Parker;
use crate::pool::BlockOnQueue;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{Arc, Mutex, model};

/// The seat of the pool. Its local state is there while no driver occupies the seat.
struct Seat {
    local: Mutex<Option<Box<()>>>,
    queue: BlockOnQueue,
}

impl Seat {
    fn occupied() -> Arc<Seat> {
        Arc::new(Seat { local: Mutex::new(None), queue: BlockOnQueue::default() })
    }

    fn release(&self, local: Box<()>) {
        self.queue.release(|| *self.local.lock() = Some(local));
    }

    /// Runs a `block_on` whose future is ready once it has driven, or once it is woken and sees
    /// `woken`. Returns true if it has driven.
    fn block_on(&self, parker: &Arc<Parker>, woken: &AtomicBool) -> bool {
        let driven = loop {
            if let Some(local) = self.queue.acquire_or_enqueue(parker, || self.local.lock().take()) {
                self.release(local);
                break true;
            }
            if woken.load(Ordering::Acquire) {
                break false;
            }
            parker.park(None);
        };
        self.queue.quit(parker);
        driven
    }
}

/// release × enqueue.
#[test]
fn seat_released_while_driver_enqueues_is_acquired() {
    model(|| {
        let seat = Seat::occupied();
        let follower = {
            let seat = Arc::clone(&seat);
            start(move || assert!(seat.block_on(&Arc::new(Parker::new()), &AtomicBool::new(false))))
        };
        seat.release(Box::new(()));
        follower.join().expect("the waiting driver");
        assert!(seat.local.lock().is_some());
    });
}

/// release × the first in the queue is woken and quits × the second waits.
#[test]
fn wake_of_driver_that_quits_is_passed_on() {
    model(|| {
        let seat = Seat::occupied();
        let (first, woken) = (Arc::new(Parker::new()), Arc::new(AtomicBool::new(false)));
        let quitter = {
            let (seat, first, woken) = (Arc::clone(&seat), Arc::clone(&first), Arc::clone(&woken));
            start(move || seat.block_on(&first, &woken))
        };
        let follower = {
            let seat = Arc::clone(&seat);
            start(move || assert!(seat.block_on(&Arc::new(Parker::new()), &AtomicBool::new(false))))
        };
        woken.store(true, Ordering::Release);
        let _ = first.unpark();
        seat.release(Box::new(()));
        let _ = quitter.join().expect("the first driver");
        follower.join().expect("the waiting driver");
        assert!(seat.local.lock().is_some());
    });
}
