//! A TCP connection.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;

use super::addr::{ToSocketAddrs, addresses};
use super::bytes::{reads, writes};
use super::methods::{own_operations, readable, ready, socket, std_forms, wired, writable};
use super::mio_socket::{Closing, HasMioSocket, end_writing};
use super::options::ip_options;
use crate::context;
use crate::reactor::{Direction, Interest, Reactor, Ready, Registered};
use crate::sync::Arc;

/// A TCP connection.
///
/// Reading and writing at the same time is done through its halves ([`split`](TcpStream::split),
/// [`into_split`](TcpStream::into_split)), or through what takes `&self`: any number of tasks may wait for readiness and then
/// `try_`. The `poll_` functions and the I/O traits keep one waiting task per direction, the latest.
///
/// Dropping it closes the connection.
///
/// # Examples
///
/// ```
/// use heist::net::TcpStream;
///
/// # heist::runtime::Runtime::new()?.block_on(async {
/// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// # heist::spawn(async move {
/// #     let (mut server, _) = listener.accept().await?;
/// #     server.read_exact(&mut [0; 19]).await?;
/// #     server.write_all(b"HTTP/1.0 200 OK").await
/// # });
/// let mut stream = TcpStream::connect(address).await?;
/// stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await?;
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer).await?;
/// assert!(answer.starts_with("HTTP/1.0 200"));
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpStream {
    io: Registered<mio::net::TcpStream>,
}

socket!(TcpStream, mio::net::TcpStream);
wired!(TcpStream, mio::net::TcpStream, self => &self.io);
std_forms!(
    TcpStream,
    std::net::TcpStream,
    mio::net::TcpStream,
    "let listener = std::net::TcpListener::bind(\"127.0.0.1:0\")?;\nlet std = std::net::TcpStream::connect(listener.local_addr()?)?;"
);
ready!(TcpStream, tcp_stream);
readable!(TcpStream, tcp_stream, poll_read_ready);
writable!(TcpStream, tcp_stream, poll_write_ready);
own_operations!(TcpStream, tcp_stream);
reads!(TcpStream, tcp_stream);
writes!(TcpStream, tcp_stream);
ip_options!(TcpStream, tcp_stream);

impl TcpStream {
    /// Connects to `addr`; of several addresses to the first that answers.
    ///
    /// # Errors
    ///
    /// The last address's error if none answers.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt is given up, and the socket closed.
    ///
    #[doc = crate::net::doc_examples::set!(nothing)]
    /// use heist::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?; // or a name: `TcpStream::connect("example.com:80")`
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    #[doc = crate::net::doc_examples::end!()]
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let reactor = context::reactor();
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in addresses(addr).await? {
            result = TcpStream::connect_on(&reactor, addr).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    pub(super) async fn connect_on(reactor: &Arc<Reactor>, addr: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connecting(reactor, mio::net::TcpStream::connect(addr)?).await
    }

    /// A stream that has begun to connect.
    pub(super) async fn connecting(reactor: &Arc<Reactor>, stream: mio::net::TcpStream) -> io::Result<TcpStream> {
        let stream = TcpStream::on(reactor, stream, Ready::EMPTY)?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// A fresh connection is written to, or has been already, before anybody hears of it.
    pub(super) fn accepted(reactor: &Arc<Reactor>, stream: mio::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::on(reactor, stream, Ready::READABLE | Ready::WRITABLE)
    }

    pub(super) fn half_close(&self) -> io::Result<()> {
        end_writing(|how| self.mio().shutdown(how))
    }

    /// Reads the bytes that are available without consuming them, waiting until there are some. Returns how many bytes were read. If `buf` is empty,
    /// returns 0 at once.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// there.write_all(b"hello").await?;
    /// let mut first = [0; 1];
    /// here.peek(&mut first).await?;
    /// assert_eq!(&first, b"h"); // and it is still to be read
    #[doc = crate::net::doc_examples::end!()]
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.try_until_done(Interest::READABLE, || self.mio().peek(buf)).await
    }

    /// Polls for what [`peek`](TcpStream::peek) waits for. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// there.write_all(b"hello").await?;
    /// let mut first = [0; 1];
    /// std::future::poll_fn(|cx| here.poll_peek(cx, &mut first)).await?;
    /// assert_eq!(&first, b"h");
    #[doc = crate::net::doc_examples::end!()]
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_once(Direction::Read, cx, || self.mio().peek(buf))
    }
}

impl Closing for TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.half_close()
    }
}

impl Closing for &TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.half_close()
    }
}

/// Options of the socket. Each gives the operating system's error if it refuses.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl TcpStream {
    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// assert!(!here.nodelay()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn nodelay(&self) -> io::Result<bool> {
        self.mio().nodelay()
    }

    /// Sends small writes at once (`TCP_NODELAY`), or collects them.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// here.set_nodelay(true)?; // for answers that are short and awaited
    /// assert!(here.nodelay()?);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.mio().set_nodelay(nodelay)
    }

    /// How long closing waits for unsent data (`SO_LINGER`); `None` if it does not wait.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// assert_eq!(here.linger()?, None);
    #[doc = crate::net::doc_examples::end!()]
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.mio()).linger()
    }

    /// Sets how long closing waits for unsent data (`SO_LINGER`). A wait blocks the thread that drops the stream. A zero wait
    /// discards unsent data and resets the connection. The operating system counts whole seconds: a fraction of a second is rounded up.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// use std::time::Duration;
    ///
    /// here.set_linger(Some(Duration::from_secs(1)))?;
    /// assert_eq!(here.linger()?, Some(Duration::from_secs(1)));
    /// # here.set_linger(None)?;
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.mio()).set_linger(super::bounds::linger(linger))
    }

    /// Throws unsent data away and resets the connection when it is closed.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// here.set_zero_linger()?;
    /// drop(here); // no good-bye: a reset
    /// let error = there.read(&mut [0; 1]).await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    #[doc = crate::net::doc_examples::end!()]
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Whether acknowledgements are sent at once (`TCP_QUICKACK`).
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// println!("at once: {}", here.quickack()?);
    #[doc = crate::net::doc_examples::end!()]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self.mio()).tcp_quickack()
    }

    /// Sends acknowledgements at once (`TCP_QUICKACK`), or when they suit. The kernel may change it back by itself.
    ///
    #[doc = crate::net::doc_examples::set!(tcp_stream)]
    /// here.set_quickack(true)?;
    /// assert!(here.quickack()?);
    #[doc = crate::net::doc_examples::end!()]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self.mio()).set_tcp_quickack(quickack)
    }
}

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}
