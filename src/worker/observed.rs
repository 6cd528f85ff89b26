//! A poll of which somebody wants to know.

use super::Worker;
use crate::cell::{Ran, Runnable};
use crate::context;
use crate::pool::TaskHooks;

impl Worker<'_> {
    /// Runs a task that is measured, or of which the hooks of tasks are told.
    #[cold]
    pub(super) fn run_observed(&self, runnable: Runnable) -> Ran {
        match &self.pool.settings.task_hooks {
            None => self.run_measured(runnable),
            Some(hooks) => self.run_before_eyes(runnable, hooks),
        }
    }

    /// Runs a task before the eyes of the hooks. What they do is not measured.
    fn run_before_eyes(&self, runnable: Runnable, hooks: &TaskHooks) -> Ran {
        let task = runnable.header().identity();
        hooks.tell(|hooks| &hooks.before_poll, &task);
        let ran = self.run_measured(runnable);
        // It may be gone.
        context::set_task(None);
        hooks.tell(|hooks| &hooks.after_poll, &task);
        if let Ran::Ended = ran {
            hooks.tell(|hooks| &hooks.terminate, &task);
        }
        ran
    }
}
