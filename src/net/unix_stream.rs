//! A connection between processes of one machine.

use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use super::unix_addr::{SocketAddr, UCred, address_of_path};
use super::unix_split::{ReadHalf, WriteHalf};
use super::unix_split_owned::{self, OwnedReadHalf, OwnedWriteHalf};
use super::{blocking_mode, mio_socket};
use crate::context;
use crate::primitive::Arc;
use crate::reactor::{Interest, Reactor, Ready, Registered};

/// A connection between processes of one machine, by way of a path.
///
/// It is used as a [`TcpStream`](crate::net::TcpStream) is. Dropping it closes the connection.
///
/// # Examples
///
/// ```
/// use heist::net::{UnixListener, UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("heist-stream-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("socket");
/// heist::runtime::Runtime::new()?.block_on(async {
///     let listener = UnixListener::bind(&path)?;
///     let mut client = UnixStream::connect(&path).await?;
///     let (mut server, _) = listener.accept().await?;
///     server.write_all(b"hello").await?;
///     let mut greeting = [0; 5];
///     client.read_exact(&mut greeting).await?;
///     assert_eq!(&greeting, b"hello");
///     assert_eq!(client.peer_cred()?.uid(), server.peer_cred()?.uid());
///     # std::fs::remove_dir_all(&folder)?;
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct UnixStream {
    io: Registered<mio::net::UnixStream>,
}

/// Making, converting and splitting.
impl UnixStream {
    /// Connects to the socket at `path`. On Linux, a path that begins with a zero byte is a name in
    /// the abstract namespace.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    ///
    /// On Linux, the error is [`WouldBlock`](io::ErrorKind::WouldBlock) if the backlog of the
    /// listener is full. The kernel does not report when there is room again: wait a little, and
    /// try again.
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
    /// # let name = format!("heist-net-1-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// # let listener = heist::net::UnixListener::bind(&path)?;
    /// let stream = heist::net::UnixStream::connect(&path).await?;
    /// assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        let reactor = context::reactor();
        let address = address_of_path(path.as_ref())?;
        UnixStream::finish_connect(&reactor, mio::net::UnixStream::connect_addr(&address)?).await
    }

    /// Connects to an address, which may be one of the abstract namespace.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](UnixStream::connect).
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
    /// # let name = format!("heist-net-2-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// # let listener = heist::net::UnixListener::bind(&path)?;
    /// let stream = heist::net::UnixStream::connect_addr(&listener.local_addr()?).await?;
    /// assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let reactor = context::reactor();
        UnixStream::finish_connect(&reactor, mio::net::UnixStream::connect_addr(&address.0)?).await
    }

    /// Makes two streams that are connected to each other.
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
    /// let (mut stream, mut peer) = heist::net::UnixStream::pair()?;
    /// stream.write_all(b"hello").await?;
    /// peer.read_exact(&mut [0; 5]).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        UnixStream::pair_on(&context::reactor())
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
    /// let (std, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::UnixStream::from_std(std)?;
    /// assert!(socket.local_addr().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(socket: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        let reactor = context::reactor();
        blocking_mode::refuse(&socket)?;
        UnixStream::register_on(&reactor, mio::net::UnixStream::from_std(socket), Ready::EMPTY)
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
    /// let (std, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::UnixStream::from_std(std)?;
    /// let std = socket.into_std()?;
    /// std.set_nonblocking(false)?; // for use without a runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        Ok(self.io.into_io()?.into())
    }

    /// Splits the stream into a reading and a writing half, for use within one task.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut stream, mut peer) = heist::net::UnixStream::pair()?;
    /// let (mut read, mut write) = stream.split();
    /// peer.write_all(b"ping").await?;
    /// let mut got = [0; 4];
    /// // Both halves at once, in one task.
    /// let (sent, received) = futures::join!(write.write_all(b"pong"), read.read_exact(&mut got));
    /// sent?;
    /// assert_eq!((received?, &got), (4, b"ping"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Splits the stream into a reading and a writing half, which can go to different tasks.
    ///
    /// Dropping the writing half shuts the writing direction down.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut stream, mut peer) = heist::net::UnixStream::pair()?;
    /// let (mut read, mut write) = stream.into_split();
    /// let writing = heist::spawn(async move { write.write_all(b"hello").await });
    /// writing.await??; // the writing half has been dropped by now: the peer reads the end
    /// let mut text = String::new();
    /// peer.read_to_string(&mut text).await?;
    /// assert_eq!(text, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        unix_split_owned::split(self)
    }
}

