//! A unix socket that accepts connections.

use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use super::methods::{socket, std_forms};
use super::unix_addr::{SocketAddr, named_by};
use super::unix_stream::UnixStream;
use crate::context;
use crate::reactor::{Direction, Interest, Opaque, Reactor, Ready, Registered};
use crate::sync::Arc;

/// A unix socket that accepts connections.
///
/// The file at its path stays when it is dropped: remove it before binding again.
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

socket!(UnixListener, mio::net::UnixListener);
std_forms!(
    UnixListener,
    std::os::unix::net::UnixListener,
    mio::net::UnixListener,
    "# let path = std::env::temp_dir().join(format!(\"heist-std-{}\", std::process::id()));\n\
     let std = std::os::unix::net::UnixListener::bind(&path)?;\n\
     # std::fs::remove_file(&path)?;"
);

impl UnixListener {
    /// Listens at `path`, where no file may be yet. On Linux a path that begins with a zero byte is a name in the abstract
    /// namespace, which needs no file.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// let listener = heist::net::UnixListener::bind(&path)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        let reactor = context::reactor();
        UnixListener::on(&reactor, mio::net::UnixListener::bind_addr(&named_by(path.as_ref())?)?, Ready::EMPTY)
    }

    /// Listens at an address, which may be one of the abstract namespace.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// use std::os::unix::net::SocketAddr;
    ///
    /// let address = SocketAddr::from_pathname(&path)?.into();
    /// let listener = heist::net::UnixListener::bind_addr(&address)?;
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let reactor = context::reactor();
        UnixListener::on(&reactor, mio::net::UnixListener::bind_addr(&address.0)?, Ready::EMPTY)
    }

    /// Accepts a connection; answers with its stream and the peer's address. Any number of tasks may accept at once.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the runtime has been shut down. An error such as "too many open files" does
    /// not end the listener.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no connection has been accepted.
    ///
    #[doc = crate::net::doc_examples::set!(unix_listener)]
    /// let (stream, from) = here.accept().await?;
    /// assert!(from.is_unnamed()); // clients have no names as a rule
    #[doc = crate::net::doc_examples::end!()]
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let Opaque(accepted) = self.io.source().io(Interest::READABLE, || self.io.io().accept().map(Opaque)).await?;
        taken_in(self.io.reactor(), accepted)
    }

    /// Polls for a connection. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](UnixListener::accept).
    ///
    #[doc = crate::net::doc_examples::set!(unix_listener)]
    /// let (stream, from) = std::future::poll_fn(|cx| here.poll_accept(cx)).await?;
    #[doc = crate::net::doc_examples::end!()]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accepted = self.io.source().poll_io(Direction::Read, cx, || self.io.io().accept().map(Opaque));
        accepted.map(|accepted| taken_in(self.io.reactor(), accepted?.0))
    }

    /// The address it listens at.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_listener)]
    /// assert_eq!(here.local_addr()?.as_pathname(), Some(&*path));
    #[doc = crate::net::doc_examples::end!()]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.io().local_addr().map(SocketAddr)
    }

    /// The error that is pending on the socket, which takes it away.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_listener)]
    /// assert!(here.take_error()?.is_none()); // nothing has gone wrong
    #[doc = crate::net::doc_examples::end!()]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.io().take_error()
    }
}

/// A fresh connection is written to, or has been already, before anybody hears of it.
fn taken_in(
    reactor: &Arc<Reactor>,
    (stream, from): (mio::net::UnixStream, std::os::unix::net::SocketAddr),
) -> io::Result<(UnixStream, SocketAddr)> {
    let stream = UnixStream::on(reactor, stream, Ready::READABLE | Ready::WRITABLE)?;
    Ok((stream, SocketAddr(from)))
}
