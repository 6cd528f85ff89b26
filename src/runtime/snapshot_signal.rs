//! Saves a snapshot when the process receives `SIGUSR2`.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use crate::pool::Pool;
use crate::primitive::Weak;
use crate::recorder::triggers::SnapshotReason;
use crate::util::named_thread::named_thread;

/// Adds a handler of the signal, and starts the thread that saves the snapshots. Neither depends on
/// a worker, so that a runtime whose workers are stuck is seen, too. The thread ends at the first
/// signal after the runtime's end.
///
/// # Errors
///
/// If the operating system refuses the handler, the thread or the pair of sockets.
pub(super) fn listen(pool: Weak<Pool>) -> io::Result<()> {
    let (mut receiver, sender) = UnixStream::pair()?;
    sender.set_nonblocking(true)?;
    let notify = move || {
        // SAFETY: the buffer has one byte, and the closure keeps the descriptor open. If the socket
        // is full, the bytes in it wake the thread.
        unsafe { libc::write(sender.as_raw_fd(), b"!".as_ptr().cast(), 1) };
    };
    // SAFETY: the handler calls only `write`, which may be called in a signal handler.
    let action = unsafe { signal_hook_registry::register(libc::SIGUSR2, notify) }?;
    let mut byte = [0];
    let started = named_thread("heist-snapshot").spawn(move || {
        while receiver.read_exact(&mut byte).is_ok() {
            let Some(pool) = pool.upgrade() else { break };
            pool.save_snapshot_here(SnapshotReason::Signal);
        }
        // Before the receiver is dropped: the handler does not write to a closed socket.
        signal_hook_registry::unregister(action);
    });
    if started.is_err() {
        signal_hook_registry::unregister(action);
    }
    started.map(drop)
}
