//! A handle to a runtime, and the stay inside of one.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;

use super::{Resize, RuntimeFlavor, RuntimeMetrics, block_on, blocking_task};
use crate::cell::JoinHandle;
use crate::pool::Pool;
use crate::sync::Arc;
use crate::{context, resize, schedule};

/// A handle to a runtime: spawn with it from any thread.
///
/// Cheap to clone. It does not keep the runtime running: once the [`Runtime`](super::Runtime) is gone, what is spawned is dropped and its
/// `JoinHandle` resolves as cancelled. What it keeps is some memory of it; so a handle that a hook of the same runtime holds for ever is
/// never freed: give the hook a place to find it in, and empty that in the end.
#[derive(Clone)]
pub struct Handle {
    pool: Arc<Pool>,
}

impl Handle {
    pub(super) fn new(pool: Arc<Pool>) -> Handle {
        Handle { pool }
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The handle of the runtime that this thread is inside of.
    ///
    /// # Panics
    ///
    /// If it is in none; see [`Handle::try_current`].
    #[track_caller]
    pub fn current() -> Handle {
        match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// The handle of the runtime that this thread is inside of.
    ///
    /// # Errors
    ///
    /// If it is in none.
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        context::pool().map(Handle::new).ok_or(TryCurrentError(()))
    }

    /// Spawns a task; see [`task::spawn`](crate::task::spawn()).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (runnable, handle) = schedule::make(future, Location::caller());
        schedule::queue_on(&self.pool, runnable);
        handle
    }

    /// Runs a function that may block; see [`task::spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        blocking_task::spawn(&self.pool, function, Location::caller())
    }

    /// Polls `future` on this thread until it is ready, inside of the runtime.
    ///
    /// It does not drive a current-thread runtime: that is what [`Runtime::block_on`](super::Runtime::block_on) does.
    ///
    /// # Panics
    ///
    /// If this thread is polling a future already, and if `future` panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on::block_on(&self.pool, future, false)
    }

    /// Enters the runtime; see [`Runtime::enter`](super::Runtime::enter).
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard { _stay: context::enter(Arc::clone(&self.pool)), runtime: PhantomData }
    }

    /// What kind of runtime it is.
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        if self.pool.settings.current_thread { RuntimeFlavor::CurrentThread } else { RuntimeFlavor::MultiThread }
    }

    /// How many workers there are now; see [`Runtime::worker_threads`](super::Runtime::worker_threads).
    pub fn worker_threads(&self) -> usize {
        self.pool.workers()
    }

    /// Sets the number of workers, live; see [`Runtime::resize`](super::Runtime::resize).
    pub fn resize(&self, workers: usize) -> Resize {
        resize::resize(&self.pool, workers)
    }

    /// Figures about the runtime.
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(Arc::clone(&self.pool))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("flavor", &self.runtime_flavor())
            .field("phase", &self.pool.phase.load())
            .finish_non_exhaustive()
    }
}

/// A stay inside of a runtime; ends when dropped. Guards may be dropped in any order.
#[must_use = "the stay ends when the guard is dropped"]
#[derive(Debug)]
pub struct EnterGuard<'a> {
    _stay: context::Stay,
    /// The guard belongs to the thread that has entered, and to the runtime's borrow.
    runtime: PhantomData<(&'a Handle, *const ())>,
}

/// This thread is in no runtime.
pub struct TryCurrentError(());

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(context::NO_RUNTIME)
    }
}

impl fmt::Debug for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryCurrentError")
    }
}

impl std::error::Error for TryCurrentError {}
