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
    Builder, EnterGuard, Handle, Id, LocalOptions, LocalRuntime, Runtime, RuntimeFlavor, RuntimeMetrics, TryCurrentError,
    is_rt_shutdown_err, worker_index,
};

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

/// Runs `function` on a blocking thread. Returns `None` if the runtime has been shut down.
#[cfg(any(feature = "fs", feature = "io-std"))]
#[track_caller]
pub(crate) fn spawn_mandatory_blocking<F, R>(function: F) -> Option<crate::task::JoinHandle<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let handle = spawn_blocking(function);
    heist::facade::is_runtime_open().then_some(handle)
}
