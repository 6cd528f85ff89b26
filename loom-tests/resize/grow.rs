//! A worker comes.

use super::super::support::start;
use super::two_seats::House;
use crate::idle::Withdrawn;
use crate::sync::{Arc, UnsafeCell, model};
use crate::worker_set::seat_state::{SeatClaim, SeatState};

/// grow × the last searcher: two pieces are left to a searcher, who takes one; a worker comes, and
/// takes the other.
#[test]
fn a_worker_that_comes_sees_what_the_last_searcher_left() {
    model(|| {
        let house = House::new();
        assert!(house.idle.try_search(2));
        let obtain = |house: &House, seat: usize, mut searching: bool| {
            while !house.take() {
                house.idle.announce(seat, searching);
                searching = if house.sees_work() {
                    house.idle.withdraw(seat, true) == Withdrawn::Searching
                } else {
                    house.parkers[seat].park(None);
                    house.idle.withdraw(seat, false) == Withdrawn::Searching
                };
            }
            if searching && house.idle.end_search() && house.sees_work() {
                house.notify();
            }
        };
        let searcher = Arc::clone(&house);
        let searcher = start(move || obtain(&searcher, 0, true));
        house.submit();
        let comer = Arc::clone(&house);
        let comer = start(move || {
            let searching = comer.idle.try_search(2);
            obtain(&comer, 1, searching);
        });
        house.submit();
        searcher.join().expect("the searcher");
        comer.join().expect("the new worker");
    });
}

/// grow × retire: the seat is wanted again while its worker leaves. The local slot, a plain cell,
/// has one holder at a time, and one in the end.
#[test]
fn a_seat_that_is_wanted_again_has_one_worker() {
    struct Place {
        word: SeatState,
        lease: UnsafeCell<usize>,
    }
    // SAFETY: the local slot is touched by whoever sits in the seat; the engine checks it.
    unsafe impl Sync for Place {}
    // SAFETY: as above.
    unsafe impl Send for Place {}

    impl Place {
        fn sit(&self) {
            self.word.activate();
            // SAFETY: this thread sits in the seat.
            self.lease.with_mut(|sitters| unsafe { *sitters += 1 });
        }

        /// Whether it has left.
        fn leave(&self) -> bool {
            self.word.deactivate();
            // SAFETY: this thread has not left the seat.
            self.lease.with_mut(|sitters| unsafe { *sitters -= 1 });
            self.word.try_vacate()
        }
    }

    model(|| {
        let place = Arc::new(Place { word: SeatState::new(), lease: UnsafeCell::new(0) });
        assert_eq!(place.word.claim_seat(), SeatClaim::Start);
        place.sit();
        place.word.request_retire();
        let leaver = Arc::clone(&place);
        let leaver = start(move || {
            let again = !leaver.leave();
            if again {
                leaver.sit();
            }
            again
        });
        let fresh = place.word.claim_seat() == SeatClaim::Start;
        if fresh {
            place.sit();
        }
        let again = leaver.join().expect("the leaver");
        assert_ne!(fresh, again);
        assert!(place.word.is_wanted() && place.word.is_occupied());
        // SAFETY: nobody else is left.
        place.lease.with(|sitters| assert_eq!(unsafe { *sitters }, 1));
    });
}
