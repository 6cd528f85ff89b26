//! What the recorder learns of: hooks in the worker, in the queues, and in code on its threads.
//!
//! If the recorder is off, each hook is one predictable branch, or is on a path that is slow
//! anyway.

use std::io;

use crate::context::{self, Seated};
use crate::pool::Pool;
use crate::primitive::Arc;
use crate::raw_task::{Header, Id, RunResult, Runnable};
use crate::recorder::record::{CutText, Kind, PollResult, Record, TaskWord};
use crate::recorder::track::TrackWriter;
use crate::recorder::{site_table, spawn_record, write_names, write_names_of};
use crate::scheduler::worker::Worker;

impl Seated<'_> {
    /// Records an event of this worker, if the recorder is on. `record` gets the time.
    #[inline]
    pub(crate) fn record(&self, record: impl FnOnce(u64) -> Record) {
        if self.local.is_recording() {
            self.write_record(record);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_record(&self, record: impl FnOnce(u64) -> Record) {
        self.local.set_poll_end(0);
        if let Some(track) = self.local.track() {
            track.write(record(self.pool.recorder.ticks.now()));
        }
    }

    /// Records that a task is queued, because it was woken or spawned.
    #[inline]
    pub(super) fn record_queued(&self, task: &Header, why: Kind) {
        if self.local.is_recording() {
            self.write_queued(task, why);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_queued(&self, task: &Header, why: Kind) {
        let Some(track) = self.local.track() else { return };
        let at = self.pool.recorder.ticks.now();
        if why == Kind::Spawn {
            track.write(spawn_record(why, at, task));
            write_names_of(track, task);
        } else {
            track.write(Record::of_id(why, at, task.id()));
        }
    }
}

impl Pool {
    /// Records an event on the track of this thread, if the recorder is on. `record` gets the time.
    #[inline]
    pub(crate) fn record_here(&self, record: impl FnOnce(u64) -> Record) {
        if self.recorder.is_on() {
            self.record_on_track(record, |_| ());
        }
    }

    /// Records a new task or blocking job on the track of this thread, if the recorder is on.
    #[inline]
    pub(crate) fn record_spawn(&self, kind: Kind, task: &Header) {
        if self.recorder.is_on() {
            self.record_on_track(|at| spawn_record(kind, at, task), |track| write_names_of(track, task));
        }
    }

    /// Cancels a task by `cancel`, outside of a poll. If the recorder is on, that is recorded as a
    /// poll.
    pub(crate) fn record_cancel(&self, runnable: Runnable, cancel: impl FnOnce(Runnable)) {
        if !self.recorder.is_on() {
            return cancel(runnable);
        }
        let (id, place) = (runnable.header().id().get(), runnable.header().location());
        self.record_here(|at| Record::of_task(Kind::PollStart, at, TaskWord::with_count(id, 0)));
        cancel(runnable);
        let word = TaskWord::new(id, site_table::number_of(place), PollResult::Cancelled);
        self.record_here(|at| Record::of_task(Kind::PollEnd, at, word));
    }

    /// Records an event of a blocking job, if the recorder is on.
    pub(crate) fn record_job(&self, kind: Kind, job: Id) {
        self.record_here(|at| Record::of_id(kind, at, job));
    }

    /// Records a mark of the program on the track of this thread, if the recorder is on.
    #[inline]
    pub(crate) fn record_mark(&self, text: &str) {
        if self.recorder.is_on() {
            self.record_on_track(
                |at| Record::new(Kind::Mark, at, 0),
                |track| Record::of_text(Kind::Text, text.as_bytes()).for_each(|record| track.write(record)),
            );
        }
    }

    #[cold]
    fn record_on_track(&self, record: impl FnOnce(u64) -> Record, details: impl FnOnce(&TrackWriter)) {
        context::seated(|seated| {
            let here = seated.filter(|seated| std::ptr::eq(Arc::as_ptr(seated.pool), self));
            match here.and_then(|seated| seated.local.track()) {
                Some(track) => {
                    here.iter().for_each(|seated| seated.local.set_poll_end(0));
                    track.write(record(self.recorder.ticks.now()));
                    details(track);
                }
                None => self.recorder.record_outside_with(record, details),
            }
        });
    }
}

impl Worker<'_> {
    /// Follows the recorder's switch. Called when the tick has changed, and by a worker that enters
    /// its seat.
    #[inline]
    pub(super) fn refresh_recording(&self) {
        if self.pool.recorder.is_on() != self.local.is_recording() {
            self.switch_recording();
        }
    }

    #[cold]
    #[inline(never)]
    fn switch_recording(&self) {
        let is_on = self.pool.recorder.is_on();
        self.local.set_recording(is_on, || self.pool.recorder.new_worker_track(self.seat.index));
    }

    /// Runs a task, and records its poll.
    pub(super) fn run_recorded(&self, track: &TrackWriter, runnable: Runnable) -> RunResult {
        let ticks = &self.pool.recorder.ticks;
        let header = runnable.header();
        let (id, place) = (header.id().get(), header.location());
        // The task may be freed in the poll. A copy touches no count that other workers touch.
        let name = header.name().map(|name| CutText::new(name));
        let group = header.group().map(|group| CutText::new(group.name()));
        let began = match self.local.take_poll_end() {
            0 => ticks.now(),
            // Nothing has happened between the two polls.
            ended => ended,
        };
        let queued = self.local.ring.len();
        track.write(Record::of_task(Kind::PollStart, began, TaskWord::with_count(id, queued)));
        let stats = &self.seat.stats;
        let before = (stats.completed.get(), stats.panicked.get());
        let ran = if self.local.is_measured { self.run_with_metrics(runnable) } else { runnable.run(self.seat) };
        let ended = ticks.now();
        let (result, site) = match &ran {
            RunResult::Suspended => (PollResult::Pending, 0),
            RunResult::Again(_) => (PollResult::Yielded, 0),
            RunResult::Ended => {
                let result = match before {
                    (completed, _) if completed != stats.completed.get() => PollResult::Completed,
                    (_, panicked) if panicked != stats.panicked.get() => PollResult::Panicked,
                    _ => PollResult::Cancelled,
                };
                (result, site_table::number_of(place))
            }
        };
        track.write(Record::of_task(Kind::PollEnd, ended, TaskWord::new(id, site, result)));
        if matches!(ran, RunResult::Ended) {
            write_names(track, name.as_ref().map(CutText::bytes), group.as_ref().map(CutText::bytes));
        }
        self.local.set_poll_end(ended);
        ran
    }

    /// Polls the root future by `poll`, on the thread that drives the runtime. Records the poll if
    /// the recorder is on.
    #[inline]
    pub(crate) fn poll_recorded_root<F, T>(&self, future: F, poll: impl FnOnce(F) -> Option<T>) -> Option<T> {
        if self.local.is_recording() { self.poll_and_record_root(future, poll) } else { poll(future) }
    }

    #[cold]
    #[inline(never)]
    fn poll_and_record_root<F, T>(&self, future: F, poll: impl FnOnce(F) -> Option<T>) -> Option<T> {
        self.seated().record(|at| Record::of_task(Kind::PollStart, at, TaskWord::with_count(0, self.local.ring.len())));
        let output = poll(future);
        let result = if output.is_some() { PollResult::Completed } else { PollResult::Pending };
        self.seated().record(|at| Record::of_task(Kind::PollEnd, at, TaskWord::new(0, 0, result)));
        output
    }

    /// Records that a task has spent its budget in the poll that has just ended.
    #[cold]
    #[inline(never)]
    pub(super) fn record_spent_budget(&self, task: Id) {
        self.seated().record(|at| Record::of_id(Kind::BudgetSpent, at, task));
    }

    /// Records that so many tasks were stolen from a seat.
    #[inline]
    pub(super) fn record_steal(&self, victim: usize, tasks: usize) {
        self.seated().record(|at| Record::pair(Kind::Steal, at, victim, tasks));
    }

    /// Records that so many tasks were taken from the global queue, unless there were none.
    #[inline]
    pub(super) fn record_global_take(&self, tasks: usize) {
        if tasks > 0 {
            self.seated().record(|at| Record::pair(Kind::GlobalTake, at, tasks, 0));
        }
    }

    /// Records a reactor poll of a checkpoint that has begun at `began`, on the runtime's clock.
    #[cold]
    #[inline(never)]
    pub(super) fn record_reactor_poll(&self, began: u64, polled: &io::Result<usize>) {
        let (events, took) = (*polled.as_ref().unwrap_or(&0), self.pool.clock.now().saturating_sub(began));
        self.seated().record(|at| Record::counted(Kind::Reactor, at, events, took));
    }

    /// Records that so many timers have fired, the first of them so late.
    #[inline]
    pub(super) fn record_timers(&self, fired: usize, late: u64) {
        self.seated().record(|at| Record::counted(Kind::Timers, at, fired, late));
    }

    /// Records the end of a sleep. `wakes` tells how many events have come, if the reactor was
    /// polled.
    #[inline]
    pub(super) fn record_unpark(&self, polled: bool, wakes: usize) {
        if polled {
            self.seated().record(|at| Record::counted(Kind::Reactor, at, wakes, 0));
        }
        self.seated().record(|at| Record::new(Kind::Unpark, at, 0));
    }
}