/// Readiness, and operations that heist does not have.
impl UnixStream {
    /// Waits until the stream is ready for some of `interest`, and returns what of it the stream is
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
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registered().poll_write_ready(cx)
    }

    /// Does `f`, an operation on this stream, once, if the stream seems ready for some of
    /// `interest`.
    ///
    /// If `f` gives `WouldBlock`, the stream no longer counts as ready for `interest`. So `f` must
    /// give it only if the stream did; otherwise a later wait may last for ever.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the stream does not seem ready. Other errors
    /// are those of `f`.
    pub fn try_io<R>(&self, interest: Interest, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.registered().try_io(interest, f)
    }

    /// Does `f`, an operation on this stream, each time the stream seems ready for some of
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

/// Addresses, credentials, errors.
impl UnixStream {
    /// Returns the address of this end.
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
    /// let (mut stream, mut peer) = heist::net::UnixStream::pair()?;
    /// assert!(stream.local_addr()?.is_unnamed()); // a pair has no names
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.io().local_addr().map(SocketAddr)
    }

    /// Returns the address of the other end.
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
    /// let (mut stream, mut peer) = heist::net::UnixStream::pair()?;
    /// assert!(stream.peer_addr()?.is_unnamed()); // a pair has no names
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.io().peer_addr().map(SocketAddr)
    }

    /// Returns the user, the group and the process of the other end.
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
    /// let (mut stream, mut peer) = heist::net::UnixStream::pair()?;
    /// let peer = stream.peer_cred()?;
    /// println!("user {}, process {:?}", peer.uid(), peer.pid());
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of_peer(self.io.io())
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
    /// let (mut stream, mut peer) = heist::net::UnixStream::pair()?;
    /// assert!(stream.take_error()?.is_none()); // nothing has gone wrong
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.io().take_error()
    }
}

impl UnixStream {
    /// Registers a socket with a reactor. Until it proves otherwise, it counts as ready for
    /// `presumed`.
    pub(super) fn register_on(
        reactor: &Arc<Reactor>,
        socket: mio::net::UnixStream,
        presumed: Ready,
    ) -> io::Result<UnixStream> {
        let io = Registered::new(Arc::clone(reactor), socket, presumed)?;
        Ok(UnixStream { io })
    }

    pub(super) fn registered(&self) -> &Registered<mio::net::UnixStream> {
        &self.io
    }

    /// Waits until a connection attempt that has begun is complete.
    pub(super) async fn finish_connect(reactor: &Arc<Reactor>, stream: mio::net::UnixStream) -> io::Result<UnixStream> {
        let stream = UnixStream::register_on(reactor, stream, Ready::EMPTY)?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Registers an accepted connection. It has room for writes, and may have bytes to read before
    /// the first event.
    pub(super) fn from_accepted(reactor: &Arc<Reactor>, stream: mio::net::UnixStream) -> io::Result<UnixStream> {
        UnixStream::register_on(reactor, stream, Ready::READABLE | Ready::WRITABLE)
    }

    pub(super) fn pair_on(reactor: &Arc<Reactor>) -> io::Result<(UnixStream, UnixStream)> {
        let (first, second) = mio::net::UnixStream::pair()?;
        let first = UnixStream::register_on(reactor, first, Ready::WRITABLE)?;
        let second = UnixStream::register_on(reactor, second, Ready::WRITABLE)?;
        Ok((first, second))
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        mio_socket::shutdown_write(|how| self.io.io().shutdown(how))
    }
}

impl AsRef<UnixStream> for UnixStream {
    fn as_ref(&self) -> &UnixStream {
        self
    }
}

impl TryFrom<std::os::unix::net::UnixStream> for UnixStream {
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
    fn try_from(socket: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        UnixStream::from_std(socket)
    }
}
