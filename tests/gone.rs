//! I/O whose runtime ends: each waiting call is woken and gets an error. So does every later call,
//! and none hangs.
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
fn assert_shutdown_error<T: Debug>(name: &str, polled: Poll<io::Result<T>>) {
    match polled {
        Poll::Pending => panic!("{name} hangs"),
        Poll::Ready(Ok(output)) => panic!("{name} returns {output:?}"),
        Poll::Ready(Err(error)) => {
            assert!(is_rt_shutdown_err(&error), "{name}: {error:?}");
            assert!(error.to_string().contains("has been shut down"), "{name}: {error}");
        }
    }
}

/// Each of the calls waits while its runtime ends, and is repeated afterwards, on every flavour.
/// `$make` is awaited inside of the runtime, and returns the socket and what else has to live.
/// `$unready` makes sure that the socket is not ready.
macro_rules! wakes_and_fails {
    ($make:expr, $unready:expr, |$socket:ident| { $($name:literal: $call:expr;)* }) => {$(
        each_owned(|runtime| {
            #[allow(unused_mut, reason = "not every call needs it")]
            let (mut $socket, _others) = runtime.block_on($make);
            let flag = Flag::new();
            let waker = Waker::from(Arc::clone(&flag));
            {
                // The reactor's first event of a new socket may come late.
                let mut waiting = loop {
                    $unready(&$socket);
                    let mut waiting = Box::pin(async { $call.await.map(drop) });
                    if poll(waiting.as_mut(), &waker).is_pending() {
                        break waiting;
                    }
                };
                drop(runtime);
                assert!(flag.is_set(), "{} is not woken", $name);
                assert_shutdown_error($name, poll(waiting.as_mut(), &waker));
            }
            for _ in 0..3 {
                assert_shutdown_error($name, poll(pin!(async { $call.await.map(drop) }), Waker::noop()));
            }
        });
    )*};
}

/// As `wakes_and_fails`, for calls that never wait, or not in a test. They are made afterwards
/// only.
macro_rules! fails {
    ($make:expr, |$socket:ident| { $($name:literal: $call:expr;)* }) => {
        each_owned(|runtime| {
            #[allow(unused_mut, reason = "not every call needs it")]
            let (mut $socket, _others) = runtime.block_on($make);
            drop(runtime);
            for _ in 0..3 {
                $(assert_shutdown_error($name, poll(pin!(async { $call.map(drop) }), Waker::noop()));)*
            }
        });
    };
}

fn leave_unready<T>(_: &T) {}

