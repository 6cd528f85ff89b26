//! A periodic timer that other threads may reprogram while its owner sleeps. It is made of a lock
//! and a condition variable, for platforms without a shareable timer, and for the models.

use std::io;
use std::time::{Duration, Instant};

use super::real_now;
use super::{Condvar, Mutex};

/// Fires periodically while it is set. Its owner sleeps until it fires. Any thread may set it,
/// which here wakes the owner.
#[derive(Debug)]
pub(crate) struct IntervalTimer {
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug)]
struct Plan {
    next: Option<Instant>,
    every: Duration,
}

impl IntervalTimer {
    /// Tells that setting the timer wakes its owner.
    pub(crate) const IS_SILENT: bool = false;

    /// Creates a timer that is disarmed.
    #[allow(clippy::unnecessary_wraps, reason = "the other kind can be refused")]
    pub(crate) fn new() -> io::Result<IntervalTimer> {
        Ok(IntervalTimer { plan: Mutex::new(Plan { next: None, every: Duration::ZERO }), changed: Condvar::new() })
    }

    /// Fires after `first`, and then after each `every`.
    pub(crate) fn set(&self, first: Duration, every: Duration) {
        self.program(real_now().checked_add(first), every);
    }

    /// Fires now, and then after each `every`.
    pub(crate) fn fire_now(&self, every: Duration) {
        self.program(Some(real_now()), every);
    }

    /// Stops the timer until it is set again. Discards an expiry that its owner has not waited for.
    pub(crate) fn disarm(&self) {
        self.program(None, Duration::ZERO);
    }

    /// Sleeps until the timer fires, or returns at once if it has fired since the last wait. Called
    /// by the owner.
    pub(crate) fn wait(&self) {
        let mut plan = self.plan.lock();
        loop {
            match plan.next {
                None => self.changed.wait(&mut plan),
                Some(at) if at <= real_now() => {
                    plan.next = real_now().checked_add(plan.every);
                    return;
                }
                Some(at) => {
                    self.changed.wait_until(&mut plan, at);
                }
            }
        }
    }

    fn program(&self, next: Option<Instant>, every: Duration) {
        *self.plan.lock() = Plan { next, every };
        self.changed.notify_one();
    }
}
