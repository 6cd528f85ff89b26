//! The sockets of a build for simulations: each belongs to the operating system or to a simulated
//! network.
//!
//! A thread of a simulation makes simulated sockets. Each has one of the operating system beside
//! it, which is never connected. That one keeps the options that have no meaning in the simulated
//! network.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use super::baton::is_simulated;
use super::baton_network::with_network;
use super::os_sockets as os;
use crate::network::{Caller, HostId, Network, SocketId, gone};

/// A socket of the operating system, or of a simulated network.
#[derive(Debug)]
pub(crate) struct SimSocket<S> {
    os: S,
    simulated: Simulated,
}

pub(crate) type TcpStream = SimSocket<os::TcpStream>;
pub(crate) type TcpListener = SimSocket<os::TcpListener>;
pub(crate) type UdpSocket = SimSocket<os::UdpSocket>;

/// A socket that neither listens nor is connected.
#[derive(Debug)]
pub(crate) struct PendingSocket {
    /// Present until the socket listens or connects.
    os: Option<Socket>,
    /// The address to which a simulated one is bound, with its network and host.
    bound: OnceLock<(SocketAddr, u64, HostId)>,
}

/// The simulated socket, if there is one. It is closed with this value.
#[derive(Debug)]
struct Simulated {
    id: Option<SocketId>,
    /// The number of its network.
    network: u64,
    /// A close does not reset the connection.
    lingers: AtomicBool,
}

impl Drop for Simulated {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let lingers = *self.lingers.get_mut();
            with_network(|network, caller| {
                if network.number() == self.network {
                    network.close_socket(caller, id, lingers);
                }
            });
        }
    }
}

impl<S> SimSocket<S> {
    fn real(os: S) -> SimSocket<S> {
        SimSocket { os, simulated: Simulated { id: None, network: 0, lingers: AtomicBool::new(true) } }
    }

    /// Makes a simulated socket.
    fn simulated(os: S, make: impl FnOnce(&mut Network, Caller) -> io::Result<SocketId>) -> io::Result<SimSocket<S>> {
        let (id, network) = with_own_network(|network, caller| Ok((make(network, caller)?, network.number())))?;
        Ok(SimSocket { os, simulated: Simulated { id: Some(id), network, lingers: AtomicBool::new(true) } })
    }

    /// Does `simulated` on the network, or `real` with the socket of the operating system.
    fn either<R>(
        &self,
        real: impl FnOnce(&S) -> io::Result<R>,
        simulated: impl FnOnce(&mut Network, Caller, SocketId) -> io::Result<R>,
    ) -> io::Result<R> {
        match self.simulated.id {
            None => real(&self.os),
            Some(id) => self.with_network(|network, caller| simulated(network, caller, id)),
        }
    }

    /// Does something with the network of this socket.
    fn with_network<R>(&self, run: impl FnOnce(&mut Network, Caller) -> io::Result<R>) -> io::Result<R> {
        with_own_network(
            |network, caller| {
                if network.number() == self.simulated.network { run(network, caller) } else { Err(outside()) }
            },
        )
    }

    fn into_os(self, what: &str) -> io::Result<S> {
        if self.simulated.id.is_none() {
            return Ok(self.os);
        }
        let text = format!("{what} of a simulation cannot become one of std: keep the one of heist");
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

/// Does something with the network of this thread. A thread of a host that was stopped has none.
fn with_own_network<R>(run: impl FnOnce(&mut Network, Caller) -> io::Result<R>) -> io::Result<R> {
    let result = with_network(
        |network, caller| {
            if network.hosts().is_up(caller.host) { run(network, caller) } else { Err(gone()) }
        },
    );
    result.unwrap_or_else(|| Err(outside()))
}

fn outside() -> io::Error {
    io::Error::other("a thread outside of the simulation uses its socket: start the thread through the runtime")
}

impl<S> Deref for SimSocket<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.os
    }
}

