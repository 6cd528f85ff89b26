//! Workers that come while the phase changes, or the pool closes.

use super::super::support::start;
use crate::park::{Parker, Unpark};
use crate::phase::{Phase, PhaseWord};
use crate::pool::{Attendance, Staff};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, model, thread};

/// grow × a call to all workers: the resizer furnishes a seat and starts its thread while somebody calls all whom he sees.
#[test]
fn a_worker_that_comes_while_the_phase_changes_hears_of_it() {
    struct Place {
        staff: Staff,
        phase: PhaseWord,
        tick: AtomicUsize,
        furnished: AtomicUsize,
        parker: Parker,
    }

    impl Place {
        /// As `Pool::call_all`.
        fn call_all(&self) {
            self.phase.advance(Phase::Overdue);
            self.tick.fetch_add(1, Ordering::Release);
            self.staff.meet();
            if self.furnished.load(Ordering::Acquire) > 1 {
                assert_eq!(self.parker.unpark(), Unpark::Done);
            }
        }

        /// A worker that has nothing to do.
        fn work(&self) {
            self.staff.sit(1);
            while self.phase.is_running() || self.tick.load(Ordering::Relaxed) == 0 {
                self.parker.park(None);
            }
        }
    }

    model(|| {
        let place = Arc::new(Place {
            staff: Staff::new(1, 2),
            phase: PhaseWord::new(),
            tick: AtomicUsize::new(0),
            furnished: AtomicUsize::new(1),
            parker: Parker::new(),
        });
        let caller = Arc::clone(&place);
        let caller = start(move || caller.call_all());
        place.furnished.store(2, Ordering::Release);
        let worker = Arc::clone(&place);
        let worker = start(move || worker.work());
        caller.join().expect("the caller");
        worker.join().expect("the worker");
    });
}

/// grow × close: the thread that is started finds the pool closed, and leaves.
#[test]
fn a_thread_that_leaves_at_once_is_known_to_the_closer() {
    model(|| {
        let attendance = Arc::new(Attendance::new());
        // Under the lock of the book: it is expected.
        attendance.enter();
        let starter = Arc::clone(&attendance);
        let starter = start(move || {
            let present = Arc::clone(&starter);
            let main = move || assert!(!present.leave(), "the closer waits");
            let closes = starter.start(|| thread::Builder::new().spawn(main)).expect("a thread");
            assert!(!closes, "the closer waits");
        });
        assert!(attendance.wait_until_empty(None));
        let threads = attendance.take_threads();
        assert_eq!(threads.len(), 1);
        threads.into_iter().for_each(|thread| thread.join().expect("the thread"));
        starter.join().expect("the starter");
    });
}
