//! The runtime, its handles and its builder: heist's own types.
//!
//! The rest of this module is what the kept parts of Tokio call of their runtime: the registration
//! of sockets, the current handle, a parker for threads without a runtime.

pub(crate) mod context;
#[cfg(any(feature = "net", feature = "process", feature = "signal"))]
pub(crate) mod io;
pub(crate) mod park;
pub(crate) mod scheduler;
#[cfg(all(unix, any(feature = "process", feature = "signal")))]
pub(crate) mod signal;
pub(crate) mod task;

#[cfg(any(feature = "fs", feature = "io-std"))]
use std::sync::Arc;
#[cfg(any(feature = "fs", feature = "io-std"))]
use std::sync::atomic::{AtomicU8, Ordering};

pub use heist::runtime::{
    Builder, EnterGuard, Handle, Id, LocalOptions, LocalRuntime, Runtime, RuntimeFlavor, RuntimeMetrics, TryCurrentError, worker_index,
};

/// Returns true if `error` says that the runtime of an I/O resource has been shut down.
pub fn is_rt_shutdown_err(error: &std::io::Error) -> bool {
    let is_text = |inner: &(dyn std::error::Error + Send + Sync)| {
        inner.to_string() == crate::util::error::RUNTIME_SHUTTING_DOWN_ERROR
    };
    heist::runtime::is_rt_shutdown_err(error) || error.get_ref().is_some_and(is_text)
}

/// Makes heist's panics say what Tokio's say where a runtime is missing or has been shut down.
#[inline]
pub(crate) fn install_messages() {
    use crate::util::error::{CONTEXT_MISSING_ERROR, RUNTIME_SHUTTING_DOWN_ERROR};

    heist::facade::set_messages(heist::facade::Messages::new(CONTEXT_MISSING_ERROR, RUNTIME_SHUTTING_DOWN_ERROR));
}

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
