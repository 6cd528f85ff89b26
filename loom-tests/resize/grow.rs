//! A worker starts.

use super::super::support::start;
use super::two_seats::TwoSeats;
use crate::idle::Withdrawn;
use crate::primitive::{Arc, UnsafeCell, model};
use crate::worker_set::seat_state::{SeatClaim, SeatState};

/// grow × the last searcher: two tasks are left to a searcher, which takes one. A new worker takes
/// the other one.
#[test]
fn new_worker_finds_task_left_by_last_searcher() {
    model(|| {
        let pool = TwoSeats::new();
        assert!(pool.idle.try_search(2));
        let take_one_task = |pool: &TwoSeats, seat: usize, mut searching: bool| {
            while !pool.take() {
                pool.idle.announce(seat, searching);
                searching = if pool.sees_work() {
                    pool.idle.withdraw(seat, true) == Withdrawn::Searching
                } else {
                    pool.parkers[seat].park(None);
                    pool.idle.withdraw(seat, false) == Withdrawn::Searching
                };
            }
            if searching && pool.idle.end_search() && pool.sees_work() {
                pool.notify();
            }
        };
        let searcher = Arc::clone(&pool);
        let searcher = start(move || take_one_task(&searcher, 0, true));
        pool.submit();
        let newcomer = Arc::clone(&pool);
        let newcomer = start(move || {
            let searching = newcomer.idle.try_search(2);
            take_one_task(&newcomer, 1, searching);
        });
        pool.submit();
        searcher.join().expect("the searcher");
        newcomer.join().expect("the new worker");
    });
}

/// grow × retire: the seat is wanted again while its worker retires. The local slot, a plain cell,
/// has one holder at a time, and one in the end.
#[test]
fn seat_wanted_again_has_one_worker() {
    struct SharedSeat {
        state: SeatState,
        occupants: UnsafeCell<usize>,
    }
    // SAFETY: only the thread that occupies the seat touches the local slot; the engine checks it.
    unsafe impl Sync for SharedSeat {}
    // SAFETY: as above.
    unsafe impl Send for SharedSeat {}

    impl SharedSeat {
        fn activate(&self) {
            self.state.activate();
            // SAFETY: this thread occupies the seat.
            self.occupants.with_mut(|count| unsafe { *count += 1 });
        }

        /// Returns true if the seat is vacant afterwards.
        fn retire(&self) -> bool {
            self.state.deactivate();
            // SAFETY: this thread still occupies the seat.
            self.occupants.with_mut(|count| unsafe { *count -= 1 });
            self.state.try_vacate()
        }
    }

    model(|| {
        let seat = Arc::new(SharedSeat { state: SeatState::new(), occupants: UnsafeCell::new(0) });
        assert_eq!(seat.state.claim_seat(), SeatClaim::Start);
        seat.activate();
        seat.state.request_retire();
        let retiring = Arc::clone(&seat);
        let retiring = start(move || {
            let reclaimed = !retiring.retire();
            if reclaimed {
                retiring.activate();
            }
            reclaimed
        });
        let claimed = seat.state.claim_seat() == SeatClaim::Start;
        if claimed {
            seat.activate();
        }
        let reclaimed = retiring.join().expect("the retiring worker");
        assert_ne!(claimed, reclaimed);
        assert!(seat.state.is_wanted() && seat.state.is_occupied());
        // SAFETY: the other thread has ended.
        seat.occupants.with(|count| assert_eq!(unsafe { *count }, 1));
    });
}
