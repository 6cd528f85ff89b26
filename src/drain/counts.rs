//! What the seats of a pool have counted, for the drain state.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::context::budget;
use crate::drain::outcome_counts::OutcomeCounts;
use crate::drain::report::Straggler;
use crate::drain::state::{PollSeen, TaskCounts};
use crate::metrics::counter::{Counter, Stats};
use crate::phase::Phase;
use crate::pool::current_task::CurrentTask;
use crate::pool::{Pool, Seat};
use crate::queue::{Chain, LaneCursor};
use crate::raw_task::{Header, Id, Outcome, Runnable};
use crate::sync::atomic::Ordering;

impl Stats {
    /// Counts how a task has ended.
    #[inline]
    pub(crate) fn record_outcome(&self, end: Outcome) {
        let counter = match end {
            Outcome::Completed => &self.completed,
            Outcome::Panicked => &self.panicked,
            Outcome::Cancelled => &self.cancelled,
        };
        // So that who sees the end does not see the task in a poll any more.
        counter.add_release(1);
    }

    fn outcomes(&self) -> OutcomeCounts {
        OutcomeCounts {
            completed: self.completed.load_acquire(),
            panicked: self.panicked.load_acquire(),
            cancelled: self.cancelled.load_acquire(),
        }
    }
}

impl TaskCounts for Pool {
    fn all_workers_acked(&self) -> bool {
        self.seats.iter().all(|seat| seat.has_acked_drain() || !seat.is_active())
    }

    fn tasks_ended(&self) -> u64 {
        self.seats.iter().map(|seat| seat.stats.ended.load_acquire()).sum()
    }

    fn tasks_started(&self) -> u64 {
        self.sum_counter(|stats| &stats.spawned)
    }

    fn outcomes(&self) -> OutcomeCounts {
        self.tasks_ended() + self.drain_state.jobs.outcomes.get()
    }

    fn stragglers(&self, seen: &[PollSeen]) -> Vec<Straggler> {
        // A task in its first poll is in no list. A task that is polled again is in its list and in
        // a poll: the later entry, from the poll, replaces the first.
        let mut left: BTreeMap<Id, Straggler> = BTreeMap::new();
        let mut add = |straggler: Straggler| drop(left.insert(straggler.id, straggler));
        self.global.each(|task| add(task.identity().into()));
        self.seats.iter().flat_map(|seat| seat.live.all()).for_each(|task| add(task.into()));
        self.drain_state.jobs.stragglers().into_iter().for_each(&mut add);
        for task in [&self.reaper_task, &self.blocked_workers.ending].into_iter().filter_map(CurrentTask::get) {
            add(Straggler { running_for: Some(Duration::ZERO), ..Straggler::from(task) });
        }
        self.seats.iter().filter_map(|seat| seat.running_task(self.clock.now(), seen)).for_each(&mut add);
        left.into_values().collect()
    }

    fn polls_under_way(&self, at: Instant) -> Vec<PollSeen> {
        let polls = self.seats.iter().filter(|seat| seat.polling.is_polling());
        polls.map(|seat| PollSeen { seat: seat.index, number: seat.progress(), at }).collect()
    }
}

impl Pool {
    fn sum_counter(&self, counter: fn(&Stats) -> &Counter) -> u64 {
        self.seats.iter().map(|seat| counter(&seat.stats).get()).sum()
    }

    fn tasks_ended(&self) -> OutcomeCounts {
        self.seats.iter().fold(self.drain_state.unseated.get(), |sum, seat| sum + seat.stats.outcomes())
    }

    /// Tasks that have been spawned and have not ended. The ended are read first, so that none is
    /// counted as ended before it has been counted as spawned.
    pub(crate) fn live_tasks(&self) -> u64 {
        let ended = self.tasks_ended().total();
        self.spawned().saturating_sub(ended)
    }

    /// Tasks that have ever been spawned, jobs not among them. Those are read first: each has come
    /// by the gate.
    pub(crate) fn spawned(&self) -> u64 {
        // Ordering: Acquire — before the gate is read, through which every job has come.
        let jobs = self.drain_state.jobs.entered.load(Ordering::Acquire);
        self.tasks_started() + self.drain_state.gate.entered().total().saturating_sub(jobs)
    }

    /// Polls, of tasks and of futures in `block_on`, in which a resource was refused because the
    /// budget was spent.
    pub(crate) fn forced_yields(&self) -> u64 {
        // Ordering: Relaxed — a figure.
        self.sum_counter(|stats| &stats.forced_yields) + self.forced_root_yields.load(Ordering::Relaxed)
    }

    /// A future in a `block_on` was refused something in its last poll.
    #[cold]
    pub(crate) fn count_forced_root(&self) {
        // Ordering: Relaxed — a figure.
        self.forced_root_yields.fetch_add(1, Ordering::Relaxed);
    }

    /// While the runtime drains, whoever has ended a task calls this before it goes to sleep.
    #[cold]
    pub(crate) fn recheck_quiescent(&self) {
        self.drain_state.check_quiescent(&self.phase, self);
    }

    /// As [`Pool::recheck_quiescent`], if the runtime drains.
    #[inline]
    pub(crate) fn recheck_quiescent_if_draining(&self) {
        if self.phase.load() != Phase::Running {
            self.recheck_quiescent();
        }
    }

