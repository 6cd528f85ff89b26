//! A TCP socket that accepts connections.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::addr::{ToSocketAddrs, try_each_address};
use super::blocking_mode;
use super::bounds::one_byte;
use super::tcp_stream::TcpStream;
use crate::context;
use crate::primitive::{Arc, sockets};
use crate::reactor::{Direction, Interest, Opaque, Reactor, Ready, Registered};

/// A TCP socket that accepts connections.
///
/// # Examples
///
/// ```no_run
/// use heist::net::TcpListener;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (mut stream, from) = listener.accept().await?;
///     println!("a connection from {from}");
///     heist::spawn(async move { stream.write_all(b"hello\n").await });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    io: Registered<sockets::TcpListener>,
}

impl TcpListener {
    /// Listens on `addr`. Of several addresses, the first one that works is used. Port 0 means any
    /// free port.
    ///
    /// On unix, `SO_REUSEADDR` is set, so that a server can be started again while old connections
    /// linger.
    ///
    /// # Errors
    ///
    /// If no address works: the error of the last one.
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
    /// use heist::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// println!("listening on {}", listener.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let reactor = context::reactor();
        try_each_address(addr, |addr| TcpListener::bind_on(&reactor, addr)).await
    }

    /// Converts a listener of std, which must be non-blocking.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the listener is in blocking mode, in which
    /// it would block a worker. Otherwise, if the listener cannot be registered.
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
    /// let std = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::TcpListener::from_std(std)?;
    /// assert!(socket.local_addr().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(socket: std::net::TcpListener) -> io::Result<TcpListener> {
        let reactor = context::reactor();
        blocking_mode::refuse(&socket)?;
        TcpListener::register_on(&reactor, sockets::TcpListener::from_std(socket), Ready::EMPTY)
    }

    /// Converts the listener into one of std, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// If the listener cannot be deregistered.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let std = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::TcpListener::from_std(std)?;
    /// let std = socket.into_std()?;
    /// std.set_nonblocking(false)?; // for use without a runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        sockets::into_std_listener(self.io.into_io()?)
    }

    /// Accepts a connection, and returns its stream and the address of the peer.
    ///
    /// Any number of tasks may accept at once. An error such as "too many open files" does not end
    /// the listener. A server that goes on should wait a little first: the next call would probably
    /// fail in the same way.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no connection has been accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let _client = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, peer) = listener.accept().await?;
    /// assert_eq!(stream.peer_addr()?, peer);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accept = || self.io.io().accept().map(Opaque);
        let Opaque((stream, addr)) = self.io.source().io(Interest::READABLE, accept).await?;
        Ok((TcpStream::from_accepted(self.io.reactor(), stream)?, addr))
    }

    /// Polls for a connection. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](TcpListener::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let _client = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, peer) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await?;
    /// assert_eq!(stream.peer_addr()?, peer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accept = || self.io.io().accept().map(Opaque);
        self.io.source().poll_io(Direction::Read, cx, accept).map(|accepted| {
            let Opaque((stream, addr)) = accepted?;
            Ok((TcpStream::from_accepted(self.io.reactor(), stream)?, addr))
        })
    }

    /// Returns the address that the listener is bound to.
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
    /// let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0); // the port that was free
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.io().local_addr()
    }

    /// Returns the time to live of packets that the socket sends.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.io().ttl()
    }

    /// Sets the time to live of packets that the socket sends.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if `ttl` is above 255. Otherwise, if the
    /// operating system reports an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// listener.set_ttl(9)?;
    /// assert_eq!(listener.ttl()?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.io().set_ttl(one_byte("set_ttl", ttl)?)
    }
}

impl TcpListener {
    /// Registers a socket with a reactor. Until it proves otherwise, it counts as ready for
    /// `presumed`.
    pub(super) fn register_on(
        reactor: &Arc<Reactor>,
        socket: sockets::TcpListener,
        presumed: Ready,
    ) -> io::Result<TcpListener> {
        let io = Registered::new(Arc::clone(reactor), socket, presumed)?;
        Ok(TcpListener { io })
    }

    pub(super) fn registered(&self) -> &Registered<sockets::TcpListener> {
        &self.io
    }

    pub(super) fn bind_on(reactor: &Arc<Reactor>, addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::register_on(reactor, sockets::TcpListener::bind(addr)?, Ready::EMPTY)
    }
}

impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    /// Converts a socket of std, as [`from_std`](Self::from_std) does.
    ///
    /// # Errors
    ///
    /// Those of `from_std`.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    #[track_caller]
    fn try_from(socket: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(socket)
    }
}
