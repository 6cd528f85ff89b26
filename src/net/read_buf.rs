//! Reading into the buffers of `bytes` and of `tokio`.
//!
//! Tokio's names are kept where no method of heist has them. A `poll_` method that fills a
//! [`ReadBuf`] ends in `_buf`, because heist's method of Tokio's name fills a slice.
//!
//! A stream reads into memory that need not be initialised. The room for a message is zeroed first,
//! up to the length of the longest message. That costs little beside the system call, and needs no
//! second way to receive.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::ReadBuf;

use super::mio_socket::Inbound;
use super::{TcpStream, UdpSocket, tcp};
#[cfg(unix)]
use super::{UnixDatagram, UnixStream, unix};
use crate::reactor::{Interest, Registered};

impl<E: Inbound> Registered<E>
where
    for<'a> &'a E: io::Read,
{
    fn try_read_buf<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<usize> {
        // SAFETY: a read only writes bytes, so no initialised byte becomes uninitialised.
        let room = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
        let count = self.try_read_uninit(room)?;
        // SAFETY: the read has written the first `count` bytes of `room`.
        unsafe { buf.advance_mut(count) };
        Ok(count)
    }

    fn poll_read_buf<B: BufMut + ?Sized>(&self, cx: &mut Context<'_>, buf: &mut B) -> Poll<io::Result<usize>> {
        // SAFETY: a read only writes bytes, so no initialised byte becomes uninitialised.
        let room = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
        let count = ready!(self.poll_read_uninit(cx, room))?;
        // SAFETY: the read has written the first `count` bytes of `room`.
        unsafe { buf.advance_mut(count) };
        Poll::Ready(Ok(count))
    }
}

/// Implements the reads of streams for types with the method `registered`.
macro_rules! read_buf {
    ($($reader:ty),*) => {
        $(
            /// Reading into a buffer of the crate `bytes`, with the feature `tokio-io`.
            impl $reader {
                /// Reads the bytes that are available into the free room of `buf`, and waits until
                /// there are some.
                ///
                /// Returns the number of bytes read. 0 means the end of the stream, or that `buf`
                /// has no room. A `Vec` and a `BytesMut` make room.
                ///
                /// # Errors
                ///
                /// If the operating system reports an error, or if the runtime has been shut down.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped, nothing has been read.
                pub async fn read_buf<B: BufMut + ?Sized>(&mut self, buf: &mut B) -> io::Result<usize> {
                    poll_fn(|cx| self.registered().poll_read_buf(cx, buf)).await
                }

                /// Reads as [`read_buf`](Self::read_buf) does, without waiting.
                ///
                /// # Errors
                ///
                /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing to read. Other
                /// errors are those of [`read_buf`](Self::read_buf).
                pub fn try_read_buf<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<usize> {
                    self.registered().try_read_buf(buf)
                }
            }
        )*
    };
}

