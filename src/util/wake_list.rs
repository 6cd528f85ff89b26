//! Wakers collected under a lock, to be called outside of it.

use std::any::Any;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// A batch of wakers that are owed a wake.
///
/// Whoever holds one of the runtime's locks puts wakers in here; they are woken once the lock is
/// released, so that no user code ever runs under a lock of ours. A waker that panics does not keep
/// the rest of the batch from being woken.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    wakers: Vec<Waker>,
}

impl WakeList {
    pub(crate) const fn new() -> Self {
        WakeList { wakers: Vec::new() }
    }

    pub(crate) fn push(&mut self, waker: Waker) {
        self.wakers.push(waker);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Wakes everybody, in the order in which they came; the batch is empty afterwards and keeps
    /// its memory.
    pub(crate) fn wake_all(&mut self) {
        for waker in self.wakers.drain(..) {
            wake_catch_panic(waker);
        }
    }
}

impl Drop for WakeList {
    /// Nobody's wake is lost, whichever way the batch goes.
    fn drop(&mut self) {
        self.wake_all();
    }
}

/// Calls a waker whose panic must not reach the runtime.
pub(crate) fn wake_catch_panic(waker: Waker) {
    catch_user_panic("a waker", || waker.wake());
}

/// Drops a waker that is not called any more. A panic in its destructor is contained.
pub(crate) fn drop_contained(waker: Option<Waker>) {
    if let Some(waker) = waker {
        catch_user_panic("the destructor of a waker", || drop(waker));
    }
}

/// Calls user code whose panic must not reach the runtime.
pub(crate) fn catch_user_panic(what: &str, call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        log_and_drop_panic(what, payload);
    }
}

/// Says that `what` has panicked, and drops the payload.
///
/// The subscriber is user code as well, and so is the payload's destructor. What these panic with
/// is not dropped: that could go on for ever.
#[cold]
pub(crate) fn log_and_drop_panic(what: &str, payload: Box<dyn Any + Send>) {
    let said = catch_unwind(|| tracing::error!(target: "heist::task", "{what} panicked; the runtime goes on"));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    forget((said, dropped));
}
