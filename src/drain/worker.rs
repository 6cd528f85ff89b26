//! What a worker does while its runtime drains.

use crate::context::budget;
use crate::phase::Phase;
use crate::pool::WakeHelper;
use crate::pool::local::Maintenance;
use crate::primitive::atomic::Ordering;
use crate::queue::Chain;
use crate::raw_task::Runnable;
use crate::scheduler::worker::{Step, Worker};

impl Worker<'_> {
    /// Reacts to a phase other than Running, at a boundary. Returns the step that this did in place
    /// of the usual one, if any.
    #[cold]
    pub(crate) fn on_phase_change(&self, tick: u32, due: Maintenance) -> Option<Step> {
        match self.pool.phase.load() {
            Phase::Running => None,
            Phase::Draining => {
                // At every checkpoint too: an exempt task may keep the worker from ever sleeping.
                if self.seat.ack_drain() || due == Maintenance::Checkpoint {
                    self.pool.recheck_quiescent();
                }
                None
            }
            Phase::Drained => None,
            Phase::DeadlinePassed => {
                // From now on every step comes here, so no task is polled before its exemption is
                // checked.
                self.local.tick.set(tick.wrapping_sub(1));
                if self.observe_deadline() {
                    self.cancel_idle_tasks();
                }
                if self.must_exit() {
                    self.drop_overdue_before_exit();
                    return Some(Step::Exited);
                }
                Some(self.run_step_overdue())
            }
            Phase::ShuttingDown | Phase::Closed => Some(Step::Exited),
        }
    }

    /// Makes the drain's report before the worker sleeps, if it has ended the last task.
    #[cold]
    pub(crate) fn check_drain_before_park(&self) {
        if self.pool.phase.load() != Phase::Running {
            self.seat.ack_drain();
            self.pool.recheck_quiescent();
        }
    }

    /// Returns true if the deadline has passed and the worker has not observed it.
    ///
    /// A worker that is woken for a search passes no boundary. It may be the only thread that can
    /// cancel the tasks of its seat.
    pub(crate) fn has_unseen_deadline(&self) -> bool {
        // Only with a new tick is there a boundary, and an unpark follows each tick. Ordering:
        // Acquire — pairs with the Release in `Pool::wake_all_workers`: the phase.
        self.pool.phase.load() == Phase::DeadlinePassed
            && !self.local.deadline_observed.get()
            && self.pool.tick.load(Ordering::Acquire) != self.local.tick.get()
    }

    /// Notifies the reaper of tasks that have come into the ring, if the deadline has passed. An
    /// earlier collection may have missed them, and the next poll may not return.
    ///
    /// A worker that has observed the deadline polls only exempt tasks, so it notifies no reaper.
    pub(crate) fn recheck_deadline(&self) {
        if !self.local.deadline_observed.get() {
            self.pool.recheck_deadline(None);
        }
    }

    /// Observes the deadline. Returns true at the first call.
    fn observe_deadline(&self) -> bool {
        if self.seat.ack_drain() {
            self.pool.recheck_quiescent();
        }
        !self.local.deadline_observed.replace(true)
    }

    /// Cancels the idle tasks of the seat, and publishes them and all queued ones. A task that was
    /// in its first poll at the deadline is in the list by now.
    fn cancel_idle_tasks(&self) {
        let mut chain = Chain::new();
        let exempt = self.pool.drain_state.exempt_ids();
        let idle = self.seat.live.cancel_all_except(|id| exempt.binary_search(&id).is_ok());
        idle.into_iter().for_each(|runnable| chain.push(runnable));
        self.publish_all(chain);
    }

    /// Moves `chain` and all queued tasks of the seat to the global queue. If that has tasks, wakes
    /// a helper, because this worker's next destructor may not return.
    fn publish_all(&self, mut chain: Chain) {
        chain.append(self.seat.take_all(self.local));
        self.pool.publish(chain, WakeHelper::Later);
        if self.pool.global.len() > 0 {
            self.seated().notify();
        }
    }

    /// Drops all overdue tasks before the worker exits. The other workers may be stuck, and there
    /// may be no reaper.
    fn drop_overdue_before_exit(&self) {
        self.cancel_idle_tasks();
        let _ = self.pool.cancel_overdue_queued(&self.local.lane_cursor, |runnable| self.seat.cancel_in_seat(runnable));
    }

    /// Does one step after the deadline.
    fn run_step_overdue(&self) -> Step {
        let due = self.local.maintenance_due();
        if due == Maintenance::Checkpoint {
            self.pool.recheck_quiescent();
        }
        let found = if due == Maintenance::Nothing { None } else { self.do_maintenance(due) };
        if due != Maintenance::Nothing && found.is_none() && self.serve_group(|| self.has_default_work()) {
            return Step::Polled;
        }
        budget::refill();
        match found.or_else(|| self.next_task()) {
            Some(runnable) => {
                self.poll_or_cancel(runnable);
                Step::Polled
            }
            None => self.out_of_work(),
        }
    }

    /// Publishes all but one of the tasks that a worker has taken from the global queue. Does so if
    /// the deadline has passed and the worker has not observed it. Any of them may have a
    /// destructor that does not return.
    #[cold]
    pub(crate) fn keep_one_if_overdue(&self, mut taken: Chain) -> Chain {
        if self.pool.phase.load() != Phase::DeadlinePassed || self.local.deadline_observed.get() || taken.is_empty() {
            return taken;
        }
        // If it was cancelled, it may be dropped before this worker passes a boundary.
        let one = taken.split(1);
        self.publish_all(taken);
        one
    }

    /// Polls a task that a search has found. After the deadline, polls it only if it is exempt.
    pub(crate) fn poll_found(&self, runnable: Runnable) {
        budget::refill();
        if self.pool.phase.load() == Phase::DeadlinePassed {
            // A searcher passes no boundary first.
            if self.observe_deadline() {
                self.cancel_idle_tasks();
            }
            self.poll_or_cancel(runnable);
        } else {
            self.poll_task(runnable);
        }
    }

    /// Polls an exempt task, and cancels an overdue one.
    fn poll_or_cancel(&self, runnable: Runnable) {
        if self.pool.drain_state.is_exempt(runnable.header().id()) {
            return self.poll_task(runnable);
        }
        self.publish_all(Chain::new());
        self.local.count_poll();
        self.seat.cancel_in_seat(runnable);
    }
}
