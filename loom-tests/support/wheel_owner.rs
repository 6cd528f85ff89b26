//! The owner of a timer wheel: sleeps until its first timer is due, and is woken for an earlier
//! one.

use std::pin::Pin;
use std::task::Waker;

use super::start;
use crate::clock::Clock;
use crate::primitive::{Arc, Condvar, Mutex, thread};
use crate::timer::wheel::TICK;
use crate::timer::{SleeperWaker, State, Timer, TimerWheel};

pub(crate) const SOON: u64 = 1 << 40;
pub(crate) const LATE: u64 = 1 << 50;

/// A wheel owner's wake-up token, on which it sleeps without a time limit. If it is not woken, it
/// sleeps for ever, which loom reports.
pub(crate) struct Token {
    set: Mutex<bool>,
    notified: Condvar,
}

impl Token {
    pub(crate) fn new() -> Arc<Token> {
        Arc::new(Token { set: Mutex::new(false), notified: Condvar::new() })
    }

    pub(crate) fn park(&self) {
        let mut set = self.set.lock();
        while !*set {
            self.notified.wait(&mut set);
        }
        *set = false;
    }

    /// Consumes a wake-up that has come, without sleeping.
    pub(crate) fn discard_wake(&self) {
        *self.set.lock() = false;
    }
}

impl SleeperWaker for Token {
    fn wake(&self) {
        *self.set.lock() = true;
        self.notified.notify_one();
    }
}

/// The owners of a seat's wheel: the seat's worker, and the sleeper in the reactor as its backup.
pub(crate) struct SeatOwners {
    pub(crate) worker: Arc<Token>,
    pub(crate) reactor: Arc<Token>,
}

impl SleeperWaker for SeatOwners {
    fn wake(&self) {
        self.worker.wake();
    }

    fn wake_backup(&self) {
        self.reactor.wake();
    }
}

/// Returns a seat's wheel, and a timer in it, armed for `deadline`.
pub(crate) fn seat_wheel(sleeper_waker: SeatOwners, deadline: u64) -> (Arc<TimerWheel>, Pin<Box<Timer>>) {
    let wheel = Arc::new(TimerWheel::new(Clock::new(), Arc::new(sleeper_waker)));
    let mut timer = Box::pin(Timer::new());
    let at = wheel.clock().real_deadline(Some(deadline)).expect("a nameable instant");
    assert_eq!(timer.as_mut().arm(Arc::clone(&wheel), at, Waker::noop()), State::Armed);
    (wheel, timer)
}

/// Resets the timer, as its owner or as another thread that holds it.
pub(crate) fn reset(timer: &mut Pin<Box<Timer>>, wheel: &TimerWheel, deadline: u64) {
    timer.as_mut().reset(wheel.clock().real_deadline(Some(deadline)).expect("a nameable instant"));
}

/// Returns true if a sleep until `until` ends later than `SOON`.
pub(crate) fn oversleeps(until: Option<u64>) -> bool {
    until.is_none_or(|until| until > SOON + TICK)
}

/// Starts a thread that arms a timer for `SOON` and whose task sleeps on. The wheel's owner has to
/// see the timer.
pub(crate) fn armer(wheel: &Arc<TimerWheel>) -> thread::JoinHandle<()> {
    let wheel = Arc::clone(wheel);
    start(move || {
        let mut soon = Box::pin(Timer::new());
        let at = wheel.clock().real_deadline(Some(SOON)).expect("a nameable instant");
        assert_eq!(soon.as_mut().arm(Arc::clone(&wheel), at, Waker::noop()), State::Armed);
        std::mem::forget(soon);
    })
}
