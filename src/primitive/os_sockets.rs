//! The sockets of the operating system, in an ordinary build. A build for simulations puts
//! simulated ones beside them.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use mio::net::{TcpListener, TcpStream, UdpSocket};
use socket2::SockRef;
pub(crate) use socket2::Socket as PendingSocket;

/// Returns a socket that neither listens nor is connected.
pub(crate) fn pending(socket: socket2::Socket) -> PendingSocket {
    socket
}

/// Begins to connect a socket. Returns an error only if the attempt has not begun.
pub(crate) fn connect(socket: PendingSocket, addr: SocketAddr) -> io::Result<TcpStream> {
    match socket.connect(&addr.into()) {
        Err(error) if !is_in_progress(&error) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

pub(crate) fn listen(socket: PendingSocket, backlog: i32) -> io::Result<TcpListener> {
    socket.listen(backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Binds a socket to an address.
pub(crate) fn bind(socket: &PendingSocket, addr: SocketAddr) -> io::Result<()> {
    socket.bind(&addr.into())
}

/// Returns the address to which a socket is bound.
pub(crate) fn local_address(socket: &PendingSocket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Sets how long a close waits for bytes that were not sent. At zero, a close resets the
/// connection.
pub(crate) fn set_linger(stream: &TcpStream, linger: Option<Duration>) -> io::Result<()> {
    SockRef::from(stream).set_linger(linger)
}

/// Reads into memory that may be uninitialised. So many bytes of it have been written.
pub(crate) fn read_uninit(stream: &TcpStream, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    stream.try_io(|| SockRef::from(stream).recv(room))
}

/// Returns the sender of the next message.
pub(crate) fn next_sender(socket: &UdpSocket) -> io::Result<SocketAddr> {
    SockRef::from(socket).peek_sender()?.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

pub(crate) fn into_std_stream(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    Ok(stream.into())
}

pub(crate) fn into_std_listener(listener: TcpListener) -> io::Result<std::net::TcpListener> {
    Ok(listener.into())
}

pub(crate) fn into_std_datagrams(socket: UdpSocket) -> io::Result<std::net::UdpSocket> {
    Ok(socket.into())
}

/// Returns true if `error` says that a connection attempt has begun, and goes on.
#[cfg(unix)]
fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Returns true if `error` says that a connection attempt has begun, and goes on.
#[cfg(not(unix))]
fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
