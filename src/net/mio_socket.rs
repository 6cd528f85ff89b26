//! The sockets and pipes of mio, and what every registered one can do.
//!
//! Each public type of [`crate::net`] is thin: its methods call the methods of [`Registered`] here
//! and in `transfer`.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::task::{Context, Poll};

use crate::primitive::sockets;
use crate::reactor::{Direction, Interest, Opaque, Ready, Registered};

/// A resource of mio that is read, written, or both.
pub(crate) trait MioSocket: mio::event::Source {
    /// Does `operation` on the resource, so that mio observes a `WouldBlock`. Windows needs that.
    fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R>;
}

/// A resource that carries bytes, not messages.
pub(crate) trait Stream: MioSocket {
    /// A transfer of fewer bytes than asked for proves that the next one would block.
    ///
    /// That is not so where a read may stop early. A read from a unix socket stops at a passed
    /// descriptor, or at the credentials of another sender. A read from a pipe in packet mode stops
    /// at the end of a packet.
    const SHORT_PROVES: bool;
}

/// A stream that is read.
pub(crate) trait Inbound: Stream {
    /// Reads into memory that may be uninitialised, and returns the number of bytes. That many
    /// bytes at the front of `room` have been written.
    fn read_uninit(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize>;
}

/// Readiness, and single operations.
impl<E: MioSocket> Registered<E> {
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(self.source().ready(interest).await?.ready() & interest.mask())
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.source().ready(Interest::READABLE).await.map(drop)
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.source().ready(Interest::WRITABLE).await.map(drop)
    }

    /// Waits in the waker slot of the direction.
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source().poll_ready(Direction::Read, cx).map_ok(drop)
    }

    /// Waits in the waker slot of the direction.
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source().poll_ready(Direction::Write, cx).map_ok(drop)
    }

    /// Does `operation` once, if the resource seems ready for some of `interest`.
    pub(super) fn try_io<R>(&self, interest: Interest, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.source().try_io(interest, || self.io().attempt(operation).map(Opaque)).map(|Opaque(output)| output)
    }

    /// Does `operation` until it no longer gives `WouldBlock`, and waits between two attempts.
    pub(super) async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let Opaque(output) = self.source().io(interest, || self.io().attempt(&mut operation).map(Opaque)).await?;
        Ok(output)
    }

    /// Does `operation`, one of mio's own, as soon as it no longer blocks. Waits in the waker slot
    /// of the direction.
    pub(super) fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source().poll_io(direction, cx, || operation().map(Opaque)).map_ok(|Opaque(output)| output)
    }
}

/// Shuts the writing direction of a socket down.
///
/// If the connection is already gone, as after a reset by the peer, nothing is left to shut down.
/// That is not an error.
pub(super) fn shutdown_write(shutdown: impl FnOnce(Shutdown) -> io::Result<()>) -> io::Result<()> {
    match shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}

impl MioSocket for sockets::TcpStream {
    fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.try_io(operation)
    }
}

impl Stream for sockets::TcpStream {
    const SHORT_PROVES: bool = true;
}

impl Inbound for sockets::TcpStream {
    fn read_uninit(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        sockets::read_uninit(self, room)
    }
}

impl MioSocket for sockets::UdpSocket {
    fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.try_io(operation)
    }
}

#[cfg(unix)]
impl MioSocket for mio::net::UnixStream {
    fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.try_io(operation)
    }
}

#[cfg(unix)]
impl Stream for mio::net::UnixStream {
    const SHORT_PROVES: bool = false;
}

#[cfg(unix)]
impl Inbound for mio::net::UnixStream {
    fn read_uninit(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        self.try_io(|| socket2::SockRef::from(self).recv(room))
    }
}

#[cfg(unix)]
impl MioSocket for mio::net::UnixDatagram {
    fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.try_io(operation)
    }
}

#[cfg(unix)]
impl MioSocket for mio::unix::pipe::Sender {
    fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.try_io(operation)
    }
}

#[cfg(unix)]
impl Stream for mio::unix::pipe::Sender {
    const SHORT_PROVES: bool = false;
}

#[cfg(unix)]
impl MioSocket for mio::unix::pipe::Receiver {
    fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.try_io(operation)
    }
}

#[cfg(unix)]
impl Stream for mio::unix::pipe::Receiver {
    const SHORT_PROVES: bool = false;
}

#[cfg(unix)]
impl Inbound for mio::unix::pipe::Receiver {
    fn read_uninit(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        use std::os::fd::AsRawFd;
        // SAFETY: `self` keeps the descriptor open. `room` is valid for writes of its length, and
        // no more bytes are asked for.
        let count = unsafe {
            libc::read(self.as_raw_fd(), room.as_mut_ptr().cast(), room.len().min(super::bounds::MOST_AT_ONCE))
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}
