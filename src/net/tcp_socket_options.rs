//! Options of a TCP socket that neither listens nor is connected yet.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::bounds::{self, one_byte};
use super::tcp_socket::TcpSocket;
use crate::primitive::sockets;

/// Options. Each method gives the error of the operating system if it refuses.
#[allow(clippy::missing_errors_doc, reason = "the comment above says it once")]
impl TcpSocket {
    /// Returns the address that the socket is bound to.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// println!("bound to {}", socket.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        sockets::local_address(&self.socket)
    }

    /// Takes the error that is pending on the socket, and returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// assert!(socket.take_error()?.is_none()); // nothing has gone wrong
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Returns true if silent connections are probed (`SO_KEEPALIVE`).
    pub fn keepalive(&self) -> io::Result<bool> {
        self.socket.keepalive()
    }

    /// Turns the probes of silent connections (`SO_KEEPALIVE`) on or off.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// assert!(!socket.keepalive()?);
    /// socket.set_keepalive(true)?;
    /// assert!(socket.keepalive()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.socket.set_keepalive(keepalive)
    }

    /// Returns true if the socket may be bound to an address on which old connections linger
    /// (`SO_REUSEADDR`).
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket.reuse_address()
    }

    /// Lets the socket be bound to an address on which old connections linger (`SO_REUSEADDR`), or
    /// forbids it.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// assert!(!socket.reuseaddr()?);
    /// socket.set_reuseaddr(true)?;
    /// assert!(socket.reuseaddr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.socket.set_reuse_address(reuseaddr)
    }

    /// Returns true if several sockets may be bound to the address of this one (`SO_REUSEPORT`).
    #[cfg(all(unix, not(target_os = "solaris"), not(target_os = "illumos"), not(target_os = "cygwin")))]
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket.reuse_port()
    }

    /// Lets several sockets be bound to the address of this one (`SO_REUSEPORT`), or forbids it.
    /// The option must be set on each of them before it is bound.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// assert!(!socket.reuseport()?);
    /// socket.set_reuseport(true)?;
    /// assert!(socket.reuseport()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(all(unix, not(target_os = "solaris"), not(target_os = "illumos"), not(target_os = "cygwin")))]
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.socket.set_reuse_port(reuseport)
    }

    /// Returns the size of the kernel's send buffer, in bytes (`SO_SNDBUF`). Linux returns twice
    /// the size that was set.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket.send_buffer_size().map(saturated)
    }

    /// Sets the size of the kernel's send buffer, in bytes (`SO_SNDBUF`).
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.set_send_buffer_size(64 * 1024)?;
    /// assert!(socket.send_buffer_size()? >= 64 * 1024);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_send_buffer_size(bounds::buffer_size(size))
    }

    /// Returns the size of the kernel's receive buffer, in bytes (`SO_RCVBUF`). Linux returns twice
    /// the size that was set.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket.recv_buffer_size().map(saturated)
    }

    /// Sets the size of the kernel's receive buffer, in bytes (`SO_RCVBUF`).
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.set_recv_buffer_size(64 * 1024)?;
    /// assert!(socket.recv_buffer_size()? >= 64 * 1024);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bounds::buffer_size(size))
    }

    /// Returns how long closing waits for unsent data (`SO_LINGER`), or `None` if it does not wait.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// Sets how long closing waits for unsent data (`SO_LINGER`).
    ///
    /// A wait blocks the thread that drops the stream. A zero wait discards unsent data and resets
    /// the connection. The operating system counts whole seconds: a fraction of a second is rounded
    /// up.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// use std::time::Duration;
    ///
    /// socket.set_linger(Some(Duration::from_secs(1)))?;
    /// assert_eq!(socket.linger()?, Some(Duration::from_secs(1)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(bounds::linger(linger))
    }

    /// Discards unsent data and resets the connection when the stream is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.set_zero_linger()?;
    /// assert_eq!(socket.linger()?, Some(std::time::Duration::ZERO));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Returns true if small writes are sent at once (`TCP_NODELAY`).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.tcp_nodelay()
    }

    /// Sends small writes at once (`TCP_NODELAY`), or collects them.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// assert!(!socket.nodelay()?);
    /// socket.set_nodelay(true)?;
    /// assert!(socket.nodelay()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(nodelay)
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
impl TcpSocket {
    /// Returns the type of service of IPv4 packets (`IP_TOS`).
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.socket.tos_v4()
    }

    /// Sets the type of service of IPv4 packets (`IP_TOS`).
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.set_tos_v4(0x10)?; // low delay
    /// assert_eq!(socket.tos_v4()?, 0x10);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.socket.set_tos_v4(one_byte("set_tos_v4", tos)?)
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
impl TcpSocket {
    /// Returns the traffic class of IPv6 packets (`IPV6_TCLASS`).
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.socket.tclass_v6()
    }

    /// Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let socket = heist::net::TcpSocket::new_v6()?;
    /// socket.set_tclass_v6(0x10)?;
    /// assert_eq!(socket.tclass_v6()?, 0x10);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.socket.set_tclass_v6(one_byte("set_tclass_v6", tclass)?)
    }
}

/// The interface. Each method gives the error of the operating system if it refuses.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(clippy::missing_errors_doc, reason = "the comment above says it once")]
impl TcpSocket {
    /// Returns the name of the interface that the socket is bound to (`SO_BINDTODEVICE`).
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.socket.device()
    }

    /// Binds the socket to an interface (`SO_BINDTODEVICE`): it receives packets of this interface
    /// only. With `None` or an empty name, it receives those of all interfaces.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.bind_device(None)?; // or `Some(b"eth0")`, for which some systems ask for a privilege
    /// assert_eq!(socket.device()?, None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.socket.bind_device(interface)
    }
}

/// Returns `size`, or the largest `u32` if that is too small for it.
fn saturated(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
