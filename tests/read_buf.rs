//! Reading into the buffers of `bytes` and of `tokio`, and file descriptors with the I/O traits.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::poll_fn;
use std::io::ErrorKind;

use bytes::{BufMut, BytesMut};
use kit::each;
use sockets::{tcp_pair, udp_pair};
use tokio::io::ReadBuf;

#[test]
fn stream_read_buf_appends_to_the_buffer() {
    each(|runtime| {
        runtime.block_on(async {
            let (mut one, mut two) = tcp_pair().await;
            one.write_all(b"two").await.unwrap();
            let mut buf = BytesMut::from(&b"one"[..]);
            assert_eq!(two.read_buf(&mut buf).await.unwrap(), 3);
            assert_eq!(&buf[..], b"onetwo");
            drop(one);
            assert_eq!(two.read_buf(&mut buf).await.unwrap(), 0);
            assert_eq!(&buf[..], b"onetwo", "the end adds nothing");
        });
    });
}

#[test]
fn stream_read_buf_of_a_full_buffer_returns_zero() {
    each(|runtime| {
        runtime.block_on(async {
            let (mut one, mut two) = tcp_pair().await;
            one.write_all(b"four").await.unwrap();
            let mut buf = Vec::new().limit(3);
            assert_eq!(two.read_buf(&mut buf).await.unwrap(), 3);
            assert_eq!(two.read_buf(&mut buf).await.unwrap(), 0);
            assert_eq!(buf.into_inner(), b"fou");
            assert_eq!(two.read_buf(&mut Vec::new()).await.unwrap(), 1);
        });
    });
}

#[test]
fn stream_try_read_buf_without_bytes_would_block() {
    each(|runtime| {
        runtime.block_on(async {
            let (one, two) = tcp_pair().await;
            let (mut buf, (read, _write)) = (Vec::new(), two.into_split());
            assert_eq!(read.try_read_buf(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
            let (_read, mut write) = one.into_split();
            write.write_all(b"one").await.unwrap();
            while read.try_read_buf(&mut buf).is_err() {
                read.readable().await.unwrap();
            }
            assert_eq!(buf, b"one");
        });
    });
}

#[test]
fn stream_poll_peek_buf_leaves_the_bytes() {
    each(|runtime| {
        runtime.block_on(async {
            let (mut one, mut two) = tcp_pair().await;
            one.write_all(b"one").await.unwrap();
            let mut memory = [0; 8];
            let mut buf = ReadBuf::new(&mut memory);
            assert_eq!(poll_fn(|cx| two.poll_peek_buf(cx, &mut buf)).await.unwrap(), 3);
            assert_eq!(buf.filled(), b"one");
            two.read_exact(&mut [0; 3]).await.unwrap();
        });
    });
}

#[test]
fn udp_receive_appends_a_message() {
    each(|runtime| {
        runtime.block_on(async {
            let (one, two) = udp_pair().await;
            let sender = one.local_addr().unwrap();
            let mut buf = BytesMut::with_capacity(64);
            assert_eq!(two.try_recv_buf(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
            for word in [b"one", b"two", b"six", b"ten"] {
                one.send(word).await.unwrap();
            }
            assert_eq!(two.recv_buf(&mut buf).await.unwrap(), 3);
            assert_eq!(two.recv_buf_from(&mut buf).await.unwrap(), (3, sender));
            assert_eq!(&buf[..], b"onetwo");
            let mut memory = [0; 16];
            let mut buf = ReadBuf::new(&mut memory);
            poll_fn(|cx| two.poll_peek_buf(cx, &mut buf)).await.unwrap();
            assert_eq!(poll_fn(|cx| two.poll_peek_buf_from(cx, &mut buf)).await.unwrap(), sender);
            poll_fn(|cx| two.poll_recv_buf(cx, &mut buf)).await.unwrap();
            assert_eq!(poll_fn(|cx| two.poll_recv_buf_from(cx, &mut buf)).await.unwrap(), sender);
            assert_eq!(buf.filled(), b"sixsixsixten");
            assert_eq!(two.try_recv_buf_from(&mut Vec::new()).unwrap_err().kind(), ErrorKind::WouldBlock);
        });
    });
}

#[test]
fn udp_message_that_does_not_fit_is_cut() {
    each(|runtime| {
        runtime.block_on(async {
            let (one, two) = udp_pair().await;
            one.send(b"hello").await.unwrap();
            let mut buf = Vec::new().limit(2);
            assert_eq!(two.recv_buf(&mut buf).await.unwrap(), 2);
            assert_eq!(buf.into_inner(), b"he");
        });
    });
}

#[cfg(unix)]
mod unix {
    use std::os::unix::net::UnixStream;

    use heist::io::unix::AsyncFd;
    use heist::net::UnixDatagram;

    use super::*;

    #[test]
    fn unix_datagram_receive_appends_a_message() {
        each(|runtime| {
            runtime.block_on(async {
                let (one, two) = UnixDatagram::pair().unwrap();
                let mut buf = Vec::with_capacity(16);
                for word in [b"one", b"two"] {
                    one.send(word).await.unwrap();
                }
                assert_eq!(two.recv_buf(&mut buf).await.unwrap(), 3);
                let (count, sender) = two.recv_buf_from(&mut buf).await.unwrap();
                assert!(count == 3 && sender.is_unnamed());
                assert_eq!(buf, b"onetwo");
            });
        });
    }

    fn fd_pair() -> (AsyncFd<UnixStream>, AsyncFd<UnixStream>) {
        let (one, two) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        two.set_nonblocking(true).unwrap();
        (AsyncFd::new(one).unwrap(), AsyncFd::new(two).unwrap())
    }

    #[test]
    fn async_fd_carries_a_megabyte_by_the_traits_of_tokio() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        each(|runtime| {
            runtime.block_on(async {
                let (mut one, mut two) = fd_pair();
                let writing = heist::spawn(async move {
                    one.write_all(&[7; 1 << 20]).await.unwrap();
                    one.shutdown().await.unwrap();
                });
                let mut all = Vec::new();
                assert_eq!(two.read_to_end(&mut all).await.unwrap(), 1 << 20);
                assert!(all.iter().all(|byte| *byte == 7));
                writing.await.unwrap();
            });
        });
    }

    #[test]
    fn async_fd_carries_a_megabyte_by_the_traits_of_futures() {
        use futures::io::{AsyncReadExt, AsyncWriteExt};
        each(|runtime| {
            runtime.block_on(async {
                let (mut one, mut two) = fd_pair();
                let writing = heist::spawn(async move {
                    one.write_all(&[7; 1 << 20]).await.unwrap();
                    one.close().await.unwrap();
                });
                let mut all = Vec::new();
                assert_eq!(two.read_to_end(&mut all).await.unwrap(), 1 << 20);
                assert!(all.iter().all(|byte| *byte == 7));
                writing.await.unwrap();
            });
        });
    }
}
