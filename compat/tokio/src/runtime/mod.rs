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

cfg_rt! {
    mod blocking;

    pub(crate) use blocking::spawn_blocking;
    #[cfg(any(feature = "fs", feature = "io-std"))]
    pub(crate) use blocking::spawn_mandatory_blocking;
}

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