#[cfg(unix)]
impl<S: std::os::fd::AsFd> std::os::fd::AsFd for SimSocket<S> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.os.as_fd()
    }
}

#[cfg(windows)]
impl<S: std::os::windows::io::AsSocket> std::os::windows::io::AsSocket for SimSocket<S> {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.os.as_socket()
    }
}

impl<S: Source> Source for SimSocket<S> {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self.simulated.id {
            None => self.os.register(registry, token, interests),
            Some(id) => self.with_network(|network, _| {
                network.register(id, super::sleep_key(registry), token.0);
                Ok(())
            }),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.register(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self.simulated.id {
            None => self.os.deregister(registry),
            Some(id) => self.with_network(|network, _| {
                network.ready_lists().deregister(id);
                Ok(())
            }),
        }
    }
}

fn unspecified() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
}

/// Returns the socket of the operating system that is beside a simulated one.
fn beside(kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn new_stream(make: impl FnOnce(&mut Network, Caller) -> io::Result<SocketId>) -> io::Result<TcpStream> {
    let os = beside(Type::STREAM, Protocol::TCP)?;
    SimSocket::simulated(os::TcpStream::from_std(os.into()), make)
}

impl TcpStream {
    pub(crate) fn from_std(stream: std::net::TcpStream) -> TcpStream {
        SimSocket::real(os::TcpStream::from_std(stream))
    }

    pub(crate) fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        if !is_simulated() {
            return os::TcpStream::connect(addr).map(SimSocket::real);
        }
        new_stream(|network, caller| {
            let local = network.reserve(caller, unspecified())?;
            network.connect(caller, local, addr)
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.either(os::TcpStream::local_addr, |network, _, id| Ok(network.stream_addresses(id)?.0))
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.either(os::TcpStream::peer_addr, |network, _, id| network.peer_address(id))
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.either(os::TcpStream::take_error, |network, _, id| Ok(network.take_error(id)))
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.either(|os| os.shutdown(how), |network, caller, id| network.shut_down(caller, id, how))
    }

    pub(crate) fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = buf.len();
        match self.simulated.id {
            None => self.os.peek(buf),
            Some(id) => self
                .with_network(|network, caller| network.read(caller, id, limit, true))
                .map(|bytes| copy(&bytes, buf)),
        }
    }

    fn read_simulated(&self, id: SocketId, limit: usize) -> io::Result<Vec<u8>> {
        self.with_network(|network, caller| network.read(caller, id, limit, false))
    }
}

/// Copies as many bytes as there is room for. Returns their number.
fn copy(bytes: &[u8], room: &mut [u8]) -> usize {
    let count = bytes.len().min(room.len());
    room[..count].copy_from_slice(&bytes[..count]);
    count
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.simulated.id {
            None => (&self.os).read(buf),
            Some(id) => self.read_simulated(id, buf.len()).map(|bytes| copy(&bytes, buf)),
        }
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let Some(id) = self.simulated.id else { return (&self.os).read_vectored(bufs) };
        let bytes = self.read_simulated(id, bufs.iter().map(|buf| buf.len()).sum())?;
        let mut rest = &bytes[..];
        for buf in bufs {
            rest = &rest[copy(rest, buf)..];
        }
        Ok(bytes.len())
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.either(|mut os| os.write(buf), |network, caller, id| network.write(caller, id, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let write = |network: &mut Network, caller, id| {
            let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            network.write(caller, id, &bytes)
        };
        self.either(|mut os| os.write_vectored(bufs), write)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TcpListener {
    pub(crate) fn from_std(listener: std::net::TcpListener) -> TcpListener {
        SimSocket::real(os::TcpListener::from_std(listener))
    }

    pub(crate) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        /// mio's.
        const BACKLOG: usize = 1024;
        if !is_simulated() {
            return os::TcpListener::bind(addr).map(SimSocket::real);
        }
        let os = beside(Type::STREAM, Protocol::TCP)?;
        SimSocket::simulated(os::TcpListener::from_std(os.into()), |network, caller| {
            let local = network.reserve(caller, addr)?;
            Ok(network.listen(caller, local, BACKLOG))
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.either(os::TcpListener::local_addr, |network, _, id| network.listener_address(id))
    }

    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let Some(id) = self.simulated.id else {
            let (stream, addr) = self.os.accept()?;
            return Ok((SimSocket::real(stream), addr));
        };
        let mut peer = unspecified();
        let stream = new_stream(|network, _| {
            if network.number() != self.simulated.network {
                return Err(outside());
            }
            let (accepted, addr) = network.accept(id)?;
            peer = addr;
            Ok(accepted)
        })?;
        Ok((stream, peer))
    }
}

impl UdpSocket {
    pub(crate) fn from_std(socket: std::net::UdpSocket) -> UdpSocket {
        SimSocket::real(os::UdpSocket::from_std(socket))
    }

    pub(crate) fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
        if !is_simulated() {
            return os::UdpSocket::bind(addr).map(SimSocket::real);
        }
        let os = beside(Type::DGRAM, Protocol::UDP)?;
        SimSocket::simulated(os::UdpSocket::from_std(os.into()), |network, caller| network.bind_datagrams(caller, addr))
    }

    pub(crate) fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        self.either(|os| os.connect(addr), |network, _, id| network.connect_datagrams(id, addr))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.either(os::UdpSocket::local_addr, |network, _, id| Ok(network.datagram_addresses(id)?.0))
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        let peer = |network: &mut Network, _, id| {
            network.datagram_addresses(id)?.1.ok_or_else(|| io::ErrorKind::NotConnected.into())
        };
        self.either(os::UdpSocket::peer_addr, peer)
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.either(os::UdpSocket::take_error, |network, _, id| Ok(network.take_error(id)))
    }

    pub(crate) fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.either(|os| os.send(buf), |network, caller, id| network.send_datagram(caller, id, buf, None))
    }

    pub(crate) fn send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.either(
            |os| os.send_to(buf, target),
            |network, caller, id| network.send_datagram(caller, id, buf, Some(target)),
        )
    }

    fn receive(&self, id: SocketId, buf: &mut [u8], peek: bool) -> io::Result<(usize, SocketAddr)> {
        let (bytes, source) = self.with_network(|network, _| network.receive(id, peek))?;
        Ok((copy(&bytes, buf), source))
    }

    pub(crate) fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.simulated.id {
            None => self.os.recv(buf),
            Some(id) => self.receive(id, buf, false).map(|(count, _)| count),
        }
    }

    pub(crate) fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.simulated.id {
            None => self.os.recv_from(buf),
            Some(id) => self.receive(id, buf, false),
        }
    }

    pub(crate) fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.simulated.id {
            None => self.os.peek(buf),
            Some(id) => self.receive(id, buf, true).map(|(count, _)| count),
        }
    }

    pub(crate) fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.simulated.id {
            None => self.os.peek_from(buf),
            Some(id) => self.receive(id, buf, true),
        }
    }
}

