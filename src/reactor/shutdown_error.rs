//! The error of an operation whose runtime has been shut down.

use std::error::Error;
use std::{fmt, io};

#[derive(Debug)]
struct RuntimeShutdown(&'static str);

impl fmt::Display for RuntimeShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for RuntimeShutdown {}

/// Returns the error of every operation on a resource whose runtime has been shut down.
#[cold]
pub(crate) fn resource_shutdown_error() -> io::Error {
    io::Error::other(RuntimeShutdown("the runtime that this I/O resource belongs to has been shut down"))
}

/// Returns the error of a wait for a signal on a runtime that has been shut down.
#[cfg(unix)]
#[cold]
pub(crate) fn signal_shutdown_error() -> io::Error {
    io::Error::other(RuntimeShutdown("the runtime that waits for the signal has been shut down"))
}

/// Returns true if `error` says that the runtime to which the I/O resource belongs has been shut
/// down.
///
/// ```
/// use heist::net::UdpSocket;
/// use heist::runtime::{Runtime, is_rt_shutdown_err};
///
/// let runtime = Runtime::new()?;
/// let socket = runtime.block_on(UdpSocket::bind("127.0.0.1:0"))?;
/// drop(runtime);
/// let error = Runtime::new()?.block_on(socket.recv(&mut [0])).unwrap_err();
/// assert!(is_rt_shutdown_err(&error));
/// assert!(!is_rt_shutdown_err(&std::io::ErrorKind::Other.into()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn is_rt_shutdown_err(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<RuntimeShutdown>())
}
