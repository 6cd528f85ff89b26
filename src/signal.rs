//! Signals of the operating system.
//!
//! ```no_run
//! # async fn serve() {}
//! # async fn run() -> std::io::Result<()> {
//! let serving = heist::spawn(serve());
//! heist::signal::ctrl_c().await?;
//! println!("shutting down");
//! serving.abort();
//! # Ok(())
//! # }
//! ```
#![doc = include_str!("../docs/signals.md")]

mod kind;
mod listener;
mod signal_pipe;

use std::io;

#[cfg(test)]
pub(crate) use signal_pipe::wait_for_change;

/// Waits until the user presses ctrl-c: until the process receives `SIGINT`.
///
/// From the first call on, the signal no longer ends the process, even while no task waits for it.
///
/// # Errors
///
/// If the handler cannot be installed, or the runtime has been shut down.
///
/// # Panics
///
/// If this thread is not inside of a runtime, or if the runtime has no I/O.
///
/// # Cancel safety
///
/// If the future is dropped, nothing is lost, but a later call waits for a later signal. To receive
/// every signal from some moment on, keep a [`unix::Signal`].
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// heist::runtime::Runtime::new()?.block_on(async {
///     let (interrupted, ()) = futures::join!(heist::signal::ctrl_c(), async {
///         // The user presses ctrl-c.
///         # unsafe { libc::raise(libc::SIGINT) };
///     });
///     interrupted
/// })
/// # }
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    match listener::signal(kind::SignalKind::interrupt())?.recv().await {
        Some(()) => Ok(()),
        None => Err(crate::reactor::signal_shutdown_error()),
    }
}

/// Unix signals of every kind.
pub mod unix {
    pub use super::kind::SignalKind;
    pub use super::listener::{Signal, signal};
}
