//! A UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use socket2::SockRef;

use super::addr::{ToSocketAddrs, addresses, first};
use super::datagrams::datagrams;
use super::methods::{own_operations, readable, ready, socket, std_forms, wired, writable};
use super::mio_socket::HasMioSocket;
use super::options::{ip_options, packet_options};
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
    ///
    #[doc = crate::net::doc_examples::set!(nothing)]
    /// use heist::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// println!("bound to {}", socket.local_addr()?);
    #[doc = crate::net::doc_examples::end!()]
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
    ///
    #[doc = crate::net::doc_examples::set!(nothing)]
    /// use heist::net::UdpSocket;
    ///
    /// let (client, server) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    /// client.connect(server.local_addr()?).await?;
    /// client.send(b"hello").await?;
    /// assert_eq!(server.recv_from(&mut [0; 1500]).await?, (5, client.local_addr()?));
    #[doc = crate::net::doc_examples::end!()]
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
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// let target = there.local_addr()?;
    /// assert_eq!(here.send_to(b"hello", target).await?, 5);
    #[doc = crate::net::doc_examples::end!()]
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], target: A) -> io::Result<usize> {
        let target = addresses(target).await?[0];
        self.try_until_done(Interest::WRITABLE, || self.mio().send_to(buf, target)).await
    }

    /// Polls for what [`send_to`](UdpSocket::send_to) waits for. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// let target = there.local_addr()?;
    /// let count = std::future::poll_fn(|cx| here.poll_send_to(cx, b"hello", target)).await?;
    /// assert_eq!(count, 5);
    #[doc = crate::net::doc_examples::end!()]
    pub fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        self.poll_once(Direction::Write, cx, || self.mio().send_to(buf, target))
    }

    /// As [`send_to`](UdpSocket::send_to), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, or as there.
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// let target = there.local_addr()?;
    /// assert_eq!(here.try_send_to(b"hello", target)?, 5);
    #[doc = crate::net::doc_examples::end!()]
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_once(Interest::WRITABLE, || self.mio().send_to(buf, target))
    }
}

