//! A TCP socket that neither listens nor is connected yet.

use std::net::SocketAddr;
use std::{fmt, io};

use socket2::{Domain, Protocol, Socket, Type};

use super::blocking_mode;
use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use crate::context;
use crate::primitive::sockets::{self, PendingSocket};
use crate::reactor::Ready;

/// A TCP socket that neither listens nor is connected yet, so that its options can be set.
///
/// [`connect`](TcpSocket::connect) turns it into a [`TcpStream`], [`listen`](TcpSocket::listen)
/// into a [`TcpListener`].
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
    pub(super) socket: PendingSocket,
}

impl TcpSocket {
    /// Makes a socket for IPv4 addresses.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// let listener = socket.listen(1024)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV4)
    }

    /// Makes a socket for IPv6 addresses.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
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
        Ok(TcpSocket { socket: sockets::pending(socket) })
    }

    /// Converts a socket of std, which must be non-blocking. The socket is neither connected nor
    /// listening, although its type says so.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use heist::net::TcpSocket;
    /// use socket2::{Domain, Socket, Type};
    ///
    /// // With options that heist does not have.
    /// let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    /// socket.set_nonblocking(true)?;
    /// let socket = TcpSocket::from_std_stream(socket.into());
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// let listener = socket.listen(1024)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_std_stream(socket: std::net::TcpStream) -> TcpSocket {
        TcpSocket { socket: sockets::pending(socket.into()) }
    }

    /// Binds the socket to an address. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        sockets::bind(&self.socket, addr)
    }

    /// Connects the socket.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error. Otherwise,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the socket is in blocking mode.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt is given up, and the socket is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let server = listener.local_addr()?;
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.set_nodelay(true)?;
    /// let stream = socket.connect(server).await?;
    /// assert_eq!(stream.peer_addr()?, server);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let reactor = context::reactor();
        blocking_mode::refuse(&self.socket)?;
        TcpStream::finish_connect(&reactor, sockets::connect(self.socket, addr)?).await
    }

    /// Listens on the socket, with room for `backlog` connections that wait to be accepted.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error. Otherwise,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the socket is in blocking mode.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = heist::net::TcpSocket::new_v4()?;
    /// socket.set_reuseaddr(true)?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// let listener = socket.listen(1024)?;
    /// # let client = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, peer) = listener.accept().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let reactor = context::reactor();
        blocking_mode::refuse(&self.socket)?;
        let listener = sockets::listen(self.socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::register_on(&reactor, listener, Ready::EMPTY)
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
