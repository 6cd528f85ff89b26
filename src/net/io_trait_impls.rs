//! The I/O traits of other crates, on everything that reads or writes bytes. There is no adapter in between, no buffer is
//! zeroed, and none of those crates' runtimes is compiled in.
//!
//! The types are listed once, at the end; each family says what its traits look like.

#[cfg(feature = "futures-io")]
macro_rules! futures_reads {
    ($($reader:ty),*) => {$(
        impl futures_io::AsyncRead for $reader {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                self.registered().poll_read_slice(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.registered().poll_read_slices(cx, bufs)
            }
        }
    )*};
}

#[cfg(feature = "tokio-io")]
macro_rules! tokio_reads {
    ($($reader:ty),*) => {$(
        impl tokio::io::AsyncRead for $reader {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: nothing that is initialised is made uninitialised: a read only writes.
                let room = unsafe { buf.unfilled_mut() };
                let count = std::task::ready!(self.registered().poll_read_uninit(cx, room))?;
                // SAFETY: the read has written so many bytes.
                unsafe { buf.assume_init(count) };
                buf.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    )*};
}

#[cfg(feature = "hyper")]
macro_rules! hyper_reads {
    ($($reader:ty),*) => {$(
        impl hyper::rt::Read for $reader {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buf: hyper::rt::ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: nothing that is initialised is made uninitialised: a read only writes.
                let room = unsafe { buf.as_mut() };
                let count = std::task::ready!(self.registered().poll_read_uninit(cx, room))?;
                // SAFETY: the read has written so many bytes.
                unsafe { buf.advance(count) };
                Poll::Ready(Ok(()))
            }
        }
    )*};
}

/// The three writing traits differ in how the end is called, and in whether they ask for vectored writes.
macro_rules! writes {
    ($family:path, $close:ident, [$($asks:tt)*], $writer:ty) => {
        impl $family for $writer {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.registered().poll_write_slice(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.registered().poll_write_slices(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn $close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.shutdown_write())
            }

            $($asks)*
        }
    };
}

#[cfg(feature = "futures-io")]
macro_rules! futures_writes {
    ($($writer:ty),*) => {$( writes!(futures_io::AsyncWrite, poll_close, [], $writer); )*};
}

#[cfg(feature = "tokio-io")]
macro_rules! tokio_writes {
    ($($writer:ty),*) => {$(
        writes!(tokio::io::AsyncWrite, poll_shutdown, [fn is_write_vectored(&self) -> bool { true }], $writer);
    )*};
}

#[cfg(feature = "hyper")]
macro_rules! hyper_writes {
    ($($writer:ty),*) => {$(
        writes!(hyper::rt::Write, poll_shutdown, [fn is_write_vectored(&self) -> bool { true }], $writer);
    )*};
}

/// Whatever reads, for one family.
macro_rules! readers {
    ($reads:ident) => {
        $reads!(net::TcpStream, net::tcp::ReadHalf<'_>, net::tcp::OwnedReadHalf);
        #[cfg(unix)]
        $reads!(net::UnixStream, net::unix::ReadHalf<'_>, net::unix::OwnedReadHalf, net::unix::pipe::Receiver);
    };
}

/// Whatever writes, for one family.
macro_rules! writers {
    ($writes:ident) => {
        $writes!(net::TcpStream, net::tcp::WriteHalf<'_>, net::tcp::OwnedWriteHalf);
        #[cfg(unix)]
        $writes!(net::UnixStream, net::unix::WriteHalf<'_>, net::unix::OwnedWriteHalf, net::unix::pipe::Sender);
    };
}

/// What every family below needs.
macro_rules! family {
    ($name:ident, $feature:literal, $reads:ident, $writes:ident, borrowed: [$($borrowed:ident),*]) => {
        #[cfg(feature = $feature)]
        mod $name {
            use std::io::{self, IoSlice};
            #[allow(unused_imports, reason = "one family reads into slices")]
            use std::io::IoSliceMut;
            use std::pin::Pin;
            use std::task::{Context, Poll};

            use crate::net;
            use crate::net::mio_socket::{Closing, HasMioSocket};

            readers!($reads);
            writers!($writes);
            $($borrowed!($reads, $writes);)*
        }
    };
}

/// A stream that is only borrowed reads and writes as well, as std's does.
#[cfg(feature = "futures-io")]
macro_rules! borrowed_streams {
    ($reads:ident, $writes:ident) => {
        $reads!(&net::TcpStream);
        $writes!(&net::TcpStream);
        #[cfg(unix)]
        $reads!(&net::UnixStream);
        #[cfg(unix)]
        $writes!(&net::UnixStream);
    };
}

family!(futures_family, "futures-io", futures_reads, futures_writes, borrowed: [borrowed_streams]);
family!(tokio_family, "tokio-io", tokio_reads, tokio_writes, borrowed: []);
family!(hyper_family, "hyper", hyper_reads, hyper_writes, borrowed: []);
