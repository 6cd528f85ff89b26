//! A TCP socket that neither listens nor is connected yet.

use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

use socket2::{Domain, Protocol, Socket, Type};

use super::blocking_mode;
use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use crate::context;
use crate::reactor::Ready;

/// A TCP socket that neither listens nor is connected yet, so that its options can be set.
///
/// [`connect`](TcpSocket::connect) makes a [`TcpStream`] of it, [`listen`](TcpSocket::listen) a [`TcpListener`].
///
/// # Examples
///
/// ```
/// use heist::net::TcpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// heist::runtime::Runtime::new()?.block_on(async {
///     let socket = TcpSocket::new_v4()?;
///     socket.set_reuseaddr(true)?;
///     socket.bind("127.0.0.1:0".parse().unwrap())?;
///     let listener = socket.listen(1024)?;
///     let client = TcpSocket::new_v4()?.connect(listener.local_addr()?).await?;
///     assert_eq!(listener.accept().await?.1, client.local_addr()?);
///     Ok(())
/// })
/// # }
/// ```
pub struct TcpSocket {
    socket: Socket,
}

impl TcpSocket {
    /// A socket for IPv4 addresses.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.bind("127.0.0.1:0".parse().unwrap())?;
    /// let listener = here.listen(1024)?;
    #[doc = crate::net::doc_examples::end!()]
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV4)
    }

    /// A socket for IPv6 addresses.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn listen() -> std::io::Result<heist::net::TcpListener> {
    /// let socket = heist::net::TcpSocket::new_v6()?;
    /// socket.bind("[::]:8080".parse().unwrap())?;
    /// socket.listen(1024)
    /// # }
    /// ```
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<TcpSocket> {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(TcpSocket { socket })
    }

    /// Makes one of std's socket, which is neither connected nor listening although its type says so. It has to be
    /// non-blocking.
    ///
    #[doc = crate::net::doc_examples::set!(nothing)]
    /// use heist::net::TcpSocket;
    /// use socket2::{Domain, Socket, Type};
    ///
    /// let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?; // with options that heist does not know
    /// socket.set_nonblocking(true)?;
    /// let socket = TcpSocket::from_std_stream(socket.into());
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// let listener = socket.listen(1024)?;
    #[doc = crate::net::doc_examples::end!()]
    pub fn from_std_stream(socket: std::net::TcpStream) -> TcpSocket {
        TcpSocket { socket: socket.into() }
    }

    /// Binds it to an address. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.bind("127.0.0.1:0".parse().unwrap())?;
    /// assert_ne!(here.local_addr()?.port(), 0);
    #[doc = crate::net::doc_examples::end!()]
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.socket.bind(&addr.into())
    }

    /// Connects it.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the socket is in blocking mode.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt is given up, and the socket closed.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let server = listener.local_addr()?;
    /// here.set_nodelay(true)?;
    /// let stream = here.connect(server).await?;
    /// assert_eq!(stream.peer_addr()?, server);
    #[doc = crate::net::doc_examples::end!()]
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let reactor = context::reactor();
        blocking_mode::refuse(&self.socket)?;
        match self.socket.connect(&addr.into()) {
            Err(error) if !is_on_its_way(&error) => return Err(error),
            _ => {}
        }
        TcpStream::connecting(&reactor, mio::net::TcpStream::from_std(self.socket.into())).await
    }

    /// Listens on it, with room for `backlog` connections that nobody has accepted yet.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the socket is in blocking mode.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.set_reuseaddr(true)?;
    /// here.bind("127.0.0.1:0".parse().unwrap())?;
    /// let listener = here.listen(1024)?;
    /// # let client = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, peer) = listener.accept().await?;
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let reactor = context::reactor();
        blocking_mode::refuse(&self.socket)?;
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::on(&reactor, mio::net::TcpListener::from_std(self.socket.into()), Ready::EMPTY)
    }
}

