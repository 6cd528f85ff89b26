//! TCP: sockets with options, addresses, halves across tasks, conversions of sockets of std.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use heist::io::Interest;
use heist::net::tcp::ReuniteError;
use heist::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use kit::{current_thread, each, panic_text};
use sockets::{once, tcp_pair};

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn tcp_socket_with_options_listens_and_another_connects() {
    each(|runtime| {
        runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(anywhere()).unwrap();
            let bound = socket.local_addr().unwrap();
            let listener = socket.listen(16).unwrap();
            assert_eq!(listener.local_addr().unwrap(), bound);
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(anywhere()).unwrap();
            let from = socket.local_addr().unwrap();
            let (client, accepted) = futures::join!(socket.connect(bound), listener.accept());
            assert_eq!((client.unwrap().peer_addr().unwrap(), accepted.unwrap().1), (bound, from));
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn tcp_listeners_with_reuseport_share_a_port() {
    current_thread().block_on(async {
        let listen = |at: SocketAddr| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseport(true).unwrap();
            assert!(socket.reuseport().unwrap());
            socket.bind(at)?;
            socket.listen(4)
        };
        let one = listen(anywhere()).unwrap();
        let at = one.local_addr().unwrap();
        let _two = listen(at).unwrap();
        assert_eq!(TcpListener::bind(at).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn tcp_socket_options_are_kept_by_its_stream() {
    current_thread().block_on(async {
        let listener = TcpListener::bind(anywhere()).await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_keepalive(true).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_send_buffer_size(20_000).unwrap();
        socket.set_recv_buffer_size(20_000).unwrap();
        socket.set_linger(Some(Duration::from_secs(2))).unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(2)));
        socket.set_zero_linger().unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        assert!(socket.keepalive().unwrap() && socket.nodelay().unwrap() && !socket.reuseaddr().unwrap());
        assert!(socket.send_buffer_size().unwrap() >= 20_000 && socket.recv_buffer_size().unwrap() >= 20_000);
        assert!(socket.take_error().unwrap().is_none());
        #[cfg(target_os = "linux")]
        assert_eq!(socket.device().unwrap(), None);
        let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
        #[cfg(target_os = "linux")]
        {
            stream.set_quickack(true).unwrap();
            assert!(stream.quickack().unwrap());
        }
        stream.set_linger(None).unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
        let (mut server, _) = listener.accept().await.unwrap();
        assert_eq!(server.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn tcp_socket_from_std_connects() {
    current_thread().block_on(async {
        let listener = TcpListener::bind(anywhere()).await.unwrap();
        let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        raw.set_nonblocking(true).unwrap();
        let socket = TcpSocket::from_std_stream(raw.into());
        socket.connect(listener.local_addr().unwrap()).await.unwrap();
    });
}

#[test]
fn tcp_connect_refused_is_an_error() {
    current_thread().block_on(async {
        let unused = TcpListener::bind(anywhere()).await.unwrap().local_addr().unwrap();
        let error = TcpSocket::new_v4().unwrap().connect(unused).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // Of several addresses, the first one that accepts is used.
        let listener = TcpListener::bind(anywhere()).await.unwrap();
        let both = [unused, listener.local_addr().unwrap()];
        assert_eq!(TcpStream::connect(&both[..]).await.unwrap().peer_addr().unwrap(), both[1]);
    });
}

#[test]
fn host_names_are_resolved_by_bind_and_connect() {
    each(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind(("localhost", 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect(format!("localhost:{port}")).await.unwrap();
            assert_eq!(client.peer_addr().unwrap().port(), port);
            assert!(lookup_host("localhost:7").await.unwrap().all(|address| address.ip().is_loopback()));
            let error = lookup_host("localhost").await.map(drop).unwrap_err();
            assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("host:port"), "{error}");
            lookup_host("no-such-host.invalid:80").await.map(drop).unwrap_err();
        });
    });
}

#[test]
fn tcp_halves_work_in_two_tasks() {
    each(|runtime| {
        runtime.block_on(async {
            let (client, server) = tcp_pair().await;
            let ((mut read, mut write), (mut server_read, mut server_write)) =
                (client.into_split(), server.into_split());
            let echo = heist::spawn(async move {
                let mut buf = [0; 1024];
                loop {
                    match server_read.read(&mut buf).await.unwrap() {
                        0 => break,
                        count => server_write.write_all(&buf[..count]).await.unwrap(),
                    }
                }
                server_write.shutdown().await.unwrap();
                server_write.reunite(server_read).unwrap()
            });
            let sending = heist::spawn(async move {
                for number in 0..1000_u32 {
                    write.write_all(&number.to_le_bytes()).await.unwrap();
                }
                write
            });
            let mut buf = [0; 4];
            for number in 0..1000_u32 {
                assert_eq!(read.read_exact(&mut buf).await.unwrap(), 4);
                assert_eq!(u32::from_le_bytes(buf), number);
            }
            drop(sending.await.unwrap());
            assert_eq!(read.read(&mut buf).await.unwrap(), 0);
            drop(echo.await.unwrap());
        });
    });
}

#[test]
fn tcp_halves_peek_wait_and_return_their_stream() {
    current_thread().block_on(async {
        let ((client, mut server), (other, _end)) = (tcp_pair().await, tcp_pair().await);
        let address = client.local_addr().unwrap();
        let (mut read, write) = client.into_split();
        server.write_all(b"abc").await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(read.peek(&mut buf).await.unwrap(), 3);
        assert_eq!(poll_fn(|cx| read.poll_peek(cx, &mut buf)).await.unwrap(), 3);
        poll_fn(|cx| read.poll_read_ready(cx)).await.unwrap();
        read.readable().await.unwrap();
        assert!(read.ready(Interest::READABLE).await.unwrap().is_readable());
        poll_fn(|cx| write.poll_write_ready(cx)).await.unwrap();
        write.writable().await.unwrap();
        assert!(write.ready(Interest::WRITABLE).await.unwrap().is_writable());
        assert_eq!(read.as_ref().local_addr().unwrap(), address);
        assert_eq!(write.as_ref().local_addr().unwrap(), address);
        assert_eq!(read.try_read(&mut buf).unwrap(), 3);
        assert_eq!(write.try_write(b"x").unwrap(), 1);
        let (other_read, other_write) = other.into_split();
        let ReuniteError(read, _) = read.reunite(other_write).unwrap_err();
        let error = write.reunite(other_read).unwrap_err();
        assert_eq!(error.to_string(), "the two halves are not of the same stream");
        error.1.reunite(read).unwrap();
    });
}

#[test]
fn tcp_connect_cancelled_leaves_nothing_behind() {
    current_thread().block_on(async {
        let listener = TcpListener::bind(anywhere()).await.unwrap();
        let at = listener.local_addr().unwrap();
        for _ in 0..3 {
            let mut connect = Box::pin(TcpStream::connect(at));
            let _ = once(connect.as_mut()).await;
        }
        let (connected, accepted) = futures::join!(TcpStream::connect(at), listener.accept());
        connected.unwrap();
        accepted.unwrap();
    });
}

#[test]
fn tcp_std_sockets_in_blocking_mode_are_refused() {
    current_thread().block_on(async {
        let listener = std::net::TcpListener::bind(anywhere()).unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for error in [TcpListener::from_std(listener).unwrap_err(), TcpStream::try_from(stream).unwrap_err()] {
            assert!(error.to_string().contains("set_nonblocking(true)"), "{error}");
        }
        let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let error = TcpSocket::from_std_stream(raw.into()).connect(anywhere()).await.unwrap_err();
        assert!(error.to_string().contains("set_nonblocking(true)"), "{error}");
        let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        raw.bind(&anywhere().into()).unwrap();
        let error = TcpSocket::from_std_stream(raw.into()).listen(1).unwrap_err();
        assert!(error.to_string().contains("set_nonblocking(true)"), "{error}");
        let listener = std::net::TcpListener::bind(anywhere()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::try_from(listener).unwrap();
        let mut accept = pin!(listener.accept());
        assert!(once(accept.as_mut()).await.is_pending());
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        accept.await.unwrap();
    });
}

#[test]
fn tcp_listen_outside_of_a_runtime_panics() {
    let text = panic_text(|| TcpSocket::new_v4().unwrap().listen(1));
    assert!(text.contains("no heist runtime is running on this thread"), "{text}");
    let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    let text = panic_text(|| runtime.block_on(async { TcpSocket::new_v4().unwrap().listen(1) }));
    assert!(text.contains("enable_io"), "{text}");
}
