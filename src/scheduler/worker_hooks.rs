//! A poll of which somebody wants to know.

use std::time::Duration;

use crate::context;
use crate::pool::hooks::TaskHooks;
use crate::raw_task::{RunResult, Runnable};
use crate::scheduler::worker::Worker;

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
