//! A socket that accepts connections.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::addr::{ToSocketAddrs, first};
use super::methods::{socket, std_forms};
use super::tcp_stream::TcpStream;
use crate::context;
use crate::reactor::{Direction, Interest, Opaque, Reactor, Ready, Registered};
use crate::sync::Arc;

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
///     println!("{from} is here");
///     heist::spawn(async move { stream.write_all(b"hello\n").await });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    io: Registered<mio::net::TcpListener>,
}

socket!(TcpListener, mio::net::TcpListener);
std_forms!(
    TcpListener,
    std::net::TcpListener,
    mio::net::TcpListener,
    "let std = std::net::TcpListener::bind(\"127.0.0.1:0\")?;"
);

impl TcpListener {
    /// Listens on `addr`; of several addresses on the first that works. Port 0 means any free port.
    ///
    /// On unix `SO_REUSEADDR` is set, so that a server can be started again while old connections linger.
    ///
    /// # Errors
    ///
    /// The last address's error if none works.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::net::doc_examples::set!(nothing)]
    /// use heist::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// println!("listening on {}", listener.local_addr()?);
    #[doc = crate::net::doc_examples::end!()]
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let reactor = context::reactor();
        first(addr, |addr| TcpListener::bind_on(&reactor, addr)).await
    }

    pub(super) fn bind_on(reactor: &Arc<Reactor>, addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::on(reactor, mio::net::TcpListener::bind(addr)?, Ready::EMPTY)
    }

    /// Accepts a connection; answers with its stream and the peer's address.
    ///
    /// Any number of tasks may accept at once. An error such as "too many open files" does not end the listener; a server
    /// that goes on should wait a little first, since the next call would probably fail in the same way.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no connection has been accepted.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_listener)]
    /// # let _client = client.await?;
    /// let (stream, peer) = here.accept().await?;
    /// assert_eq!(stream.peer_addr()?, peer);
    #[doc = crate::net::doc_examples::end!()]
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let Opaque((stream, addr)) =
            self.io.source().io(Interest::READABLE, || self.io.io().accept().map(Opaque)).await?;
        Ok((TcpStream::accepted(self.io.reactor(), stream)?, addr))
    }

    /// Polls for a connection. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::accept`].
    ///
    #[doc = crate::net::doc_examples::set!(tcp_listener)]
    /// # let _client = client.await?;
    /// let (stream, peer) = std::future::poll_fn(|cx| here.poll_accept(cx)).await?;
    /// assert_eq!(stream.peer_addr()?, peer);
    #[doc = crate::net::doc_examples::end!()]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = self.io.source().poll_io(Direction::Read, cx, || self.io.io().accept().map(Opaque));
        accepted.map(|accepted| {
            let Opaque((stream, addr)) = accepted?;
            Ok((TcpStream::accepted(self.io.reactor(), stream)?, addr))
        })
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_listener)]
    /// assert_ne!(here.local_addr()?.port(), 0); // the port that was free
    /// # client.await?;
    #[doc = crate::net::doc_examples::end!()]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.io().local_addr()
    }

    /// The time to live of packets sent from it.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_listener)]
    /// println!("{} hops at most", here.ttl()?);
    /// # client.await?;
    #[doc = crate::net::doc_examples::end!()]
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.io().ttl()
    }

    /// Sets the time to live of packets sent from it.
    ///
    /// # Errors
    ///
    /// What the operating system says; and [`InvalidInput`](io::ErrorKind::InvalidInput) if it is above 255.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_listener)]
    /// here.set_ttl(9)?;
    /// assert_eq!(here.ttl()?, 9);
    /// # client.await?;
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.io().set_ttl(super::bounds::one_byte("set_ttl", ttl)?)
    }
}
