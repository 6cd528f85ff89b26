//! A unix socket for messages.

use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::task::{Context, Poll};

use super::blocking_mode;
use super::unix_addr::SocketAddr;
use crate::context;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::reactor::{Interest, Reactor, Ready, Registered};

/// A unix socket for messages.
///
/// [`bind`](UnixDatagram::bind) makes a socket with a path. [`unbound`](UnixDatagram::unbound)
/// makes one that only sends. [`pair`](UnixDatagram::pair) makes two that are connected. Every
/// method takes `&self`, so tasks share the socket in an `Arc`.
///
/// Unlike UDP, nothing is lost on the way: a send waits while the queue of the receiver is full.
/// Linux reports to a *connected* socket when there is room again. For a socket that is not
/// connected, Linux only reports that one of its own messages has been received. So if several
/// sockets share a receiver, connect them to it.
///
/// # Examples
///
/// ```
/// use heist::net::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("heist-datagram-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("socket");
/// heist::runtime::Runtime::new()?.block_on(async {
///     let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
///     client.send_to(b"hello", &path).await?;
///     let mut buf = [0; 16];
///     let (count, from) = server.recv_from(&mut buf).await?;
///     assert_eq!(&buf[..count], b"hello");
///     assert!(from.is_unnamed());
///     # std::fs::remove_dir_all(&folder)?;
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct UnixDatagram {
    io: Registered<mio::net::UnixDatagram>,
    /// Set when receiving has been shut down. Linux answers a non-blocking receive as if a message
    /// could still come.
    is_read_shut_down: AtomicBool,
}

/// Making, connecting and converting.
impl UnixDatagram {
    /// Makes a socket with the address `path`, where no file may exist yet. The file stays when the
    /// socket is dropped.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
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
    /// # let name = format!("heist-net-3-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// let server = heist::net::UnixDatagram::bind(&path)?;
    /// assert_eq!(server.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        UnixDatagram::register_fresh(&context::reactor(), mio::net::UnixDatagram::bind(path)?)
    }

    /// Makes a socket without an address of its own. It sends, and receives only from the peer that
    /// it is connected to.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
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
    /// # let name = format!("heist-net-4-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// use heist::net::UnixDatagram;
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.send_to(b"hello", &path).await?;
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::register_fresh(&context::reactor(), mio::net::UnixDatagram::unbound()?)
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
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
    /// let (socket, peer) = heist::net::UnixDatagram::pair()?;
    /// socket.send(b"hello").await?;
    /// assert_eq!(peer.recv(&mut [0; 16]).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        UnixDatagram::pair_on(&context::reactor())
    }

    /// Makes the socket at `path` the peer. [`send`](UnixDatagram::send) sends there, and only
    /// messages from there are received.
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
    /// # let name = format!("heist-net-5-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// use heist::net::UnixDatagram;
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.connect(&path)?;
    /// client.send(b"hello").await?;
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.io.io().connect(path)
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
    /// let (std, _peer) = std::os::unix::net::UnixDatagram::pair()?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::UnixDatagram::from_std(std)?;
    /// assert!(socket.local_addr().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        let reactor = context::reactor();
        blocking_mode::refuse(&socket)?;
        UnixDatagram::register_on(&reactor, mio::net::UnixDatagram::from_std(socket), Ready::EMPTY)
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
    /// let (std, _peer) = std::os::unix::net::UnixDatagram::pair()?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::UnixDatagram::from_std(std)?;
    /// let std = socket.into_std()?;
    /// std.set_nonblocking(false)?; // for use without a runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        Ok(self.io.into_io()?.into())
    }
}

/// Readiness, and operations that heist does not have.
impl UnixDatagram {
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
    pub async fn async_io<R>(&self, interest: Interest, f: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.registered().async_io(interest, f).await
    }
}

