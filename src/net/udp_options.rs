//! Addresses and options of a UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;

use super::bounds::one_byte;
use super::udp::UdpSocket;

/// Addresses, errors, the time to live. Each method gives the error of the operating system if it
/// refuses.
#[allow(clippy::missing_errors_doc, reason = "the comment above says it once")]
impl UdpSocket {
    /// Returns the address of this end.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// assert_eq!(socket.local_addr()?, peer.peer_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registered().io().local_addr()
    }

    /// Returns the address of the other end, if the socket is connected.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// assert_eq!(socket.peer_addr()?, peer.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.registered().io().peer_addr()
    }

    /// Takes the error that is pending on the socket, and returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.take_error()?.is_none()); // nothing has gone wrong
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.registered().io().take_error()
    }

    /// Returns the time to live of packets that the socket sends.
    pub fn ttl(&self) -> io::Result<u32> {
        self.registered().io().ttl()
    }

    /// Sets the time to live of packets that the socket sends.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if `ttl` is above 255.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_ttl(9)?;
    /// assert_eq!(socket.ttl()?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.registered().io().set_ttl(one_byte("set_ttl", ttl)?)
    }
}

/// Broadcast and multicast. Each method gives the error of the operating system if it refuses.
#[allow(clippy::missing_errors_doc, reason = "the comment above says it once")]
impl UdpSocket {
    /// Returns true if the socket may send to a broadcast address (`SO_BROADCAST`).
    pub fn broadcast(&self) -> io::Result<bool> {
        self.registered().io().broadcast()
    }

    /// Lets the socket send to a broadcast address (`SO_BROADCAST`), or forbids it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(!socket.broadcast()?);
    /// socket.set_broadcast(true)?; // otherwise, a send to 255.255.255.255 is refused
    /// assert!(socket.broadcast()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.registered().io().set_broadcast(on)
    }

    /// Returns true if multicast packets come back to this machine (`IP_MULTICAST_LOOP`).
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.registered().io().multicast_loop_v4()
    }

    /// Lets multicast packets come back to this machine (`IP_MULTICAST_LOOP`), or stops them.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.multicast_loop_v4()?);
    /// socket.set_multicast_loop_v4(false)?;
    /// assert!(!socket.multicast_loop_v4()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.registered().io().set_multicast_loop_v4(on)
    }

    /// Returns the time to live of multicast packets (`IP_MULTICAST_TTL`).
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.registered().io().multicast_ttl_v4()
    }

    /// Sets the time to live of multicast packets (`IP_MULTICAST_TTL`). 1 keeps them in the local
    /// network.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if `ttl` is above 255.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_eq!(socket.multicast_ttl_v4()?, 1); // not beyond the local network
    /// socket.set_multicast_ttl_v4(4)?;
    /// assert_eq!(socket.multicast_ttl_v4()?, 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.registered().io().set_multicast_ttl_v4(one_byte("set_multicast_ttl_v4", ttl)?)
    }

    /// Returns true if IPv6 multicast packets come back to this machine (`IPV6_MULTICAST_LOOP`).
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.registered().io().multicast_loop_v6()
    }

    /// Lets IPv6 multicast packets come back to this machine (`IPV6_MULTICAST_LOOP`), or stops
    /// them.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn listen() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("[::]:5353").await?;
    /// socket.set_multicast_loop_v6(false)?;
    /// assert!(!socket.multicast_loop_v6()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.registered().io().set_multicast_loop_v6(on)
    }

    /// Joins a multicast group on the interface with this address (`IP_ADD_MEMBERSHIP`). With the
    /// unspecified address, the operating system chooses the interface.
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
    /// let (count, sender) = socket.recv_from(&mut [0; 1500]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.registered().io().join_multicast_v4(&multiaddr, &interface)
    }

    /// Joins an IPv6 multicast group on the interface with this index (`IPV6_ADD_MEMBERSHIP`). 0
    /// means any interface.
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
        self.registered().io().join_multicast_v6(multiaddr, interface)
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
        self.registered().io().leave_multicast_v4(&multiaddr, &interface)
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
        self.registered().io().leave_multicast_v6(multiaddr, interface)
    }
}

/// The type of service. Each method gives the error of the operating system if it refuses. A value
/// above 255 is [`InvalidInput`](std::io::ErrorKind::InvalidInput).
#[cfg(not(any(
    target_os = "fuchsia",
    target_os = "redox",
    target_os = "solaris",
    target_os = "illumos",
    target_os = "haiku"
)))]
#[allow(clippy::missing_errors_doc, reason = "the comment above says it once")]
impl UdpSocket {
    /// Returns the type of service of IPv4 packets (`IP_TOS`).
    pub fn tos_v4(&self) -> io::Result<u32> {
        SockRef::from(self.registered().io()).tos_v4()
    }

    /// Sets the type of service of IPv4 packets (`IP_TOS`).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_tos_v4(0x10)?; // low delay
    /// assert_eq!(socket.tos_v4()?, 0x10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        SockRef::from(self.registered().io()).set_tos_v4(one_byte("set_tos_v4", tos)?)
    }
}

/// The traffic class. Each method gives the error of the operating system if it refuses. A value
/// above 255 is [`InvalidInput`](std::io::ErrorKind::InvalidInput).
#[cfg(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
    target_os = "openbsd"
))]
#[allow(clippy::missing_errors_doc, reason = "the comment above says it once")]
impl UdpSocket {
    /// Returns the traffic class of IPv6 packets (`IPV6_TCLASS`).
    pub fn tclass_v6(&self) -> io::Result<u32> {
        SockRef::from(self.registered().io()).tclass_v6()
    }

    /// Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn traffic(socket: heist::net::UdpSocket) -> std::io::Result<()> {
    /// socket.set_tclass_v6(0x10)?;
    /// assert_eq!(socket.tclass_v6()?, 0x10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        SockRef::from(self.registered().io()).set_tclass_v6(one_byte("set_tclass_v6", tclass)?)
    }
}

/// The interface. Each method gives the error of the operating system if it refuses.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(clippy::missing_errors_doc, reason = "the comment above says it once")]
impl UdpSocket {
    /// Returns the name of the interface that the socket is bound to (`SO_BINDTODEVICE`).
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        SockRef::from(self.registered().io()).device()
    }

    /// Binds the socket to an interface (`SO_BINDTODEVICE`): it receives packets of this interface
    /// only. With `None` or an empty name, it receives those of all interfaces.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.bind_device(None)?; // or `Some(b"eth0")`, for which some systems ask for a privilege
    /// assert_eq!(socket.device()?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        SockRef::from(self.registered().io()).bind_device(interface)
    }
}
