//! The timers of a vacant seat, and who keeps them.

use super::super::support::keeper::{LATE, SOON, Token};
use super::super::support::start;
use super::house::LEAVER;
use crate::clock::Clock;
use crate::pool::Wards;
use crate::sync::{Arc, model};
use crate::timer::{Keeper, State, Timer, TimerWheel};

/// What `SeatKeeper` does: wakes the seat's worker, and whoever sleeps in the reactor if the wheel is a ward.
struct SeatKeeper {
    wards: Arc<Wards>,
    worker: Arc<Token>,
    reactor: Arc<Token>,
}

impl Keeper for SeatKeeper {
    fn wake(&self) {
        self.worker.wake();
        if self.wards.has(LEAVER) {
            self.reactor.wake();
        }
    }
}

/// A seat's wheel with one timer, and the two who may keep it.
struct Custody {
    wards: Arc<Wards>,
    worker: Arc<Token>,
    reactor: Arc<Token>,
    wheel: Arc<TimerWheel>,
    timer: std::pin::Pin<Box<Timer>>,
}

impl Custody {
    fn new(deadline: u64) -> Custody {
        let (wards, worker, reactor) = (Arc::new(Wards::new()), Token::new(), Token::new());
        let keeper =
            SeatKeeper { wards: Arc::clone(&wards), worker: Arc::clone(&worker), reactor: Arc::clone(&reactor) };
        let wheel = Arc::new(TimerWheel::new(Clock::new(), Arc::new(keeper)));
        let mut timer = Box::pin(Timer::new());
        let at = wheel.clock().alarm(Some(deadline)).expect("a nameable instant");
        assert_eq!(timer.as_mut().arm(Arc::clone(&wheel), at, std::task::Waker::noop()), State::Armed);
        Custody { wards, worker, reactor, wheel, timer }
    }

    fn reset(&mut self, deadline: u64) {
        let at = self.wheel.clock().alarm(Some(deadline)).expect("a nameable instant");
        self.timer.as_mut().reset(at);
    }
}

/// Sleeps in the reactor until it would sleep no longer than to `SOON`.
fn keep_from_the_reactor(wards: &Wards, reactor: &Token) {
    while wards.keep().is_none_or(|until| until > SOON + crate::wheel::TICK) {
        reactor.park();
        wards.resume();
    }
}

/// The leaver's wheel becomes a ward while the keeper goes to sleep.
#[test]
fn a_wards_timer_is_not_slept_past() {
    model(|| {
        let custody = Custody::new(SOON);
        let (wards, reactor) = (Arc::clone(&custody.wards), Arc::clone(&custody.reactor));
        let keeper = start(move || keep_from_the_reactor(&wards, &reactor));
        assert!(custody.wards.admit(LEAVER, &custody.wheel));
        custody.reactor.wake();
        keeper.join().expect("the keeper");
    });
}

/// A timer on a vacant seat's wheel is reset while the keeper goes to sleep.
#[test]
fn a_ward_reset_to_an_earlier_time_ends_the_keepers_sleep() {
    model(|| {
        let mut custody = Custody::new(LATE);
        assert!(custody.wards.admit(LEAVER, &custody.wheel));
        let (wards, reactor) = (Arc::clone(&custody.wards), Arc::clone(&custody.reactor));
        let keeper = start(move || keep_from_the_reactor(&wards, &reactor));
        custody.reset(SOON);
        keeper.join().expect("the keeper");
    });
}

/// The seat is taken again while the keeper sleeps with a note in its wheel, and comes to; its worker goes to sleep with a note of its own,
/// and the timer is reset.
#[test]
fn a_keeper_leaves_the_note_of_a_seat_that_is_taken_again() {
    model(|| {
        let mut custody = Custody::new(LATE);
        assert!(custody.wards.admit(LEAVER, &custody.wheel));
        assert!(custody.wards.keep().is_some());
        let wards = Arc::clone(&custody.wards);
        let keeper = start(move || wards.resume());
        let (wards, wheel, token) =
            (Arc::clone(&custody.wards), Arc::clone(&custody.wheel), Arc::clone(&custody.worker));
        let worker = start(move || {
            wards.dismiss(LEAVER);
            while wheel.keep().is_none_or(|until| until > SOON + crate::wheel::TICK) {
                token.park();
                wheel.resume();
            }
        });
        custody.reset(SOON);
        keeper.join().expect("the keeper");
        worker.join().expect("the worker");
    });
}
