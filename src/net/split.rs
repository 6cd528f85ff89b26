//! The two halves of a borrowed stream.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use super::tcp_stream::TcpStream;
use super::transfer;
use crate::reactor::{Interest, Ready};

/// The half of a borrowed [`TcpStream`] that reads; made by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The half of a borrowed [`TcpStream`] that writes; made by [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

pub(super) fn halves(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf(stream), WriteHalf(stream))
}

impl ReadHalf<'_> {
    pub(super) fn stream(&self) -> &TcpStream {
        self.0
    }

    /// Reads what there is; see [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        transfer::read(self.stream(), buf).await
    }

    /// Reads into several buffers in turn; see [`TcpStream::read_vectored`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        transfer::read_vectored(self.stream(), bufs).await
    }

    /// Fills `buf`; see [`TcpStream::read_exact`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        transfer::read_exact(self.stream(), buf).await
    }

    /// Reads until the end; see [`TcpStream::read_to_end`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        transfer::read_to_end(self.stream(), buf).await
    }

    /// Reads what there is without taking it away; see [`TcpStream::peek`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream().peek(buf).await
    }

    /// Waits until the stream is ready for some of `interest`; see [`TcpStream::ready`].
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.stream().ready(interest).await
    }

    /// Waits until a read is worth trying; see [`TcpStream::readable`].
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub async fn readable(&self) -> io::Result<()> {
        self.stream().readable().await
    }

    /// Reads what there is without waiting; see [`TcpStream::try_read`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream().try_read(buf)
    }

    /// Reads into several buffers without waiting; see [`TcpStream::try_read_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.stream().try_read_vectored(bufs)
    }

    /// The other end's address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream().peer_addr()
    }

    /// This end's address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream().local_addr()
    }
}

impl WriteHalf<'_> {
    pub(super) fn stream(&self) -> &TcpStream {
        self.0
    }

    pub(super) fn half_close(&mut self) -> io::Result<()> {
        self.0.half_close()
    }

    /// Writes as much as there is room for; see [`TcpStream::write`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        transfer::write(self.stream(), buf).await
    }

    /// Writes from several buffers in turn; see [`TcpStream::write_vectored`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        transfer::write_vectored(self.stream(), bufs).await
    }

    /// Writes all of `buf`; see [`TcpStream::write_all`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        transfer::write_all(self.stream(), buf).await
    }

    /// Does nothing: what is written goes to the operating system at once.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Shuts the writing direction down; see [`TcpStream::shutdown`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.half_close()
    }

    /// Waits until the stream is ready for some of `interest`; see [`TcpStream::ready`].
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.stream().ready(interest).await
    }

    /// Waits until a write is worth trying; see [`TcpStream::writable`].
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub async fn writable(&self) -> io::Result<()> {
        self.stream().writable().await
    }

    /// Writes as much as there is room for without waiting; see [`TcpStream::try_write`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.stream().try_write(buf)
    }

    /// Writes from several buffers without waiting; see [`TcpStream::try_write_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream().try_write_vectored(bufs)
    }

    /// The other end's address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream().peer_addr()
    }

    /// This end's address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream().local_addr()
    }
}

impl AsRef<TcpStream> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}
