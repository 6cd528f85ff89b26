//! The LIFO slot: the task that a running task woke last.

use std::ptr::{NonNull, null_mut};

use crate::raw_task::{Header, Runnable};
use crate::sync::atomic::{AtomicPtr, Ordering};

/// One runnable, or none. Pushed and popped by the seat's worker; taken by a thief that has seen it
/// age.
///
/// See [the queues' page](super).
#[derive(Debug)]
pub(crate) struct LifoSlot {
    /// Invariant: a non-null pointer is a `Runnable`, owned by whoever makes it null. Only the
    /// seat's worker makes it non-null.
    task: AtomicPtr<Header>,
}

/// What was seen in a slot: only good for claiming it, never for looking into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peeked(NonNull<Header>);

impl LifoSlot {
    pub(crate) fn new() -> Self {
        LifoSlot { task: AtomicPtr::new(null_mut()) }
    }

    /// Puts `runnable` in the slot; answers the one that it displaces. Called by the seat's worker
    /// only.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) -> Option<Runnable> {
        let task = runnable.into_raw().as_ptr();
        // Ordering: Relaxed — only we make it non-null, so a null cannot be outdated.
        if self.task.load(Ordering::Relaxed).is_null() {
            // Ordering: Release — publishes the task to a thief; pairs with the Acquire in `claim`.
            self.task.store(task, Ordering::Release);
            return None;
        }
        // Ordering: Release — as above; what comes out was put in by this thread.
        let old = self.task.swap(task, Ordering::Release);
        // SAFETY: just replaced.
        unsafe { runnable_from(old) }
    }

    /// Takes the task out. Called by the seat's worker only.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        // Ordering: Relaxed — only we make it non-null.
        if self.task.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // Ordering: Relaxed — what comes out was put in by this thread, or is null because a thief
        // was faster.
        let old = self.task.swap(null_mut(), Ordering::Relaxed);
        // SAFETY: just replaced.
        unsafe { runnable_from(old) }
    }

    /// Whether there is a task. Exact for the seat's worker unless a thief takes it.
    pub(crate) fn is_empty(&self) -> bool {
        // Ordering: Relaxed — a hint, or read after a read-modify-write of the idle word.
        self.task.load(Ordering::Relaxed).is_null()
    }

    /// What is in the slot now.
    pub(crate) fn peek(&self) -> Option<Peeked> {
        // Ordering: Relaxed — the pointer is not followed before it is claimed.
        NonNull::new(self.task.load(Ordering::Relaxed)).map(Peeked)
    }

    /// Takes out what was glimpsed, if it is still there. Called by anybody.
    pub(crate) fn claim(&self, seen: Peeked) -> Option<Runnable> {
        let seen = seen.0.as_ptr();
        // Ordering: Acquire — pairs with the Release in `push`: the task can be used.
        let old = self.task.compare_exchange(seen, null_mut(), Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: just replaced.
        unsafe { runnable_from(old) }
    }
}

/// What came out of the slot is the taker's.
///
/// # Safety
///
/// The caller has just replaced `task` in the slot.
unsafe fn runnable_from(task: *mut Header) -> Option<Runnable> {
    // SAFETY: by the invariant, whoever replaces the slot's pointer owns the `Runnable` that it
    // was.
    NonNull::new(task).map(|task| unsafe { Runnable::from_raw(task) })
}

impl Drop for LifoSlot {
    fn drop(&mut self) {
        drop(self.pop());
    }
}
