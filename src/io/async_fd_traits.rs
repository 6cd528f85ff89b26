//! The I/O traits of `tokio` and `futures-io` for a file descriptor whose resource reads and
//! writes.
//!
//! `poll_shutdown` and `poll_close` flush. Only the resource knows how one direction is shut down;
//! the descriptor itself is closed when the [`AsyncFd`] is dropped.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::async_fd::AsyncFd;
use crate::reactor::{Direction, Opaque};

impl<T: AsRawFd> AsyncFd<T> {
    /// Does `operation` as soon as it no longer blocks. Waits in the waker slot of the direction.
    fn poll_io_mut<R>(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let AsyncFd { registered, inner } = self;
        let attempt = || operation(inner).map(Opaque);
        registered.source().poll_io(direction, cx, attempt).map_ok(|Opaque(output)| output)
    }

    /// Flushes the resource. Most flushes have nothing to do, and need not wait for readiness.
    fn poll_flush_inner(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        T: Write,
    {
        match self.inner.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.poll_io_mut(Direction::Write, cx, Write::flush)
            }
            result => Poll::Ready(result),
        }
    }
}

#[cfg(feature = "tokio-io")]
mod tokio_io {
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;

    impl<T: AsRawFd + Read + Unpin> AsyncRead for AsyncFd<T> {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let room = buf.initialize_unfilled();
            let count = ready!(self.get_mut().poll_io_mut(Direction::Read, cx, |inner| inner.read(room)))?;
            buf.advance(count);
            Poll::Ready(Ok(()))
        }
    }

    impl<T: AsRawFd + Write + Unpin> AsyncWrite for AsyncFd<T> {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.get_mut().poll_io_mut(Direction::Write, cx, |inner| inner.write(buf))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.get_mut().poll_io_mut(Direction::Write, cx, |inner| inner.write_vectored(bufs))
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.get_mut().poll_flush_inner(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(cx)
        }
    }
}

#[cfg(feature = "futures-io")]
mod futures_io {
    use ::futures_io::{AsyncRead, AsyncWrite};

    use super::*;

    impl<T: AsRawFd + Read + Unpin> AsyncRead for AsyncFd<T> {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
            self.get_mut().poll_io_mut(Direction::Read, cx, |inner| inner.read(buf))
        }

        fn poll_read_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &mut [io::IoSliceMut<'_>],
        ) -> Poll<io::Result<usize>> {
            self.get_mut().poll_io_mut(Direction::Read, cx, |inner| inner.read_vectored(bufs))
        }
    }

    impl<T: AsRawFd + Write + Unpin> AsyncWrite for AsyncFd<T> {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.get_mut().poll_io_mut(Direction::Write, cx, |inner| inner.write(buf))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.get_mut().poll_io_mut(Direction::Write, cx, |inner| inner.write_vectored(bufs))
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.get_mut().poll_flush_inner(cx)
        }

        fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(cx)
        }
    }
}
