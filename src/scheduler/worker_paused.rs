//! How the worker of a current-thread runtime rests while time stands still, for a test.

use std::time::Instant;

use crate::scheduler::worker::Worker;
use crate::scheduler::worker_park::RestIn;

impl Worker<'_> {
    /// Sleeps until something happens. If nothing can happen by itself but a timer, which would never be due, time leaps to the first one
    /// instead.
    #[cold]
    pub(super) fn rest_paused(&self, rest: &mut RestIn<'_>) {
        let clock = &self.pool.clock;
        let until = self.begin_sleep();
        // First: a job wakes who waits for it, and lets go of the time after that. With the leap at hand we see the wake.
        let permit = clock.permit_advance(until);
        let get_up = if permit.is_some() { Some(Instant::now()) } else { clock.real_deadline(until) };
        let woken = self.seat.parker.park_in(rest, get_up);
        if let Some(permit) = permit.filter(|_| !woken && rest.wakes.is_empty()) {
            clock.advance_by_permit(permit);
        }
    }
}
