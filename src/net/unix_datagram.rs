//! A unix socket for messages.

use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::task::{Context, Poll};

use super::datagrams::datagrams;
use super::methods::{descriptor, own_operations, readable, ready, std_forms, wired, writable};
use super::mio_socket::HasMioSocket;
use super::unix_addr::SocketAddr;
use crate::context;
use crate::reactor::{Direction, Interest, Reactor, Ready, Registered};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A unix socket for messages.
///
/// [`bind`](UnixDatagram::bind) gives it a path to be reached at, [`unbound`](UnixDatagram::unbound) makes one that only
/// sends, [`pair`](UnixDatagram::pair) two that are connected. Everything takes `&self`, so tasks share it in an `Arc`.
///
/// Unlike UDP, nothing is lost on the way: a send waits while the receiver's queue is full. Linux tells a *connected* socket when
/// there is room again; one that is not hears only of its own messages being received. So connect a socket that shares its
/// receiver with others.
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
    /// Receiving has been shut down. Linux answers a non-blocking receive as if a message could still come.
    is_deaf: AtomicBool,
}

descriptor!(UnixDatagram);
wired!(UnixDatagram, mio::net::UnixDatagram, self => &self.io);
std_forms!(
    UnixDatagram,
    std::os::unix::net::UnixDatagram,
    mio::net::UnixDatagram,
    "let (std, _peer) = std::os::unix::net::UnixDatagram::pair()?;"
);
ready!(UnixDatagram, unix_datagram);
readable!(UnixDatagram, unix_datagram, poll_recv_ready);
writable!(UnixDatagram, unix_datagram, poll_send_ready);
own_operations!(UnixDatagram, unix_datagram);
datagrams!(UnixDatagram, SocketAddr, unix_datagram);

impl UnixDatagram {
    pub(super) fn on(
        reactor: &Arc<Reactor>,
        socket: mio::net::UnixDatagram,
        presumed: Ready,
    ) -> io::Result<UnixDatagram> {
        let io = Registered::new(Arc::clone(reactor), socket, presumed)?;
        Ok(UnixDatagram { io, is_deaf: AtomicBool::new(false) })
    }

    fn receive(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.mio().recv(buf) {
            Err(error) if self.hears_no_more(&error) => Ok(0),
            result => result,
        }
    }

    fn receive_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.mio().recv_from(buf) {
            // From nobody, as a blocking receive says.
            Err(error) if self.hears_no_more(&error) => {
                Ok((0, SocketAddr(mio::net::UnixDatagram::unbound()?.local_addr()?)))
            }
            result => result.map(|(count, address)| (count, SocketAddr(address))),
        }
    }

    fn hears_no_more(&self, error: &io::Error) -> bool {
        // Ordering: Acquire, pairs with the Release in `shutdown`.
        error.kind() == io::ErrorKind::WouldBlock && self.is_deaf.load(Ordering::Acquire)
    }

    /// A socket that is reached at `path`, where no file may be yet. The file stays when the socket is dropped.
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
    /// let server = heist::net::UnixDatagram::bind(&path)?;
    /// assert_eq!(server.local_addr()?.as_pathname(), Some(&*path));
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        UnixDatagram::fresh(&context::reactor(), mio::net::UnixDatagram::bind(path)?)
    }

    /// A socket without an address of its own: it sends, and receives from nobody but the peer it is connected to.
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
    /// use heist::net::UnixDatagram;
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.send_to(b"hello", &path).await?;
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::fresh(&context::reactor(), mio::net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(unix_datagram)]
    /// here.send(b"hello").await?;
    /// assert_eq!(there.recv(&mut [0; 16]).await?, 5);
    #[doc = crate::net::doc_examples::end!()]
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        UnixDatagram::pair_on(&context::reactor())
    }

    pub(super) fn pair_on(reactor: &Arc<Reactor>) -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = mio::net::UnixDatagram::pair()?;
        Ok((UnixDatagram::fresh(reactor, one)?, UnixDatagram::fresh(reactor, other)?))
    }

    /// A fresh socket has room to send.
    pub(super) fn fresh(reactor: &Arc<Reactor>, socket: mio::net::UnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::on(reactor, socket, Ready::WRITABLE)
    }

    /// Makes the socket at `path` the peer: [`send`](UnixDatagram::send) goes there, and only what comes from there is
    /// received.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// use heist::net::UnixDatagram;
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.connect(&path)?;
    /// client.send(b"hello").await?;
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    #[doc = crate::net::doc_examples::end!()]
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.mio().connect(path)
    }

    /// Sends a message to the socket at `target`; answers how many bytes.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// use heist::net::UnixDatagram;
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// assert_eq!(client.send_to(b"hello", &path).await?, 5);
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    #[doc = crate::net::doc_examples::end!()]
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        self.try_until_done(Interest::WRITABLE, || self.mio().send_to(buf, target.as_ref())).await
    }

    /// Polls for what [`send_to`](UnixDatagram::send_to) waits for. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// use heist::net::UnixDatagram;
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// let count = std::future::poll_fn(|cx| client.poll_send_to(cx, b"hello", &path)).await?;
    /// assert_eq!(server.recv(&mut [0; 16]).await?, count);
    #[doc = crate::net::doc_examples::end!()]
    pub fn poll_send_to<P: AsRef<Path>>(&self, cx: &mut Context<'_>, buf: &[u8], target: P) -> Poll<io::Result<usize>> {
        self.poll_once(Direction::Write, cx, || self.mio().send_to(buf, target.as_ref()))
    }

    /// As [`send_to`](UnixDatagram::send_to), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, or as there.
    ///
    #[doc = crate::net::doc_examples::set!(path)]
    /// use heist::net::UnixDatagram;
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// assert_eq!(client.try_send_to(b"hello", &path)?, 5);
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    #[doc = crate::net::doc_examples::end!()]
    pub fn try_send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        self.try_once(Interest::WRITABLE, || self.mio().send_to(buf, target.as_ref()))
    }

    /// The address it is reached at.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_datagram)]
    /// assert!(here.local_addr()?.is_unnamed()); // a pair has no names
    #[doc = crate::net::doc_examples::end!()]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.mio().local_addr().map(SocketAddr)
    }

    /// The address it is connected to.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_datagram)]
    /// assert!(here.peer_addr()?.is_unnamed()); // a pair has no names
    #[doc = crate::net::doc_examples::end!()]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.mio().peer_addr().map(SocketAddr)
    }

    /// The error that is pending on the socket, which takes it away.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(unix_datagram)]
    /// assert!(here.take_error()?.is_none()); // nothing has gone wrong
    #[doc = crate::net::doc_examples::end!()]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.mio().take_error()
    }

    /// Shuts one direction down, or both. Who waits for a message is woken: when all that have come are received, a receive
    /// answers with no bytes.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as that it is not connected.
    ///
    #[doc = crate::net::doc_examples::set!(unix_datagram)]
    /// use std::net::Shutdown;
    ///
    /// there.send(b"the last words").await?;
    /// here.shutdown(Shutdown::Read)?;
    /// assert_eq!(here.recv(&mut [0; 16]).await?, 14);
    /// assert_eq!(here.recv(&mut [0; 16]).await?, 0); // and nothing after that
    #[doc = crate::net::doc_examples::end!()]
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.mio().shutdown(how)?;
        if how != Shutdown::Write {
            // Ordering: Release, pairs with the Acquire in `hears_no_more`. Who is woken before sees it at his next try.
            self.is_deaf.store(true, Ordering::Release);
        }
        Ok(())
    }
}
