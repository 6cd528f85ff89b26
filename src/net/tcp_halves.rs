//! The halves of a TCP stream.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::halves::halves;
use super::mio_socket::HasMioSocket;
use super::tcp_stream::TcpStream;

halves!(
    TcpStream,
    SocketAddr,
    mio::net::TcpStream,
    tcp_stream,
    [tcp_read_half, tcp_write_half, tcp_owned_read_half, tcp_owned_write_half]
);

macro_rules! peeks {
    ($half:ty, $scene:ident) => {
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.write_all(b"hello").await?;
            /// let mut first = [0; 1];
            /// here.peek(&mut first).await?;
            /// assert_eq!(&first, b"h"); // and it is still to be read
            #[doc = crate::net::doc_examples::end!()]
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().peek(buf).await
            }

            /// Polls for what [`peek`](Self::peek) waits for; see [`TcpStream::poll_peek`].
            ///
            /// # Errors
            ///
            /// As there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.write_all(b"hello").await?;
            /// let mut first = [0; 1];
            /// std::future::poll_fn(|cx| here.poll_peek(cx, &mut first)).await?;
            /// assert_eq!(&first, b"h");
            #[doc = crate::net::doc_examples::end!()]
            pub fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                self.as_ref().poll_peek(cx, buf)
            }
        }
    };
}

peeks!(ReadHalf<'_>, tcp_read_half);
peeks!(OwnedReadHalf, tcp_owned_read_half);
