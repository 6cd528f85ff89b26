//! The two halves of a stream, each of which can go its own way.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use super::tcp_stream::TcpStream;
use super::transfer;
use crate::reactor::{Interest, Ready};
use crate::sync::Arc;

/// The half of a [`TcpStream`] that reads; made by [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf(Arc<TcpStream>);

/// The half of a [`TcpStream`] that writes; made by [`TcpStream::into_split`].
///
/// Dropping it shuts the writing direction down.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    /// Whether the drop has to shut the writing direction down.
    is_open: bool,
}

/// The error of bringing two halves together that are not of the same stream. It gives them back.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are not of the same stream")
    }
}

impl Error for ReuniteError {}

pub(super) fn halves(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    (OwnedReadHalf(Arc::clone(&stream)), OwnedWriteHalf { stream, is_open: true })
}

fn reunite(read: OwnedReadHalf, mut write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
    if !Arc::ptr_eq(&read.0, &write.stream) {
        return Err(ReuniteError(read, write));
    }
    write.is_open = false;
    drop(write);
    Ok(Arc::into_inner(read.0).expect("a stream has two halves"))
}

impl OwnedReadHalf {
    pub(super) fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Brings the two halves of a stream together again.
    ///
    /// # Errors
    ///
    /// If they are not of the same stream.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        reunite(self, other)
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

impl OwnedWriteHalf {
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn half_close(&mut self) -> io::Result<()> {
        let result = self.stream.half_close();
        if result.is_ok() {
            self.is_open = false;
        }
        result
    }

    /// Brings the two halves of a stream together again.
    ///
    /// # Errors
    ///
    /// If they are not of the same stream.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        reunite(other, self)
    }

    /// Drops the half without shutting the writing direction down.
    pub fn forget(mut self) {
        self.is_open = false;
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

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.is_open {
            // A connection that is gone already has nothing to shut down.
            let _ = self.stream.half_close();
        }
    }
}

impl AsRef<TcpStream> for OwnedReadHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.0
    }
}

impl AsRef<TcpStream> for OwnedWriteHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.stream
    }
}
