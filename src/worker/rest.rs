//! How a worker sleeps.

use std::time::Instant;

use super::{Worker, report};
use crate::park::Drive;
use crate::reactor::Turn;
use crate::sync::thread;
use crate::wakes::Wakes;

/// A spinning worker that has been off its processor for longer than this, in nanoseconds, goes to sleep: others need it more.
const GIVE_WAY: u64 = 20_000;

impl Worker<'_> {
    /// Sleeps: in the reactor if nobody else does, else on the parker. Follows the last look at once.
    pub(crate) fn rest(&self) {
        self.count_rest();
        let mut wakes = self.local.borrow_wakes();
        // If others had to take it over: from here on it is ours again.
        self.pool.wards.dismiss(self.seat.index);
        let looked = match self.pool.reactor.try_turn() {
            Some(turn) => self.rest_in_reactor(turn, &mut wakes),
            None => {
                self.seat.parker.park(self.pool.clock.alarm(self.seat.wheel.keep()));
                false
            }
        };
        self.count_rise();
        self.seat.wheel.resume();
        self.rise(false);
        let now = self.pool.clock.now();
        self.local.rested(now);
        if looked {
            self.local.spin.learn(now.saturating_sub(self.looked.get()));
            self.local.saw_reactor(now);
            self.begin_interval(now);
        }
        self.turn_wheels(now, &mut wakes);
        self.hand_out(wakes);
    }

    /// Sleeps in the reactor, as the keeper of the street wheel too. False if an unpark had come before, so that the reactor was not
    /// even looked at.
    fn rest_in_reactor(&self, turn: Turn<'_>, wakes: &mut Wakes) -> bool {
        let mut rest = RestIn { turn, wakes, looked: false };
        if self.pool.clock.is_paused() {
            self.rest_paused(&mut rest);
        } else if !self.spin(&mut rest) {
            let until = self.keep();
            self.seat.parker.park_in(&mut rest, self.pool.clock.alarm(until));
        }
        // Before the chair is free: a successor notes his own deadline there.
        self.pool.street.resume();
        self.pool.wards.resume();
        rest.looked
    }

    /// Notes the deadlines of all wheels that are kept from the reactor, and answers the earliest one.
    pub(super) fn keep(&self) -> Option<u64> {
        earlier(earlier(self.seat.wheel.keep(), self.pool.street.keep()), self.pool.wards.keep())
    }

    /// Looks for events for a while, in place of sleeping. True if there were any.
    ///
    /// The worker has announced its sleep and taken the last look; to everybody else it sleeps already. Whoever wakes it finds its
    /// parker awake, and need not ask the operating system.
    ///
    /// A look may swallow the interrupt that says that there is an earlier timer: the deadlines are noted after the last look.
    fn spin(&self, rest: &mut RestIn<'_>) -> bool {
        let window = self.local.spin.window();
        if window == 0 {
            return false;
        }
        let mut now = self.pool.clock.now();
        let end = now.saturating_add(window);
        // Nobody has to tell the keeper of a deadline while it is awake; so it looks for itself.
        while now < end && self.pool.clock.shown(now) < self.first_due() && !self.seat.parker.is_notified() {
            rest.looked = true;
            match rest.turn.poll_busy(rest.wakes) {
                Ok(0) => thread::yield_now(),
                Ok(_) => return true,
                Err(_) => return false,
            }
            let last = std::mem::replace(&mut now, self.pool.clock.now());
            if now.saturating_sub(last) > GIVE_WAY {
                self.local.spin.give_way();
                return false;
            }
        }
        false
    }

    /// When the first timer is due that this worker keeps, or earlier.
    fn first_due(&self) -> u64 {
        self.seat.wheel.next_due().min(self.pool.street.next_due()).min(self.pool.wards.next_due())
    }
}

/// The reactor, as a parker sees it.
pub(super) struct RestIn<'a> {
    pub(super) turn: Turn<'a>,
    pub(super) wakes: &'a mut Wakes,
    /// Whether the reactor was looked at.
    pub(super) looked: bool,
}

impl Drive for RestIn<'_> {
    fn rest(&mut self, deadline: Option<Instant>) {
        self.looked = true;
        report(self.turn.rest(deadline, self.wakes));
    }
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
