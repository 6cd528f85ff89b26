//! Edge cases of streams: a shutdown after the peer's reset, transfers of zero bytes, and of many
//! slices.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use heist::net::TcpStream;
use kit::each;
use sockets::{once, tcp_pair};

#[track_caller]
fn is_done<T: Debug + PartialEq>(name: &str, polled: Poll<io::Result<T>>, right: T) {
    match polled {
        Poll::Ready(Ok(answer)) => assert_eq!(answer, right, "{name}"),
        other => panic!("{name}: {other:?}"),
    }
}

/// The future is ready at its first poll.
async fn is_done_at_once<T: Debug + PartialEq>(name: &str, future: impl Future<Output = io::Result<T>>, right: T) {
    is_done(name, once(pin!(future)).await, right);
}

/// The poll function is ready at its first call.
async fn answers_at_once<T: Debug + PartialEq>(
    name: &str,
    poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    right: T,
) {
    is_done_at_once(name, poll_fn(poll), right).await;
}

// -------------------------------------------------------------------------------------------------
// shutdown

/// Returns a stream whose peer has reset the connection. The stream has seen the reset.
async fn reset_stream() -> TcpStream {
    let (mut client, server) = tcp_pair().await;
    server.set_zero_linger().unwrap();
    drop(server);
    assert_eq!(client.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    client
}

/// Shuts the writer down by each family's trait.
async fn shuts_down<W>(name: &str, writer: &mut W)
where
    W: tokio::io::AsyncWrite + futures::io::AsyncWrite + hyper::rt::Write + Unpin,
{
    let (tokios, futures, hypers) = (format!("{name}, tokio"), format!("{name}, futures"), format!("{name}, hyper"));
    answers_at_once(&tokios, |cx| tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut *writer), cx), ()).await;
    answers_at_once(&futures, |cx| futures::io::AsyncWrite::poll_close(Pin::new(&mut *writer), cx), ()).await;
    answers_at_once(&hypers, |cx| hyper::rt::Write::poll_shutdown(Pin::new(&mut *writer), cx), ()).await;
}

#[test]
fn tcp_shutdown_after_peer_reset_is_ok() {
    each(|runtime| {
        runtime.block_on(async {
            let mut stream = reset_stream().await;
            is_done_at_once("the whole stream", stream.shutdown(), ()).await;
            shuts_down("the whole stream", &mut stream).await;
            let close = |cx: &mut Context<'_>| futures::io::AsyncWrite::poll_close(Pin::new(&mut &stream), cx);
            answers_at_once("a shared reference, futures", close, ()).await;
            let (_, mut half) = stream.split();
            is_done_at_once("a borrowed half", half.shutdown(), ()).await;
            shuts_down("a borrowed half", &mut half).await;
            let (_read, mut half) = stream.into_split();
            is_done_at_once("an owned half", half.shutdown(), ()).await;
            shuts_down("an owned half", &mut half).await;
        });
    });
}

