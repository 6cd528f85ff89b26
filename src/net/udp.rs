//! A UDP socket.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::addr::{ToSocketAddrs, try_each_address};
use super::blocking_mode;
use crate::context;
use crate::primitive::{Arc, sockets};
use crate::reactor::{Interest, Reactor, Ready, Registered};

/// A UDP socket.
///
/// [`bind`](UdpSocket::bind) makes a socket that exchanges messages with any number of peers, by
/// [`send_to`](UdpSocket::send_to) and [`recv_from`](UdpSocket::recv_from). After
/// [`connect`](UdpSocket::connect) it has one peer, for [`send`](UdpSocket::send) and
/// [`recv`](UdpSocket::recv). Every method takes `&self`, so tasks share the socket in an `Arc`,
/// and no splitting is needed. The `poll_` methods keep one waiting task for each direction: that
/// of the latest call.
///
/// # Examples
///
/// ```
/// use heist::net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// heist::runtime::Runtime::new()?.block_on(async {
///     let one = UdpSocket::bind("127.0.0.1:0").await?;
///     let two = UdpSocket::bind("127.0.0.1:0").await?;
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
    io: Registered<sockets::UdpSocket>,
}

/// Making, connecting and converting.
impl UdpSocket {
    /// Binds a socket to `addr`. Of several addresses, the first one that works is used. Port 0
    /// means any free port.
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
    /// use heist::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// println!("bound to {}", socket.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        let reactor = context::reactor();
        try_each_address(addr, |addr| UdpSocket::bind_on(&reactor, addr)).await
    }

    /// Makes `addr` the peer. [`send`](UdpSocket::send) sends there, and only messages from there
    /// are received. Of several addresses, the first one that works is used.
    ///
    /// # Errors
    ///
    /// If no address works: the error of the last one.
    ///
    /// # Panics
    ///
    /// If `addr` is a name that has to be resolved, and this thread is not inside of a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use heist::net::UdpSocket;
    ///
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.connect(server.local_addr()?).await?;
    /// client.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// assert_eq!(server.recv_from(&mut buf).await?, (5, client.local_addr()?));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        try_each_address(addr, |addr| self.io.io().connect(addr)).await
    }

    /// Converts a socket of std, which must be non-blocking.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the socket is in blocking mode, in which it
    /// would block a worker. Otherwise, if the socket cannot be registered.
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
    /// let std = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::UdpSocket::from_std(std)?;
    /// assert!(socket.local_addr().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        let reactor = context::reactor();
        blocking_mode::refuse(&socket)?;
        UdpSocket::register_on(&reactor, sockets::UdpSocket::from_std(socket), Ready::EMPTY)
    }

    /// Converts the socket into one of std, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// If the socket cannot be deregistered.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let std = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::UdpSocket::from_std(std)?;
    /// let std = socket.into_std()?;
    /// std.set_nonblocking(false)?; // for use without a runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        sockets::into_std_datagrams(self.io.into_io()?)
    }
}

/// Readiness, and operations that heist does not have.
impl UdpSocket {
    /// Waits until the socket is ready for some of `interest`, and returns what of it the socket is
    /// ready for. Any number of tasks may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost: it lasts until an operation gives
    /// `WouldBlock`.
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
    /// use heist::io::Interest;
    ///
    /// assert!(socket.ready(Interest::WRITABLE).await?.is_writable());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.registered().ready(interest).await
    }

    /// Waits until a read is worth a try. The read may still give `WouldBlock`. Any number of tasks
    /// may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost: it lasts until an operation gives
    /// `WouldBlock`.
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
    /// peer.send(b"hello").await?;
    /// socket.readable().await?;
    /// assert_eq!(socket.try_recv(&mut [0; 16])?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.registered().readable().await
    }

    /// Polls until a read is worth a try. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registered().poll_read_ready(cx)
    }

    /// Waits until a write is worth a try. The write may still give `WouldBlock`. Any number of
    /// tasks may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost: it lasts until an operation gives
    /// `WouldBlock`.
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
    /// socket.writable().await?;
    /// assert_eq!(socket.try_send(b"hello")?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn writable(&self) -> io::Result<()> {
        self.registered().writable().await
    }

    /// Polls until a write is worth a try. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registered().poll_write_ready(cx)
    }

    /// Does `f`, an operation on this socket, once, if the socket seems ready for some of
    /// `interest`.
    ///
    /// If `f` gives `WouldBlock`, the socket no longer counts as ready for `interest`. So `f` must
    /// give it only if the socket did; otherwise a later wait may last for ever.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the socket does not seem ready. Other errors
    /// are those of `f`.
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
    /// # #[cfg(unix)]
    /// # {
    /// use heist::io::Interest;
    /// use socket2::SockRef;
    ///
    /// socket.writable().await?;
    /// // An operation that heist does not have: a send with flags.
    /// let send = || SockRef::from(&socket).send_with_flags(b"hello", libc::MSG_NOSIGNAL);
    /// assert_eq!(socket.try_io(Interest::WRITABLE, send)?, 5);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_io<R>(&self, interest: Interest, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.registered().try_io(interest, f)
    }

    /// Does `f`, an operation on this socket, each time the socket seems ready for some of
    /// `interest`, until `f` no longer gives `WouldBlock`.
    ///
    /// For `f`, the rule of [`try_io`](Self::try_io) holds.
    ///
    /// # Errors
    ///
    /// Those of `f`, or that the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, each call of `f` so far has given `WouldBlock`.
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
    /// # #[cfg(unix)]
    /// # {
    /// use heist::io::Interest;
    /// use socket2::SockRef;
    ///
    /// // An operation that heist does not have: a send with flags.
    /// let send = || SockRef::from(&socket).send_with_flags(b"hello", libc::MSG_NOSIGNAL);
    /// assert_eq!(socket.async_io(Interest::WRITABLE, send).await?, 5);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn async_io<R>(&self, interest: Interest, f: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.registered().async_io(interest, f).await
    }
}

impl UdpSocket {
    /// Registers a socket with a reactor. Until it proves otherwise, it counts as ready for
    /// `presumed`.
    pub(super) fn register_on(
        reactor: &Arc<Reactor>,
        socket: sockets::UdpSocket,
        presumed: Ready,
    ) -> io::Result<UdpSocket> {
        let io = Registered::new(Arc::clone(reactor), socket, presumed)?;
        Ok(UdpSocket { io })
    }

    pub(super) fn registered(&self) -> &Registered<sockets::UdpSocket> {
        &self.io
    }

    /// Binds a socket. A fresh one has room to send.
    pub(super) fn bind_on(reactor: &Arc<Reactor>, addr: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::register_on(reactor, sockets::UdpSocket::bind(addr)?, Ready::WRITABLE)
    }
}

impl TryFrom<std::net::UdpSocket> for UdpSocket {
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
    fn try_from(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        UdpSocket::from_std(socket)
    }
}
