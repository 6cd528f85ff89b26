//! What a worker does while its runtime drains.

use crate::context::budget;
use crate::phase::Phase;
use crate::pool::WakeHelper;
use crate::pool::local::Maintenance;
use crate::queue::Chain;
use crate::raw_task::Runnable;
use crate::scheduler::worker::{Step, Worker};
use crate::sync::atomic::Ordering;

impl Worker<'_> {
    /// A look around in a phase other than Running. Answers what has been done instead of it, if
    /// anything.
    #[cold]
    pub(crate) fn on_phase_change(&self, tick: u32, due: Maintenance) -> Option<Step> {
        match self.pool.phase.load() {
            Phase::Running => None,
            Phase::Draining => {
                // Not at the news alone: an excused task may keep the worker from ever coming to
                // rest.
                if self.seat.ack_drain() || due == Maintenance::Checkpoint {
                    self.pool.recheck_quiescent();
                }
                None
            }
            Phase::Drained => None,
            Phase::DeadlinePassed => {
                // Every step is one of these from now on: nothing is polled that has not been
                // looked at.
                self.local.tick.set(tick.wrapping_sub(1));
                if self.hear_overdue() {
                    self.cancel_own();
                }
                if self.must_exit() {
                    self.end_own();
                    return Some(Step::Exited);
                }
                Some(self.work_overdue())
            }
            Phase::ShuttingDown | Phase::Closed => Some(Step::Exited),
        }
    }

    /// Before the worker sleeps: it may have ended the last task.
    #[cold]
    pub(crate) fn check_drain_before_park(&self) {
        if self.pool.phase.load() != Phase::Running {
            self.seat.ack_drain();
            self.pool.recheck_quiescent();
        }
    }

    /// Whether the deadline has come and it has not heard of that: one that was woken for a search
    /// does not come by a boundary, and there may be nobody but him to cancel what is filed here.
    pub(crate) fn has_to_hear(&self) -> bool {
        // The tick too: until it comes there is no boundary, and when it has come an unpark
        // follows. Ordering: Acquire — as in `Worker::work`.
        self.pool.phase.load() == Phase::DeadlinePassed
            && !self.local.deadline_observed.get()
            && self.pool.tick.load(Ordering::Acquire) != self.local.tick.get()
    }

    /// Tasks have come into the ring, and a poll may follow before the next boundary: if the
    /// deadline has come meanwhile, whoever has gathered may not have seen them. One that has heard
    /// of it has only the excused.
    pub(crate) fn mind_deadline(&self) {
        if !self.local.deadline_observed.get() {
            self.pool.recheck_deadline(None);
        }
    }

    /// True at the first time after the deadline.
    fn hear_overdue(&self) -> bool {
        if self.seat.ack_drain() {
            self.pool.recheck_quiescent();
        }
        !self.local.deadline_observed.replace(true)
    }

    /// Asks to end what is filed here, also a task that was in its first poll when the deadline
    /// came, and has been filed since.
    fn cancel_own(&self) {
        let mut chain = Chain::new();
        let spared = self.pool.drain_state.exempt_ids();
        let idle = self.seat.live.cancel_all_except(|id| spared.binary_search(&id).is_ok());
        idle.into_iter().for_each(|runnable| chain.push(runnable));
        self.leave_to_others(chain);
    }

    /// `chain`, and all that waits here, goes to where everybody reaches it; and if anything is
    /// there, somebody is called for it. What we do next may keep us for good.
    fn leave_to_others(&self, mut chain: Chain) {
        chain.append(self.seat.take_all(self.local));
        self.pool.publish(chain, WakeHelper::Later);
        if self.pool.global.len() > 0 {
            self.seated().notify();
        }
    }

    /// Ends what is late before the worker leaves: the others may all be stuck, and there may be no
    /// reaper.
    fn end_own(&self) {
        self.cancel_own();
        let _ = self.pool.cancel_overdue_queued(&self.local.lane_cursor, |runnable| self.seat.cancel_in_seat(runnable));
    }

    fn work_overdue(&self) -> Step {
        let due = self.local.maintenance_due();
        if due == Maintenance::Checkpoint {
            self.pool.recheck_quiescent();
        }
        let found = if due == Maintenance::Nothing { None } else { self.do_maintenance(due) };
        budget::refill();
        match found.or_else(|| self.next_task()) {
            Some(runnable) => {
                self.poll_if_spared(runnable);
                Step::Polled
            }
            None => self.out_of_work(),
        }
    }

    /// Of what has been taken from the global queue by a worker that has not heard of the deadline:
    /// each may be the one whose destructor does not return.
    #[cold]
    pub(crate) fn keep_one(&self, mut share: Chain) -> Chain {
        if self.pool.phase.load() != Phase::DeadlinePassed || self.local.deadline_observed.get() || share.is_empty() {
            return share;
        }
        // It may be dropped before we come by a boundary, if it has been asked to end.
        let one = share.split(1);
        self.leave_to_others(share);
        one
    }

    /// Polls what a search has found; after the deadline, only if it is excused.
    pub(crate) fn poll_found(&self, runnable: Runnable) {
        budget::refill();
        if self.pool.phase.load() == Phase::DeadlinePassed {
            // A searcher does not come by a boundary first.
            if self.hear_overdue() {
                self.cancel_own();
            }
            self.poll_if_spared(runnable);
        } else {
            self.poll_task(runnable);
        }
    }

    fn poll_if_spared(&self, runnable: Runnable) {
        if self.pool.drain_state.is_exempt(runnable.header().id()) {
            return self.poll_task(runnable);
        }
        self.leave_to_others(Chain::new());
        self.local.count_poll();
        self.seat.cancel_in_seat(runnable);
    }
}
