//! Linked lists of Runnables, which move from queue to queue as a whole.

use std::ptr::NonNull;

use super::{CAPACITY, LifoSlot, Owner, Thief};
use crate::raw_task::{Header, Runnable};

/// A FIFO of Runnables, linked through their headers. Dropping it cancels the tasks in it.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// The first and the last task.
    ///
    /// Invariant: the chain owns the `Runnable` of every task from the first to the last, and the
    /// last has no next.
    ends: Option<(NonNull<Header>, NonNull<Header>)>,
    len: usize,
}

// SAFETY: a chain consists of Runnables, which are `Send`.
unsafe impl Send for Chain {}

impl Chain {
    pub(crate) const fn new() -> Self {
        Chain { ends: None, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, runnable: Runnable) {
        runnable.set_queue_next(None);
        let task = runnable.into_raw();
        self.append(Chain { ends: Some((task, task)), len: 1 });
    }

    /// Appends all of `other`.
    pub(crate) fn append(&mut self, mut other: Chain) {
        let Some((first, last)) = other.ends.take() else { return };
        self.ends = match self.ends {
            None => Some((first, last)),
            Some((head, tail)) => {
                link(tail, Some(first));
                Some((head, last))
            }
        };
        self.len += std::mem::take(&mut other.len);
    }

    pub(crate) fn pop(&mut self) -> Option<Runnable> {
        let (first, last) = self.ends?;
        // SAFETY: by the invariant, the chain owns this Runnable, which is removed below.
        let runnable = unsafe { Runnable::from_raw(first) };
        self.ends = runnable.queue_next().map(|next| (next, last));
        runnable.set_queue_next(None);
        self.len -= 1;
        Some(runnable)
    }

    /// Calls `visit` with each task.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Header)) {
        let mut next = self.ends.map(|(first, _)| first);
        while let Some(task) = next {
            // SAFETY: by the invariant, the chain owns this Runnable, and gets it back below.
            let runnable = unsafe { Runnable::from_raw(task) };
            visit(runnable.header());
            next = runnable.queue_next();
            let _ = runnable.into_raw();
        }
    }

    /// Removes and returns the first `count`, or all if there are fewer.
    pub(crate) fn split(&mut self, count: usize) -> Chain {
        if count >= self.len {
            return std::mem::take(self);
        }
        let mut front = Chain::new();
        for _ in 0..count {
            if let Some(runnable) = self.pop() {
                front.push(runnable);
            }
        }
        front
    }
}

fn link(task: NonNull<Header>, next: Option<NonNull<Header>>) {
    // SAFETY: the calling chain owns the Runnable, and gets it back below.
    let runnable = unsafe { Runnable::from_raw(task) };
    runnable.set_queue_next(next);
    let _ = runnable.into_raw();
}

impl Drop for Chain {
    fn drop(&mut self) {
        while let Some(runnable) = self.pop() {
            drop(runnable);
        }
    }
}

/// Takes every task of a seat, the next to be polled first. Called by the ring's owner, which
/// pushes nothing there afterwards.
pub(crate) fn take_all(lifo: &LifoSlot, ring: &Owner) -> Chain {
    let mut tasks = Chain::new();
    if let Some(runnable) = lifo.pop() {
        tasks.push(runnable);
    }
    tasks.append(ring.evict_newest(0));
    tasks
}

/// Takes every task of a seat whose owner may push and pop meanwhile. A thief puts what it takes
/// into `hand`, which is empty before and after. If the owner pushes as fast as that, it does not
/// end.
///
/// The slot comes first. A task that the owner displaces from it meanwhile is in the ring, and the
/// ring is emptied afterwards.
pub(crate) fn steal_all(lifo: &LifoSlot, ring: &Thief, hand: &Owner) -> Chain {
    steal_most(lifo, ring, hand, usize::MAX)
}

/// As [`steal_all`], but steals from the ring only while `most` leaves room for half a ring more.
/// `most` is at least one.
pub(crate) fn steal_most(lifo: &LifoSlot, ring: &Thief, hand: &Owner, most: usize) -> Chain {
    /// The most tasks that one steal takes.
    const ONE_STEAL: usize = CAPACITY / 2;
    let mut tasks = Chain::new();
    if let Some(runnable) = lifo.peek().and_then(|seen| lifo.claim(seen)) {
        tasks.push(runnable);
    }
    while tasks.len().saturating_add(ONE_STEAL) <= most {
        let Some(runnable) = ring.steal(hand, 1) else { break };
        tasks.push(runnable);
        tasks.append(hand.evict_newest(0));
    }
    tasks
}
