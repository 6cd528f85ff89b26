//! A thread's sleep whose end others set, made of a lock and a condition variable: where there is
//! no timer to share, and in the models.

use std::io;
use std::time::{Duration, Instant};

use super::{Condvar, Mutex};

/// Rings again and again while it is set. Its owner sleeps until it rings; anybody may set it,
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
    /// An alarm that is off.
    #[allow(clippy::unnecessary_wraps, reason = "the other kind can be refused")]
    pub(crate) fn new() -> io::Result<IntervalTimer> {
        Ok(IntervalTimer { plan: Mutex::new(Plan { next: None, every: Duration::ZERO }), changed: Condvar::new() })
    }

    /// Rings when `first` has passed, and then each time that `every` has passed.
    pub(crate) fn set(&self, first: Duration, every: Duration) {
        self.program(Instant::now().checked_add(first), every);
    }

    /// Rings now, and then as [`IntervalTimer::set`] says.
    pub(crate) fn fire_now(&self, every: Duration) {
        self.program(Some(Instant::now()), every);
    }

    /// Does not ring any more until it is set again; a ringing that nobody has waited for is
    /// forgotten.
    pub(crate) fn disarm(&self) {
        self.program(None, Duration::ZERO);
    }

    /// Sleeps until it rings, or has rung since the last time. Called by the owner.
    pub(crate) fn wait(&self) {
        let mut plan = self.plan.lock();
        loop {
            match plan.next {
                None => self.changed.wait(&mut plan),
                Some(at) if at <= Instant::now() => {
                    plan.next = Instant::now().checked_add(plan.every);
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
