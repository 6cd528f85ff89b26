//! The halves of a borrowed TCP stream.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::tcp_stream::TcpStream;
use crate::primitive::sockets;
use crate::reactor::{Interest, Ready, Registered};

/// The reading half of a borrowed stream; made by [`TcpStream::split`].
///
/// # Examples
///
/// ```
/// # #[heist::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
/// # let (mut peer, _) = listener.accept().await?;
/// let (mut read, mut write) = stream.split();
/// peer.write_all(b"ping").await?;
/// let mut got = [0; 4];
/// // Both halves at once, in one task.
/// let (sent, received) = futures::join!(write.write_all(b"pong"), read.read_exact(&mut got));
/// sent?;
/// assert_eq!((received?, &got), (4, b"ping"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadHalf<'a>(pub(super) &'a TcpStream);

/// The writing half of a borrowed stream; made by [`TcpStream::split`].
///
/// # Examples
///
/// ```
/// # #[heist::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
/// # let (mut peer, _) = listener.accept().await?;
/// let (_read, mut write) = stream.split();
/// write.write_all(b"the last words").await?;
/// write.shutdown().await?;
/// let mut text = String::new();
/// peer.read_to_string(&mut text).await?;
/// assert_eq!(text, "the last words");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WriteHalf<'a>(pub(super) &'a TcpStream);

impl ReadHalf<'_> {
    pub(super) fn registered(&self) -> &Registered<sockets::TcpStream> {
        self.0.registered()
    }

    /// Waits until the half is ready for some of `interest`, and returns what of it the half is
    /// ready for. Any number of tasks may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost: it lasts until an operation gives
    /// `WouldBlock`.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.registered().ready(interest).await
    }

    /// Waits until a read is worth a try. The read may still give `WouldBlock`. Any number of tasks
    /// may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost: it lasts until an operation gives
    /// `WouldBlock`.
    pub async fn readable(&self) -> io::Result<()> {
        self.registered().readable().await
    }

    /// Polls until a read is worth a try. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registered().poll_read_ready(cx)
    }

    /// Returns the address of the other end.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.as_ref().peer_addr()
    }

    /// Returns the address of this end.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.as_ref().local_addr()
    }

    /// Reads the bytes that are available without consuming them, as [`TcpStream::peek`] does.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is lost.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.as_ref().peek(buf).await
    }

    /// Polls for bytes without consuming them, as [`TcpStream::poll_peek`] does. Only the task of
    /// the latest call is woken.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](Self::peek).
    pub fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.as_ref().poll_peek(cx, buf)
    }

    /// Reads the bytes that are available into `buf`, as [`TcpStream::read`] does.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been read.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().read(buf).await
    }

    /// Reads the bytes that are available into several buffers in turn, as
    /// [`TcpStream::read_vectored`] does.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been read.
    pub async fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registered().read_vectored(bufs).await
    }

    /// Fills `buf`, and returns its length, as [`TcpStream::read_exact`] does.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream ends before `buf` is full.
    /// Other errors are those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some bytes may have been read, and their number is unknown.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().read_exact(buf).await
    }

    /// Reads until the end of the stream, and appends the bytes to `buf`, as
    /// [`TcpStream::read_to_end`] does.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read). The bytes read before the error are in `buf`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the bytes read so far are in `buf`, and reading can go on.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.registered().read_to_end(buf).await
    }

    /// Reads UTF-8 until the end of the stream, and appends it to `text`, as
    /// [`TcpStream::read_to_string`] does.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if the bytes are not UTF-8. Other errors are
    /// those of [`read`](Self::read). After an error, `text` is unchanged, and the bytes read so
    /// far are lost.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the bytes read so far are lost.
    pub async fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        self.registered().read_to_string(text).await
    }

    /// Reads the bytes that are available into `buf` without waiting, as [`TcpStream::try_read`]
    /// does.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing to read. Other errors are
    /// those of [`read`](Self::read).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().try_read(buf)
    }

    /// Reads into several buffers in turn without waiting, as [`TcpStream::try_read_vectored`]
    /// does.
    ///
    /// # Errors
    ///
    /// Those of [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registered().try_read_vectored(bufs)
    }
}

impl AsRef<TcpStream> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

impl WriteHalf<'_> {
    pub(super) fn registered(&self) -> &Registered<sockets::TcpStream> {
        self.0.registered()
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown_write()
    }

    /// Waits until the half is ready for some of `interest`, and returns what of it the half is
    /// ready for. Any number of tasks may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost: it lasts until an operation gives
    /// `WouldBlock`.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.registered().ready(interest).await
    }

    /// Waits until a write is worth a try. The write may still give `WouldBlock`. Any number of
    /// tasks may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost: it lasts until an operation gives
    /// `WouldBlock`.
    pub async fn writable(&self) -> io::Result<()> {
        self.registered().writable().await
    }

    /// Polls until a write is worth a try. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registered().poll_write_ready(cx)
    }

    /// Returns the address of the other end.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.as_ref().peer_addr()
    }

    /// Returns the address of this end.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.as_ref().local_addr()
    }

    /// Writes as many bytes of `buf` as there is room for, as [`TcpStream::write`] does.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been written.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.registered().write(buf).await
    }

    /// Writes from several buffers in turn, as [`TcpStream::write_vectored`] does.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been written.
    pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registered().write_vectored(bufs).await
    }

    /// Writes all of `buf`, as [`TcpStream::write_all`] does.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some bytes may have been written, and their number is unknown.
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.registered().write_all(buf).await
    }

    /// Does nothing, because each write goes to the operating system at once.
    ///
    /// # Errors
    ///
    /// None: this returns `Ok`.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Shuts the writing direction down, as [`TcpStream::shutdown`] does.
    ///
    /// If the connection is already gone, as after a reset by the peer, this returns `Ok`.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.shutdown_write()
    }

    /// Writes as many bytes of `buf` as there is room for without waiting, as
    /// [`TcpStream::try_write`] does.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. Other errors are those of
    /// [`write`](Self::write).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.registered().try_write(buf)
    }

    /// Writes from several buffers in turn without waiting, as [`TcpStream::try_write_vectored`]
    /// does.
    ///
    /// # Errors
    ///
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registered().try_write_vectored(bufs)
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}
