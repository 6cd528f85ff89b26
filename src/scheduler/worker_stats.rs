//! A worker's measurements of itself, and its calls of the task hooks.

use std::thread;
use std::time::Duration;

use crate::context::{self, budget};
use crate::pool::hooks::TaskHooks;
use crate::raw_task::{RunResult, Runnable};
use crate::scheduler::worker::Worker;

/// A driver that starts this many nanoseconds or more after the last reactor poll polls the reactor
/// first.
const STALE_REACTOR: u64 = 100_000;

impl Worker<'_> {
    /// Starts the measurements of a worker that enters its seat.
    pub(super) fn start_busy(&self, now: u64) {
        self.seat.set_occupant(Some(thread::current().id()));
        self.local.slept_until(now);
        self.begin_interval(now);
        self.refresh_recording();
        // A program may call `block_on` in bursts that are too short for a checkpoint and never
        // sleep.
        if self.pool.settings.current_thread && self.local.since_reactor_poll(now) >= STALE_REACTOR {
            self.local.make_checkpoint_due();
        }
    }

    /// Ends the measurements of a worker that leaves its seat.
    pub(super) fn stop_busy(&self) {
        self.update_poll_time(self.pool.clock.now());
        self.seat.set_occupant(None);
    }

    /// Counts a sleep. If the worker has polled nothing since its last wake-up, that wake-up is
    /// counted as a no-op.
    pub(super) fn count_park(&self) {
        let stats = &self.seat.stats;
        if self.polls_at_wake_up.get() == Some(stats.polls.get()) {
            stats.noops.add(1);
        }
        stats.parks.add(1);
    }

    /// Counts a wake-up.
    pub(super) fn count_unpark(&self) {
        let stats = &self.seat.stats;
        stats.parks.add(1);
        self.polls_at_wake_up.set(Some(stats.polls.get()));
    }

    /// Updates the estimate of the poll time, and publishes the worker's metrics.
    pub(super) fn update_poll_time(&self, now: u64) {
        let stats = &self.seat.stats;
        stats.scheduled.set(self.local.scheduled());
        stats.busy.add(self.local.update_poll_time(now));
        if stats.polls.get() > 0 {
            stats.mean_poll.set(self.local.mean_poll());
        }
    }

    /// Returns how many nanoseconds a task has waited that is about to be polled, and adds them to
    /// the histogram. `None` if queue times are not recorded. Must be called once per poll.
    pub(super) fn measure_wait(&self, runnable: &Runnable) -> Option<u64> {
        let queued = self.pool.take_queue_time(runnable.header().id())?;
        let waited = self.pool.clock.now().saturating_sub(queued);
        if let Some(latencies) = self.seat.histograms.as_ref().and_then(|histograms| histograms.latencies.as_ref()) {
            latencies.add(waited);
        }
        Some(waited)
    }

    /// Runs a task, and measures its poll if there is a histogram. If the task yields, its new
    /// queue time is recorded.
    pub(super) fn run_measured(&self, runnable: Runnable) -> RunResult {
        let poll_times = self.seat.histograms.as_ref().and_then(|histograms| histograms.poll_times.as_ref());
        let ran = match poll_times {
            None => runnable.run(self.seat),
            Some(poll_times) => {
                let begun = self.pool.clock.now();
                let ran = runnable.run(self.seat);
                poll_times.add(self.pool.clock.now().saturating_sub(begun));
                ran
            }
        };
        if let RunResult::Again(runnable) = &ran {
            self.pool.record_queue_time(runnable.header());
        }
        ran
    }

    /// Counts a poll that has been denied an operation because its budget was spent.
    pub(super) fn count_forced_yield(&self, task: &Runnable) {
        if budget::was_denied() {
            self.seat.stats.forced_yields.add(1);
            self.record_spent_budget(task.header().id());
        }
    }
}

impl Worker<'_> {
    /// Runs a task that is recorded or measured, or for which task hooks are called.
    #[cold]
    pub(super) fn run_observed(&self, runnable: Runnable) -> RunResult {
        match self.local.track() {
            None => self.run_with_metrics(runnable),
            Some(track) => self.run_recorded(track, runnable),
        }
    }

    /// Runs a task that is measured, or for which task hooks are called.
    pub(super) fn run_with_metrics(&self, runnable: Runnable) -> RunResult {
        let waited = self.measure_wait(&runnable);
        match &self.pool.settings.task_hooks {
            None => self.run_measured(runnable),
            Some(hooks) => self.run_with_hooks(runnable, hooks, waited.map(Duration::from_nanos)),
        }
    }

    /// Runs a task between its poll hooks. The hooks are not part of the measured time.
    fn run_with_hooks(&self, runnable: Runnable, hooks: &TaskHooks, waited: Option<Duration>) -> RunResult {
        let task = runnable.header().identity();
        hooks.run_poll_hook(|hooks| &hooks.before_poll, &task, waited);
        let ran = self.run_measured(runnable);
        // The task may have been freed.
        context::set_task(None);
        hooks.run_poll_hook(|hooks| &hooks.after_poll, &task, waited);
        if let RunResult::Ended = ran {
            hooks.run_hook(|hooks| &hooks.terminate, &task);
        }
        ran
    }
}
