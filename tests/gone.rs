//! I/O whose runtime goes: whoever waits is woken and gets an error, and so does every later call.
//! None hangs, whichever it is.
#![cfg(unix)]

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heist::io::Interest;
use heist::io::unix::AsyncFd;
use heist::net::unix::pipe;
use heist::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, lookup_host};
use heist::runtime::is_rt_shutdown_err;
use kit::{Flag, each_owned};
use sockets::{Folder, tcp_pair, udp_pair};

fn poll<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[track_caller]
fn is_gone<T: Debug>(name: &str, polled: Poll<io::Result<T>>) {
    match polled {
        Poll::Pending => panic!("{name} hangs"),
        Poll::Ready(Ok(answer)) => panic!("{name} answers {answer:?}"),
        Poll::Ready(Err(error)) => {
            assert!(is_rt_shutdown_err(&error), "{name}: {error:?}");
            assert!(error.to_string().contains("has been shut down"), "{name}: {error}");
        }
    }
}

/// Each of the calls waits while its runtime goes, and is made again and again afterwards, on every
/// flavour. `$make` is awaited inside of the runtime, and answers the socket and whatever else has
/// to live; `$unready` sees to it that the socket is not ready.
macro_rules! wait {
    ($make:expr, $unready:expr, |$socket:ident| { $($name:literal: $call:expr;)* }) => {$(
        each_owned(|runtime| {
            #[allow(unused_mut, reason = "not every call needs it")]
            let (mut $socket, _others) = runtime.block_on($make);
            let flag = Flag::new();
            let waker = Waker::from(Arc::clone(&flag));
            {
                // What the reactor says of a new socket may come late.
                let mut waiting = loop {
                    $unready(&$socket);
                    let mut waiting = Box::pin(async { $call.await.map(drop) });
                    if poll(waiting.as_mut(), &waker).is_pending() {
                        break waiting;
                    }
                };
                drop(runtime);
                assert!(flag.is_set(), "{} is not woken", $name);
                is_gone($name, poll(waiting.as_mut(), &waker));
            }
            for _ in 0..3 {
                is_gone($name, poll(pin!(async { $call.await.map(drop) }), Waker::noop()));
            }
        });
    )*};
}

/// As `wait`, of calls that never wait, or not in a test: they are made afterwards only.
macro_rules! call {
    ($make:expr, |$socket:ident| { $($name:literal: $call:expr;)* }) => {
        each_owned(|runtime| {
            #[allow(unused_mut, reason = "not every call needs it")]
            let (mut $socket, _others) = runtime.block_on($make);
            drop(runtime);
            for _ in 0..3 {
                $(is_gone($name, poll(pin!(async { $call.map(drop) }), Waker::noop()));)*
            }
        });
    };
}

fn nothing<T>(_: &T) {}

