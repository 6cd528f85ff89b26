//! The I/O traits of `futures-io`, on every type that reads or writes bytes.
//!
//! No adapter lies in between.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::futures_io::{AsyncRead, AsyncWrite};

use super::{TcpStream, tcp};
#[cfg(unix)]
use super::{UnixStream, unix};

/// Implements the traits for types with the methods `registered` and `shutdown_write`.
macro_rules! futures_io {
    (read: $($reader:ty),*; write: $($writer:ty),*;) => {
        $(impl AsyncRead for $reader {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                self.registered().poll_read(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.registered().poll_read_vectored(cx, bufs)
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

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().shutdown_write())
            }
        })*
    };
}

// A borrowed stream reads and writes as well, as std's does.
futures_io! {
    read: TcpStream, &TcpStream, tcp::ReadHalf<'_>, tcp::OwnedReadHalf;
    write: TcpStream, &TcpStream, tcp::WriteHalf<'_>, tcp::OwnedWriteHalf;
}

#[cfg(unix)]
futures_io! {
    read: UnixStream, &UnixStream, unix::ReadHalf<'_>, unix::OwnedReadHalf, unix::pipe::Receiver;
    write: UnixStream, &UnixStream, unix::WriteHalf<'_>, unix::OwnedWriteHalf, unix::pipe::Sender;
}
