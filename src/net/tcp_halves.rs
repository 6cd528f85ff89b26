//! The halves of a TCP stream.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::halves::halves;
use super::tcp_stream::TcpStream;
use super::wired::Wired;

halves!(TcpStream, SocketAddr, mio::net::TcpStream);

macro_rules! peeks {
    ($half:ty) => {
        impl $half {
            /// Reads what there is without taking it away; see [`TcpStream::peek`].
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost if the future is dropped.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().peek(buf).await
            }

            /// Polls for what [`peek`](Self::peek) waits for; see [`TcpStream::poll_peek`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                self.as_ref().poll_peek(cx, buf)
            }
        }
    };
}

peeks!(ReadHalf<'_>);
peeks!(OwnedReadHalf);
