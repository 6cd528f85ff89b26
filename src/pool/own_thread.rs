//! The one thread on which a local pool's tasks live.

use std::thread::{self, ThreadId};

/// The thread that made a local pool. See [the task's page](crate::cell).
///
/// Told by its id, which is never used again: a thread that comes after it, perhaps in the same memory, is another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnThread(ThreadId);

impl OwnThread {
    /// The thread that calls this.
    pub(crate) fn this() -> OwnThread {
        OwnThread(thread::current().id())
    }

    /// Whether this is it. Good in destructors of thread-locals, too.
    pub(crate) fn is_here(self) -> bool {
        thread::current().id() == self.0
    }
}
