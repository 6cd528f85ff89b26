//! The workers that poll tasks while the processors are shared. The other workers rest.
#![doc = include_str!("../../docs/consolidation.md")]

use crate::primitive::atomic::Ordering;
use crate::worker_set::seat_state::SeatState;
use crate::worker_set::{WorkerSet, WorkerSetLocked};

impl WorkerSet {
    /// Asks all base workers from seat `most` on to rest, and lets those below work. At least one
    /// worker works. Returns the seats whose workers the caller wakes.
    ///
    /// Asks no worker to rest if `may_limit` returns false, which is called under the lock, or
    /// while the worker set changes.
    pub(crate) fn limit_workers(&self, most: usize, may_limit: impl FnOnce() -> bool) -> Vec<usize> {
        let locked = self.locked.lock();
        let may_limit = !locked.running && may_limit();
        // Spares are in the seats from `size` on.
        let most = most.clamp(1, locked.size);
        let change = |(seat, state): (usize, &SeatState)| {
            let changed = if seat < most { state.clear_surplus() } else { may_limit && state.set_surplus() };
            changed.then_some(seat)
        };
        let woken = self.states[..locked.size].iter().enumerate().filter_map(change).collect();
        self.publish_effective(&locked);
        woken
    }

    /// Lets all workers work. The caller unparks them.
    ///
    /// Follows a change of the phase that all workers have to see, and precedes their unparking. A
    /// thread that becomes active afterwards sees the change, and no worker is asked to rest
    /// afterwards.
    pub(crate) fn lift_limit(&self) {
        let locked = self.locked.lock();
        for state in &self.states {
            let _ = state.clear_surplus();
        }
        self.publish_effective(&locked);
    }

    /// Marks `seat` as inactive. Called by its thread after the hand-off that precedes a rest.
    pub(crate) fn begin_rest(&self, seat: usize) {
        let _locked = self.locked.lock();
        self.states[seat].deactivate();
        // Ordering: Relaxed — a statistic, written under the lock.
        self.resting.fetch_add(1, Ordering::Relaxed);
    }

    /// Marks `seat` as active again. Called by its thread after a rest. The lock has the effect of
    /// that in [`WorkerSet::activate_seat`].
    pub(crate) fn end_rest(&self, seat: usize) {
        let _locked = self.locked.lock();
        // Ordering: Relaxed — as above.
        self.resting.fetch_sub(1, Ordering::Relaxed);
        self.states[seat].activate();
    }

    /// Returns true if the worker of `seat` may stay, and does not have to rest.
    #[inline]
    pub(crate) fn may_work(&self, seat: usize) -> bool {
        self.states[seat].may_work()
    }

    /// Returns true if the worker of `seat` may stay, and has to rest.
    pub(crate) fn has_to_rest(&self, seat: usize) -> bool {
        self.states[seat].has_to_rest()
    }

    /// Returns true if the worker of `seat` has to rest, and has ended its work.
    pub(crate) fn is_resting(&self, seat: usize) -> bool {
        self.states[seat].is_resting()
    }

    /// Returns the number of base workers that do not have to rest.
    pub(crate) fn num_effective(&self) -> usize {
        // Ordering: Relaxed — a statistic.
        self.effective.load(Ordering::Relaxed)
    }

    /// Returns the number of workers that rest.
    pub(crate) fn num_resting(&self) -> usize {
        // Ordering: Relaxed — a statistic.
        self.resting.load(Ordering::Relaxed)
    }

    /// Publishes the number of base workers that do not have to rest. Follows each change of the
    /// size, too.
    pub(super) fn publish_effective(&self, locked: &WorkerSetLocked) {
        let effective = self.states[..locked.size].iter().filter(|state| !state.has_to_rest()).count();
        // Ordering: Relaxed — a statistic, written under the lock.
        self.effective.store(effective, Ordering::Relaxed);
    }
}
