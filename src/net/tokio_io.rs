//! The I/O traits of `tokio`, on every type that reads or writes bytes.
//!
//! No adapter lies in between, no buffer is zeroed, and no runtime of Tokio is compiled in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{TcpStream, tcp};
#[cfg(unix)]
use super::{UnixStream, unix};

/// Implements the traits for types with the methods `registered` and `shutdown_write`.
macro_rules! tokio_io {
    (read: $($reader:ty),*; write: $($writer:ty),*;) => {
        $(impl AsyncRead for $reader {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: a read only writes bytes, so no initialised byte becomes uninitialised.
                let room = unsafe { buf.unfilled_mut() };
                let count = ready!(self.registered().poll_read_uninit(cx, room))?;
                // SAFETY: the read has written the first `count` bytes of `room`.
                unsafe { buf.assume_init(count) };
                buf.advance(count);
                Poll::Ready(Ok(()))
            }
        })*

        $(impl AsyncWrite for $writer {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.registered().poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.registered().poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().shutdown_write())
            }
        })*
    };
}

tokio_io! {
    read: TcpStream, tcp::ReadHalf<'_>, tcp::OwnedReadHalf;
    write: TcpStream, tcp::WriteHalf<'_>, tcp::OwnedWriteHalf;
}

#[cfg(unix)]
tokio_io! {
    read: UnixStream, unix::ReadHalf<'_>, unix::OwnedReadHalf, unix::pipe::Receiver;
    write: UnixStream, unix::WriteHalf<'_>, unix::OwnedWriteHalf, unix::pipe::Sender;
}
