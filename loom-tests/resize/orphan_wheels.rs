//! The timers of a vacant seat, and who keeps them.

use std::pin::Pin;

use super::super::support::start;
use super::super::support::wheel_owner::{LATE, SOON, SeatOwners, Token, oversleeps, reset, seat_wheel};
use super::two_seats::LEAVER;
use crate::sync::{Arc, model};
use crate::timer::orphan_wheels::OrphanWheels;
use crate::timer::{SleeperWaker, Timer, TimerWheel};

/// A seat's wheel with one timer, its worker, and the guardian of the orphan wheels.
struct Custody {
    orphan_wheels: Arc<OrphanWheels>,
    worker: Arc<Token>,
    reactor: Arc<Token>,
    wheel: Arc<TimerWheel>,
    timer: Pin<Box<Timer>>,
}

impl Custody {
    fn new(deadline: u64) -> Custody {
        let (worker, reactor) = (Token::new(), Token::new());
        let sleeper_waker = SeatOwners { worker: Arc::clone(&worker), reactor: Arc::clone(&reactor) };
        let (wheel, timer) = seat_wheel(sleeper_waker, deadline);
        Custody { orphan_wheels: Arc::new(OrphanWheels::new()), worker, reactor, wheel, timer }
    }

    fn reset(&mut self, deadline: u64) {
        reset(&mut self.timer, &self.wheel, deadline);
    }
}

/// Sleeps in the reactor until it would sleep no longer than to `SOON`.
fn guard_from_the_reactor(orphan_wheels: &OrphanWheels, reactor: &Token) {
    while oversleeps(orphan_wheels.begin_sleep()) {
        reactor.park();
        orphan_wheels.end_sleep();
    }
}

/// The leaver's wheel becomes a orphan wheel while the guardian goes to sleep.
#[test]
fn a_wards_timer_is_not_slept_past() {
    model(|| {
        let custody = Custody::new(SOON);
        let (orphan_wheels, reactor) = (Arc::clone(&custody.orphan_wheels), Arc::clone(&custody.reactor));
        let guardian = start(move || guard_from_the_reactor(&orphan_wheels, &reactor));
        assert!(custody.orphan_wheels.add(LEAVER, &custody.wheel));
        custody.reactor.wake();
        guardian.join().expect("the guardian");
    });
}

/// A timer on a vacant seat's wheel is reset while the guardian goes to sleep.
#[test]
fn a_ward_reset_to_an_earlier_time_ends_the_keepers_sleep() {
    model(|| {
        let mut custody = Custody::new(LATE);
        assert!(custody.orphan_wheels.add(LEAVER, &custody.wheel));
        let (orphan_wheels, reactor) = (Arc::clone(&custody.orphan_wheels), Arc::clone(&custody.reactor));
        let guardian = start(move || guard_from_the_reactor(&orphan_wheels, &reactor));
        custody.reset(SOON);
        guardian.join().expect("the guardian");
    });
}

/// The seat is taken again while the guardian sleeps with a note in its wheel, and comes to; its
/// worker goes to sleep with a note of its own, and the timer is reset.
#[test]
fn a_keeper_leaves_the_note_of_a_seat_that_is_taken_again() {
    model(|| {
        let mut custody = Custody::new(LATE);
        assert!(custody.orphan_wheels.add(LEAVER, &custody.wheel));
        assert!(custody.orphan_wheels.begin_sleep().is_some());
        let orphan_wheels = Arc::clone(&custody.orphan_wheels);
        let guardian = start(move || orphan_wheels.end_sleep());
        let (wheel, token) = (Arc::clone(&custody.wheel), Arc::clone(&custody.worker));
        // It need not even dismiss the orphan wheel; or the watchdog, late, has admitted it again.
        let worker = start(move || {
            while oversleeps(wheel.begin_sleep()) {
                token.park();
                wheel.end_sleep();
            }
        });
        custody.reset(SOON);
        guardian.join().expect("the guardian");
        worker.join().expect("the worker");
    });
}
