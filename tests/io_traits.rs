//! The combinators of `tokio::io` and `futures::io` on streams, and on their halves.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use kit::each;
use sockets::tcp_pair;

/// Lines go through a buffered reader, a copy sends them back, and a split stream reads them.
macro_rules! tokio_echo {
    ($client:expr, $server:expr) => {
        async {
            use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, copy, split};
            let (client, server) = ($client, $server);
            let echo = heist::spawn(async move {
                let (mut read, mut write) = server.into_split();
                let count = copy(&mut read, &mut write).await.unwrap();
                AsyncWriteExt::shutdown(&mut write).await.unwrap();
                count
            });
            let (read, write) = split(client);
            let writing = heist::spawn(async move {
                let mut write = BufWriter::new(write);
                for number in 0..10_000 {
                    write.write_all(format!("{number}\n").as_bytes()).await.unwrap();
                }
                write.shutdown().await.unwrap();
            });
            let mut lines = BufReader::new(read).lines();
            for number in 0..10_000 {
                assert_eq!(lines.next_line().await.unwrap(), Some(number.to_string()));
            }
            assert_eq!(lines.next_line().await.unwrap(), None);
            writing.await.unwrap();
            assert_eq!(echo.await.unwrap(), 48_890);
            assert_eq!(lines.into_inner().read(&mut [0; 1]).await.unwrap(), 0);
        }
    };
}

/// The same with the combinators of `futures::io`.
macro_rules! futures_echo {
    ($client:expr, $server:expr) => {
        async {
            use futures::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, copy};
            use futures::stream::StreamExt;
            let (client, server) = ($client, $server);
            let echo = heist::spawn(async move {
                let (read, mut write) = server.into_split();
                let count = copy(read, &mut write).await.unwrap();
                AsyncWriteExt::close(&mut write).await.unwrap();
                count
            });
            let (read, write) = AsyncReadExt::split(client);
            let writing = heist::spawn(async move {
                let mut write = BufWriter::new(write);
                for number in 0..10_000 {
                    write.write_all(format!("{number}\n").as_bytes()).await.unwrap();
                }
                write.close().await.unwrap();
            });
            let mut lines = BufReader::new(read).lines();
            for number in 0..10_000 {
                assert_eq!(lines.next().await.unwrap().unwrap(), number.to_string());
            }
            assert!(lines.next().await.is_none());
            writing.await.unwrap();
            assert_eq!(echo.await.unwrap(), 48_890);
        }
    };
}

#[test]
fn tcp_streams_work_with_tokio_combinators() {
    each(|runtime| {
        runtime.block_on(async {
            let (client, server) = tcp_pair().await;
            tokio_echo!(client, server).await;
        });
    });
}

#[test]
fn tcp_streams_work_with_futures_combinators() {
    each(|runtime| {
        runtime.block_on(async {
            let (client, server) = tcp_pair().await;
            futures_echo!(client, server).await;
        });
    });
}

#[test]
fn tcp_streams_are_copied_both_ways() {
    each(|runtime| {
        runtime.block_on(async {
            let ((mut client, left), (right, mut server)) = (tcp_pair().await, tcp_pair().await);
            let between = heist::spawn(async move {
                let (mut left, mut right) = (left, right);
                tokio::io::copy_bidirectional(&mut left, &mut right).await.unwrap()
            });
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut text = String::new();
            assert_eq!(server.read_to_string(&mut text).await.unwrap(), 8);
            server.write_all(b"answer").await.unwrap();
            drop(server);
            assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 6);
            assert_eq!(between.await.unwrap(), (8, 6));
        });
    });
}

#[test]
fn tcp_borrowed_halves_work_with_both_families_at_the_same_time() {
    each(|runtime| {
        runtime.block_on(async {
            let (mut client, mut server) = tcp_pair().await;
            let (mut theirs_read, mut theirs_write) = server.split();
            let (mut read, mut write) = client.split();
            let echo = async {
                let count = tokio::io::copy(&mut theirs_read, &mut theirs_write).await.unwrap();
                theirs_write.shutdown().await.unwrap();
                count
            };
            let writing = async {
                use futures::io::{AsyncWriteExt, BufWriter};
                let mut write = BufWriter::new(&mut write);
                for number in 0..1000 {
                    AsyncWriteExt::write_all(&mut write, format!("{number};").as_bytes()).await.unwrap();
                }
                write.close().await.unwrap();
            };
            let reading = async {
                use tokio::io::{AsyncBufReadExt, BufReader};
                let mut parts = BufReader::new(&mut read).split(b';');
                for number in 0..1000 {
                    assert_eq!(parts.next_segment().await.unwrap(), Some(number.to_string().into_bytes()));
                }
                assert_eq!(parts.next_segment().await.unwrap(), None);
            };
            assert_eq!(futures::join!(echo, writing, reading).0, 3890);
        });
    });
}

