//! The slices in which a worker polls tasks of a group.
//!
//! The protocol is on [the groups' page](crate::group), under "Ready groups".

use crate::context::{self, budget};
use crate::group::Group;
use crate::group::counts::EndedAborts;
use crate::group::priority::Priority;
use crate::group::ready_set::{PickRequest, Picked, PickedGroup};
use crate::group::share::VirtualTime;
use crate::phase::Phase;
use crate::pool::{Pool, Seat};
use crate::primitive::atomic::Ordering;
use crate::primitive::{Arc, preemption_point};
use crate::raw_task::{AbortHandle, RunResult, Runnable};
use crate::scheduler::worker::Worker;

/// Most polls of a slice.
const SLICE_POLLS: u32 = 61;

/// The time in which a worker is counted as one of a group's.
struct Slice<'a> {
    pool: &'a Pool,
    seat: &'a Seat,
    group: Arc<Group>,
    charged: VirtualTime,
    began: u64,
}

impl<'a> Slice<'a> {
    fn begin(pool: &'a Pool, seat: &'a Seat, group: Arc<Group>, charged: VirtualTime, began: u64) -> Slice<'a> {
        seat.polling.set_group(Some(Arc::clone(&group)));
        Slice { pool, seat, group, charged, began }
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        self.seat.polling.set_group(None);
        let took = self.pool.clock.now().saturating_sub(self.began);
        self.group.counts.busy.add(took);
        self.pool.groups.ready.end_slice(&self.group, took, self.charged);
    }
}

impl Worker<'_> {
    /// Returns the lowest priority of the groups that this worker serves. A spare is in reserve for
    /// higher ones while all other workers compute for the lowest.
    #[inline]
    fn lowest_priority(&self) -> Priority {
        self.pool.lowest_priority_of(self.seat)
    }

    /// Wakes a worker for the groups that this one does not serve, before it sleeps. A thread that
    /// has listed a group may have relied on this one.
    pub(super) fn pass_on_groups(&self) {
        if self.pool.groups.ready.is_empty()
            || self.lowest_priority() == Priority::Background
            || !self.pool.groups.ready.is_ready(Priority::Background)
        {
            return;
        }
        // The claim takes the lowest seat, and those below the target are no spares.
        if (0..self.pool.worker_set.target()).any(|seat| self.pool.idle.is_announced(seat)) {
            self.seated().notify();
        }
    }

    /// Returns true if a group is ready that this worker serves.
    #[inline]
    pub(super) fn has_ready_group(&self) -> bool {
        !self.pool.groups.ready.is_empty() && self.pool.groups.ready.is_ready(self.lowest_priority())
    }

    /// Returns true if a group is ready that goes before all tasks without a group.
    pub(super) fn has_urgent_group(&self) -> bool {
        self.pool.groups.ready.is_ready(Priority::Latency)
    }

    /// Polls tasks of the group whose turn it is, if it is a group's turn. Returns true if it has.
    ///
    /// `default_ready` tells whether a task without a group is ready.
    #[inline]
    pub(crate) fn serve_group(&self, default_ready: impl FnOnce() -> bool) -> bool {
        if self.pool.groups.ready.is_empty() {
            self.local.begin_default_interval(0);
            return false;
        }
        self.has_ready_group() && self.serve_ready_group(default_ready())
    }

    #[cold]
    fn serve_ready_group(&self, default_ready: bool) -> bool {
        let now = self.pool.clock.now();
        let request = PickRequest {
            default_time: self.local.end_default_interval(now),
            default_ready,
            lowest: self.lowest_priority(),
        };
        self.local.group_cursor.begin_at_next_lane();
        match self.pool.groups.ready.pick(request, &self.local.group_cursor) {
            Picked::Group(PickedGroup { group, first, aborts, charged }) => {
                self.wake_for_groups(Some(&group));
                let slice = Slice::begin(self.pool, self.seat, group, charged, now);
                context::run_in_slice(|| self.poll_slice(&slice.group, first, aborts));
                drop(slice);
                // The next step begins with a choice between the groups.
                self.local.make_group_check_due();
                true
            }
            Picked::Default => {
                self.local.begin_default_interval(now);
                self.wake_for_groups(None);
                false
            }
            Picked::Nothing => false,
        }
    }

    /// Wakes a helper for the groups that are still ready. If this worker is in a slice of
    /// `picked`, it does so only if that pays. If it turns to tasks without a group, the groups may
    /// wait long.
    fn wake_for_groups(&self, picked: Option<&Arc<Group>>) {
        let ready = self.pool.groups.ready.num_ready(self.pool.lowest_to_wake_for());
        if ready == 0 || !self.pool.idle.counts().could_wake() {
            return;
        }
        let pays =
            |picked: &Arc<Group>| self.local.wake_pays(ready + picked.queue.len(), self.pool.settings.wake_pays_after);
        if self.has_urgent_group() || picked.is_none_or(pays) {
            self.seated().notify();
        }
    }

    /// Polls `first` and the tasks behind it, until a checkpoint or a choice between the groups is
    /// due.
    fn poll_slice(&self, group: &Arc<Group>, first: Runnable, aborts: EndedAborts) {
        let mut next = Some((first, aborts));
        let mut polls = 0;
        while let Some((runnable, aborts)) = next {
            preemption_point();
            budget::refill();
            self.poll_or_cancel_grouped(group, runnable, aborts);
            polls += 1;
            next = if self.is_slice_over(polls) { None } else { group.take(&self.local.group_cursor) };
        }
        group.counts.polls.add(polls.into());
    }

    fn is_slice_over(&self, polls: u32) -> bool {
        // Ordering: Relaxed — as in `Worker::work_step`.
        polls >= SLICE_POLLS
            || self.local.is_checkpoint_due()
            || self.is_checkpoint_late()
            || self.pool.tick.load(Ordering::Relaxed) != self.local.tick.get()
    }

    /// Polls a task of a group. After a drain's deadline, polls it only if it is exempt, and
    /// cancels it otherwise.
    fn poll_or_cancel_grouped(&self, group: &Arc<Group>, runnable: Runnable, aborts: EndedAborts) {
        let overdue =
            self.pool.phase.load() == Phase::DeadlinePassed && !self.pool.drain_state.is_exempt(runnable.header().id());
        if overdue {
            self.local.count_poll();
            return self.seat.cancel_in_seat(runnable);
        }
        // An abort misses a task in its first poll.
        let first_poll = runnable.first_poll_handle();
        if let Some(runnable) = self.poll_unqueued(runnable) {
            group.queue.push_woken(runnable);
            // This worker picks again after its slice.
            if group.claim_listing() {
                self.pool.groups.ready.list(group);
            }
        }
        if group.aborts.has_begun(aborts) {
            first_poll.iter().for_each(AbortHandle::abort);
        }
    }

    /// Polls a task. Returns it if it has to be queued again.
    fn poll_unqueued(&self, runnable: Runnable) -> Option<Runnable> {
        self.local.count_poll();
        self.seat.stats.polls.add(1);
        context::set_task(Some(runnable.header().into()));
        self.seat.polling.begin_poll(runnable.header());
        let ran = if self.local.is_observed() { self.run_observed(runnable) } else { runnable.run(self.seat) };
        context::set_task(None);
        let again = match ran {
            RunResult::Suspended => None,
            RunResult::Again(runnable) => {
                if budget::is_spent() {
                    self.count_forced_yield(&runnable);
                }
                Some(runnable)
            }
            RunResult::Ended => {
                self.seat.stats.ended.add_release(1);
                None
            }
        };
        self.seat.polling.end_poll();
        again
    }
}
