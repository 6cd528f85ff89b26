//! lapin over heist's sockets, tasks and timers.
//!
//! ```no_run
//! use lapin::{Connection, ConnectionProperties};
//!
//! # async fn run() -> lapin::Result<()> {
//! let runtime = heist_compat::lapin::runtime();
//! let uri = "amqp://127.0.0.1:5672/%2f";
//! let connection = Connection::connect_with_runtime(uri, ConnectionProperties::default(), runtime).await?;
//! let channel = connection.create_channel().await?;
//! # drop(channel);
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{Task, TaskImpl, simple_block_on};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use heist::net::TcpStream;
use heist::task::JoinHandle;
use heist::time::{Interval, Sleep};

/// Returns what lapin's `connect_with_runtime` takes. lapin then runs on the heist runtime of the
/// calling thread.
pub fn runtime() -> async_rs::Runtime<HeistKit> {
    async_rs::Runtime::new(HeistKit)
}

/// Lets crates that are written for `async-rs` run on the heist runtime of the calling thread.
///
/// # Panics
///
/// Its functions panic outside of a heist runtime with I/O and timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeistKit;

impl RuntimeKit for HeistKit {}

impl Executor for HeistKit {
    type Task<T: Send + 'static> = HeistTask<T>;

    /// Blocks the calling thread, without entering a runtime.
    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        simple_block_on(future)
    }

    #[track_caller]
    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, future: F) -> Task<HeistTask<T>> {
        HeistTask(heist::spawn(future)).into()
    }

    #[track_caller]
    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, job: F) -> Task<HeistTask<T>> {
        HeistTask(heist::task::spawn_blocking(job)).into()
    }
}

/// A task of heist. Its output is that of the future, and a panic of the future goes on in the
/// task that awaits it.
#[derive(Debug)]
pub struct HeistTask<T>(JoinHandle<T>);

#[async_trait::async_trait]
impl<T: Send + 'static> TaskImpl for HeistTask<T> {
    async fn cancel(&mut self) -> Option<T> {
        self.0.abort();
        (&mut self.0).await.ok()
    }
}

impl<T> Future for HeistTask<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(output) => Poll::Ready(output),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => panic!("a task of lapin was cancelled: {error}"),
        }
    }
}

impl Reactor for HeistKit {
    type TcpStream = TcpStream;
    type Sleep = Sleep;

    /// Returns an error: `async-rs` keeps the bound private by which the descriptor of `socket`
    /// could be read. lapin does not register sockets.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        let text = "heist-compat cannot register foreign sockets; use heist::io::unix::AsyncFd";
        Err::<TcpStream, _>(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        heist::time::sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        Ticks(heist::time::interval(period))
    }

    fn tcp_connect_addr(&self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send + 'static {
        TcpStream::connect(address)
    }
}

/// The ticks of an interval.
#[derive(Debug)]
struct Ticks(Interval);

impl Stream for Ticks {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.0.poll_tick(cx).map(|at| Some(at.into_std()))
    }
}