/// Looking at a message without taking it away; otherwise as the receiving operation of the same name.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl UdpSocket {
    /// As [`recv`](UdpSocket::recv).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// assert_eq!(here.peek(&mut buf).await?, 5);
    /// assert_eq!(here.recv(&mut buf).await?, 5); // it is still there
    #[doc = crate::net::doc_examples::end!()]
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_until_done(Interest::READABLE, || self.mio().peek(buf)).await
    }

    /// As [`poll_recv`](UdpSocket::poll_recv).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// let count = std::future::poll_fn(|cx| here.poll_peek(cx, &mut buf)).await?;
    /// assert_eq!(&buf[..count], b"hello");
    #[doc = crate::net::doc_examples::end!()]
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_once(Direction::Read, cx, || self.mio().peek(buf))
    }

    /// As [`try_recv`](UdpSocket::try_recv).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// here.readable().await?;
    /// assert_eq!(here.try_peek(&mut buf)?, 5);
    #[doc = crate::net::doc_examples::end!()]
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_once(Interest::READABLE, || self.mio().peek(buf))
    }

    /// As [`recv_from`](UdpSocket::recv_from).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// assert_eq!(here.peek_from(&mut buf).await?, (5, there.local_addr()?));
    #[doc = crate::net::doc_examples::end!()]
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_until_done(Interest::READABLE, || self.mio().peek_from(buf)).await
    }

    /// As [`poll_recv_from`](UdpSocket::poll_recv_from).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// let (count, sender) = std::future::poll_fn(|cx| here.poll_peek_from(cx, &mut buf)).await?;
    /// assert_eq!((&buf[..count], sender), (&b"hello"[..], there.local_addr()?));
    #[doc = crate::net::doc_examples::end!()]
    pub fn poll_peek_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll_once(Direction::Read, cx, || self.mio().peek_from(buf))
    }

    /// As [`try_recv_from`](UdpSocket::try_recv_from).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// here.readable().await?;
    /// assert_eq!(here.try_peek_from(&mut buf)?, (5, there.local_addr()?));
    #[doc = crate::net::doc_examples::end!()]
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_once(Interest::READABLE, || self.mio().peek_from(buf))
    }

    /// The sender of the message that is next.
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// assert_eq!(here.peek_sender().await?, there.local_addr()?);
    #[doc = crate::net::doc_examples::end!()]
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.try_until_done(Interest::READABLE, || self.next_sender()).await
    }

    /// Polls for what [`peek_sender`](UdpSocket::peek_sender) waits for. Only the latest caller's task is woken.
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// let sender = std::future::poll_fn(|cx| here.poll_peek_sender(cx)).await?;
    /// assert_eq!(sender, there.local_addr()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_once(Direction::Read, cx, || self.next_sender())
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), without waiting.
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// there.send(b"hello").await?;
    /// here.readable().await?;
    /// assert_eq!(here.try_peek_sender()?, there.local_addr()?);
    #[doc = crate::net::doc_examples::end!()]
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
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// assert!(!here.broadcast()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn broadcast(&self) -> io::Result<bool> {
        self.mio().broadcast()
    }

    /// Lets it send to a broadcast address (`SO_BROADCAST`), or does not.
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// here.set_broadcast(true)?; // else a send to 255.255.255.255 is refused
    /// assert!(here.broadcast()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.mio().set_broadcast(on)
    }

    /// Whether multicast packets come back to this machine (`IP_MULTICAST_LOOP`).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// assert!(here.multicast_loop_v4()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.mio().multicast_loop_v4()
    }

    /// Lets multicast packets come back to this machine (`IP_MULTICAST_LOOP`), or does not.
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// here.set_multicast_loop_v4(false)?;
    /// assert!(!here.multicast_loop_v4()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.mio().set_multicast_loop_v4(on)
    }

    /// The time to live of multicast packets (`IP_MULTICAST_TTL`).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// assert_eq!(here.multicast_ttl_v4()?, 1); // not beyond the local network
    #[doc = crate::net::doc_examples::end!()]
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.mio().multicast_ttl_v4()
    }

    /// Sets the time to live of multicast packets (`IP_MULTICAST_TTL`); 1 keeps them in the local network. More than 255 is
    /// [`InvalidInput`](io::ErrorKind::InvalidInput).
    ///
    #[doc = crate::net::doc_examples::set!(udp)]
    /// here.set_multicast_ttl_v4(4)?;
    /// assert_eq!(here.multicast_ttl_v4()?, 4);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.mio().set_multicast_ttl_v4(super::bounds::one_byte("set_multicast_ttl_v4", ttl)?)
    }

    /// Whether IPv6 multicast packets come back to this machine (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn listen() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("[::]:5353").await?;
    /// assert!(socket.multicast_loop_v6()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.mio().multicast_loop_v6()
    }

    /// Lets IPv6 multicast packets come back to this machine (`IPV6_MULTICAST_LOOP`), or does not.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn listen() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("[::]:5353").await?;
    /// socket.set_multicast_loop_v6(false)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.mio().set_multicast_loop_v6(on)
    }

    /// Joins a multicast group on the interface with this address (`IP_ADD_MEMBERSHIP`); the unspecified address leaves the
    /// choice to the system.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Ipv4Addr;
    ///
    /// # async fn listen() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("0.0.0.0:5353").await?;
    /// socket.join_multicast_v4(Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::UNSPECIFIED)?;
    /// let (count, sender) = socket.recv_from(&mut [0; 1500]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.mio().join_multicast_v4(&multiaddr, &interface)
    }

    /// Joins an IPv6 multicast group on the interface with this index (`IPV6_ADD_MEMBERSHIP`); 0 is any.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn listen() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("[::]:5353").await?;
    /// socket.join_multicast_v6(&"ff02::fb".parse().unwrap(), 0)?;
    /// let (count, sender) = socket.recv_from(&mut [0; 1500]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.mio().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a multicast group (`IP_DROP_MEMBERSHIP`).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::net::Ipv4Addr;
    ///
    /// # async fn listen() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("0.0.0.0:5353").await?;
    /// let group = Ipv4Addr::new(224, 0, 0, 251);
    /// socket.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED)?;
    /// socket.leave_multicast_v4(group, Ipv4Addr::UNSPECIFIED)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.mio().leave_multicast_v4(&multiaddr, &interface)
    }

    /// Leaves an IPv6 multicast group (`IPV6_DROP_MEMBERSHIP`).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn listen() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("[::]:5353").await?;
    /// let group = "ff02::fb".parse().unwrap();
    /// socket.join_multicast_v6(&group, 0)?;
    /// socket.leave_multicast_v6(&group, 0)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.mio().leave_multicast_v6(multiaddr, interface)
    }
}
