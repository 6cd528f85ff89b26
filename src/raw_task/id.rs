//! The id of a task.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::ptr::NonNull;

use crate::context::budget;
use crate::primitive::statics::{AtomicU64, Ordering};
use crate::util::scoped_cell::{ScopedSet, set_scoped};

/// Identifies a task among all that this process has spawned.
///
/// Ids are unique for the life of the process and are not reused. They do not show the order in
/// which tasks were spawned: each thread draws them from a block of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(NonZeroU64);

/// Ids per block: one shared read-modify-write per this many spawns.
const BLOCK: u64 = 1024;

/// The first id of the next block.
static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);

std::thread_local! {
    /// The ids that this thread may still assign: next, and end.
    static LOCAL_BLOCK: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// The task whose future or output is being dropped outside of its poll. With it, the task that
    /// was being polled on this thread when the drop began.
    static ENDING: Cell<Option<Ending>> = const { Cell::new(None) };
}

type Ending = (Id, Option<NonNull<()>>);

impl Id {
    #[inline]
    pub(super) fn next() -> Id {
        let next = LOCAL_BLOCK.with(|block| {
            let (next, end) = block.get();
            if next < end {
                block.set((next + 1, end));
                return next;
            }
            refill(block)
        });
        Id(NonZeroU64::new(next).expect("ids start at one"))
    }

    /// Marks this task's future or output as being dropped outside of its poll, until the returned
    /// guard is dropped.
    pub(super) fn mark_ending(self) -> ScopedSet<Option<Ending>> {
        set_scoped(&ENDING, Some((self, budget::current())))
    }

    /// Returns the task for which [`Id::mark_ending`] was called last, unless another task has been
    /// polled since.
    pub(crate) fn ending() -> Option<Id> {
        ENDING.get().filter(|(_, polled)| *polled == budget::current()).map(|(id, _)| id)
    }

    /// Returns the id of a number, unless that is zero.
    pub(crate) fn from_number(number: u64) -> Option<Id> {
        NonZeroU64::new(number).map(Id)
    }

    /// Returns a number that is not below any id so far.
    pub(crate) fn newest() -> u64 {
        // Ordering: Relaxed — an id that another thread has just drawn may be above. Its event is
        // newer than the copied ones.
        NEXT_BLOCK.load(Ordering::Relaxed)
    }

    /// Returns the number of the id.
    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }
}

#[cold]
fn refill(block: &Cell<(u64, u64)>) -> u64 {
    // Ordering: Relaxed — the block only has to be unique.
    let first = NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed);
    block.set((first + 1, first + BLOCK));
    first
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
