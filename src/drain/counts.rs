//! The counts of a pool's seats, and the ends of overdue tasks, for the drain state.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::context::budget;
use crate::drain::outcome_counts::OutcomeCounts;
use crate::drain::state::Straggler;
use crate::drain::state::{PollSeen, TaskCounts};
use crate::metrics::counter::{Counter, Stats};
use crate::phase::Phase;
use crate::pool::current_task::CurrentTask;
use crate::pool::{Pool, Seat};
use crate::primitive::atomic::Ordering;
use crate::primitive::real_now;
use crate::queue::{Chain, LaneCursor};
use crate::raw_task::{Header, Id, Outcome, Runnable};
use crate::recorder::DrainStep;
use crate::recorder::record::Kind;

impl Stats {
    /// Counts how a task has ended.
    #[inline]
    pub(crate) fn record_outcome(&self, end: Outcome) {
        let counter = match end {
            Outcome::Completed => &self.completed,
            Outcome::Panicked => &self.panicked,
            Outcome::Cancelled => &self.cancelled,
        };
        // A Release: a thread that reads the count does not find a polled task in its poll any
        // more.
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
        self.seats.iter().all(|seat| seat.has_acked_drain() || !seat.is_local_taken())
    }

    fn tasks_ended(&self) -> u64 {
        self.seats.iter().map(|seat| seat.stats.ended.load_acquire()).sum()
    }

    fn tasks_started(&self) -> u64 {
        self.sum_counter(|stats| &stats.spawned)
    }

    fn outcomes(&self) -> OutcomeCounts {
        self.task_outcomes() + self.drain_state.jobs.outcomes.get()
    }

    fn stragglers(&self, seen: &[PollSeen]) -> Vec<Straggler> {
        // A task in its first poll is in no list. A task in a later poll is in its list and in a
        // poll; the entry from the poll comes later and replaces the first.
        let mut left: BTreeMap<Id, Straggler> = BTreeMap::new();
        let mut add = |straggler: Straggler| drop(left.insert(straggler.id, straggler));
        self.global.for_each(|task| add(task.identity().into()));
        self.groups.for_each_queued(|task| add(task.identity().into()));
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

    fn on_report(&self) {
        self.recorder.record_drain(DrainStep::End, self.live_tasks());
    }
}

impl Pool {
    fn sum_counter(&self, counter: fn(&Stats) -> &Counter) -> u64 {
        self.seats.iter().map(|seat| counter(&seat.stats).get()).sum()
    }

    fn task_outcomes(&self) -> OutcomeCounts {
        self.seats.iter().fold(self.drain_state.unseated.get(), |sum, seat| sum + seat.stats.outcomes())
    }

    /// Returns how many tasks live. Reads the ended tasks first, so that each of them is counted as
    /// spawned, too.
    pub(crate) fn live_tasks(&self) -> u64 {
        let ended = self.task_outcomes().total();
        self.spawned().saturating_sub(ended)
    }

    /// Returns how many tasks were ever spawned, without blocking jobs. Reads the jobs first, each
    /// of which has passed the gate.
    pub(crate) fn spawned(&self) -> u64 {
        // Ordering: Acquire — pairs with the Release in `blocking::task::spawn`: the gate has
        // counted each of these jobs.
        let jobs = self.drain_state.jobs.entered.load(Ordering::Acquire);
        self.tasks_started() + self.drain_state.gate.entered().total().saturating_sub(jobs)
    }

    /// Returns how many polls found the budget spent, of tasks and of futures in `block_on`.
    pub(crate) fn forced_yields(&self) -> u64 {
        // Ordering: Relaxed — a figure.
        self.sum_counter(|stats| &stats.forced_yields) + self.forced_root_yields.load(Ordering::Relaxed)
    }

