//! What a worker measures of itself, apart from its counts.

use std::thread;
use std::time::Duration;

use crate::context::{self, budget};
use crate::pool::hooks::TaskHooks;
use crate::raw_task::{RunResult, Runnable};
use crate::scheduler::worker::Worker;

/// If a driver begins this many nanoseconds or more after the last look at the reactor, it looks
/// first.
const STALE: u64 = 100_000;

impl Worker<'_> {
    /// The worker comes: what has been before was not its time.
    pub(super) fn start_busy(&self, now: u64) {
        self.seat.set_occupant(Some(thread::current().id()));
        self.local.slept_until(now);
        self.begin_interval(now);
        // A program may drive in bursts that are too short for a checkpoint and that never sleep.
        if self.pool.settings.current_thread && self.local.since_reactor(now) >= STALE {
            self.local.make_checkpoint_due();
        }
    }

    /// The worker leaves.
    pub(super) fn stop_busy(&self) {
        self.update_poll_time(self.pool.clock.now());
        self.seat.set_occupant(None);
    }

    /// The worker goes to sleep. If it got up before and has polled nothing since, that was for
    /// nothing.
    pub(super) fn count_rest(&self) {
        let stats = &self.seat.stats;
        if self.rose_at.get() == Some(stats.polls.get()) {
            stats.noops.add(1);
        }
        stats.parks.add(1);
    }

    /// It gets up.
    pub(super) fn count_rise(&self) {
        let stats = &self.seat.stats;
        stats.parks.add(1);
        self.rose_at.set(Some(stats.polls.get()));
    }

    /// Learns how long polls take, and publishes what the worker knows of itself.
    pub(super) fn update_poll_time(&self, now: u64) {
        let stats = &self.seat.stats;
        stats.scheduled.set(self.local.scheduled());
        stats.busy.add(self.local.update_poll_time(now));
        if stats.polls.get() > 0 {
            stats.mean_poll.set(self.local.mean_poll());
        }
    }

    /// For how many nanoseconds a task that is about to be polled has waited for that, if somebody
    /// wants to know; asked once.
    pub(super) fn measure_wait(&self, runnable: &Runnable) -> Option<u64> {
        let queued = self.pool.take_queue_time(runnable.header().id())?;
        let waited = self.pool.clock.now().saturating_sub(queued);
        if let Some(latencies) = self.seat.histograms.as_ref().and_then(|histograms| histograms.latencies.as_ref()) {
            latencies.add(waited);
        }
        Some(waited)
    }

    /// Runs a task, and measures how long that takes, if somebody wants to know. From then on it
    /// waits again, if it has let others go first.
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

    /// A poll has ended that had spent its budget, or more.
    pub(super) fn count_forced_yield(&self) {
        if budget::was_refused() {
            self.seat.stats.forced_yields.add(1);
        }
    }
}

impl Worker<'_> {
    /// Runs a task that is measured, or of which the hooks of tasks are told.
    #[cold]
    pub(super) fn run_observed(&self, runnable: Runnable) -> RunResult {
        let waited = self.measure_wait(&runnable);
        match &self.pool.settings.task_hooks {
            None => self.run_measured(runnable),
            Some(hooks) => self.run_before_eyes(runnable, hooks, waited.map(Duration::from_nanos)),
        }
    }

    /// Runs a task before the eyes of the hooks. What they do is not measured.
    fn run_before_eyes(&self, runnable: Runnable, hooks: &TaskHooks, waited: Option<Duration>) -> RunResult {
        let task = runnable.header().identity();
        hooks.run_poll_hook(|hooks| &hooks.before_poll, &task, waited);
        let ran = self.run_measured(runnable);
        // It may be gone.
        context::set_task(None);
        hooks.run_poll_hook(|hooks| &hooks.after_poll, &task, waited);
        if let RunResult::Ended = ran {
            hooks.run_hook(|hooks| &hooks.terminate, &task);
        }
        ran
    }
}
