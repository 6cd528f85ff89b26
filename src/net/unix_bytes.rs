//! Reading and writing the bytes of a unix stream.

use std::io::{self, IoSlice, IoSliceMut};

use super::unix_stream::UnixStream;

/// Reading.
impl UnixStream {
    /// Reads the bytes that are available into `buf`, as
    /// [`TcpStream::read`](crate::net::TcpStream::read) does.
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
    /// [`TcpStream::read_vectored`](crate::net::TcpStream::read_vectored) does.
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

    /// Fills `buf`, and returns its length, as
    /// [`TcpStream::read_exact`](crate::net::TcpStream::read_exact) does.
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
    /// [`TcpStream::read_to_end`](crate::net::TcpStream::read_to_end) does.
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
    /// [`TcpStream::read_to_string`](crate::net::TcpStream::read_to_string) does.
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

    /// Reads the bytes that are available into `buf` without waiting, as
    /// [`TcpStream::try_read`](crate::net::TcpStream::try_read) does.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing to read. Other errors are
    /// those of [`read`](Self::read).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().try_read(buf)
    }

    /// Reads into several buffers in turn without waiting, as
    /// [`TcpStream::try_read_vectored`](crate::net::TcpStream::try_read_vectored) does.
    ///
    /// # Errors
    ///
    /// Those of [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registered().try_read_vectored(bufs)
    }
}

/// Writing.
impl UnixStream {
    /// Writes as many bytes of `buf` as there is room for, as
    /// [`TcpStream::write`](crate::net::TcpStream::write) does.
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

    /// Writes from several buffers in turn, as
    /// [`TcpStream::write_vectored`](crate::net::TcpStream::write_vectored) does.
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

    /// Writes all of `buf`, as [`TcpStream::write_all`](crate::net::TcpStream::write_all) does.
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

    /// Shuts the writing direction down, as
    /// [`TcpStream::shutdown`](crate::net::TcpStream::shutdown) does.
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
    /// [`TcpStream::try_write`](crate::net::TcpStream::try_write) does.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. Other errors are those of
    /// [`write`](Self::write).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.registered().try_write(buf)
    }

    /// Writes from several buffers in turn without waiting, as
    /// [`TcpStream::try_write_vectored`](crate::net::TcpStream::try_write_vectored) does.
    ///
    /// # Errors
    ///
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registered().try_write_vectored(bufs)
    }
}
