//! Process-wide numbers: the id of a runtime, and the thread on which a local pool runs.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;

use crate::primitive::statics::{AtomicU64, Ordering};

/// Identifies a runtime within this process. [`Handle::id`](crate::runtime::Handle::id) returns it.
///
/// Ids are unique for the life of the process and are not reused. They do not tell
/// the order in which runtimes are made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(NonZeroU64);

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Id {
    pub(crate) fn next() -> Id {
        // Ordering: Relaxed — only the number matters.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Id(NonZeroU64::new(number).expect("ids start at one"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

/// The thread that made a local pool. See [the task's page](crate::raw_task).
///
/// Threads are compared by a number that is never reused, so a later thread is a different one. The
/// number is not std's `ThreadId`, because that is not available at the very end of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HomeThread(u64);

static NEXT_THREAD: AtomicU64 = AtomicU64::new(1);

std::thread_local! {
    /// Zero until the first use. It has no destructor, so it is available until the very end of the
    /// thread.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

impl HomeThread {
    /// Returns the calling thread.
    pub(crate) fn current() -> HomeThread {
        if NUMBER.get() == 0 {
            // Ordering: Relaxed — only the number matters.
            NUMBER.set(NEXT_THREAD.fetch_add(1, Ordering::Relaxed));
        }
        HomeThread(NUMBER.get())
    }

    /// Returns true on this thread, also in destructors of its thread-locals.
    pub(crate) fn is_here(self) -> bool {
        NUMBER.get() == self.0
    }
}
