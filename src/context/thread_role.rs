//! What a thread does for a runtime while it calls user code in the midst of it: who waited there
//! for the runtime might wait for himself.

use std::cell::Cell;

use crate::util::scoped_cell::set_scoped;

/// What others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThreadRole {
    /// It carries out resizes, naming threads and calling wakers. No other resize begins before it
    /// is done.
    Resizing,
    /// It has been given a seat, and has not sat down yet: it cannot leave.
    Starting,
    /// It has left its seat.
    Stopping,
    /// It is the watchdog.
    Watching,
    /// It keeps a drain's deadline, or cancels what is late.
    Draining,
}

std::thread_local! {
    static DUTY: Cell<Option<ThreadRole>> = const { Cell::new(None) };
}

/// Says what others wait for while the answer lives.
pub(crate) fn enter(role: ThreadRole) -> impl Drop {
    set_scoped(&DUTY, Some(role))
}

/// What this thread is in the midst of, if others wait for it.
pub(crate) fn current() -> Option<ThreadRole> {
    DUTY.get()
}
