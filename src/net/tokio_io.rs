//! The I/O traits of `tokio`. None of its runtime is compiled in for them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

fn poll_read(stream: &TcpStream, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    // SAFETY: nothing that is initialised is made uninitialised: a read only writes.
    let room = unsafe { buf.unfilled_mut() };
    let count = ready!(stream.poll_read_uninit(cx, room))?;
    // SAFETY: the read has written so many bytes.
    unsafe { buf.assume_init(count) };
    buf.advance(count);
    Poll::Ready(Ok(()))
}

macro_rules! reads {
    ($($reader:ty => $stream:expr;)*) => {$(
        impl AsyncRead for $reader {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                poll_read($stream(&*self), cx, buf)
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

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
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

reads! {
    TcpStream => itself;
    ReadHalf<'_> => ReadHalf::stream;
    OwnedReadHalf => OwnedReadHalf::stream;
}

writes! {
    TcpStream => itself, close;
    WriteHalf<'_> => WriteHalf::stream, WriteHalf::half_close;
    OwnedWriteHalf => OwnedWriteHalf::stream, OwnedWriteHalf::half_close;
}