/// Addresses, errors, the end.
impl UnixDatagram {
    /// Returns the address of the socket.
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
    /// let (socket, peer) = heist::net::UnixDatagram::pair()?;
    /// assert!(socket.local_addr()?.is_unnamed()); // a pair has no names
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.io().local_addr().map(SocketAddr)
    }

    /// Returns the address that the socket is connected to.
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
    /// let (socket, peer) = heist::net::UnixDatagram::pair()?;
    /// assert!(socket.peer_addr()?.is_unnamed()); // a pair has no names
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.io().peer_addr().map(SocketAddr)
    }

    /// Takes the error that is pending on the socket, and returns it.
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
    /// let (socket, peer) = heist::net::UnixDatagram::pair()?;
    /// assert!(socket.take_error()?.is_none()); // nothing has gone wrong
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.io().take_error()
    }

    /// Shuts one direction down, or both.
    ///
    /// A task that waits for a message is woken. A receive gives the messages that have come, and
    /// then 0 bytes.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, such as that the socket is not connected.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use std::net::Shutdown;
    ///
    /// let (socket, peer) = heist::net::UnixDatagram::pair()?;
    /// peer.send(b"the last words").await?;
    /// socket.shutdown(Shutdown::Read)?;
    /// assert_eq!(socket.recv(&mut [0; 16]).await?, 14);
    /// assert_eq!(socket.recv(&mut [0; 16]).await?, 0); // and nothing after that
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.io().shutdown(how)?;
        if how != Shutdown::Write {
            // Ordering: Release — pairs with the Acquire in `UnixDatagram::is_at_end`: the
            // direction is shut down. A task that the shutdown has woken before this store sees it
            // at its next try.
            self.is_read_shut_down.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl UnixDatagram {
    /// Registers a socket with a reactor. Until it proves otherwise, it counts as ready for
    /// `presumed`.
    pub(super) fn register_on(
        reactor: &Arc<Reactor>,
        socket: mio::net::UnixDatagram,
        presumed: Ready,
    ) -> io::Result<UnixDatagram> {
        let io = Registered::new(Arc::clone(reactor), socket, presumed)?;
        Ok(UnixDatagram { io, is_read_shut_down: AtomicBool::new(false) })
    }

    /// Registers a fresh socket, which has room to send.
    pub(super) fn register_fresh(reactor: &Arc<Reactor>, socket: mio::net::UnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::register_on(reactor, socket, Ready::WRITABLE)
    }

    pub(super) fn pair_on(reactor: &Arc<Reactor>) -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (first, second) = mio::net::UnixDatagram::pair()?;
        Ok((UnixDatagram::register_fresh(reactor, first)?, UnixDatagram::register_fresh(reactor, second)?))
    }

    pub(super) fn registered(&self) -> &Registered<mio::net::UnixDatagram> {
        &self.io
    }

    /// Receives once, without waiting.
    pub(super) fn recv_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.io.io().recv(buf) {
            Err(error) if self.is_at_end(&error) => Ok(0),
            result => result,
        }
    }

    /// Receives once, without waiting. At the end the sender has no name, as in a blocking receive.
    pub(super) fn recv_from_now(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.io.io().recv_from(buf) {
            Err(error) if self.is_at_end(&error) => {
                Ok((0, SocketAddr(mio::net::UnixDatagram::unbound()?.local_addr()?)))
            }
            result => result.map(|(count, address)| (count, SocketAddr(address))),
        }
    }

    /// Returns true if `error` means that no message will come any more.
    fn is_at_end(&self, error: &io::Error) -> bool {
        // Ordering: Acquire — pairs with the Release in `UnixDatagram::shutdown`: the direction is
        // shut down.
        error.kind() == io::ErrorKind::WouldBlock && self.is_read_shut_down.load(Ordering::Acquire)
    }
}

impl TryFrom<std::os::unix::net::UnixDatagram> for UnixDatagram {
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
    fn try_from(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(socket)
    }
}