    /// Counts a poll of a future in `block_on` that found the budget spent.
    #[cold]
    pub(crate) fn count_forced_root(&self) {
        // Ordering: Relaxed — a figure.
        self.forced_root_yields.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes the drain's report if the last task has ended. While the runtime drains, a worker that
    /// has ended a task calls this before it sleeps.
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

    /// Notifies the reaper, or the threads of a shutdown, of a task that was just queued: an
    /// earlier collection may have missed it. A thread without a seat has woken a helper in
    /// between.
    ///
    /// `id` is the task's, if the task may be exempt from the drain.
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

    /// Calls `cancel` for each overdue task of the global queue. Takes one at a time, so that all
    /// others stay in reach while a destructor runs. Returns true if there was one.
    pub(crate) fn cancel_overdue_queued(&self, lane_cursor: &LaneCursor, mut cancel: impl FnMut(Runnable)) -> bool {
        let mut found = false;
        // Exempt tasks are kept aside. If they were put back at once, they would come again with
        // the next lane, and the overdue ones might never come.
        let mut exempt = Chain::new();
        while let Some(runnable) = self.global.take(lane_cursor, 1).pop() {
            if self.drain_state.is_exempt(runnable.header().id()) {
                exempt.push(runnable);
                continue;
            }
            self.requeue(std::mem::replace(&mut exempt, Chain::new()));
            // The destructor may never return, so another thread has to be awake for the rest.
            if self.global.len() > 0 {
                self.notify();
            }
            cancel(runnable);
            found = true;
        }
        self.requeue(exempt);
        found
    }

    /// Cancels a task on a thread without a seat, at a drain's deadline or for the shutdown. The
    /// caller calls [`Pool::exit_unseated`] afterwards.
    pub(crate) fn cancel_unseated(&self, runnable: Runnable) {
        self.cancel_task(runnable, &|end| self.drain_state.unseated.record(end));
    }

    /// Counts out a task or job that a thread without a seat has ended.
    pub(crate) fn exit_unseated(&self) {
        if self.drain_state.gate.exit() {
            self.recheck_quiescent();
        }
    }

    /// Cancels a task at a drain's deadline or for the shutdown; `count` counts its outcome.
    fn cancel_task(&self, runnable: Runnable, count: &dyn Fn(Outcome)) {
        self.record_cancel(runnable, |runnable| {
            let task_info = self.end_hook_info(runnable.header());
            self.cancel(runnable, count, &|end| {
                // While it is being shut down, the runtime ends in any case.
                if end == Outcome::Panicked && self.is_open() {
                    self.on_task_panic();
                }
            });
            // The task may be freed by now, so it is not the current one for the hook.
            let outer = budget::set_current(None);
            self.run_end_hook(task_info);
            budget::set_current(outer);
        });
    }

    /// Cancels a blocking job at a drain's deadline or for the shutdown. The task hooks are not for
    /// jobs.
    pub(crate) fn cancel_job(&self, runnable: Runnable) {
        let id = runnable.header().id();
        self.cancel(runnable, &|end| self.drain_state.jobs.outcomes.record(end), &|_| ());
        self.record_job(Kind::JobEnd, id);
    }

    fn cancel(&self, runnable: Runnable, count: &dyn Fn(Outcome), on_outcome: &dyn Fn(Outcome)) {
        let _ = self.take_queue_time(runnable.header().id());
        runnable.cancel(&|task, end| {
            on_outcome(end);
            self.drain_state.record_cancelled(task.identity().into(), || count(end));
        });
    }
}

impl Seat {
    /// Returns the task that is polled here, and for how long at least. The time is from the
    /// watchdog, or from the polls that the drain has `seen`.
    fn running_task(&self, now: u64, seen: &[PollSeen]) -> Option<Straggler> {
        let (task, since) = self.observed_task();
        let watched = since.map_or(Duration::ZERO, |since| Duration::from_nanos(now.saturating_sub(since)));
        let number = self.progress();
        let seen = seen.iter().filter(|poll| poll.seat == self.index && poll.number == number);
        let longest = seen.map(|poll| real_now().saturating_duration_since(poll.at)).chain([watched]).max();
        Some(Straggler { running_for: longest, ..Straggler::from(task?) })
    }

    /// Cancels a task at a drain's deadline or for the shutdown. The caller occupies the seat.
    pub(crate) fn cancel_in_seat(&self, runnable: Runnable) {
        self.polling.begin_poll(runnable.header());
        self.pool().cancel_task(runnable, &|end| self.stats.record_outcome(end));
        self.stats.ended.add_release(1);
        self.polling.end_poll();
    }

    /// Counts a task that was dropped where it would have been polled. After the deadline it is a
    /// straggler. It was cancelled in a queue or in a poll, and its worker took it before it had
    /// observed the deadline.
    #[cold]
    pub(crate) fn count_unfinished(&self, task: &Header, end: Outcome) {
        let pool = self.pool();
        if pool.phase.load() < Phase::DeadlinePassed {
            // The poll ends first: a thread that reads the count does not find the task in a poll.
            self.polling.end_poll();
            return self.stats.record_outcome(end);
        }
        pool.drain_state.record_cancelled(task.identity().into(), || self.stats.record_outcome(end));
    }

    /// Returns whether the seat's worker has acknowledged the drain.
    fn has_acked_drain(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `Seat::ack_drain`: the spawns that the seat
        // has counted.
        self.drain_acked.load(Ordering::Acquire)
    }

    /// Acknowledges the drain: what is spawned here from now on passes the gate. Returns true at
    /// the first call.
    pub(crate) fn ack_drain(&self) -> bool {
        // Ordering: Release — pairs with the Acquire in `Seat::has_acked_drain`: the spawns that
        // the seat has counted.
        !self.drain_acked.swap(true, Ordering::AcqRel)
    }
}
