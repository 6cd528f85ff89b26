//! A UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use socket2::SockRef;

use super::addr::{ToSocketAddrs, addresses, first};
use super::datagrams::datagrams;
use super::methods::{own_operations, readable, ready, socket, std_forms, wired, writable};
use super::options::{ip_options, packet_options};
use super::wired::Wired;
use crate::context;
use crate::reactor::{Direction, Interest, Reactor, Ready, Registered};
use crate::sync::Arc;

/// A UDP socket.
///
/// It is bound with [`bind`](UdpSocket::bind) and talks to anybody with [`send_to`](UdpSocket::send_to) and
/// [`recv_from`](UdpSocket::recv_from); after [`connect`](UdpSocket::connect) it talks to one peer with
/// [`send`](UdpSocket::send) and [`recv`](UdpSocket::recv). Everything takes `&self`, so tasks share it in an `Arc`, and no
/// splitting is needed. Of the `poll_` functions each direction keeps one waiting task, the latest.
///
/// # Examples
///
/// ```
/// use heist::net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// heist::runtime::Runtime::new()?.block_on(async {
///     let (one, two) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
///     one.send_to(b"ping", two.local_addr()?).await?;
///     let mut buf = [0; 16];
///     let (count, from) = two.recv_from(&mut buf).await?;
///     assert_eq!((&buf[..count], from), (&b"ping"[..], one.local_addr()?));
///     two.connect(from).await?;
///     two.send(b"pong").await?;
///     assert_eq!(one.recv(&mut buf).await?, 4);
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    io: Registered<mio::net::UdpSocket>,
}

socket!(UdpSocket, mio::net::UdpSocket);
wired!(UdpSocket, mio::net::UdpSocket, self => &self.io);
std_forms!(
    UdpSocket,
    std::net::UdpSocket,
    mio::net::UdpSocket,
    "let std = std::net::UdpSocket::bind(\"127.0.0.1:0\")?;"
);
ready!(UdpSocket, udp);
readable!(UdpSocket, udp, poll_recv_ready);
writable!(UdpSocket, udp, poll_send_ready);
own_operations!(UdpSocket, udp);
datagrams!(UdpSocket, SocketAddr, udp);
ip_options!(UdpSocket, udp);
packet_options!(UdpSocket, udp, self => SockRef::from(self.mio()));

impl UdpSocket {
    fn receive(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.mio().recv(buf)
    }

    fn receive_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.mio().recv_from(buf)
    }

    /// Binds a socket to `addr`; of several addresses to the first that works. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// The last address's error if none works.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        let reactor = context::reactor();
        first(addr, |addr| UdpSocket::bind_on(&reactor, addr)).await
    }

    /// A fresh socket has room to send.
    pub(super) fn bind_on(reactor: &Arc<Reactor>, addr: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::on(reactor, mio::net::UdpSocket::bind(addr)?, Ready::WRITABLE)
    }

    /// Makes `addr` the peer, of several addresses the first that works: [`send`](UdpSocket::send) goes there, and only what
    /// comes from there is received.
    ///
    /// # Errors
    ///
    /// The last address's error if none works.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if there is a name to be resolved.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        first(addr, |addr| self.mio().connect(addr)).await
    }

    /// Sends a message to `target`, of several addresses to the first; answers how many bytes.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the runtime has been shut down.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if there is a name to be resolved.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], target: A) -> io::Result<usize> {
        let target = addresses(target).await?[0];
        self.try_until_done(Interest::WRITABLE, || self.mio().send_to(buf, target)).await
    }

    /// Polls for what [`send_to`](UdpSocket::send_to) waits for. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        self.poll_once(Direction::Write, cx, || self.mio().send_to(buf, target))
    }

    /// As [`send_to`](UdpSocket::send_to), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, or as there.
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_once(Interest::WRITABLE, || self.mio().send_to(buf, target))
    }
}

/// Looking at a message without taking it away; otherwise as the receiving operation of the same name.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl UdpSocket {
    /// As [`recv`](UdpSocket::recv).
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_until_done(Interest::READABLE, || self.mio().peek(buf)).await
    }

    /// As [`poll_recv`](UdpSocket::poll_recv).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_once(Direction::Read, cx, || self.mio().peek(buf))
    }

    /// As [`try_recv`](UdpSocket::try_recv).
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_once(Interest::READABLE, || self.mio().peek(buf))
    }

    /// As [`recv_from`](UdpSocket::recv_from).
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_until_done(Interest::READABLE, || self.mio().peek_from(buf)).await
    }

    /// As [`poll_recv_from`](UdpSocket::poll_recv_from).
    pub fn poll_peek_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll_once(Direction::Read, cx, || self.mio().peek_from(buf))
    }

    /// As [`try_recv_from`](UdpSocket::try_recv_from).
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_once(Interest::READABLE, || self.mio().peek_from(buf))
    }

    /// The sender of the message that is next.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.try_until_done(Interest::READABLE, || self.next_sender()).await
    }

    /// Polls for what [`peek_sender`](UdpSocket::peek_sender) waits for. Only the latest caller's task is woken.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_once(Direction::Read, cx, || self.next_sender())
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), without waiting.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.try_once(Interest::READABLE, || self.next_sender())
    }

    fn next_sender(&self) -> io::Result<SocketAddr> {
        let sender = SockRef::from(self.mio()).peek_sender()?;
        sender.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Options of the socket. Each gives the operating system's error if it refuses.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl UdpSocket {
    /// Whether it may send to a broadcast address (`SO_BROADCAST`).
    pub fn broadcast(&self) -> io::Result<bool> {
        self.mio().broadcast()
    }

    /// Lets it send to a broadcast address (`SO_BROADCAST`), or does not.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.mio().set_broadcast(on)
    }

    /// Whether multicast packets come back to this machine (`IP_MULTICAST_LOOP`).
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.mio().multicast_loop_v4()
    }

    /// Lets multicast packets come back to this machine (`IP_MULTICAST_LOOP`), or does not.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.mio().set_multicast_loop_v4(on)
    }

    /// The time to live of multicast packets (`IP_MULTICAST_TTL`).
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.mio().multicast_ttl_v4()
    }

    /// Sets the time to live of multicast packets (`IP_MULTICAST_TTL`); 1 keeps them in the local network.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.mio().set_multicast_ttl_v4(ttl)
    }

    /// Whether IPv6 multicast packets come back to this machine (`IPV6_MULTICAST_LOOP`).
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.mio().multicast_loop_v6()
    }

    /// Lets IPv6 multicast packets come back to this machine (`IPV6_MULTICAST_LOOP`), or does not.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.mio().set_multicast_loop_v6(on)
    }

    /// Joins a multicast group on the interface with this address (`IP_ADD_MEMBERSHIP`); the unspecified address leaves the
    /// choice to the system.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.mio().join_multicast_v4(&multiaddr, &interface)
    }

    /// Joins an IPv6 multicast group on the interface with this index (`IPV6_ADD_MEMBERSHIP`); 0 is any.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.mio().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a multicast group (`IP_DROP_MEMBERSHIP`).
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.mio().leave_multicast_v4(&multiaddr, &interface)
    }

    /// Leaves an IPv6 multicast group (`IPV6_DROP_MEMBERSHIP`).
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.mio().leave_multicast_v6(multiaddr, interface)
    }
}