    /// Something has been queued: whoever has gathered before may not have seen it. From outside,
    /// the handshake has been made since. It is the task of this id, if it is one that may be
    /// excused.
    #[inline]
    pub(crate) fn recheck_deadline(&self, id: Option<Id>) {
        if !self.phase.is_running() {
            self.recheck_phase(id);
        }
    }

    #[cold]
    fn recheck_phase(&self, id: Option<Id>) {
        match self.phase.load() {
            Phase::Running | Phase::Draining | Phase::Drained => {}
            Phase::DeadlinePassed => self.drain_state.notify_reaper(id),
            Phase::ShuttingDown | Phase::Closed => {
                self.blocked_workers.notify_helper();
                self.live_threads.note_change();
            }
        }
    }

    /// Lets `end` have what is late of all that waits in the global queue, one at a time, so that
    /// nothing is out of everybody's reach while a destructor runs. True if there was something.
    pub(crate) fn cancel_overdue_queued(&self, lane_cursor: &LaneCursor, mut end: impl FnMut(Runnable)) -> bool {
        let mut found = false;
        // Kept in hand: who puts them back at once meets them again in the next lane, and the late
        // ones never.
        let mut spared = Chain::new();
        while let Some(runnable) = self.global.take(lane_cursor, 1).pop() {
            if self.drain_state.is_exempt(runnable.header().id()) {
                spared.push(runnable);
                continue;
            }
            self.requeue(std::mem::replace(&mut spared, Chain::new()));
            // The destructor may keep us for good: somebody else has to be awake for the rest.
            if self.global.len() > 0 {
                self.notify();
            }
            end(runnable);
            found = true;
        }
        self.requeue(spared);
        found
    }

    /// Cancels a task on a thread without a seat, because the drain's deadline, or the shutdown,
    /// has come. [`Pool::exit_unseated`] follows.
    pub(crate) fn cancel_unseated(&self, runnable: Runnable) {
        self.cancel_late(runnable, &|end| self.drain_state.unseated.record(end));
    }

    /// A task, or job, that has been ended by a thread without a seat is counted out.
    pub(crate) fn exit_unseated(&self) {
        if self.drain_state.gate.exit() {
            self.recheck_quiescent();
        }
    }

    /// Cancels a task because the drain's deadline, or the shutdown, has come; `count` counts its
    /// end.
    fn cancel_late(&self, runnable: Runnable, count: &dyn Fn(Outcome)) {
        self.cancel(runnable, count, &|end| {
            // When it is being shut down, the runtime ends in any case.
            if end == Outcome::Panicked && self.is_open() {
                self.on_task_panic();
            }
        });
    }

    /// Cancels a blocking job for the same reason.
    pub(crate) fn cancel_job(&self, runnable: Runnable) {
        self.cancel(runnable, &|end| self.drain_state.jobs.outcomes.record(end), &|_| ());
    }

    fn cancel(&self, runnable: Runnable, count: &dyn Fn(Outcome), note: &dyn Fn(Outcome)) {
        let _ = self.take_queue_time(runnable.header().id());
        let who = self.end_hook_info(runnable.header());
        runnable.cancel(&|task, end| {
            note(end);
            self.drain_state.record_cancelled(task.identity().into(), || count(end));
        });
        // It may be gone.
        let outer = budget::set_current(None);
        self.run_end_hook(who);
        budget::set_current(outer);
    }
}

impl Seat {
    /// Returns the task that is polled here, and for how long it has been, by what the drain and
    /// the watchdog have `seen`.
    fn running_task(&self, now: u64, seen: &[PollSeen]) -> Option<Straggler> {
        let (task, since) = self.observed_task();
        let watched = since.map_or(Duration::ZERO, |since| Duration::from_nanos(now.saturating_sub(since)));
        let number = self.progress();
        let seen = seen.iter().filter(|poll| poll.seat == self.index && poll.number == number);
        let longest = seen.map(|poll| poll.at.elapsed()).chain([watched]).max();
        Some(Straggler { running_for: longest, ..Straggler::from(task?) })
    }

    /// Cancels a task because the drain's deadline, or the shutdown, has come. The caller sits
    /// here.
    pub(crate) fn cancel_in_seat(&self, runnable: Runnable) {
        self.polling.begin_poll(runnable.header());
        self.pool().cancel_late(runnable, &|end| self.stats.record_outcome(end));
        self.stats.ended.add_release(1);
        self.polling.end_poll();
    }

    /// A task has been dropped where it would have been polled: after the deadline it is late. It
    /// was asked to end while it was in a queue, or in a poll, and its worker has not looked at it
    /// as one that is overdue.
    #[cold]
    pub(crate) fn count_unfinished(&self, task: &Header, end: Outcome) {
        let pool = self.pool();
        if pool.phase.load() < Phase::DeadlinePassed {
            // First: who sees the end does not see the task in a poll any more.
            self.polling.end_poll();
            return self.stats.record_outcome(end);
        }
        pool.drain_state.record_cancelled(task.identity().into(), || self.stats.record_outcome(end));
    }

    /// Whether the seat's worker knows that the runtime drains.
    fn has_acked_drain(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `hear`.
        self.drain_acked.load(Ordering::Acquire)
    }

    /// The worker has seen that the runtime drains: what is spawned here from now on passes the
    /// gate. True if that is news.
    pub(crate) fn ack_drain(&self) -> bool {
        // Ordering: Release — what has been spawned here before has been counted; pairs with the
        // Acquire in `has_heard`.
        !self.drain_acked.swap(true, Ordering::AcqRel)
    }
}
