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

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{Task, TaskImpl};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use heist::net::TcpStream;
use heist::runtime::Handle;
use heist::task::JoinHandle;
use heist::time::{Interval, Sleep};

/// Returns what lapin's `connect_with_runtime` takes. lapin then runs on the heist runtime of the
/// calling thread.
///
/// # Panics
///
/// Outside of a heist runtime.
#[track_caller]
pub fn runtime() -> async_rs::Runtime<HeistKit> {
    async_rs::Runtime::new(HeistKit { handle: Handle::current() })
}

/// Lets crates that are written for `async-rs` run on a heist runtime.
///
/// It knows its runtime, because lapin drives a connection on a thread of its own.
///
/// # Panics
///
/// Its functions panic if the runtime has no I/O or no timers.
#[derive(Clone, Debug)]
pub struct HeistKit {
    handle: Handle,
}

impl RuntimeKit for HeistKit {}

impl Executor for HeistKit {
    type Task<T: Send + 'static> = HeistTask<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.handle.block_on(future)
    }

    #[track_caller]
    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, future: F) -> Task<HeistTask<T>> {
        HeistTask(self.handle.spawn(future)).into()
    }

    #[track_caller]
    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, job: F) -> Task<HeistTask<T>> {
        HeistTask(self.handle.spawn_blocking(job)).into()
    }
}

/// A task of heist. Its output is that of the future, and a panic of the future goes on in the
/// task that awaits it.
///
/// # Panics
///
/// An await panics if the task was cancelled, as by the deadline of a drain.
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
            Err(error) => {
                panic!("a task of lapin was cancelled ({error}); close the connection before the runtime ends")
            }
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
        let _inside = self.handle.enter();
        heist::time::sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        let _inside = self.handle.enter();
        Ticks(heist::time::interval(period))
    }

    fn tcp_connect_addr(&self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send + 'static {
        // The future takes the reactor of the thread that polls it first.
        let handle = self.handle.clone();
        let mut connecting = Box::pin(TcpStream::connect(address));
        poll_fn(move |cx| {
            let _inside = handle.enter();
            connecting.as_mut().poll(cx)
        })
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
