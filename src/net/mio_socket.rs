//! What all socket types have in common: a resource of mio's, and its registration.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;

use crate::reactor::{Direction, Interest, Opaque, Registered, Source};

/// A resource of mio's that is read, written, or both.
pub(crate) trait MioSocket: mio::event::Source {
    /// Does `operation` on the resource so that mio hears of a `WouldBlock`, as it has to on Windows.
    fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R>;
}

/// A wire that carries bytes, not messages.
pub(crate) trait Stream: MioSocket {
    /// Whether fewer bytes than asked for prove that the next operation would block.
    ///
    /// Not where a read may stop early: a unix socket's does at a passed descriptor or at another sender's credentials, a
    /// pipe's at the end of a packet if it was opened so.
    const SHORT_PROVES: bool;
}

/// A stream that is read from.
pub(crate) trait Inbound: Stream {
    /// Reads into memory that may be uninitialised; as many bytes as the answer says have been written to its front.
    fn fill(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize>;
}

macro_rules! wires {
    ($($wire:ty),*) => {$(
        impl MioSocket for $wire {
            fn attempt<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.try_io(operation)
            }
        }
    )*};
}
macro_rules! socket_streams {
    ($($wire:ty: $short_proves:literal),*) => {$(
        wires!($wire);
        impl Stream for $wire {
            const SHORT_PROVES: bool = $short_proves;
        }
        impl Inbound for $wire {
            fn fill(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
                self.try_io(|| socket2::SockRef::from(self).recv(room))
            }
        }
    )*};
}

socket_streams!(mio::net::TcpStream: true);
wires!(mio::net::UdpSocket);

#[cfg(unix)]
socket_streams!(mio::net::UnixStream: false);
#[cfg(unix)]
wires!(mio::net::UnixDatagram, mio::unix::pipe::Sender, mio::unix::pipe::Receiver);
#[cfg(unix)]
impl Stream for mio::unix::pipe::Sender {
    const SHORT_PROVES: bool = false;
}
#[cfg(unix)]
impl Stream for mio::unix::pipe::Receiver {
    const SHORT_PROVES: bool = false;
}
#[cfg(unix)]
impl Inbound for mio::unix::pipe::Receiver {
    fn fill(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        use std::os::fd::AsRawFd;
        // SAFETY: the descriptor is open, and so many bytes of memory are there to be written.
        let count = unsafe {
            libc::read(self.as_raw_fd(), room.as_mut_ptr().cast(), room.len().min(super::bounds::MOST_AT_ONCE))
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

/// A type of ours around a wire, whole or half.
pub(super) trait HasMioSocket {
    type MioSocket: MioSocket;

    fn registered(&self) -> &Registered<Self::MioSocket>;

    fn mio(&self) -> &Self::MioSocket {
        self.registered().io()
    }

    fn source(&self) -> &Source {
        self.registered().source()
    }

    /// See the public `try_io` of the sockets.
    fn try_once<R>(&self, interest: Interest, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.source().try_io(interest, || self.mio().attempt(operation).map(Opaque)).map(|Opaque(answer)| answer)
    }

    /// See the public `async_io` of the sockets.
    async fn try_until_done<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let Opaque(answer) = self.source().io(interest, || self.mio().attempt(&mut operation).map(Opaque)).await?;
        Ok(answer)
    }

    /// Does `operation`, one of mio's, as soon as it no longer blocks, waiting in the direction's waker slot.
    fn poll_once<R>(
        &self,
        direction: Direction,
        cx: &mut std::task::Context<'_>,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> std::task::Poll<io::Result<R>> {
        self.source().poll_io(direction, cx, || operation().map(Opaque)).map_ok(|Opaque(answer)| answer)
    }
}

impl<T: HasMioSocket> HasMioSocket for &T {
    type MioSocket = T::MioSocket;

    fn registered(&self) -> &Registered<T::MioSocket> {
        (**self).registered()
    }
}

/// A type of ours that is written to.
pub(super) trait Closing {
    /// Ends what is written, for the peer to see.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

/// Shuts the writing direction of a socket down.
///
/// A connection that is gone already, as after the peer's reset, has nothing left to shut down. That is not an error.
pub(super) fn end_writing(shutdown: impl FnOnce(Shutdown) -> io::Result<()>) -> io::Result<()> {
    match shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}