/// Writes until a write would block, so that the next one has to wait.
fn fill(mut write: impl FnMut(&[u8]) -> io::Result<usize>) {
    loop {
        match write(&[0; 1 << 12]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The reading calls that all byte streams have.
macro_rules! reads {
    ($make:expr) => {
        wakes_and_fails!($make, leave_unready, |stream| {
            "read": stream.read(&mut [0; 4]);
            "read_vectored": stream.read_vectored(&mut [IoSliceMut::new(&mut [0; 4])]);
            "read_exact": stream.read_exact(&mut [0; 4]);
            "read_to_end": stream.read_to_end(&mut Vec::new());
            "read_to_string": stream.read_to_string(&mut String::new());
            "readable": stream.readable();
            "poll_read_ready": poll_fn(|cx| stream.poll_read_ready(cx));
            "ready": stream.ready(Interest::READABLE);
        });
        fails!($make, |stream| {
            "try_read": stream.try_read(&mut [0; 4]);
            "try_read_vectored": stream.try_read_vectored(&mut [IoSliceMut::new(&mut [0; 4])]);
        });
    };
}

macro_rules! writes {
    ($make:expr) => {
        let fill_up = |stream: &_| fill(|bytes| try_write(stream, bytes));
        wakes_and_fails!($make, fill_up, |stream| {
            "write": stream.write(&[0; 4]);
            "write_vectored": stream.write_vectored(&[IoSlice::new(&[0; 4])]);
            "write_all": stream.write_all(&[0; 1 << 12]);
            "writable": stream.writable();
            "poll_write_ready": poll_fn(|cx| stream.poll_write_ready(cx));
            "ready": stream.ready(Interest::WRITABLE);
        });
        fails!($make, |stream| {
            "try_write": stream.try_write(&[0; 4]);
            "try_write_vectored": stream.try_write_vectored(&[IoSlice::new(&[0; 4])]);
        });
    };
}

/// The polls of the I/O traits of other crates.
macro_rules! families {
    ($make:expr) => {
        wakes_and_fails!($make, leave_unready, |stream| {
            "futures_io read": poll_fn(|cx| futures::io::AsyncRead::poll_read(Pin::new(&mut stream), cx, &mut [0; 4]));
            "tokio read": poll_fn(|cx| {
                tokio::io::AsyncRead::poll_read(Pin::new(&mut stream), cx, &mut tokio::io::ReadBuf::new(&mut [0; 4]))
            });
            "hyper read": poll_fn(|cx| {
                hyper::rt::Read::poll_read(Pin::new(&mut stream), cx, hyper::rt::ReadBuf::new(&mut [0; 4]).unfilled())
            });
        });
        let fill_up = |stream: &_| fill(|bytes| try_write(stream, bytes));
        wakes_and_fails!($make, fill_up, |stream| {
            "futures_io write": poll_fn(|cx| futures::io::AsyncWrite::poll_write(Pin::new(&mut stream), cx, &[0; 4]));
            "tokio write": poll_fn(|cx| tokio::io::AsyncWrite::poll_write(Pin::new(&mut stream), cx, &[0; 4]));
            "hyper write": poll_fn(|cx| hyper::rt::Write::poll_write(Pin::new(&mut stream), cx, &[0; 4]));
        });
    };
}

#[test]
fn tcp_streams_of_an_ended_runtime_give_errors() {
    fn try_write(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        stream.try_write(bytes)
    }
    reads!(tcp_pair());
    writes!(tcp_pair());
    families!(tcp_pair());
    wakes_and_fails!(tcp_pair(), leave_unready, |stream| {
        "peek": stream.peek(&mut [0; 4]);
        "poll_peek": poll_fn(|cx| stream.poll_peek(cx, &mut [0; 4]));
        "async_io": stream.async_io(Interest::READABLE, || stream.try_read(&mut [0; 4]));
    });
    fails!(tcp_pair(), |stream| {
        "try_io": stream.try_io(Interest::READABLE, || Ok(()));
    });
}

#[test]
fn tcp_halves_of_an_ended_runtime_give_errors() {
    let owned_read = || async {
        let (one, two) = tcp_pair().await;
        let (read, write) = one.into_split();
        (read, (write, two))
    };
    wakes_and_fails!(owned_read(), leave_unready, |half| {
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
    let fill_up = |half: &heist::net::tcp::OwnedWriteHalf| fill(|bytes| half.try_write(bytes));
    wakes_and_fails!(owned_write(), fill_up, |half| {
        "write": half.write(&[0; 4]);
        "write_all": half.write_all(&[0; 4]);
        "writable": half.writable();
    });
    wakes_and_fails!(tcp_pair(), leave_unready, |stream| {
        "borrowed read": async { stream.split().0.read(&mut [0; 4]).await };
        "borrowed readable": async { stream.split().0.readable().await };
    });
}

#[test]
fn tcp_listeners_and_connects_of_an_ended_runtime_give_errors() {
    let listener = || async { (TcpListener::bind("127.0.0.1:0").await.unwrap(), ()) };
    wakes_and_fails!(listener(), leave_unready, |listener| {
        "accept": listener.accept();
        "poll_accept": poll_fn(|cx| listener.poll_accept(cx));
    });
    // A listener that accepts no connection any more: one is under way when the runtime ends.
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
            assert_shutdown_error("connect", poll(waiting.as_mut(), &waker));
        });
    }
}

#[test]
fn udp_sockets_of_an_ended_runtime_give_errors() {
    wakes_and_fails!(udp_pair(), leave_unready, |socket| {
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
    fails!(udp_pair(), |socket| {
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
fn unix_streams_and_listeners_of_an_ended_runtime_give_errors() {
    fn try_write(stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
        stream.try_write(bytes)
    }
    let pair = || async { UnixStream::pair().unwrap() };
    reads!(pair());
    writes!(pair());
    families!(pair());
    wakes_and_fails!(pair(), leave_unready, |stream| {
        "async_io": stream.async_io(Interest::READABLE, || stream.try_read(&mut [0; 4]));
        "borrowed read": async { stream.split().0.read(&mut [0; 4]).await };
    });
    fails!(pair(), |stream| {
        "try_io": stream.try_io(Interest::READABLE, || Ok(()));
    });
    let split = || async {
        let (one, two) = UnixStream::pair().unwrap();
        let (read, write) = one.into_split();
        (read, (write, two))
    };
    wakes_and_fails!(split(), leave_unready, |half| {
        "owned read": half.read(&mut [0; 4]);
        "owned readable": half.readable();
    });
    let folder = Folder::new("gone-listener");
    let listener = || async {
        let path = folder.path("socket");
        let _ = std::fs::remove_file(&path);
        (UnixListener::bind(path).unwrap(), ())
    };
    wakes_and_fails!(listener(), leave_unready, |listener| {
        "accept": listener.accept();
        "poll_accept": poll_fn(|cx| listener.poll_accept(cx));
    });
}

#[test]
fn unix_datagrams_of_an_ended_runtime_give_errors() {
    let pair = || async { UnixDatagram::pair().unwrap() };
    wakes_and_fails!(pair(), leave_unready, |socket| {
        "recv": socket.recv(&mut [0; 4]);
        "recv_from": socket.recv_from(&mut [0; 4]);
        "poll_recv": poll_fn(|cx| socket.poll_recv(cx, &mut [0; 4]));
        "poll_recv_from": poll_fn(|cx| socket.poll_recv_from(cx, &mut [0; 4]));
        "readable": socket.readable();
        "poll_recv_ready": poll_fn(|cx| socket.poll_recv_ready(cx));
        "ready": socket.ready(Interest::READABLE);
        "async_io": socket.async_io(Interest::READABLE, || socket.try_recv(&mut [0; 4]));
    });
    let fill_up = |socket: &UnixDatagram| fill(|bytes| socket.try_send(bytes));
    wakes_and_fails!(pair(), fill_up, |socket| {
        "send": socket.send(b"x");
        "poll_send": poll_fn(|cx| socket.poll_send(cx, b"x"));
        "writable": socket.writable();
        "poll_send_ready": poll_fn(|cx| socket.poll_send_ready(cx));
    });
    // An unconnected socket whose receiver is full.
    let folder = Folder::new("gone-datagram");
    let path = folder.path("socket");
    let bound = || async {
        let _ = std::fs::remove_file(&path);
        let receiver = UnixDatagram::bind(&path).unwrap();
        (UnixDatagram::unbound().unwrap(), receiver)
    };
    let fill_up = |socket: &UnixDatagram| fill(|bytes| socket.try_send_to(bytes, &path));
    wakes_and_fails!(bound(), fill_up, |socket| {
        "send_to": socket.send_to(b"x", &path);
        "poll_send_to": poll_fn(|cx| socket.poll_send_to(cx, b"x", &path));
    });
    fails!(pair(), |socket| {
        "try_send": socket.try_send(b"x");
        "try_send_to": socket.try_send_to(b"x", &path);
        "try_recv": socket.try_recv(&mut [0; 4]);
        "try_recv_from": socket.try_recv_from(&mut [0; 4]);
        "try_io": socket.try_io(Interest::READABLE, || Ok(()));
    });
}

#[test]
fn pipes_of_an_ended_runtime_give_errors() {
    fn try_write(sender: &pipe::Sender, bytes: &[u8]) -> io::Result<usize> {
        sender.try_write(bytes)
    }
    let receiver = || async {
        let (sender, receiver) = pipe::pipe().unwrap();
        (receiver, sender)
    };
    reads!(receiver());
    writes!(async { pipe::pipe().unwrap() });
    fails!(receiver(), |receiver| {
        "try_io": receiver.try_io(|| Ok(()));
    });
}

#[test]
fn file_descriptors_of_an_ended_runtime_give_errors() {
    let made = || async {
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        (AsyncFd::new(one).unwrap(), two)
    };
    let empty = |mut fd: &std::os::unix::net::UnixStream| io::Read::read(&mut fd, &mut [0; 4]).map(drop);
    wakes_and_fails!(made(), leave_unready, |fd| {
        "readable": fd.readable();
        "readable_mut": async { fd.readable_mut().await.map(drop) };
        "ready": fd.ready(Interest::READABLE);
        "ready_mut": async { fd.ready_mut(Interest::READABLE).await.map(drop) };
        "poll_read_ready": poll_fn(|cx| fd.poll_read_ready(cx).map_ok(drop));
        "poll_read_ready_mut": poll_fn(|cx| fd.poll_read_ready_mut(cx).map_ok(drop));
        "async_io": fd.async_io(Interest::READABLE, empty);
        "async_io_mut": async { fd.async_io_mut(Interest::READABLE, |fd| empty(fd)).await };
    });
    fails!(made(), |fd| {
        "writable": fd.writable().await;
        "writable_mut": fd.writable_mut().await;
        "poll_write_ready": poll_fn(|cx| fd.poll_write_ready(cx).map_ok(drop)).await;
        "poll_write_ready_mut": poll_fn(|cx| fd.poll_write_ready_mut(cx).map_ok(drop)).await;
        "try_io": fd.try_io(Interest::READABLE, |_| Ok(()));
        "try_io_mut": fd.try_io_mut(Interest::READABLE, |_| Ok(()));
    });
}

#[test]
fn new_resources_on_an_ended_runtime_give_errors() {
    let folder = Folder::new("gone-new");
    each_owned(|runtime| {
        let (listening, path) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), folder.path("socket"));
        let address = listening.local_addr().unwrap();
        let _ = std::fs::remove_file(&path);
        let _listening = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _guard = handle.enter();
        let assert_fails = |name: &str, future: Pin<Box<dyn Future<Output = io::Result<()>> + '_>>| {
            let mut future = future;
            assert_shutdown_error(name, poll(future.as_mut(), Waker::noop()));
        };
        for _ in 0..3 {
            assert_fails("bind", Box::pin(async { TcpListener::bind("127.0.0.1:0").await.map(drop) }));
            assert_fails("connect", Box::pin(async { TcpStream::connect(address).await.map(drop) }));
            assert_fails("socket connect", Box::pin(async { TcpSocket::new_v4()?.connect(address).await.map(drop) }));
            assert_fails("listen", Box::pin(async { TcpSocket::new_v4()?.listen(1).map(drop) }));
            assert_fails("udp", Box::pin(async { UdpSocket::bind("127.0.0.1:0").await.map(drop) }));
            assert_fails("unix connect", Box::pin(async { UnixStream::connect(&path).await.map(drop) }));
            assert_fails("unix pair", Box::pin(async { UnixStream::pair().map(drop) }));
            assert_fails("datagram", Box::pin(async { UnixDatagram::unbound().map(drop) }));
            assert_fails("datagram pair", Box::pin(async { UnixDatagram::pair().map(drop) }));
            assert_fails("pipe", Box::pin(async { pipe::pipe().map(drop) }));
            // A blocking job looks names up.
            let mut lookup = Box::pin(lookup_host("localhost:80"));
            assert!(matches!(poll(lookup.as_mut(), Waker::noop()), Poll::Ready(Err(_))));
            let mut connect = Box::pin(TcpStream::connect("localhost:80"));
            assert!(matches!(poll(connect.as_mut(), Waker::noop()), Poll::Ready(Err(_))));
        }
    });
}
