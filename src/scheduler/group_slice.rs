//! The slices in which a worker polls tasks of a group.
//!
//! The protocol is on [the groups' page](crate::group), under "Ready groups".

use crate::context::{self, budget};
use crate::group::Group;
use crate::group::priority::Priority;
use crate::group::ready_set::{PickRequest, Picked};
use crate::phase::Phase;
use crate::pool::{Pool, Seat};
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
use crate::raw_task::{RunResult, Runnable};
use crate::scheduler::group_queue;
use crate::scheduler::worker::Worker;

/// Most polls of a slice.
const SLICE_POLLS: u32 = 61;

/// The time in which a worker is counted as one of a group's.
struct Slice<'a> {
    pool: &'a Pool,
    seat: &'a Seat,
    group: Arc<Group>,
    began: u64,
}

impl<'a> Slice<'a> {
    fn begin(pool: &'a Pool, seat: &'a Seat, group: Arc<Group>, began: u64) -> Slice<'a> {
        seat.polling.set_group(Some(Arc::clone(&group)));
        Slice { pool, seat, group, began }
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        self.seat.polling.set_group(None);
        let took = self.pool.clock.now().saturating_sub(self.began);
        self.group.counts.busy.add(took);
        self.pool.groups.ready.end_slice(&self.group, took);
    }
}

impl Worker<'_> {
    /// Returns the lowest priority of the groups that this worker serves. A spare is in reserve for
    /// higher ones while all other workers compute for the lowest.
    #[inline]
    fn lowest_priority(&self) -> Priority {
        let is_reserve = self.pool.groups.is_reserving() && self.seat.index >= self.pool.worker_set.target();
        if is_reserve { Priority::Normal } else { Priority::Background }
    }

    /// Returns true if a group is ready that this worker serves.
    #[inline]
    pub(super) fn has_ready_group(&self) -> bool {
        self.pool.groups.ready.is_ready(self.lowest_priority())
    }

    /// Returns true if a group is ready that goes before all tasks without a group.
    pub(super) fn has_urgent_group(&self) -> bool {
        self.pool.groups.ready.is_ready(Priority::Latency)
    }

    /// Polls tasks of the group whose turn it is, if it is a group's turn. Returns true if it has.
    ///
    /// `default_ready` tells whether a task without a group is ready.
    #[inline]
    pub(super) fn serve_group(&self, default_ready: impl FnOnce() -> bool) -> bool {
        if !self.has_ready_group() {
            self.local.begin_default_interval(0);
            return false;
        }
        self.serve_ready_group(default_ready())
    }

    #[cold]
    fn serve_ready_group(&self, default_ready: bool) -> bool {
        let now = self.pool.clock.now();
        let request = PickRequest {
            default_time: self.local.end_default_interval(now),
            default_ready,
            lowest: self.lowest_priority(),
        };
        let picked = self.pool.groups.ready.pick(request, &self.local.lane_cursor);
        self.wake_for_groups();
        match picked {
            Picked::Group(group, first, aborts) => {
                let slice = Slice::begin(self.pool, self.seat, group, now);
                self.poll_slice(&slice.group, first, aborts);
                drop(slice);
                // The next step begins with a choice between the groups.
                self.local.make_group_check_due();
                true
            }
            Picked::Default => {
                self.local.begin_default_interval(now);
                false
            }
            Picked::Nothing => false,
        }
    }

    /// Wakes a helper for the groups that are still ready, if that pays.
    fn wake_for_groups(&self) {
        let ready = self.pool.groups.ready.num_ready(Priority::Background);
        if ready > 0 && self.pool.idle.counts().could_wake() {
            let queued = self.pool.groups.ready.listed().iter().map(|group| group.queue.len()).sum::<usize>();
            if self.has_urgent_group() || self.local.wake_pays(queued, self.pool.settings.wake_pays_after) {
                self.seated().notify();
            }
        }
    }

    /// Polls `first` and the tasks behind it, until a checkpoint or a choice between the groups is
    /// due.
    fn poll_slice(&self, group: &Arc<Group>, first: Runnable, mut aborts: u64) {
        let _inside = context::mark_grouped();
        let mut next = Some(first);
        let mut polls = 0;
        while let Some(runnable) = next {
            budget::refill();
            self.poll_or_cancel_grouped(group, runnable);
            polls += 1;
            if group.aborts.has_begun(aborts) {
                group_queue::abort_all(self.pool, group);
            }
            aborts = group.aborts.ended();
            next = if self.is_slice_over(polls) { None } else { group.queue.take(&self.local.lane_cursor, 1).pop() };
        }
        group.counts.polls.add(polls.into());
    }

    fn is_slice_over(&self, polls: u32) -> bool {
        // Ordering: Relaxed — as in `Worker::work_step`.
        polls >= SLICE_POLLS
            || self.local.is_checkpoint_due()
            || self.pool.tick.load(Ordering::Relaxed) != self.local.tick.get()
    }

    /// Polls a task of a group. After a drain's deadline, polls it only if it is exempt, and
    /// cancels it otherwise.
    fn poll_or_cancel_grouped(&self, group: &Arc<Group>, runnable: Runnable) {
        let overdue =
            self.pool.phase.load() == Phase::DeadlinePassed && !self.pool.drain_state.is_exempt(runnable.header().id());
        if overdue {
            self.local.count_poll();
            return self.seat.cancel_in_seat(runnable);
        }
        if let Some(runnable) = self.poll_unqueued(runnable) {
            group.queue.push_woken(runnable);
            // This worker picks again after its slice.
            if group.claim_listing() {
                self.pool.groups.ready.list(group);
            }
        }
    }

    /// Polls a task. Returns it if it has to be queued again.
    fn poll_unqueued(&self, runnable: Runnable) -> Option<Runnable> {
        self.local.count_poll();
        self.seat.stats.polls.add(1);
        context::set_task(Some(runnable.header().into()));
        self.seat.polling.begin_poll(runnable.header());
        let ran = if self.local.is_observed { self.run_observed(runnable) } else { runnable.run(self.seat) };
        context::set_task(None);
        let again = match ran {
            RunResult::Suspended => None,
            RunResult::Again(runnable) => {
                if budget::is_spent() {
                    self.count_forced_yield();
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
