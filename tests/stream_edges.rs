//! Streams at their edges: a shutdown after the peer's reset.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
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

/// The first poll gives the answer.
async fn is_done_at_once<T: Debug + PartialEq>(name: &str, future: impl Future<Output = io::Result<T>>, right: T) {
    is_done(name, once(pin!(future)).await, right);
}

/// The same for a function that polls.
async fn answers_at_once<T: Debug + PartialEq>(
    name: &str,
    poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    right: T,
) {
    is_done_at_once(name, poll_fn(poll), right).await;
}

// ---------------------------------------------------------------------------------------------------- shutdown

/// A stream whose peer has reset the connection, which the stream knows.
async fn reset_stream() -> TcpStream {
    let (mut client, server) = tcp_pair().await;
    server.set_zero_linger().unwrap();
    drop(server);
    assert_eq!(client.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    client
}

/// By each family's trait.
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
fn tcp_write_after_peer_reset_is_still_an_error() {
    each(|runtime| {
        runtime.block_on(async {
            let mut stream = reset_stream().await;
            stream.shutdown().await.unwrap();
            assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[cfg(unix)]
mod unix {
    use super::*;
    use heist::net::UnixStream;
    use heist::net::unix::pipe;

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
}
