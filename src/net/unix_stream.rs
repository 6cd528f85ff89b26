//! A connection between processes of one machine.

use std::io;
use std::path::Path;

use super::bytes::{reads, writes};
use super::halves::halves;
use super::methods::{own_operations, readable, ready, socket, std_forms, wired, writable};
use super::mio_socket::{Closing, HasMioSocket, end_writing};
use super::unix_addr::{SocketAddr, UCred, named_by};
use crate::context;
use crate::reactor::{Reactor, Ready, Registered};
use crate::sync::Arc;

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

socket!(UnixStream, mio::net::UnixStream);
wired!(UnixStream, mio::net::UnixStream, self => &self.io);
std_forms!(
    UnixStream,
    std::os::unix::net::UnixStream,
    mio::net::UnixStream,
    "let (std, _peer) = std::os::unix::net::UnixStream::pair()?;"
);
ready!(UnixStream, unix_stream);
readable!(UnixStream, unix_stream, poll_read_ready);
writable!(UnixStream, unix_stream, poll_write_ready);
own_operations!(UnixStream, unix_stream);
reads!(UnixStream, unix_stream);
writes!(UnixStream, unix_stream);
halves!(
    UnixStream,
    SocketAddr,
    mio::net::UnixStream,
    unix_stream,
    [unix_read_half, unix_write_half, unix_owned_read_half, unix_owned_write_half]
);

impl UnixStream {
    /// Connects to the socket at `path`. On Linux a path that begins with a zero byte is a name in the abstract namespace.
    ///
    /// # Errors
    ///
    /// What the operating system says. If the listener's backlog is full, that is
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) on Linux: the kernel does not tell when there is room again, so wait a
    /// little and try again.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(unix_listener)]
    /// let stream = heist::net::UnixStream::connect(&path).await?;
    /// assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
    #[doc = crate::net::doc_examples::end!()]
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        let reactor = context::reactor();
        UnixStream::connecting(&reactor, mio::net::UnixStream::connect_addr(&named_by(path.as_ref())?)?).await
    }

    /// Connects to an address, which may be one of the abstract namespace.
    ///
    /// # Errors
    ///
    /// As [`connect`](UnixStream::connect).
    ///
    /// # Panics
    ///
    /// As [`connect`](UnixStream::connect).
    ///
    #[doc = crate::net::doc_examples::set!(unix_listener)]
    /// let stream = heist::net::UnixStream::connect_addr(&here.local_addr()?).await?;
    /// assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
    #[doc = crate::net::doc_examples::end!()]
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let reactor = context::reactor();
        UnixStream::connecting(&reactor, mio::net::UnixStream::connect_addr(&address.0)?).await
    }

    /// A stream that has begun to connect.
    pub(super) async fn connecting(reactor: &Arc<Reactor>, stream: mio::net::UnixStream) -> io::Result<UnixStream> {
        let stream = UnixStream::on(reactor, stream, Ready::EMPTY)?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// here.write_all(b"hello").await?;
    /// there.read_exact(&mut [0; 5]).await?;
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        UnixStream::pair_on(&context::reactor())
    }

    pub(super) fn pair_on(reactor: &Arc<Reactor>) -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = mio::net::UnixStream::pair()?;
        Ok((UnixStream::on(reactor, one, Ready::WRITABLE)?, UnixStream::on(reactor, other, Ready::WRITABLE)?))
    }

    pub(super) fn half_close(&self) -> io::Result<()> {
        end_writing(|how| self.mio().shutdown(how))
    }

    /// This end's address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// assert!(here.local_addr()?.is_unnamed()); // a pair has no names
    #[doc = crate::net::doc_examples::end!()]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.mio().local_addr().map(SocketAddr)
    }

    /// The other end's address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// assert!(here.peer_addr()?.is_unnamed()); // a pair has no names
    #[doc = crate::net::doc_examples::end!()]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.mio().peer_addr().map(SocketAddr)
    }

    /// Who is at the other end.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// println!("user {}, process {:?}", here.peer_cred()?.uid(), here.peer_cred()?.pid());
    #[doc = crate::net::doc_examples::end!()]
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of_peer(self.mio())
    }

    /// The error that is pending on the socket, which takes it away.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// assert!(here.take_error()?.is_none()); // nothing has gone wrong
    #[doc = crate::net::doc_examples::end!()]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.mio().take_error()
    }
}

impl Closing for UnixStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.half_close()
    }
}

impl Closing for &UnixStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.half_close()
    }
}

impl AsRef<UnixStream> for UnixStream {
    fn as_ref(&self) -> &UnixStream {
        self
    }
}
