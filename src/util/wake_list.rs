//! Collects wakers under a lock, and wakes them outside of it.

use std::any::Any;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// A batch of wakers that are still to be woken.
///
/// The holder of one of the runtime's locks pushes wakers here, and wakes them after it has
/// released the lock. So no user code runs under a lock of the runtime. If a waker panics, the rest
/// of the batch is woken all the same.
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

    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Wakes all wakers, in the order in which they came. The list is empty afterwards and keeps
    /// its memory.
    pub(crate) fn wake_all(&mut self) {
        for waker in self.wakers.drain(..) {
            wake_catch_panic(waker);
        }
    }
}

impl Drop for WakeList {
    /// Wakes what is left, so that no wake is lost.
    fn drop(&mut self) {
        self.wake_all();
    }
}

/// Calls a waker, and catches its panic.
pub(crate) fn wake_catch_panic(waker: Waker) {
    catch_user_panic("a waker", || waker.wake());
}

/// Drops a waker that is no longer needed, and catches a panic in its destructor.
pub(crate) fn drop_contained(waker: Option<Waker>) {
    if let Some(waker) = waker {
        catch_user_panic("the destructor of a waker", || drop(waker));
    }
}

/// Calls user code, and catches its panic.
pub(crate) fn catch_user_panic(what: &str, call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        log_and_drop_panic(what, payload);
    }
}

/// Logs that `what` has panicked, and drops the payload.
///
/// The `tracing` subscriber is user code as well, and so is the payload's destructor. If these
/// panic, their payloads are leaked: dropping them might panic again without end.
#[cold]
pub(crate) fn log_and_drop_panic(what: &str, payload: Box<dyn Any + Send>) {
    let said = catch_unwind(|| tracing::error!(target: "heist::task", "{what} panicked; the runtime goes on"));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    forget((said, dropped));
}

/// Returns a panic's message, if its payload is text.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&'static str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
