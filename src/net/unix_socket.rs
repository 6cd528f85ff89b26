//! A unix socket that neither listens nor is connected yet.

use std::path::Path;
use std::{fmt, io};

use socket2::{Domain, SockAddr, Socket, Type};

use super::blocking_mode;
use super::options::raw_socket;
use super::unix_datagram::UnixDatagram;
use super::unix_listener::UnixListener;
use super::unix_stream::UnixStream;
use crate::context;
use crate::reactor::Ready;

/// A unix socket that neither listens nor is connected yet.
///
/// A stream socket becomes a [`UnixStream`] by [`connect`](UnixSocket::connect), or a [`UnixListener`] by
/// [`listen`](UnixSocket::listen); a datagram socket a [`UnixDatagram`] by [`datagram`](UnixSocket::datagram).
///
/// # Examples
///
/// ```
/// use heist::net::UnixSocket;
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("heist-socket-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("socket");
/// heist::runtime::Runtime::new()?.block_on(async {
///     let socket = UnixSocket::new_stream()?;
///     socket.bind(&path)?;
///     let listener = socket.listen(64)?;
///     let _client = UnixSocket::new_stream()?.connect(&path).await?;
///     listener.accept().await?;
///     # std::fs::remove_dir_all(&folder)?;
///     Ok(())
/// })
/// # }
/// ```
pub struct UnixSocket {
    socket: Socket,
}

impl UnixSocket {
    /// A socket for connections.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// let socket = heist::net::UnixSocket::new_stream()?;
    /// socket.bind(&path)?;
    /// let listener = socket.listen(64)?;
    #[doc = crate::net::doc_examples::end!()]
    pub fn new_stream() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::STREAM)
    }

    /// A socket for messages.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// let socket = heist::net::UnixSocket::new_datagram()?;
    /// socket.bind(&path)?;
    /// let socket = socket.datagram()?;
    /// assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    #[doc = crate::net::doc_examples::end!()]
    pub fn new_datagram() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::DGRAM)
    }

    fn new(kind: Type) -> io::Result<UnixSocket> {
        let socket = Socket::new(Domain::UNIX, kind, None)?;
        socket.set_nonblocking(true)?;
        Ok(UnixSocket { socket })
    }

    /// Binds it to `path`, where no file may be yet.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// let socket = heist::net::UnixSocket::new_stream()?;
    /// socket.bind(&path)?;
    /// assert!(path.exists());
    #[doc = crate::net::doc_examples::end!()]
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.socket.bind(&SockAddr::unix(path)?)
    }

    /// Listens on it, with room for `backlog` connections that nobody has accepted yet.
    ///
    /// # Errors
    ///
    /// If it is a datagram socket or in blocking mode, or what the operating system says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// let socket = heist::net::UnixSocket::new_stream()?;
    /// socket.bind(&path)?;
    /// let listener = socket.listen(64)?;
    /// # let _client = heist::net::UnixStream::connect(&path).await?;
    /// let (stream, _) = listener.accept().await?;
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        let reactor = context::reactor();
        self.expect_kind(Type::STREAM, "a datagram socket cannot listen: make it with `UnixSocket::new_stream`")?;
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        UnixListener::on(&reactor, mio::net::UnixListener::from_std(self.socket.into()), Ready::EMPTY)
    }

    /// Connects it to the socket at `path`.
    ///
    /// # Errors
    ///
    /// If it is a datagram socket or in blocking mode, or as [`UnixStream::connect`].
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(unix_listener)]
    /// let stream = heist::net::UnixSocket::new_stream()?.connect(&path).await?;
    /// assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
    #[doc = crate::net::doc_examples::end!()]
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let reactor = context::reactor();
        self.expect_kind(
            Type::STREAM,
            "a datagram socket gives no stream: make it with `UnixSocket::new_stream`, or call `datagram`",
        )?;
        match self.socket.connect(&SockAddr::unix(path)?) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        UnixStream::connecting(&reactor, mio::net::UnixStream::from_std(self.socket.into())).await
    }

    /// Makes a [`UnixDatagram`] of it.
    ///
    /// # Errors
    ///
    /// If it is a stream socket or in blocking mode, or what the operating system says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(nothing)]
    /// let socket = heist::net::UnixSocket::new_datagram()?.datagram()?;
    /// assert!(socket.local_addr()?.is_unnamed());
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        let reactor = context::reactor();
        self.expect_kind(Type::DGRAM, "a stream socket carries no messages: make it with `UnixSocket::new_datagram`")?;
        UnixDatagram::fresh(&reactor, mio::net::UnixDatagram::from_std(self.socket.into()))
    }

    fn expect_kind(&self, kind: Type, remedy: &'static str) -> io::Result<()> {
        blocking_mode::refuse(&self.socket)?;
        if self.socket.r#type()? == kind {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, remedy))
    }
}

impl fmt::Debug for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

raw_socket!(UnixSocket);
