//! The check for blocking mode: an operation on such a socket would block a worker.

use std::io;

/// Returns an error if the socket is in blocking mode.
#[cfg(unix)]
pub(crate) fn refuse(socket: &impl std::os::fd::AsRawFd) -> io::Result<()> {
    // SAFETY: `F_GETFL` reads the flags of the descriptor that `socket` keeps open. No memory is
    // passed.
    let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::O_NONBLOCK == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is in blocking mode, and would block a worker: call `set_nonblocking(true)` on it first",
        ));
    }
    Ok(())
}

/// Returns `Ok`: Windows does not report the mode.
#[cfg(not(unix))]
pub(crate) fn refuse<T>(_: &T) -> io::Result<()> {
    Ok(())
}
