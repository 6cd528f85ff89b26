//! A TCP connection.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::addr::{ToSocketAddrs, addresses};
use super::tcp_split::{ReadHalf, WriteHalf};
use super::tcp_split_owned::{self, OwnedReadHalf, OwnedWriteHalf};
use super::{blocking_mode, mio_socket};
use crate::context;
use crate::primitive::{Arc, sockets};
use crate::reactor::{Direction, Interest, Reactor, Ready, Registered};

/// A TCP connection.
///
/// A stream is read and written at the same time in one of two ways. Its halves
/// ([`split`](TcpStream::split), [`into_split`](TcpStream::into_split)) can be used at the same
/// time. The methods that take `&self` can be called by any number of tasks: a task waits for
/// readiness, and then calls a `try_` method. The `poll_` methods and the I/O traits keep one
/// waiting task for each direction: that of the latest call.
///
/// `AsyncRead` and `AsyncWrite` of Tokio need heist's feature `tokio-io`, those of `futures` need
/// `futures-io`, and hyper's `Read` and `Write` need `hyper`. So a crate that takes a stream of
/// Tokio, such as `tokio-rustls`, takes this one.
///
/// Dropping the stream closes the connection.
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
    io: Registered<sockets::TcpStream>,
}

/// Making, converting and splitting.
impl TcpStream {
    /// Connects to `addr`. Of several addresses, the first one that accepts is used.
    ///
    /// # Errors
    ///
    /// If no address accepts: the error of the last one.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt is given up, and the socket is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use heist::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// // A name works as well: `TcpStream::connect("example.com:80")`.
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
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
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let std = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::TcpStream::from_std(std)?;
    /// assert!(socket.local_addr().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(socket: std::net::TcpStream) -> io::Result<TcpStream> {
        let reactor = context::reactor();
        blocking_mode::refuse(&socket)?;
        TcpStream::register_on(&reactor, sockets::TcpStream::from_std(socket), Ready::EMPTY)
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
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let std = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// std.set_nonblocking(true)?;
    /// let socket = heist::net::TcpStream::from_std(std)?;
    /// let std = socket.into_std()?;
    /// std.set_nonblocking(false)?; // for use without a runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        sockets::into_std_stream(self.io.into_io()?)
    }

    /// Splits the stream into a reading and a writing half, for use within one task.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
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
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
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
        tcp_split_owned::split(self)
    }
}

/// Readiness, and operations that heist does not have.
impl TcpStream {
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// use heist::io::Interest;
    ///
    /// assert!(stream.ready(Interest::WRITABLE).await?.is_writable());
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
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// peer.write_all(b"hello").await?;
    /// stream.readable().await?;
    /// assert_eq!(stream.try_read(&mut [0; 16])?, 5);
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// stream.writable().await?;
    /// assert_eq!(stream.try_write(b"hello")?, 5);
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// # #[cfg(unix)]
    /// # {
    /// use heist::io::Interest;
    /// use socket2::SockRef;
    ///
    /// stream.writable().await?;
    /// // An operation that heist does not have: a send with flags.
    /// let send = || SockRef::from(&stream).send_with_flags(b"hello", libc::MSG_NOSIGNAL);
    /// assert_eq!(stream.try_io(Interest::WRITABLE, send)?, 5);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// # #[cfg(unix)]
    /// # {
    /// use heist::io::Interest;
    /// use socket2::SockRef;
    ///
    /// // An operation that heist does not have: a send with flags.
    /// let send = || SockRef::from(&stream).send_with_flags(b"hello", libc::MSG_NOSIGNAL);
    /// assert_eq!(stream.async_io(Interest::WRITABLE, send).await?, 5);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn async_io<R>(&self, interest: Interest, f: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.registered().async_io(interest, f).await
    }
}

/// Reading without consuming.
impl TcpStream {
    /// Reads the bytes that are available without consuming them, and waits until there are some.
    ///
    /// Returns the number of bytes read. If `buf` is empty, returns 0 at once.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// peer.write_all(b"hello").await?;
    /// let mut first = [0; 1];
    /// stream.peek(&mut first).await?;
    /// assert_eq!(&first, b"h"); // and it is still to be read
    /// # Ok(())
    /// # }
    /// ```
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.io.async_io(Interest::READABLE, || self.io.io().peek(buf)).await
    }

    /// Polls for bytes, as [`peek`](TcpStream::peek) waits for them. Only the task of the latest
    /// call is woken.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](TcpStream::peek).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// peer.write_all(b"hello").await?;
    /// let mut first = [0; 1];
    /// std::future::poll_fn(|cx| stream.poll_peek(cx, &mut first)).await?;
    /// assert_eq!(&first, b"h");
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.io.poll_io(Direction::Read, cx, || self.io.io().peek(buf))
    }
}

impl TcpStream {
    /// Registers a socket with a reactor. Until it proves otherwise, it counts as ready for
    /// `presumed`.
    pub(super) fn register_on(
        reactor: &Arc<Reactor>,
        socket: sockets::TcpStream,
        presumed: Ready,
    ) -> io::Result<TcpStream> {
        let io = Registered::new(Arc::clone(reactor), socket, presumed)?;
        Ok(TcpStream { io })
    }

    pub(super) fn registered(&self) -> &Registered<sockets::TcpStream> {
        &self.io
    }

    pub(super) async fn connect_on(reactor: &Arc<Reactor>, addr: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::finish_connect(reactor, sockets::TcpStream::connect(addr)?).await
    }

    /// Waits until a connection attempt that has begun is complete.
    pub(super) async fn finish_connect(reactor: &Arc<Reactor>, stream: sockets::TcpStream) -> io::Result<TcpStream> {
        let stream = TcpStream::register_on(reactor, stream, Ready::EMPTY)?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Registers an accepted connection. It has room for writes, and may have bytes to read before
    /// the first event.
    pub(super) fn from_accepted(reactor: &Arc<Reactor>, stream: sockets::TcpStream) -> io::Result<TcpStream> {
        TcpStream::register_on(reactor, stream, Ready::READABLE | Ready::WRITABLE)
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        mio_socket::shutdown_write(|how| self.io.io().shutdown(how))
    }
}

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}

impl TryFrom<std::net::TcpStream> for TcpStream {
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
    fn try_from(socket: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(socket)
    }
}