impl PendingSocket {
    fn take_os(&mut self) -> Socket {
        self.os.take().expect("the socket neither listens nor connects")
    }

    /// Returns the address to which the socket is bound, or a free one.
    fn take_local(&mut self, network: &mut Network, caller: Caller) -> io::Result<SocketAddr> {
        match self.bound.take() {
            None => network.reserve(caller, unspecified()),
            Some((local, number, host)) if (number, host) == (network.number(), caller.host) => Ok(local),
            Some(_) => Err(outside()),
        }
    }
}

impl Drop for PendingSocket {
    fn drop(&mut self) {
        if let Some((local, number, host)) = self.bound.take() {
            with_network(|network, caller| {
                if network.number() == number {
                    network.release(Caller { host, ..caller }, local);
                }
            });
        }
    }
}

impl Deref for PendingSocket {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        self.os.as_ref().expect("the socket neither listens nor connects")
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for PendingSocket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        (**self).as_raw_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::IntoRawFd for PendingSocket {
    fn into_raw_fd(mut self) -> std::os::fd::RawFd {
        self.take_os().into_raw_fd()
    }
}

/// Returns a socket that neither listens nor is connected.
pub(crate) fn pending(os: Socket) -> PendingSocket {
    PendingSocket { os: Some(os::pending(os)), bound: OnceLock::new() }
}

/// Begins to connect a socket. Returns an error only if the attempt has not begun.
pub(crate) fn connect(mut socket: PendingSocket, addr: SocketAddr) -> io::Result<TcpStream> {
    let os = socket.take_os();
    if !is_simulated() {
        return os::connect(os, addr).map(SimSocket::real);
    }
    let linger = os.linger()?;
    let stream = SimSocket::simulated(os::TcpStream::from_std(os.into()), |network, caller| {
        let local = socket.take_local(network, caller)?;
        network.connect(caller, local, addr)
    })?;
    set_linger(&stream, linger)?;
    Ok(stream)
}

pub(crate) fn listen(mut socket: PendingSocket, backlog: i32) -> io::Result<TcpListener> {
    let os = socket.take_os();
    if !is_simulated() {
        return os::listen(os, backlog).map(SimSocket::real);
    }
    SimSocket::simulated(os::TcpListener::from_std(os.into()), |network, caller| {
        let local = socket.take_local(network, caller)?;
        Ok(network.listen(caller, local, usize::try_from(backlog).unwrap_or(0)))
    })
}

/// Binds a socket to an address.
pub(crate) fn bind(socket: &PendingSocket, addr: SocketAddr) -> io::Result<()> {
    if !is_simulated() {
        return os::bind(socket, addr);
    }
    if socket.bound.get().is_some() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket is bound already"));
    }
    let bound =
        with_own_network(|network, caller| Ok((network.reserve(caller, addr)?, network.number(), caller.host)))?;
    // It was empty, and the simulation has one running thread.
    let _ = socket.bound.set(bound);
    Ok(())
}

