//! The LIFO slot: the task that a running task woke or spawned last.

use std::ptr::{NonNull, null_mut};

use crate::primitive::atomic::{AtomicPtr, Ordering};
use crate::raw_task::{Header, Runnable};

/// One Runnable, or none. The seat's worker pushes and pops it. Other threads claim it only
/// if the worker is stalled, or if a drain's deadline has passed.
///
/// See [the page](super).
#[derive(Debug)]
pub(crate) struct LifoSlot {
    /// Invariant: a non-null pointer is a `Runnable`, owned by the thread that makes it null. Only
    /// the seat's worker makes it non-null.
    task: AtomicPtr<Header>,
}

/// The content of a slot at one moment. It may be claimed, but not dereferenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peeked(NonNull<Header>);

impl LifoSlot {
    pub(crate) fn new() -> Self {
        LifoSlot { task: AtomicPtr::new(null_mut()) }
    }

    /// Puts `runnable` into the slot, and returns the one that it displaces. Called by the seat's
    /// worker only.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) -> Option<Runnable> {
        let task = runnable.into_raw().as_ptr();
        // Ordering: Relaxed — only this thread makes it non-null, so a null cannot be outdated.
        if self.task.load(Ordering::Relaxed).is_null() {
            // Ordering: Release — pairs with the Acquire in `LifoSlot::claim`: publishes the task
            // to a thief.
            self.task.store(task, Ordering::Release);
            return None;
        }
        // Ordering: Release — as above. The displaced task was put in by this thread.
        let old = self.task.swap(task, Ordering::Release);
        // SAFETY: this thread has just replaced it.
        unsafe { runnable_from(old) }
    }

    /// Takes the task. Called by the seat's worker only.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        // Ordering: Relaxed — only this thread makes it non-null.
        if self.task.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // Ordering: Relaxed — the result was put in by this thread, or is null because a thief was
        // faster.
        let old = self.task.swap(null_mut(), Ordering::Relaxed);
        // SAFETY: this thread has just replaced it.
        unsafe { runnable_from(old) }
    }

    /// Returns true if there is no task. Exact for the seat's worker unless a thief takes the task.
    pub(crate) fn is_empty(&self) -> bool {
        // Ordering: Relaxed — a hint, or read after a read-modify-write of the idle word.
        self.task.load(Ordering::Relaxed).is_null()
    }

    /// Returns the slot's content, for a later claim.
    pub(crate) fn peek(&self) -> Option<Peeked> {
        // Ordering: Relaxed — the pointer is not dereferenced before it is claimed.
        NonNull::new(self.task.load(Ordering::Relaxed)).map(Peeked)
    }

    /// Takes the peeked task, if it is still there. Called by any thread.
    pub(crate) fn claim(&self, seen: Peeked) -> Option<Runnable> {
        let seen = seen.0.as_ptr();
        // Ordering: Acquire — pairs with the Release in `LifoSlot::push`: the task can be used.
        let old = self.task.compare_exchange(seen, null_mut(), Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: this thread has just replaced it.
        unsafe { runnable_from(old) }
    }
}

/// Converts the slot's content into the Runnable.
///
/// # Safety
///
/// The caller has just replaced `task` in the slot.
unsafe fn runnable_from(task: *mut Header) -> Option<Runnable> {
    // SAFETY: by the invariant, the thread that replaces the slot's pointer owns its `Runnable`.
    NonNull::new(task).map(|task| unsafe { Runnable::from_raw(task) })
}

impl Drop for LifoSlot {
    fn drop(&mut self) {
        drop(self.pop());
    }
}
