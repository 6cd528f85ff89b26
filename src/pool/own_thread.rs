//! The one thread on which a local pool's tasks live.

use std::cell::Cell;

use crate::sync::statics::{AtomicU64, Ordering};

/// The thread that made a local pool. See [the task's page](crate::cell).
///
/// Told by a number that is never used again: a thread that comes after it, perhaps in the same memory, is another one. The number is our own,
/// because std's can't be asked for at the very end of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnThread(u64);

static NEXT: AtomicU64 = AtomicU64::new(1);

std::thread_local! {
    /// Zero until it is asked for. Without a destructor, it is there to the very end of the thread.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

impl OwnThread {
    /// The thread that calls this.
    pub(crate) fn this() -> OwnThread {
        if NUMBER.get() == 0 {
            // Ordering: Relaxed — only the number matters.
            NUMBER.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        OwnThread(NUMBER.get())
    }

    /// Whether this is it. Good in destructors of thread-locals, too.
    pub(crate) fn is_here(self) -> bool {
        NUMBER.get() == self.0
    }
}
