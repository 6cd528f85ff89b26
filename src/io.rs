//! Waiting for I/O resources.
//!
//! [`Interest`] says what a task wants to do, [`Ready`] what a resource is ready for. The socket
//! types in [`crate::net`] take and give them. [`unix::AsyncFd`] does the same for any file
//! descriptor.

pub use crate::reactor::{Interest, Ready};

#[cfg(unix)]
mod async_fd;
#[cfg(unix)]
mod async_fd_ready;
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
