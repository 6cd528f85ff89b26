//! Who keeps a wheel: sleeps until its first timer is due, and is woken for an earlier one.

use std::task::Waker;

use super::start;
use crate::sync::{Arc, Condvar, Mutex, thread};
use crate::timer::{Keeper, State, Timer, TimerWheel};

pub(crate) const SOON: u64 = 1 << 40;
pub(crate) const LATE: u64 = 1 << 50;

/// A keeper's token, and its sleep without an end of its own: who is not woken sleeps for ever, which loom reports.
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

impl Keeper for Token {
    fn wake(&self) {
        *self.set.lock() = true;
        self.rang.notify_one();
    }
}

/// A thread that arms a timer for `SOON`, whose task sleeps on: the keeper has to see it.
pub(crate) fn armer(wheel: &Arc<TimerWheel>) -> thread::JoinHandle<()> {
    let wheel = Arc::clone(wheel);
    start(move || {
        let mut soon = Box::pin(Timer::new());
        let at = wheel.clock().alarm(Some(SOON)).expect("a nameable instant");
        assert_eq!(soon.as_mut().arm(Arc::clone(&wheel), at, Waker::noop()), State::Armed);
        std::mem::forget(soon);
    })
}
