//! Waiting for I/O resources.
//!
//! An [`Interest`] names the operations that a task waits for, a [`Ready`] the operations that a
//! resource is ready for. The socket types in [`crate::net`] use both, and so does
//! [`unix::AsyncFd`] for any file descriptor.

pub use crate::reactor::{Interest, Ready};

#[cfg(unix)]
mod async_fd;
#[cfg(unix)]
mod async_fd_ready;
#[cfg(all(unix, any(feature = "futures-io", feature = "tokio-io")))]
mod async_fd_traits;
#[cfg(unix)]
mod descriptor;
#[cfg(unix)]
mod ready_guard;
#[cfg(unix)]
mod register_error;

/// Waiting for any file descriptor.
#[cfg(unix)]
pub mod unix {
    pub use super::async_fd::AsyncFd;
    pub use super::ready_guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard, TryIoError};
    pub use super::register_error::AsyncFdRegisterError;
}
