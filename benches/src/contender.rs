//! The operations that a runtime needs for the comparison.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// A runtime with a number of worker threads. Dropping it stops the threads, if the runtime can do
/// so.
///
/// Functions without `&self` are called from inside a task of the runtime and find it the way its
/// users do.
pub trait Contender: Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// Awaits a task's output, and panics if the task did. The effect of dropping it depends on the
    /// runtime.
    type Join<T: Send + 'static>: Future<Output = T> + Send + 'static;

    fn build(workers: usize) -> Self;

    /// Spawns from a thread that does not belong to the runtime.
    fn spawn_outside<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns from inside a task.
    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Drops the handle without cancelling the task.
    fn detach<T: Send + 'static>(join: Self::Join<T>);

    /// Cancels the task at its next await, if the runtime can do so.
    fn cancel<T: Send + 'static>(join: Self::Join<T>);

    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Returns how often a worker's sleep has ended with nothing to do, if the runtime counts that.
    fn useless_wakes(&self) -> Option<u64> {
        None
    }
}

/// Timers that a task which may move between the workers can hold.
pub trait Timers: Contender {
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;

    /// Returns `None` if the limit has passed first.
    fn timeout<F: Future + Send>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> + Send
    where
        F::Output: Send;
}

/// The parts of a runtime that a light load uses.
pub trait LightLoad: Timers {
    /// Runs a job on a thread for blocking work.
    fn run_blocking(&self, job: impl FnOnce() + Send + 'static);

    /// Waits for a tick of the runtime's interval, over and over.
    fn tick_for_ever(every: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Binds a socket, passes its address on, and receives for ever.
    fn receive_datagrams(addr_tx: SyncSender<SocketAddr>) -> impl Future<Output = ()> + Send + 'static;
}

/// A stream with the I/O traits of hyper.
pub trait Http: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static {}

impl<S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static> Http for S {}

/// Sockets that a task which may move between the workers can hold. Every stream has `TCP_NODELAY`
/// set.
pub trait Sockets: Contender {
    type Listener: Send + Sync + 'static;
    type Stream: Send + 'static;
    /// The stream with the I/O traits of hyper.
    type Http: Http;

    /// Binds a free port of the loopback address.
    fn listen() -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn connect(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn read(stream: &mut Self::Stream, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
    fn write_all(stream: &mut Self::Stream, buf: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
    fn http(stream: Self::Stream) -> Self::Http;
}