/// Whether a connection attempt has begun, and goes on.
#[cfg(unix)]
fn is_on_its_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Whether a connection attempt has begun, and goes on.
#[cfg(not(unix))]
fn is_on_its_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Options. Each gives the operating system's error if it refuses.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl TcpSocket {
    /// The address it is bound to.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.bind("127.0.0.1:0".parse().unwrap())?;
    /// println!("bound to {}", here.local_addr()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The error that is pending on the socket, which takes it away.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// assert!(here.take_error()?.is_none()); // nothing has gone wrong
    #[doc = crate::net::doc_examples::end!()]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Whether silent connections are probed (`SO_KEEPALIVE`).
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// assert!(!here.keepalive()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn keepalive(&self) -> io::Result<bool> {
        self.socket.keepalive()
    }

    /// Probes silent connections (`SO_KEEPALIVE`), or does not.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.set_keepalive(true)?;
    /// assert!(here.keepalive()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.socket.set_keepalive(keepalive)
    }

    /// Whether it may be bound to an address on which old connections linger (`SO_REUSEADDR`).
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// assert!(!here.reuseaddr()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket.reuse_address()
    }

    /// Lets it be bound to an address on which old connections linger (`SO_REUSEADDR`), or does not.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.set_reuseaddr(true)?;
    /// assert!(here.reuseaddr()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.socket.set_reuse_address(reuseaddr)
    }

    /// Whether several sockets may be bound to its address (`SO_REUSEPORT`).
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// assert!(!here.reuseport()?);
    #[doc = crate::net::doc_examples::end!()]
    #[cfg(all(unix, not(target_os = "solaris"), not(target_os = "illumos"), not(target_os = "cygwin")))]
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket.reuse_port()
    }

    /// Lets several sockets be bound to its address (`SO_REUSEPORT`), or does not. Each has to say so before it is bound.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.set_reuseport(true)?;
    /// assert!(here.reuseport()?);
    #[doc = crate::net::doc_examples::end!()]
    #[cfg(all(unix, not(target_os = "solaris"), not(target_os = "illumos"), not(target_os = "cygwin")))]
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.socket.set_reuse_port(reuseport)
    }

    /// The size of the kernel's buffer for sending, in bytes (`SO_SNDBUF`). Linux answers with twice what was asked for.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// println!("{} bytes", here.send_buffer_size()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket.send_buffer_size().map(saturated)
    }

    /// Sets the size of the kernel's buffer for sending, in bytes (`SO_SNDBUF`).
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.set_send_buffer_size(64 * 1024)?;
    /// assert!(here.send_buffer_size()? >= 64 * 1024);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_send_buffer_size(super::bounds::buffer_size(size))
    }

    /// The size of the kernel's buffer for receiving, in bytes (`SO_RCVBUF`). Linux answers with twice what was asked for.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// println!("{} bytes", here.recv_buffer_size()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket.recv_buffer_size().map(saturated)
    }

    /// Sets the size of the kernel's buffer for receiving, in bytes (`SO_RCVBUF`).
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.set_recv_buffer_size(64 * 1024)?;
    /// assert!(here.recv_buffer_size()? >= 64 * 1024);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_recv_buffer_size(super::bounds::buffer_size(size))
    }

    /// How long closing waits for unsent data (`SO_LINGER`); `None` if it does not wait.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// assert_eq!(here.linger()?, None);
    #[doc = crate::net::doc_examples::end!()]
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// Sets how long closing waits for unsent data (`SO_LINGER`). A wait blocks the thread that drops the stream. A zero wait
    /// discards unsent data and resets the connection. The operating system counts whole seconds: a fraction of a second is rounded up.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// use std::time::Duration;
    ///
    /// here.set_linger(Some(Duration::from_secs(1)))?;
    /// assert_eq!(here.linger()?, Some(Duration::from_secs(1)));
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(super::bounds::linger(linger))
    }

    /// Throws unsent data away and resets the connection when it is closed.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.set_zero_linger()?;
    /// assert_eq!(here.linger()?, Some(std::time::Duration::ZERO));
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// assert!(!here.nodelay()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.tcp_nodelay()
    }

    /// Sends small writes at once (`TCP_NODELAY`), or collects them.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_socket)]
    /// here.set_nodelay(true)?;
    /// assert!(here.nodelay()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(nodelay)
    }
}

super::options::packet_options!(TcpSocket, tcp_socket, self => &self.socket);

fn saturated(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

#[cfg(unix)]
super::options::raw_socket!(TcpSocket);

#[cfg(windows)]
impl std::os::windows::io::AsSocket for TcpSocket {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsRawSocket for TcpSocket {
    fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
        self.socket.as_raw_socket()
    }
}
