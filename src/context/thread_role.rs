//! The role in which a thread of a runtime calls user code. Other threads wait for that role to
//! end. So user code that waits for the runtime there could wait for its own thread.

use std::cell::Cell;

use crate::util::scoped_cell::set_scoped;

/// A role that other threads wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThreadRole {
    /// The thread carries out resizes: it names threads and calls wakers. No other resize begins
    /// before this one is done.
    Resizing,
    /// The thread has been assigned a seat and does not occupy it yet: it cannot retire.
    Starting,
    /// The thread has left its seat.
    Stopping,
    /// The thread is the watchdog.
    Watching,
    /// The thread waits for a drain's deadline, or cancels overdue tasks.
    Draining,
}

std::thread_local! {
    static ROLE: Cell<Option<ThreadRole>> = const { Cell::new(None) };
}

/// Sets the role of this thread, until the returned guard is dropped.
pub(crate) fn enter(role: ThreadRole) -> impl Drop {
    set_scoped(&ROLE, Some(role))
}

/// Returns the role of this thread, if it has one.
pub(crate) fn current() -> Option<ThreadRole> {
    ROLE.get()
}