/// The bodies only have to compile.
mod families {
    use heist::net::{TcpStream, tcp};

    fn reads<T: tokio::io::AsyncRead + futures::io::AsyncRead + hyper::rt::Read + Unpin + Send + Sync>() {}
    fn writes<T: tokio::io::AsyncWrite + futures::io::AsyncWrite + hyper::rt::Write + Unpin + Send + Sync>() {}
    fn lent<T: futures::io::AsyncRead + futures::io::AsyncWrite>() {}

    #[test]
    fn tcp_types_have_the_traits_of_all_families() {
        reads::<TcpStream>();
        reads::<tcp::ReadHalf<'_>>();
        reads::<tcp::OwnedReadHalf>();
        writes::<TcpStream>();
        writes::<tcp::WriteHalf<'_>>();
        writes::<tcp::OwnedWriteHalf>();
        lent::<&TcpStream>();
    }

    #[cfg(unix)]
    #[test]
    fn unix_types_have_the_traits_of_all_families() {
        use heist::net::{UnixStream, unix};
        reads::<UnixStream>();
        reads::<unix::ReadHalf<'_>>();
        reads::<unix::OwnedReadHalf>();
        reads::<unix::pipe::Receiver>();
        writes::<UnixStream>();
        writes::<unix::WriteHalf<'_>>();
        writes::<unix::OwnedWriteHalf>();
        writes::<unix::pipe::Sender>();
        lent::<&UnixStream>();
    }
}

#[cfg(unix)]
mod unix {
    use heist::net::UnixStream;
    use heist::net::unix::pipe;

    use super::*;

    #[test]
    fn unix_streams_work_with_tokio_combinators() {
        each(|runtime| {
            runtime.block_on(async {
                let (client, server) = UnixStream::pair().unwrap();
                tokio_echo!(client, server).await;
            });
        });
    }

    #[test]
    fn unix_streams_work_with_futures_combinators() {
        each(|runtime| {
            runtime.block_on(async {
                let (client, server) = UnixStream::pair().unwrap();
                futures_echo!(client, server).await;
            });
        });
    }

    #[test]
    fn unix_borrowed_streams_read_and_write() {
        use futures::io::{AsyncReadExt, AsyncWriteExt};
        each(|runtime| {
            runtime.block_on(async {
                let (one, two) = UnixStream::pair().unwrap();
                AsyncWriteExt::write_all(&mut &one, b"borrowed").await.unwrap();
                AsyncWriteExt::close(&mut &one).await.unwrap();
                let mut got = Vec::new();
                assert_eq!(AsyncReadExt::read_to_end(&mut &two, &mut got).await.unwrap(), 8);
            });
        });
    }

    #[test]
    fn pipes_are_copied_by_both_families() {
        each(|runtime| {
            runtime.block_on(async {
                let (sender, receiver) = pipe::pipe().unwrap();
                let (mut first, second) = pipe::pipe().unwrap();
                let tokios = heist::spawn(async move {
                    let (mut from, mut to) = (receiver, first);
                    tokio::io::copy(&mut from, &mut to).await.unwrap();
                    first = to;
                    drop(first);
                });
                let mut sender = sender;
                let writing = heist::spawn(async move { sender.write_all(&[5; 300_000]).await.unwrap() });
                let mut got = Vec::new();
                futures::io::copy(second, &mut got).await.unwrap();
                writing.await.unwrap();
                tokios.await.unwrap();
                assert!(got == [5; 300_000]);
            });
        });
    }

    #[test]
    fn hyper_exchanges_a_request_over_a_unix_stream() {
        use http_body_util::{BodyExt, Empty, Full};
        use hyper::body::{Bytes, Incoming};
        use hyper::service::service_fn;
        each(|runtime| {
            runtime.block_on(async {
                let (client, server) = UnixStream::pair().unwrap();
                let greet = service_fn(|_: hyper::Request<Incoming>| async {
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from_static(b"hello"))))
                });
                let serving = heist::spawn(hyper::server::conn::http1::Builder::new().serve_connection(server, greet));
                let (mut sender, connection) = hyper::client::conn::http1::handshake(client).await.unwrap();
                let connection = heist::spawn(connection);
                let request = hyper::Request::get("/").header("host", "heist").body(Empty::<Bytes>::new()).unwrap();
                let answer =
                    sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
                assert_eq!(&answer[..], b"hello");
                drop(sender);
                connection.await.unwrap().unwrap();
                serving.await.unwrap().unwrap();
            });
        });
    }
}