read_buf! { TcpStream, tcp::ReadHalf<'_>, tcp::OwnedReadHalf }

#[cfg(unix)]
read_buf! { UnixStream, unix::ReadHalf<'_>, unix::OwnedReadHalf, unix::pipe::Receiver }

/// Reading into a buffer of the crate `tokio`, with the feature `tokio-io`.
impl TcpStream {
    /// Polls for bytes as [`poll_peek`](TcpStream::poll_peek) does, and appends them to `buf`. The
    /// bytes stay in the stream.
    ///
    /// Returns the number of bytes. 0 means the end of the stream, or that `buf` has no room.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](TcpStream::peek).
    pub fn poll_peek_buf(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let count = ready!(self.poll_peek(cx, buf.initialize_unfilled()))?;
        buf.advance(count);
        Poll::Ready(Ok(count))
    }
}

/// The longest message. A datagram of a unix socket may be longer only if the system's limits on
/// socket buffers have been raised.
const MOST_BYTES: usize = 1 << 18;

/// Lets `receive` fill the front of the free room of `buf`, and makes the bytes that it reports a
/// part of `buf`.
///
/// # Panics
///
/// If `receive` returns more than the length of its argument.
fn fill<B: BufMut + ?Sized, A>(
    buf: &mut B,
    receive: impl FnOnce(&mut [u8]) -> io::Result<(usize, A)>,
) -> io::Result<(usize, A)> {
    // SAFETY: a `ReadBuf` only writes initialised bytes.
    let room = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let most = room.len().min(MOST_BYTES);
    let mut room = ReadBuf::uninit(&mut room[..most]);
    let (count, sender) = receive(room.initialize_unfilled())?;
    room.advance(count);
    // SAFETY: the first `count` bytes are initialised, and within the room, as `ReadBuf::advance`
    // has checked.
    unsafe { buf.advance_mut(count) };
    Ok((count, sender))
}

/// Implements the receives for a type of messages. `$recv` and `$recv_from` receive once, without
/// waiting.
macro_rules! recv_buf {
    ($socket:ty, $address:ty, $recv:expr, $recv_from:expr) => {
        /// Receiving into a buffer of the crates `bytes` or `tokio`, with the feature `tokio-io`.
        /// What does not fit into the free room of the buffer is lost. Only the first part of a
        /// buffer in several parts counts, and at most 256 KiB of it.
        impl $socket {
            /// Receives a message into the free room of `buf`, as [`recv`](Self::recv) does, and
            /// returns the number of bytes.
            ///
            /// A `Vec` and a `BytesMut` that are full make room for 64 bytes only: reserve room for
            /// a message.
            ///
            /// # Errors
            ///
            /// Those of [`recv`](Self::recv).
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been received.
            pub async fn recv_buf<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<usize> {
                let receive = || fill(buf, |room| Ok(($recv(self, room)?, ())));
                Ok(self.registered().async_io(Interest::READABLE, receive).await?.0)
            }

            /// Receives as [`recv_buf`](Self::recv_buf) does, without waiting.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no message. Other errors are
            /// those of [`recv`](Self::recv).
            pub fn try_recv_buf<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<usize> {
                let receive = || fill(buf, |room| Ok(($recv(self, room)?, ())));
                Ok(self.registered().try_io(Interest::READABLE, receive)?.0)
            }

            /// Receives as [`recv_buf`](Self::recv_buf) does, and returns the address of the sender
            /// as well.
            ///
            /// # Errors
            ///
            /// Those of [`recv`](Self::recv).
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been received.
            pub async fn recv_buf_from<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<(usize, $address)> {
                let receive = || fill(buf, |room| $recv_from(self, room));
                self.registered().async_io(Interest::READABLE, receive).await
            }

            /// Receives as [`recv_buf_from`](Self::recv_buf_from) does, without waiting.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no message. Other errors are
            /// those of [`recv`](Self::recv).
            pub fn try_recv_buf_from<B: BufMut + ?Sized>(&self, buf: &mut B) -> io::Result<(usize, $address)> {
                let receive = || fill(buf, |room| $recv_from(self, room));
                self.registered().try_io(Interest::READABLE, receive)
            }

            /// Polls for a message as [`poll_recv`](Self::poll_recv) does, and appends it to `buf`.
            ///
            /// # Errors
            ///
            /// Those of [`recv`](Self::recv).
            pub fn poll_recv_buf(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                let count = ready!(self.poll_recv(cx, buf.initialize_unfilled()))?;
                buf.advance(count);
                Poll::Ready(Ok(()))
            }

            /// Polls for a message as [`poll_recv_from`](Self::poll_recv_from) does, appends it to
            /// `buf`, and returns the address of its sender.
            ///
            /// # Errors
            ///
            /// Those of [`recv`](Self::recv).
            pub fn poll_recv_buf_from(
                &self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<$address>> {
                let (count, sender) = ready!(self.poll_recv_from(cx, buf.initialize_unfilled()))?;
                buf.advance(count);
                Poll::Ready(Ok(sender))
            }
        }
    };
}

recv_buf! {
    UdpSocket,
    SocketAddr,
    |socket: &UdpSocket, room| socket.registered().io().recv(room),
    |socket: &UdpSocket, room| socket.registered().io().recv_from(room)
}

#[cfg(unix)]
recv_buf! { UnixDatagram, unix::SocketAddr, UnixDatagram::recv_now, UnixDatagram::recv_from_now }

/// Peeking into a buffer of the crate `tokio`, with the feature `tokio-io`.
impl UdpSocket {
    /// Polls for the next message as [`poll_peek`](UdpSocket::poll_peek) does, and appends it to
    /// `buf`. The message stays in the socket.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](UdpSocket::peek).
    pub fn poll_peek_buf(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(self.poll_peek(cx, buf.initialize_unfilled()))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }

    /// Polls for the next message as [`poll_peek_from`](UdpSocket::poll_peek_from) does, appends it
    /// to `buf`, and returns the address of its sender. The message stays in the socket.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](UdpSocket::peek).
    pub fn poll_peek_buf_from(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        let (count, sender) = ready!(self.poll_peek_from(cx, buf.initialize_unfilled()))?;
        buf.advance(count);
        Poll::Ready(Ok(sender))
    }
}
