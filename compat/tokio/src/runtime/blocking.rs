//! Functions that block, on threads of their own.

#[cfg(any(feature = "fs", feature = "io-std"))]
use std::sync::Arc;
#[cfg(any(feature = "fs", feature = "io-std"))]
use std::sync::atomic::{AtomicU8, Ordering};

use super::install_messages;
#[cfg(any(feature = "fs", feature = "io-std"))]
use super::scheduler;

/// Runs `function` on a blocking thread.
#[track_caller]
pub(crate) fn spawn_blocking<F, R>(function: F) -> crate::task::JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    install_messages();
    heist::task::spawn_blocking(function)
}

/// Runs `function` on a blocking thread, or, if the runtime is shut down before it begins, on the
/// thread that shuts it down. Returns `None` if the runtime refuses the function.
#[cfg(any(feature = "fs", feature = "io-std"))]
#[track_caller]
pub(crate) fn spawn_mandatory_blocking<F, R>(function: F) -> Option<crate::task::JoinHandle<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    // Outside of a runtime, this panics.
    let _ = scheduler::Handle::current();
    let state = Arc::new(AtomicU8::new(QUEUEING));
    let mut mandatory = Mandatory { function: Some(function), state: Arc::clone(&state) };
    let handle = spawn_blocking(move || mandatory.function.take().expect("a job runs once")());
    // Ordering: Relaxed — a refused job is dropped on this thread.
    state.compare_exchange(QUEUEING, QUEUED, Ordering::Relaxed, Ordering::Relaxed).is_ok().then_some(handle)
}

/// The job is being queued. If it is dropped now, it was refused.
#[cfg(any(feature = "fs", feature = "io-std"))]
const QUEUEING: u8 = 0;
/// The job was queued. If it is dropped now, the runtime is being shut down.
#[cfg(any(feature = "fs", feature = "io-std"))]
const QUEUED: u8 = 1;
/// The job was refused.
#[cfg(any(feature = "fs", feature = "io-std"))]
const REFUSED: u8 = 2;

/// A function that runs when it is dropped from the queue, unless it has been taken.
#[cfg(any(feature = "fs", feature = "io-std"))]
struct Mandatory<R, F: FnOnce() -> R> {
    function: Option<F>,
    state: Arc<AtomicU8>,
}

#[cfg(any(feature = "fs", feature = "io-std"))]
impl<R, F: FnOnce() -> R> Drop for Mandatory<R, F> {
    fn drop(&mut self) {
        let Some(function) = self.function.take() else { return };
        // Ordering: Relaxed — see `spawn_mandatory_blocking`.
        if self.state.compare_exchange(QUEUEING, REFUSED, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            drop(function());
        }
    }
}
