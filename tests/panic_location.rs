//! A panic in a constructor of a socket has the location of the call, not of a line of the library.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/panics.rs"]
mod panics;

use std::net::Ipv4Addr;

use heist::hyper::HeistExecutor;
use heist::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use heist::runtime::Builder;
use hyper::rt::Executor;
use panics::panics_in;

/// A name, and a call that panics.
type Call = (&'static str, fn());

/// Each call panics here, with a message that contains `part`.
fn panic_here(calls: &[Call], part: &str) {
    for (name, call) in calls {
        panics_in(file!(), name, &[part], call);
    }
}

/// Each call panics here: outside of a runtime, and inside of one without I/O.
fn panic_here_without_io(calls: &[Call]) {
    panic_here(calls, "no heist runtime is running on this thread");
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _guard = runtime.enter();
    panic_here(calls, "without I/O");
}

fn std_listener() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn std_stream() -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect(std_listener().local_addr().unwrap()).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

fn std_udp() -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

#[test]
fn ip_constructor_without_io_panics_at_the_call() {
    panic_here_without_io(&[
        ("TcpListener::from_std", || drop(TcpListener::from_std(std_listener()))),
        ("TcpListener::try_from", || drop(TcpListener::try_from(std_listener()))),
        ("TcpStream::from_std", || drop(TcpStream::from_std(std_stream()))),
        ("TcpStream::try_from", || drop(TcpStream::try_from(std_stream()))),
        ("UdpSocket::from_std", || drop(UdpSocket::from_std(std_udp()))),
        ("UdpSocket::try_from", || drop(UdpSocket::try_from(std_udp()))),
        ("TcpSocket::listen", || drop(TcpSocket::new_v4().unwrap().listen(1))),
    ]);
}

#[test]
fn hyper_executor_outside_of_a_runtime_panics_at_the_call() {
    panic_here(
        &[("HeistExecutor::execute", || HeistExecutor.execute(async {}))],
        "no heist runtime is running on this thread",
    );
}

#[test]
fn tcp_socket_from_std_stream_outside_of_a_runtime_works() {
    let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let socket = TcpSocket::from_std_stream(raw.into());
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::os::fd::OwnedFd;
    use std::os::unix::net as std_net;

    use heist::io::Interest;
    use heist::io::unix::AsyncFd;
    use heist::net::unix::{SocketAddr, pipe};
    use heist::net::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
    use heist::signal::unix::{SignalKind, signal};

    use super::*;

    /// An address at which no socket can be created.
    const NOWHERE: &str = "/nowhere/socket";

    fn std_stream() -> std_net::UnixStream {
        let (stream, _) = std_net::UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    fn std_datagram() -> std_net::UnixDatagram {
        let socket = std_net::UnixDatagram::unbound().unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn std_listener() -> std_net::UnixListener {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.into()
    }

    fn nowhere() -> SocketAddr {
        std_net::SocketAddr::from_pathname(NOWHERE).unwrap().into()
    }

    /// Returns a descriptor that is not a pipe. The constructor checks for the runtime first.
    fn fd() -> OwnedFd {
        std_stream().into()
    }

    #[test]
    fn unix_constructor_without_io_panics_at_the_call() {
        panic_here_without_io(&[
            ("UnixListener::bind", || drop(UnixListener::bind(NOWHERE))),
            ("UnixListener::bind_addr", || drop(UnixListener::bind_addr(&nowhere()))),
            ("UnixListener::from_std", || drop(UnixListener::from_std(std_listener()))),
            ("UnixListener::try_from", || drop(UnixListener::try_from(std_listener()))),
            ("UnixStream::pair", || drop(UnixStream::pair())),
            ("UnixStream::from_std", || drop(UnixStream::from_std(std_stream()))),
            ("UnixStream::try_from", || drop(UnixStream::try_from(std_stream()))),
            ("UnixDatagram::bind", || drop(UnixDatagram::bind(NOWHERE))),
            ("UnixDatagram::unbound", || drop(UnixDatagram::unbound())),
            ("UnixDatagram::pair", || drop(UnixDatagram::pair())),
            ("UnixDatagram::from_std", || drop(UnixDatagram::from_std(std_datagram()))),
            ("UnixDatagram::try_from", || drop(UnixDatagram::try_from(std_datagram()))),
            ("UnixSocket::listen", || drop(UnixSocket::new_stream().unwrap().listen(1))),
            ("UnixSocket::datagram", || drop(UnixSocket::new_datagram().unwrap().datagram())),
        ]);
    }

    #[test]
    fn pipe_constructor_without_io_panics_at_the_call() {
        panic_here_without_io(&[
            ("pipe", || drop(pipe::pipe())),
            ("OpenOptions::open_receiver", || drop(pipe::OpenOptions::new().open_receiver(NOWHERE))),
            ("OpenOptions::open_sender", || drop(pipe::OpenOptions::new().open_sender(NOWHERE))),
            ("Sender::from_file", || drop(pipe::Sender::from_file(File::from(fd())))),
            ("Sender::from_file_unchecked", || drop(pipe::Sender::from_file_unchecked(File::from(fd())))),
            ("Sender::from_owned_fd", || drop(pipe::Sender::from_owned_fd(fd()))),
            ("Sender::from_owned_fd_unchecked", || drop(pipe::Sender::from_owned_fd_unchecked(fd()))),
            ("Receiver::from_file", || drop(pipe::Receiver::from_file(File::from(fd())))),
            ("Receiver::from_file_unchecked", || drop(pipe::Receiver::from_file_unchecked(File::from(fd())))),
            ("Receiver::from_owned_fd", || drop(pipe::Receiver::from_owned_fd(fd()))),
            ("Receiver::from_owned_fd_unchecked", || drop(pipe::Receiver::from_owned_fd_unchecked(fd()))),
        ]);
    }

    #[test]
    fn async_fd_constructor_without_io_panics_at_the_call() {
        panic_here_without_io(&[
            ("AsyncFd::new", || drop(AsyncFd::new(std_stream()))),
            ("AsyncFd::with_interest", || drop(AsyncFd::with_interest(std_stream(), Interest::READABLE))),
            ("AsyncFd::try_new", || drop(AsyncFd::try_new(std_stream()))),
            ("AsyncFd::try_with_interest", || drop(AsyncFd::try_with_interest(std_stream(), Interest::READABLE))),
            ("AsyncFd::register", || {
                // SAFETY: the stream has one descriptor as long as it lives.
                drop(unsafe { AsyncFd::register(std_stream()) });
            }),
            ("AsyncFd::register_with_interest", || {
                // SAFETY: the stream has one descriptor as long as it lives.
                drop(unsafe { AsyncFd::register_with_interest(std_stream(), Interest::READABLE) });
            }),
        ]);
    }

    #[test]
    fn signal_without_io_panics_at_the_call() {
        panic_here_without_io(&[("signal", || drop(signal(SignalKind::hangup())))]);
    }
}