/// Returns the address to which a socket is bound.
pub(crate) fn local_address(socket: &PendingSocket) -> io::Result<SocketAddr> {
    socket.bound.get().map_or_else(|| os::local_address(socket), |(local, _, _)| Ok(*local))
}

/// Sets how long a close waits for bytes that were not sent. At zero, a close resets the
/// connection.
pub(crate) fn set_linger(stream: &TcpStream, linger: Option<Duration>) -> io::Result<()> {
    // Ordering: Relaxed — one thread of a simulation runs at a time.
    stream.simulated.lingers.store(linger != Some(Duration::ZERO), Ordering::Relaxed);
    os::set_linger(&stream.os, linger)
}

/// Reads into memory that may be uninitialised. So many bytes of it have been written.
pub(crate) fn read_uninit(stream: &TcpStream, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let Some(id) = stream.simulated.id else { return os::read_uninit(&stream.os, room) };
    let bytes = stream.read_simulated(id, room.len())?;
    for (place, byte) in room.iter_mut().zip(&bytes) {
        place.write(*byte);
    }
    Ok(bytes.len())
}

/// Returns the sender of the next message.
pub(crate) fn next_sender(socket: &UdpSocket) -> io::Result<SocketAddr> {
    socket.either(os::next_sender, |network, _, id| Ok(network.receive(id, true)?.1))
}

pub(crate) fn into_std_stream(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    os::into_std_stream(stream.into_os("a stream")?)
}

pub(crate) fn into_std_listener(listener: TcpListener) -> io::Result<std::net::TcpListener> {
    os::into_std_listener(listener.into_os("a listener")?)
}

pub(crate) fn into_std_datagrams(socket: UdpSocket) -> io::Result<std::net::UdpSocket> {
    os::into_std_datagrams(socket.into_os("a socket")?)
}
