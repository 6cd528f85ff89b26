//! The I/O traits of `futures-io`.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

macro_rules! reads {
    ($($reader:ty => $stream:expr;)*) => {$(
        impl AsyncRead for $reader {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                $stream(&*self).poll_read_slice(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                $stream(&*self).poll_read_slices(cx, bufs)
            }
        }
    )*};
}

macro_rules! writes {
    ($($writer:ty => $stream:expr, $close:expr;)*) => {$(
        impl AsyncWrite for $writer {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                $stream(&*self).poll_write_slice(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                $stream(&*self).poll_write_slices(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready($close(&mut *self))
            }
        }
    )*};
}

fn itself(stream: &TcpStream) -> &TcpStream {
    stream
}

fn close(stream: &mut TcpStream) -> io::Result<()> {
    stream.half_close()
}

fn borrowed<'a>(stream: &&'a TcpStream) -> &'a TcpStream {
    stream
}

fn close_borrowed(stream: &mut &TcpStream) -> io::Result<()> {
    stream.half_close()
}

reads! {
    TcpStream => itself;
    &TcpStream => borrowed;
    ReadHalf<'_> => ReadHalf::stream;
    OwnedReadHalf => OwnedReadHalf::stream;
}

writes! {
    TcpStream => itself, close;
    &TcpStream => borrowed, close_borrowed;
    WriteHalf<'_> => WriteHalf::stream, WriteHalf::half_close;
    OwnedWriteHalf => OwnedWriteHalf::stream, OwnedWriteHalf::half_close;
}
