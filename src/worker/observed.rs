//! A poll of which the hooks of tasks are told.

use super::Worker;
use crate::cell::{Ran, Runnable};
use crate::context;
use crate::pool::TaskHooks;

impl Worker<'_> {
    /// Runs a task before the eyes of the hooks.
    #[cold]
    pub(super) fn run_observed(&self, runnable: Runnable, hooks: &TaskHooks) -> Ran {
        let task = runnable.header().identity();
        hooks.tell(|hooks| &hooks.before_poll, &task);
        let ran = runnable.run(self.seat);
        // It may be gone.
        context::set_task(None);
        hooks.tell(|hooks| &hooks.after_poll, &task);
        if let Ran::Ended = ran {
            hooks.tell(|hooks| &hooks.terminate, &task);
        }
        ran
    }
}
