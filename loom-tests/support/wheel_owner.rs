//! Who keeps a wheel: sleeps until its first timer is due, and is woken for an earlier one.

use std::pin::Pin;
use std::task::Waker;

use super::start;
use crate::clock::Clock;
use crate::sync::{Arc, Condvar, Mutex, thread};
use crate::timer::wheel::TICK;
use crate::timer::{SleeperWaker, State, Timer, TimerWheel};

pub(crate) const SOON: u64 = 1 << 40;
pub(crate) const LATE: u64 = 1 << 50;

/// A keeper's token, and its sleep without an end of its own: who is not woken sleeps for ever,
/// which loom reports.
pub(crate) struct Token {
    set: Mutex<bool>,
    rang: Condvar,
}

impl Token {
    pub(crate) fn new() -> Arc<Token> {
        Arc::new(Token { set: Mutex::new(false), rang: Condvar::new() })
    }

    pub(crate) fn park(&self) {
        let mut set = self.set.lock();
        while !*set {
            self.rang.wait(&mut set);
        }
        *set = false;
    }

    /// A look that does not sleep, and takes a wake that has come.
    pub(crate) fn look(&self) {
        *self.set.lock() = false;
    }
}

impl SleeperWaker for Token {
    fn wake(&self) {
        *self.set.lock() = true;
        self.rang.notify_one();
    }
}

/// A seat's: its worker, and whoever sleeps in the reactor, which guards the orphan wheels.
pub(crate) struct SeatKeeper {
    pub(crate) worker: Arc<Token>,
    pub(crate) reactor: Arc<Token>,
}

impl SleeperWaker for SeatKeeper {
    fn wake(&self) {
        self.worker.wake();
    }

    fn wake_backup(&self) {
        self.reactor.wake();
    }
}

/// A wheel with the timer of a seat, armed for `deadline`.
pub(crate) fn seat_wheel(sleeper_waker: SeatKeeper, deadline: u64) -> (Arc<TimerWheel>, Pin<Box<Timer>>) {
    let wheel = Arc::new(TimerWheel::new(Clock::new(), Arc::new(sleeper_waker)));
    let mut timer = Box::pin(Timer::new());
    let at = wheel.clock().real_deadline(Some(deadline)).expect("a nameable instant");
    assert_eq!(timer.as_mut().arm(Arc::clone(&wheel), at, Waker::noop()), State::Armed);
    (wheel, timer)
}

/// As the owner of `timer`, or somebody who has it in his hands.
pub(crate) fn reset(timer: &mut Pin<Box<Timer>>, wheel: &TimerWheel, deadline: u64) {
    timer.as_mut().reset(wheel.clock().real_deadline(Some(deadline)).expect("a nameable instant"));
}

/// Whether `until`, to which somebody would sleep, is later than `SOON`.
pub(crate) fn oversleeps(until: Option<u64>) -> bool {
    until.is_none_or(|until| until > SOON + TICK)
}

/// A thread that arms a timer for `SOON`, whose task sleeps on: the keeper has to see it.
pub(crate) fn armer(wheel: &Arc<TimerWheel>) -> thread::JoinHandle<()> {
    let wheel = Arc::clone(wheel);
    start(move || {
        let mut soon = Box::pin(Timer::new());
        let at = wheel.clock().real_deadline(Some(SOON)).expect("a nameable instant");
        assert_eq!(soon.as_mut().arm(Arc::clone(&wheel), at, Waker::noop()), State::Armed);
        std::mem::forget(soon);
    })
}
