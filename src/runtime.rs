//! The runtime: building it, entering it, waiting on it, shutting it down.

mod block_on;
mod blocking_task;
mod builder;
mod handle;
mod metrics;
pub(crate) mod root;

use std::future::Future;
use std::io;
use std::panic::Location;
use std::time::{Duration, Instant};

use crate::cell::JoinHandle;
use crate::pool::Pool;
use crate::sync::Arc;
use crate::threads::Threads;
use crate::{context, schedule, shutdown};

pub use builder::Builder;
pub use handle::{EnterGuard, Handle, TryCurrentError};
pub use metrics::RuntimeMetrics;

/// What kind of runtime it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// One seat, driven by `block_on`.
    CurrentThread,
    /// Worker threads that steal from each other.
    MultiThread,
}

/// A runtime: worker threads, a reactor for sockets, and timers.
///
/// It owns them: dropping it ends every task at its next suspension, waits for the polls and blocking jobs that are under way
/// (at most [`Builder::shutdown_grace`]), and closes sockets and timers. Dropped inside of async code, it does not wait. It never panics.
///
/// ```
/// let runtime = heist::runtime::Runtime::new().unwrap();
/// let answer = runtime.block_on(async { heist::spawn(async { 42 }).await.unwrap() });
/// assert_eq!(answer, 42);
/// ```
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    threads: Threads,
    finished: bool,
}

impl Runtime {
    /// A multi-threaded runtime with default settings, sockets and timers.
    ///
    /// # Errors
    ///
    /// What the operating system says if it refuses threads or the reactor's file descriptors.
    pub fn new() -> io::Result<Runtime> {
        Builder::new_multi_thread().enable_all().build()
    }

    fn from_parts(pool: Arc<Pool>, threads: Threads) -> Runtime {
        Runtime { handle: Handle::new(pool), threads, finished: false }
    }

    /// A handle to spawn with from anywhere. It does not keep the runtime alive.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task; see [`task::spawn`](crate::task::spawn()).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (runnable, handle) = schedule::make(future, Location::caller());
        schedule::queue_on(self.handle.pool(), runnable);
        handle
    }

    /// Runs a function that may block; see [`task::spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(function)
    }

    /// Polls `future` on this thread until it is ready.
    ///
    /// On a multi-threaded runtime the workers run the spawned tasks meanwhile. On a current-thread runtime this call runs them:
    /// between two calls they stand still. If several threads call it at once, one of them drives, and passes that on when it
    /// leaves.
    ///
    /// # Panics
    ///
    /// If this thread is polling a future already, and if `future` panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on::block_on(self.handle.pool(), future, self.handle.pool().settings.current_thread)
    }

    /// Enters the runtime: while the guard lives, `spawn`, sockets and timers on this thread belong to it.
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let _guard = runtime.enter();
    /// heist::spawn(async {});
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Figures about the runtime.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Shuts the runtime down, and waits at most `timeout` for polls and blocking jobs that are under way.
    ///
    /// Any duration works; zero does not wait, and [`Duration::MAX`] waits for as long as it takes.
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        self.shut_down(timeout);
    }

    /// Shuts the runtime down without waiting. Good in places that must not block, also inside of async code.
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }

    fn shut_down(&mut self, grace: Duration) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let pool = self.handle.pool();
        shutdown::close(pool);
        // A thread that polls a future may be the one that would be waited for.
        let grace = if context::is_polling() { Duration::ZERO } else { grace };
        let deadline = Instant::now().checked_add(grace);
        let threads = std::mem::take(&mut self.threads);
        if shutdown::finish(pool, deadline) {
            threads.join();
        } else if !grace.is_zero() {
            tracing::warn!(
                target: "heist::shutdown",
                "a poll or a blocking job has not returned in time; its thread has been detached"
            );
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shut_down(self.handle.pool().settings.shutdown_grace);
    }
}
