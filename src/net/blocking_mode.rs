//! A socket in blocking mode would block a worker.

use std::io;

/// Refuses a socket that is in blocking mode.
#[cfg(unix)]
pub(crate) fn refuse(socket: &impl std::os::fd::AsRawFd) -> io::Result<()> {
    // SAFETY: asks for the flags of a descriptor that the caller owns; no memory is passed.
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

/// Windows does not tell.
#[cfg(not(unix))]
pub(crate) fn refuse<T>(_: &T) -> io::Result<()> {
    Ok(())
}
