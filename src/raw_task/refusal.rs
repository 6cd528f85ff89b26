//! Why a task was not accepted.

use std::cell::Cell;
use std::fmt;

use crate::util::scoped_cell::set_scoped;

std::thread_local! {
    /// Why the task is refused that is dropped next on this thread.
    static REFUSAL: Cell<Option<Refusal>> = const { Cell::new(None) };
}

/// Why a task was not accepted. [`SpawnError::refusal`](crate::runtime::SpawnError::refusal) and
/// [`JoinError::refusal`](crate::task::JoinError::refusal) return it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// As many tasks of the group live as it allows, or earlier spawns wait for a place.
    Full,
    /// The runtime, or the group, is being drained.
    Draining,
    /// The runtime has been shut down, or the group has been drained.
    Closed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Full => {
                "the group has as many live tasks as it allows: wait with `spawn_when_admitted` or `admit`, or raise `max_tasks`"
            }
            Refusal::Draining => {
                "the runtime, or the group, is being drained, and accepts no more tasks from here; `Handle::draining` \
                 resolves when a drain of the runtime begins"
            }
            Refusal::Closed => "the runtime has been shut down, or the group has been drained, and accepts no more tasks",
        })
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Runs `f`. A task that it drops first ends as refused for this reason.
    pub(crate) fn run_with<R>(self, f: impl FnOnce() -> R) -> R {
        let _refusal = set_scoped(&REFUSAL, Some(self));
        f()
    }

    /// Returns why the task is refused that is being dropped, once.
    pub(super) fn take() -> Option<Refusal> {
        REFUSAL.try_with(Cell::take).ok().flatten()
    }
}
