//! Several threads in `block_on` on a current-thread runtime: one sits in its seat, the others wait
//! in line.

use super::support::start;
use crate::park::Parker;
use crate::pool::BlockOnQueue;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, model};

/// The seat of the pool: its local slot lies there while nobody sits.
struct Seat {
    lease: Mutex<Option<Box<()>>>,
    line: BlockOnQueue,
}

impl Seat {
    fn taken() -> Arc<Seat> {
        Arc::new(Seat { lease: Mutex::new(None), line: BlockOnQueue::default() })
    }

    fn get_up(&self, lease: Box<()>) {
        self.line.release(|| *self.lease.lock() = Some(lease));
    }

    /// A `block_on` whose future is ready when it has driven once, or as soon as it is woken and
    /// sees `woken`. True if it has driven.
    fn block_on(&self, parker: &Arc<Parker>, woken: &AtomicBool) -> bool {
        let driven = loop {
            if let Some(lease) = self.line.acquire_or_enqueue(parker, || self.lease.lock().take()) {
                self.get_up(lease);
                break true;
            }
            if woken.load(Ordering::Acquire) {
                break false;
            }
            parker.park(None);
        };
        self.line.quit(parker);
        driven
    }
}

/// get up × sit down.
#[test]
fn a_seat_that_is_left_while_another_queues_is_taken() {
    model(|| {
        let seat = Seat::taken();
        let follower = {
            let seat = Arc::clone(&seat);
            start(move || assert!(seat.block_on(&Arc::new(Parker::new()), &AtomicBool::new(false))))
        };
        seat.get_up(Box::new(()));
        follower.join().expect("the follower");
        assert!(seat.lease.lock().is_some());
    });
}

/// get up × the first in line is woken and leaves it × the second waits.
#[test]
fn a_call_that_comes_to_one_who_leaves_is_passed_on() {
    model(|| {
        let seat = Seat::taken();
        let (first, woken) = (Arc::new(Parker::new()), Arc::new(AtomicBool::new(false)));
        let leaver = {
            let (seat, first, woken) = (Arc::clone(&seat), Arc::clone(&first), Arc::clone(&woken));
            start(move || seat.block_on(&first, &woken))
        };
        let follower = {
            let seat = Arc::clone(&seat);
            start(move || assert!(seat.block_on(&Arc::new(Parker::new()), &AtomicBool::new(false))))
        };
        woken.store(true, Ordering::Release);
        let _ = first.unpark();
        seat.get_up(Box::new(()));
        let _ = leaver.join().expect("the leaver");
        follower.join().expect("the follower");
        assert!(seat.lease.lock().is_some());
    });
}
