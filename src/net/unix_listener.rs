//! A unix socket that accepts connections.

use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use super::blocking_mode;
use super::unix_addr::{SocketAddr, address_of_path};
use super::unix_stream::UnixStream;
use crate::context;
use crate::primitive::Arc;
use crate::reactor::{Direction, Interest, Opaque, Reactor, Ready, Registered};

/// A unix socket that accepts connections.
///
/// The file at its path stays when the listener is dropped. Remove it before binding again.
///
/// # Examples
///
/// ```
/// use heist::net::{UnixListener, UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("heist-listener-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("socket");
/// heist::runtime::Runtime::new()?.block_on(async {
///     let listener = UnixListener::bind(&path)?;
///     let client = UnixStream::connect(&path).await?;
///     let (_server, from) = listener.accept().await?;
///     assert!(from.is_unnamed());
///     assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path));
///     # std::fs::remove_dir_all(&folder)?;
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct UnixListener {
    io: Registered<mio::net::UnixListener>,
}

impl UnixListener {
    /// Listens at `path`, where no file may exist yet. On Linux, a path that begins with a zero
    /// byte is a name in the abstract namespace, which needs no file.
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
    /// # let name = format!("heist-net-7-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// let listener = heist::net::UnixListener::bind(&path)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        let reactor = context::reactor();
        let address = address_of_path(path.as_ref())?;
        UnixListener::register_on(&reactor, mio::net::UnixListener::bind_addr(&address)?, Ready::EMPTY)
    }

    /// Listens at an address, which may be one of the abstract namespace.
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
    /// # let name = format!("heist-net-8-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// use std::os::unix::net::SocketAddr;
    ///
    /// let address = SocketAddr::from_pathname(&path)?.into();
    /// let listener = heist::net::UnixListener::bind_addr(&address)?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let reactor = context::reactor();
        UnixListener::register_on(&reactor, mio::net::UnixListener::bind_addr(&address.0)?, Ready::EMPTY)
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
    /// # let path = std::env::temp_dir().join(format!("heist-std-0-{}", std::process::id()));
    /// let std = std::os::unix::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::UnixListener::from_std(std)?;
    /// assert!(socket.local_addr().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(socket: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        let reactor = context::reactor();
        blocking_mode::refuse(&socket)?;
        UnixListener::register_on(&reactor, mio::net::UnixListener::from_std(socket), Ready::EMPTY)
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
    /// # let path = std::env::temp_dir().join(format!("heist-std-1-{}", std::process::id()));
    /// let std = std::os::unix::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::UnixListener::from_std(std)?;
    /// let std = socket.into_std()?;
    /// std.set_nonblocking(false)?; // for use without a runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        Ok(self.io.into_io()?.into())
    }

    /// Accepts a connection, and returns its stream and the address of the peer. Any number of
    /// tasks may accept at once.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down. An error
    /// such as "too many open files" does not end the listener.
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
    /// # let name = format!("heist-net-9-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// # let listener = heist::net::UnixListener::bind(&path)?;
    /// # let _client = heist::net::UnixStream::connect(&path).await?;
    /// let (stream, from) = listener.accept().await?;
    /// assert!(from.is_unnamed()); // most clients have no name
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let accept = || self.io.io().accept().map(Opaque);
        let Opaque((stream, from)) = self.io.source().io(Interest::READABLE, accept).await?;
        Ok((UnixStream::from_accepted(self.io.reactor(), stream)?, SocketAddr(from)))
    }

    /// Polls for a connection. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](UnixListener::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let name = format!("heist-net-10-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// # let listener = heist::net::UnixListener::bind(&path)?;
    /// # let _client = heist::net::UnixStream::connect(&path).await?;
    /// let (stream, from) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accept = || self.io.io().accept().map(Opaque);
        self.io.source().poll_io(Direction::Read, cx, accept).map(|accepted| {
            let Opaque((stream, from)) = accepted?;
            Ok((UnixStream::from_accepted(self.io.reactor(), stream)?, SocketAddr(from)))
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
    /// # let name = format!("heist-net-11-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// # let listener = heist::net::UnixListener::bind(&path)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.io().local_addr().map(SocketAddr)
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
    /// # let name = format!("heist-net-12-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// # let listener = heist::net::UnixListener::bind(&path)?;
    /// assert!(listener.take_error()?.is_none()); // nothing has gone wrong
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.io().take_error()
    }
}

impl UnixListener {
    /// Registers a socket with a reactor. Until it proves otherwise, it counts as ready for
    /// `presumed`.
    pub(super) fn register_on(
        reactor: &Arc<Reactor>,
        socket: mio::net::UnixListener,
        presumed: Ready,
    ) -> io::Result<UnixListener> {
        let io = Registered::new(Arc::clone(reactor), socket, presumed)?;
        Ok(UnixListener { io })
    }

    pub(super) fn registered(&self) -> &Registered<mio::net::UnixListener> {
        &self.io
    }
}

impl TryFrom<std::os::unix::net::UnixListener> for UnixListener {
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
    fn try_from(socket: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::from_std(socket)
    }
}
