//! A listener for signals of one kind.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kind::SignalKind;
use super::signal_pipe::SignalPipe;
use crate::context;
use crate::context::budget;
use crate::primitive::Arc;

/// Listens for signals of one kind; made by [`signal`].
///
/// Signals that come while no task waits are kept, any number of them as one. Any number of
/// listeners may listen for the same kind, in any number of runtimes. Each of them receives each
/// signal. A listener works as long as its runtime does, and only while the runtime is driven.
///
/// Dropping it does not restore the default effect of the signal: see [`signal`].
pub struct Signal {
    pipe: Arc<SignalPipe>,
    kind: SignalKind,
    /// The count at the latest signal that the listener has received.
    seen: u64,
    /// The wait that has begun and is not over.
    waiting: Option<Pin<Box<dyn Future<Output = Option<u64>> + Send + Sync>>>,
}

/// Listens for signals of `kind` from now on.
///
/// **From the first call on, the signal loses its default effect for the whole process**, such as
/// ending it. The default does not come back when the listener is dropped.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a kind that cannot be listened for (`SIGKILL`,
/// `SIGSTOP`) or must not be (`SIGSEGV`, `SIGILL`, `SIGFPE`). Otherwise, if the operating system
/// reports an error, or if the runtime has been shut down.
///
/// # Panics
///
/// If this thread is not inside of a runtime, or if the runtime has no I/O.
///
/// # Examples
///
/// Reading the configuration again at each `SIGHUP`:
///
/// ```
/// use heist::signal::unix::{SignalKind, signal};
///
/// # fn main() -> std::io::Result<()> {
/// heist::runtime::Runtime::new()?.block_on(async {
///     let mut hangup = signal(SignalKind::hangup())?;
///     # unsafe { libc::raise(libc::SIGHUP) };
///     while let Some(()) = hangup.recv().await {
///         println!("reading the configuration again");
///         # break;
///     }
///     Ok(())
/// })
/// # }
/// ```
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let pipe = SignalPipe::for_reactor(&context::reactor())?;
    pipe.register_kind(kind.as_raw_value())?;
    let seen = pipe.count(kind.as_raw_value());
    Ok(Signal { pipe, kind, seen, waiting: None })
}

impl Signal {
    /// Waits for the next signal.
    ///
    /// Returns `None` if the runtime has been shut down: no signal will come any more.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no signal is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::signal::unix::{SignalKind, signal};
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let mut hangup = signal(SignalKind::hangup())?;
    /// # unsafe { libc::raise(libc::SIGHUP) };
    /// hangup.recv().await;
    /// println!("reading the configuration again");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv(&mut self) -> Option<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Polls for the next signal. Only the task of the latest call is woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::signal::unix::{SignalKind, signal};
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let mut hangup = signal(SignalKind::hangup())?;
    /// # unsafe { libc::raise(libc::SIGHUP) };
    /// assert_eq!(std::future::poll_fn(|cx| hangup.poll_recv(cx)).await, Some(()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let Signal { pipe, kind, seen, waiting } = self;
        // The wait is taken out for the poll: a waker may panic, and a future that has panicked
        // must not be polled again. The next wait begins with the count that was seen last, so no
        // signal is lost.
        let mut wait = waiting.take().unwrap_or_else(|| {
            let (pipe, signum, seen) = (Arc::clone(pipe), kind.as_raw_value(), *seen);
            Box::pin(async move { pipe.wait_for_change(signum, seen).await })
        });
        match budget::metered(cx, |cx| wait.as_mut().poll(cx)) {
            Poll::Ready(count) => Poll::Ready(count.map(|now| *seen = now)),
            Poll::Pending => {
                *waiting = Some(wait);
                Poll::Pending
            }
        }
    }
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind).finish_non_exhaustive()
    }
}