#[test]
fn tcp_write_after_peer_reset_is_an_error() {
    each(|runtime| {
        runtime.block_on(async {
            let mut stream = reset_stream().await;
            stream.shutdown().await.unwrap();
            assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
}

// -------------------------------------------------------------------------------------------------
// zero bytes

/// Writes zero bytes, by each method and each family's trait. `$writer` has no room.
macro_rules! writes_nothing {
    ($name:expr, $writer:ident) => {{
        let (name, none) = ($name, &[][..]);
        let empties = [IoSlice::new(none), IoSlice::new(none)];
        is_done_at_once(&format!("{name}: write"), $writer.write(none), 0).await;
        is_done_at_once(&format!("{name}: write_all"), $writer.write_all(none), ()).await;
        is_done(&format!("{name}: try_write"), Poll::Ready($writer.try_write(none)), 0);
        for (slices, count) in [(&empties[..0], "no slices"), (&empties[..], "empty slices")] {
            is_done_at_once(&format!("{name}: write_vectored, {count}"), $writer.write_vectored(slices), 0).await;
            let tried = Poll::Ready($writer.try_write_vectored(slices));
            is_done(&format!("{name}: try_write_vectored, {count}"), tried, 0);
            writes_nothing!(@family tokio::io::AsyncWrite, name, $writer, slices);
            writes_nothing!(@family futures::io::AsyncWrite, name, $writer, slices);
            writes_nothing!(@family hyper::rt::Write, name, $writer, slices);
        }
        // The writer still has no room.
        assert_eq!($writer.try_write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock, "{name}");
    }};
    (@family $family:path, $name:ident, $writer:ident, $slices:ident) => {{
        use $family as Family;
        let name = format!("{}: {}", $name, stringify!($family));
        answers_at_once(&name, |cx| Family::poll_write(Pin::new(&mut $writer), cx, &[]), 0).await;
        answers_at_once(&name, |cx| Family::poll_write_vectored(Pin::new(&mut $writer), cx, $slices), 0).await;
    }};
}

/// Reads into empty buffers, by each method and each family's trait. `$reader` has nothing to read.
macro_rules! reads_nothing {
    ($name:expr, $reader:ident) => {{
        let name = $name;
        is_done_at_once(&format!("{name}: read"), $reader.read(&mut []), 0).await;
        is_done_at_once(&format!("{name}: read_exact"), $reader.read_exact(&mut []), 0).await;
        is_done(&format!("{name}: try_read"), Poll::Ready($reader.try_read(&mut [])), 0);
        let (mut one, mut two) = ([], []);
        let mut empties = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        for count in [0, 2] {
            let slices = &mut empties[..count];
            is_done_at_once(&format!("{name}: read_vectored, {count}"), $reader.read_vectored(slices), 0).await;
            let tried = Poll::Ready($reader.try_read_vectored(slices));
            is_done(&format!("{name}: try_read_vectored, {count}"), tried, 0);
            let read =
                |cx: &mut Context<'_>| futures::io::AsyncRead::poll_read_vectored(Pin::new(&mut $reader), cx, slices);
            answers_at_once(&format!("{name}: futures, vectored, {count}"), read, 0).await;
        }
        let read = |cx: &mut Context<'_>| futures::io::AsyncRead::poll_read(Pin::new(&mut $reader), cx, &mut []);
        answers_at_once(&format!("{name}: futures"), read, 0).await;
        let mut room = tokio::io::ReadBuf::new(&mut []);
        let read = |cx: &mut Context<'_>| tokio::io::AsyncRead::poll_read(Pin::new(&mut $reader), cx, &mut room);
        answers_at_once(&format!("{name}: tokio"), read, ()).await;
        let mut room = hyper::rt::ReadBuf::new(&mut []);
        let read = |cx: &mut Context<'_>| hyper::rt::Read::poll_read(Pin::new(&mut $reader), cx, room.unfilled());
        answers_at_once(&format!("{name}: hyper"), read, ()).await;
        // The reader still has nothing to read.
        assert_eq!($reader.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock, "{name}");
    }};
}

/// Peeks into empty buffers. `$reader` has nothing to read.
macro_rules! peeks_at_nothing {
    ($name:expr, $reader:ident) => {{
        let name = $name;
        is_done_at_once(&format!("{name}: peek"), $reader.peek(&mut []), 0).await;
        answers_at_once(&format!("{name}: poll_peek"), |cx| $reader.poll_peek(cx, &mut []), 0).await;
    }};
}

/// Fills the writer, until the driver reports no more room.
macro_rules! fill {
    ($writer:ident) => {
        loop {
            while $writer.try_write(&[0; 65_536]).is_ok() {}
            heist::task::yield_now().await;
            if once(pin!($writer.writable())).await.is_pending() {
                break;
            }
        }
    };
}

/// Clears the readiness that a fresh stream is presumed to have.
macro_rules! empty {
    ($reader:ident) => {
        assert_eq!($reader.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock)
    };
}

#[test]
fn tcp_transfer_of_zero_bytes_is_done_at_once() {
    each(|runtime| {
        runtime.block_on(async {
            let (mut stream, _peer) = tcp_pair().await;
            empty!(stream);
            reads_nothing!("the whole stream", stream);
            peeks_at_nothing!("the whole stream", stream);
            fill!(stream);
            writes_nothing!("the whole stream", stream);
            let (mut read, mut write) = stream.split();
            reads_nothing!("a borrowed half", read);
            peeks_at_nothing!("a borrowed half", read);
            writes_nothing!("a borrowed half", write);
            let (mut read, mut write) = stream.into_split();
            reads_nothing!("an owned half", read);
            peeks_at_nothing!("an owned half", read);
            writes_nothing!("an owned half", write);
        });
    });
}

#[test]
fn udp_message_of_zero_bytes_is_a_message() {
    each(|runtime| {
        runtime.block_on(async {
            let (one, two) = sockets::udp_pair().await;
            assert!(once(pin!(two.recv(&mut []))).await.is_pending(), "a receive into nothing waits for a message");
            assert!(once(pin!(two.peek(&mut []))).await.is_pending());
            assert_eq!(two.try_recv(&mut []).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(one.send(&[]).await.unwrap(), 0);
            assert_eq!(two.recv(&mut [7; 4]).await.unwrap(), 0);
            assert_eq!(one.send(b"abc").await.unwrap(), 3);
            let _ = two.recv(&mut []).await; // takes the message
            assert!(once(pin!(two.recv(&mut []))).await.is_pending());
        });
    });
}

#[cfg(unix)]
mod unix {
    use heist::net::unix::pipe;
    use heist::net::{UnixDatagram, UnixStream};

    use super::*;

    #[test]
    fn unix_shutdown_after_peer_drop_is_ok() {
        each(|runtime| {
            runtime.block_on(async {
                let (mut stream, peer) = UnixStream::pair().unwrap();
                drop(peer);
                is_done_at_once("the whole stream", stream.shutdown(), ()).await;
                shuts_down("the whole stream", &mut stream).await;
                let (_, mut half) = stream.split();
                shuts_down("a borrowed half", &mut half).await;
                let (_read, mut half) = stream.into_split();
                shuts_down("an owned half", &mut half).await;
                let (mut sender, receiver) = pipe::pipe().unwrap();
                drop(receiver);
                is_done_at_once("a pipe", sender.shutdown(), ()).await;
                shuts_down("a pipe", &mut sender).await;
            });
        });
    }

    #[test]
    fn unix_transfer_of_zero_bytes_is_done_at_once() {
        each(|runtime| {
            runtime.block_on(async {
                let (mut stream, _peer) = UnixStream::pair().unwrap();
                reads_nothing!("the whole stream", stream);
                fill!(stream);
                writes_nothing!("the whole stream", stream);
                let (mut read, mut write) = stream.split();
                reads_nothing!("a borrowed half", read);
                writes_nothing!("a borrowed half", write);
                let (mut read, mut write) = stream.into_split();
                reads_nothing!("an owned half", read);
                writes_nothing!("an owned half", write);
            });
        });
    }

    #[test]
    fn pipe_transfer_of_zero_bytes_is_done_at_once() {
        each(|runtime| {
            runtime.block_on(async {
                let (mut sender, _receiver) = pipe::pipe().unwrap();
                fill!(sender);
                writes_nothing!("a sender", sender);
                let (_sender, mut receiver) = pipe::pipe().unwrap();
                reads_nothing!("a receiver", receiver);
            });
        });
    }

    #[test]
    fn unix_message_of_zero_bytes_is_a_message() {
        each(|runtime| {
            runtime.block_on(async {
                let (one, two) = UnixDatagram::pair().unwrap();
                assert!(once(pin!(two.recv(&mut []))).await.is_pending());
                assert_eq!(one.send(&[]).await.unwrap(), 0);
                assert_eq!(two.recv(&mut [7; 4]).await.unwrap(), 0);
                assert_eq!(one.send(b"abc").await.unwrap(), 3);
                assert_eq!(two.recv(&mut []).await.unwrap(), 0, "the message is taken");
                assert!(once(pin!(two.recv(&mut []))).await.is_pending());
            });
        });
    }
}

// -------------------------------------------------------------------------------------------------
// more slices than one call takes

/// The system takes 1,024 slices per call. What such a call moves is no sign that the socket is
/// full or empty, so the next call does not wait.
#[test]
fn tcp_vectored_calls_of_more_slices_than_the_system_takes_go_on_at_once() {
    const SLICES: usize = 3_000;
    each(|runtime| {
        runtime.block_on(async {
            let (mut one, mut other) = tcp_pair().await;
            let bytes = [7; SLICES];
            let slices: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
            let mut sent = 0;
            while sent < SLICES {
                let Poll::Ready(count) = once(pin!(one.write_vectored(&slices[sent..]))).await else {
                    panic!("the socket has room, and the write waits after {sent} bytes");
                };
                sent += count.unwrap();
            }
            // All bytes have come.
            let mut first = [0; SLICES];
            while other.peek(&mut first).await.unwrap() < SLICES {}
            let mut read = [0; SLICES];
            let mut received = 0;
            while received < SLICES {
                let mut slices: Vec<_> = read[received..].chunks_mut(1).map(IoSliceMut::new).collect();
                let Poll::Ready(count) = once(pin!(other.read_vectored(&mut slices))).await else {
                    panic!("bytes are there, and the read waits after {received} bytes");
                };
                received += count.unwrap();
            }
            assert_eq!(read, bytes);
        });
    });
}
