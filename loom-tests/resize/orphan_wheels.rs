//! The timers of a vacant seat, and the thread that sleeps to them.

use std::pin::Pin;

use super::super::support::start;
use super::super::support::wheel_owner::{LATE, SOON, SeatOwners, Token, oversleeps, reset, seat_wheel};
use super::two_seats::RETIRING;
use crate::primitive::{Arc, model};
use crate::timer::orphan_wheels::OrphanWheels;
use crate::timer::{SleeperWaker, Timer, TimerWheel};

/// A seat's wheel with one timer, its worker, and the backup of the orphan wheels.
struct SeatTimers {
    orphan_wheels: Arc<OrphanWheels>,
    worker: Arc<Token>,
    reactor: Arc<Token>,
    wheel: Arc<TimerWheel>,
    timer: Pin<Box<Timer>>,
}

impl SeatTimers {
    fn new(deadline: u64) -> SeatTimers {
        let (worker, reactor) = (Token::new(), Token::new());
        let sleeper_waker = SeatOwners { worker: Arc::clone(&worker), reactor: Arc::clone(&reactor) };
        let (wheel, timer) = seat_wheel(sleeper_waker, deadline);
        SeatTimers { orphan_wheels: Arc::new(OrphanWheels::new()), worker, reactor, wheel, timer }
    }

    fn reset(&mut self, deadline: u64) {
        reset(&mut self.timer, &self.wheel, deadline);
    }
}

/// Sleeps in the reactor until its deadline is no later than `SOON`.
fn sleep_as_backup(orphan_wheels: &OrphanWheels, reactor: &Token) {
    while oversleeps(orphan_wheels.begin_sleep()) {
        reactor.park();
        orphan_wheels.end_sleep();
    }
}

/// The wheel of a retiring worker becomes an orphan wheel while the backup goes to sleep.
#[test]
fn orphan_wheel_added_during_sleep_ends_the_sleep() {
    model(|| {
        let seat = SeatTimers::new(SOON);
        let (orphan_wheels, reactor) = (Arc::clone(&seat.orphan_wheels), Arc::clone(&seat.reactor));
        let backup = start(move || sleep_as_backup(&orphan_wheels, &reactor));
        assert!(seat.orphan_wheels.add(RETIRING, &seat.wheel));
        seat.reactor.wake();
        backup.join().expect("the backup");
    });
}

/// A timer on a vacant seat's wheel is reset while the backup goes to sleep.
#[test]
fn orphan_wheel_timer_reset_earlier_ends_the_sleep() {
    model(|| {
        let mut seat = SeatTimers::new(LATE);
        assert!(seat.orphan_wheels.add(RETIRING, &seat.wheel));
        let (orphan_wheels, reactor) = (Arc::clone(&seat.orphan_wheels), Arc::clone(&seat.reactor));
        let backup = start(move || sleep_as_backup(&orphan_wheels, &reactor));
        seat.reset(SOON);
        backup.join().expect("the backup");
    });
}

/// The seat is taken again while the backup sleeps with an entry in its wheel, and wakes. The
/// worker goes to sleep with an entry of its own, and the timer is reset.
#[test]
fn backup_that_wakes_late_keeps_the_entry_of_the_owner() {
    model(|| {
        let mut seat = SeatTimers::new(LATE);
        assert!(seat.orphan_wheels.add(RETIRING, &seat.wheel));
        assert!(seat.orphan_wheels.begin_sleep().is_some());
        let orphan_wheels = Arc::clone(&seat.orphan_wheels);
        let backup = start(move || orphan_wheels.end_sleep());
        let (wheel, worker_token) = (Arc::clone(&seat.wheel), Arc::clone(&seat.worker));
        // The worker need not have removed the orphan wheel. Or a late watchdog has added it again.
        let worker = start(move || {
            while oversleeps(wheel.begin_sleep()) {
                worker_token.park();
                wheel.end_sleep();
            }
        });
        seat.reset(SOON);
        backup.join().expect("the backup");
        worker.join().expect("the worker");
    });
}