/// Fills what can be filled, so that a write has to wait.
fn fill(mut write: impl FnMut(&[u8]) -> io::Result<usize>) {
    loop {
        match write(&[0; 1 << 12]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The calls that all streams of bytes have.
macro_rules! reads {
    ($make:expr) => {
        wait!($make, nothing, |stream| {
            "read": stream.read(&mut [0; 4]);
            "read_vectored": stream.read_vectored(&mut [IoSliceMut::new(&mut [0; 4])]);
            "read_exact": stream.read_exact(&mut [0; 4]);
            "read_to_end": stream.read_to_end(&mut Vec::new());
            "read_to_string": stream.read_to_string(&mut String::new());
            "readable": stream.readable();
            "poll_read_ready": poll_fn(|cx| stream.poll_read_ready(cx));
            "ready": stream.ready(Interest::READABLE);
        });
        call!($make, |stream| {
            "try_read": stream.try_read(&mut [0; 4]);
            "try_read_vectored": stream.try_read_vectored(&mut [IoSliceMut::new(&mut [0; 4])]);
        });
    };
}

macro_rules! writes {
    ($make:expr) => {
        let full = |stream: &_| fill(|bytes| try_write(stream, bytes));
        wait!($make, full, |stream| {
            "write": stream.write(&[0; 4]);
            "write_vectored": stream.write_vectored(&[IoSlice::new(&[0; 4])]);
            "write_all": stream.write_all(&[0; 1 << 12]);
            "writable": stream.writable();
            "poll_write_ready": poll_fn(|cx| stream.poll_write_ready(cx));
            "ready": stream.ready(Interest::WRITABLE);
        });
        call!($make, |stream| {
            "try_write": stream.try_write(&[0; 4]);
            "try_write_vectored": stream.try_write_vectored(&[IoSlice::new(&[0; 4])]);
        });
    };
}

/// The trait families, by their polls.
macro_rules! families {
    ($make:expr) => {
        wait!($make, nothing, |stream| {
            "futures_io read": poll_fn(|cx| futures::io::AsyncRead::poll_read(Pin::new(&mut stream), cx, &mut [0; 4]));
            "tokio read": poll_fn(|cx| {
                tokio::io::AsyncRead::poll_read(Pin::new(&mut stream), cx, &mut tokio::io::ReadBuf::new(&mut [0; 4]))
            });
            "hyper read": poll_fn(|cx| {
                hyper::rt::Read::poll_read(Pin::new(&mut stream), cx, hyper::rt::ReadBuf::new(&mut [0; 4]).unfilled())
            });
        });
        let full = |stream: &_| fill(|bytes| try_write(stream, bytes));
        wait!($make, full, |stream| {
            "futures_io write": poll_fn(|cx| futures::io::AsyncWrite::poll_write(Pin::new(&mut stream), cx, &[0; 4]));
            "tokio write": poll_fn(|cx| tokio::io::AsyncWrite::poll_write(Pin::new(&mut stream), cx, &[0; 4]));
            "hyper write": poll_fn(|cx| hyper::rt::Write::poll_write(Pin::new(&mut stream), cx, &[0; 4]));
        });
    };
}

#[test]
fn tcp_streams() {
    fn try_write(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        stream.try_write(bytes)
    }
    reads!(tcp_pair());
    writes!(tcp_pair());
    families!(tcp_pair());
    wait!(tcp_pair(), nothing, |stream| {
        "peek": stream.peek(&mut [0; 4]);
        "poll_peek": poll_fn(|cx| stream.poll_peek(cx, &mut [0; 4]));
        "async_io": stream.async_io(Interest::READABLE, || stream.try_read(&mut [0; 4]));
    });
    call!(tcp_pair(), |stream| {
        "try_io": stream.try_io(Interest::READABLE, || Ok(()));
    });
}

#[test]
fn tcp_halves() {
    let owned_read = || async {
        let (one, two) = tcp_pair().await;
        let (read, write) = one.into_split();
        (read, (write, two))
    };
    wait!(owned_read(), nothing, |half| {
        "read": half.read(&mut [0; 4]);
        "read_to_end": half.read_to_end(&mut Vec::new());
        "readable": half.readable();
        "peek": half.peek(&mut [0; 4]);
        "poll_peek": poll_fn(|cx| half.poll_peek(cx, &mut [0; 4]));
    });
    let owned_write = || async {
        let (one, two) = tcp_pair().await;
        let (read, write) = one.into_split();
        (write, (read, two))
    };
    let full = |half: &heist::net::tcp::OwnedWriteHalf| fill(|bytes| half.try_write(bytes));
    wait!(owned_write(), full, |half| {
        "write": half.write(&[0; 4]);
        "write_all": half.write_all(&[0; 4]);
        "writable": half.writable();
    });
    wait!(tcp_pair(), nothing, |stream| {
        "borrowed read": async { stream.split().0.read(&mut [0; 4]).await };
        "borrowed readable": async { stream.split().0.readable().await };
    });
}

#[test]
fn tcp_listeners_and_connects() {
    let listener = || async { (TcpListener::bind("127.0.0.1:0").await.unwrap(), ()) };
    wait!(listener(), nothing, |listener| {
        "accept": listener.accept();
        "poll_accept": poll_fn(|cx| listener.poll_accept(cx));
    });
    // A listener that takes nobody any more: the connection is under way when the runtime goes.
    let crowded = || async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut crowd = Vec::new();
        loop {
            let mut connect = Box::pin(TcpStream::connect(address));
            match poll(connect.as_mut(), Waker::noop()) {
                Poll::Ready(connected) => crowd.push(connected.unwrap()),
                Poll::Pending => {
                    let patience = heist::time::timeout(std::time::Duration::from_millis(20), connect.as_mut()).await;
                    match patience {
                        Ok(connected) => crowd.push(connected.unwrap()),
                        Err(_) => break,
                    }
                }
            }
        }
        (address, (socket, crowd))
    };
    for by_socket in [false, true] {
        each_owned(|runtime| {
            let (address, _others) = runtime.block_on(crowded());
            let guard = runtime.enter();
            let flag = Flag::new();
            let waker = Waker::from(Arc::clone(&flag));
            let mut waiting = Box::pin(async {
                match by_socket {
                    true => TcpSocket::new_v4().unwrap().connect(address).await,
                    false => TcpStream::connect(address).await,
                }
            });
            assert!(poll(waiting.as_mut(), &waker).is_pending());
            drop(guard);
            drop(runtime);
            assert!(flag.is_set());
            is_gone("connect", poll(waiting.as_mut(), &waker));
        });
    }
}

#[test]
fn udp_sockets() {
    wait!(udp_pair(), nothing, |socket| {
        "recv": socket.recv(&mut [0; 4]);
        "recv_from": socket.recv_from(&mut [0; 4]);
        "peek": socket.peek(&mut [0; 4]);
        "peek_from": socket.peek_from(&mut [0; 4]);
        "peek_sender": socket.peek_sender();
        "poll_recv": poll_fn(|cx| socket.poll_recv(cx, &mut [0; 4]));
        "poll_recv_from": poll_fn(|cx| socket.poll_recv_from(cx, &mut [0; 4]));
        "poll_peek": poll_fn(|cx| socket.poll_peek(cx, &mut [0; 4]));
        "poll_peek_from": poll_fn(|cx| socket.poll_peek_from(cx, &mut [0; 4]));
        "poll_peek_sender": poll_fn(|cx| socket.poll_peek_sender(cx));
        "readable": socket.readable();
        "poll_recv_ready": poll_fn(|cx| socket.poll_recv_ready(cx));
        "ready": socket.ready(Interest::READABLE);
        "async_io": socket.async_io(Interest::READABLE, || socket.try_recv(&mut [0; 4]));
    });
    call!(udp_pair(), |socket| {
        "send": socket.send(b"x").await;
        "send_to": socket.send_to(b"x", "127.0.0.1:9").await;
        "poll_send": poll_fn(|cx| socket.poll_send(cx, b"x")).await;
        "poll_send_to": poll_fn(|cx| socket.poll_send_to(cx, b"x", ([127, 0, 0, 1], 9).into())).await;
        "poll_send_ready": poll_fn(|cx| socket.poll_send_ready(cx)).await;
        "writable": socket.writable().await;
        "try_send": socket.try_send(b"x");
        "try_send_to": socket.try_send_to(b"x", ([127, 0, 0, 1], 9).into());
        "try_recv": socket.try_recv(&mut [0; 4]);
        "try_recv_from": socket.try_recv_from(&mut [0; 4]);
        "try_peek": socket.try_peek(&mut [0; 4]);
        "try_peek_from": socket.try_peek_from(&mut [0; 4]);
        "try_peek_sender": socket.try_peek_sender();
        "try_io": socket.try_io(Interest::READABLE, || Ok(()));
    });
}

#[test]
fn unix_streams_and_listeners() {
    fn try_write(stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
        stream.try_write(bytes)
    }
    let pair = || async { UnixStream::pair().unwrap() };
    reads!(pair());
    writes!(pair());
    families!(pair());
    wait!(pair(), nothing, |stream| {
        "async_io": stream.async_io(Interest::READABLE, || stream.try_read(&mut [0; 4]));
        "borrowed read": async { stream.split().0.read(&mut [0; 4]).await };
    });
    call!(pair(), |stream| {
        "try_io": stream.try_io(Interest::READABLE, || Ok(()));
    });
    let split = || async {
        let (one, two) = UnixStream::pair().unwrap();
        let (read, write) = one.into_split();
        (read, (write, two))
    };
    wait!(split(), nothing, |half| {
        "owned read": half.read(&mut [0; 4]);
        "owned readable": half.readable();
    });
    let folder = Folder::new("gone-listener");
    let listener = || async {
        let path = folder.path("socket");
        let _ = std::fs::remove_file(&path);
        (UnixListener::bind(path).unwrap(), ())
    };
    wait!(listener(), nothing, |listener| {
        "accept": listener.accept();
        "poll_accept": poll_fn(|cx| listener.poll_accept(cx));
    });
}

#[test]
fn unix_datagrams() {
    let pair = || async { UnixDatagram::pair().unwrap() };
    wait!(pair(), nothing, |socket| {
        "recv": socket.recv(&mut [0; 4]);
        "recv_from": socket.recv_from(&mut [0; 4]);
        "poll_recv": poll_fn(|cx| socket.poll_recv(cx, &mut [0; 4]));
        "poll_recv_from": poll_fn(|cx| socket.poll_recv_from(cx, &mut [0; 4]));
        "readable": socket.readable();
        "poll_recv_ready": poll_fn(|cx| socket.poll_recv_ready(cx));
        "ready": socket.ready(Interest::READABLE);
        "async_io": socket.async_io(Interest::READABLE, || socket.try_recv(&mut [0; 4]));
    });
    let full = |socket: &UnixDatagram| fill(|bytes| socket.try_send(bytes));
    wait!(pair(), full, |socket| {
        "send": socket.send(b"x");
        "poll_send": poll_fn(|cx| socket.poll_send(cx, b"x"));
        "writable": socket.writable();
        "poll_send_ready": poll_fn(|cx| socket.poll_send_ready(cx));
    });
    // Whose receiver is full, and who is not connected to it.
    let folder = Folder::new("gone-datagram");
    let path = folder.path("socket");
    let bound = || async {
        let _ = std::fs::remove_file(&path);
        let receiver = UnixDatagram::bind(&path).unwrap();
        (UnixDatagram::unbound().unwrap(), receiver)
    };
    let full = |socket: &UnixDatagram| fill(|bytes| socket.try_send_to(bytes, &path));
    wait!(bound(), full, |socket| {
        "send_to": socket.send_to(b"x", &path);
        "poll_send_to": poll_fn(|cx| socket.poll_send_to(cx, b"x", &path));
    });
    call!(pair(), |socket| {
        "try_send": socket.try_send(b"x");
        "try_send_to": socket.try_send_to(b"x", &path);
        "try_recv": socket.try_recv(&mut [0; 4]);
        "try_recv_from": socket.try_recv_from(&mut [0; 4]);
        "try_io": socket.try_io(Interest::READABLE, || Ok(()));
    });
}

#[test]
fn pipes() {
    fn try_write(sender: &pipe::Sender, bytes: &[u8]) -> io::Result<usize> {
        sender.try_write(bytes)
    }
    let receiver = || async {
        let (sender, receiver) = pipe::pipe().unwrap();
        (receiver, sender)
    };
    reads!(receiver());
    writes!(async { pipe::pipe().unwrap() });
    call!(receiver(), |receiver| {
        "try_io": receiver.try_io(|| Ok(()));
    });
}

#[test]
fn file_descriptors() {
    let made = || async {
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        (AsyncFd::new(one).unwrap(), two)
    };
    let empty = |mut fd: &std::os::unix::net::UnixStream| io::Read::read(&mut fd, &mut [0; 4]).map(drop);
    wait!(made(), nothing, |fd| {
        "readable": fd.readable();
        "readable_mut": async { fd.readable_mut().await.map(drop) };
        "ready": fd.ready(Interest::READABLE);
        "ready_mut": async { fd.ready_mut(Interest::READABLE).await.map(drop) };
        "poll_read_ready": poll_fn(|cx| fd.poll_read_ready(cx).map_ok(drop));
        "poll_read_ready_mut": poll_fn(|cx| fd.poll_read_ready_mut(cx).map_ok(drop));
        "async_io": fd.async_io(Interest::READABLE, empty);
        "async_io_mut": async { fd.async_io_mut(Interest::READABLE, |fd| empty(fd)).await };
    });
    call!(made(), |fd| {
        "writable": fd.writable().await;
        "writable_mut": fd.writable_mut().await;
        "poll_write_ready": poll_fn(|cx| fd.poll_write_ready(cx).map_ok(drop)).await;
        "poll_write_ready_mut": poll_fn(|cx| fd.poll_write_ready_mut(cx).map_ok(drop)).await;
        "try_io": fd.try_io(Interest::READABLE, |_| Ok(()));
        "try_io_mut": fd.try_io_mut(Interest::READABLE, |_| Ok(()));
    });
}

#[test]
fn nothing_new_is_made_on_a_runtime_that_is_gone() {
    let folder = Folder::new("gone-new");
    each_owned(|runtime| {
        let (listening, path) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), folder.path("socket"));
        let address = listening.local_addr().unwrap();
        let _ = std::fs::remove_file(&path);
        let _listening = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _guard = handle.enter();
        let now = |name: &str, future: Pin<Box<dyn Future<Output = io::Result<()>> + '_>>| {
            let mut future = future;
            is_gone(name, poll(future.as_mut(), Waker::noop()));
        };
        for _ in 0..3 {
            now("bind", Box::pin(async { TcpListener::bind("127.0.0.1:0").await.map(drop) }));
            now("connect", Box::pin(async { TcpStream::connect(address).await.map(drop) }));
            now("socket connect", Box::pin(async { TcpSocket::new_v4()?.connect(address).await.map(drop) }));
            now("listen", Box::pin(async { TcpSocket::new_v4()?.listen(1).map(drop) }));
            now("udp", Box::pin(async { UdpSocket::bind("127.0.0.1:0").await.map(drop) }));
            now("unix connect", Box::pin(async { UnixStream::connect(&path).await.map(drop) }));
            now("unix pair", Box::pin(async { UnixStream::pair().map(drop) }));
            now("datagram", Box::pin(async { UnixDatagram::unbound().map(drop) }));
            now("datagram pair", Box::pin(async { UnixDatagram::pair().map(drop) }));
            now("pipe", Box::pin(async { pipe::pipe().map(drop) }));
            // Names are looked up by a blocking job.
            let mut lookup = Box::pin(lookup_host("localhost:80"));
            assert!(matches!(poll(lookup.as_mut(), Waker::noop()), Poll::Ready(Err(_))));
            let mut connect = Box::pin(TcpStream::connect("localhost:80"));
            assert!(matches!(poll(connect.as_mut(), Waker::noop()), Poll::Ready(Err(_))));
        }
    });
}
