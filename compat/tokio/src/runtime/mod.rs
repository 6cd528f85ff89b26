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
/// thread that shuts it down. Returns `None` if the runtime has been shut down already.
#[cfg(any(feature = "fs", feature = "io-std"))]
#[track_caller]
pub(crate) fn spawn_mandatory_blocking<F, R>(function: F) -> Option<crate::task::JoinHandle<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    // Outside of a runtime, the spawn below panics.
    if Handle::try_current().is_ok() && !heist::facade::is_runtime_open() {
        return None;
    }
    let mut mandatory = RunOnDrop(Some(function));
    Some(spawn_blocking(move || mandatory.0.take().expect("a job runs once")()))
}

/// A function that runs when it is dropped, unless it has been taken.
#[cfg(any(feature = "fs", feature = "io-std"))]
struct RunOnDrop<R, F: FnOnce() -> R>(Option<F>);

#[cfg(any(feature = "fs", feature = "io-std"))]
impl<R, F: FnOnce() -> R> Drop for RunOnDrop<R, F> {
    fn drop(&mut self) {
        if let Some(function) = self.0.take() {
            drop(function());
        }
    }
}
