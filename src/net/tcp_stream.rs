//! A TCP connection.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;

use super::addr::{ToSocketAddrs, addresses};
use super::split::{self, ReadHalf, WriteHalf};
use super::split_owned::{self, OwnedReadHalf, OwnedWriteHalf};
use super::transfer;
use crate::context;
use crate::reactor::{Any, Direction, Interest, Reactor, Ready, Registered, Source};
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
/// ```no_run
/// use heist::net::TcpStream;
///
/// # async fn talk() -> std::io::Result<()> {
/// let mut stream = TcpStream::connect("example.org:80").await?;
/// stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await?;
/// let mut answer = Vec::new();
/// stream.read_to_end(&mut answer).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpStream {
    io: Registered<mio::net::TcpStream>,
}

impl TcpStream {
    /// Connects to `addr`; of several addresses to the first that answers.
    ///
    /// # Errors
    ///
    /// The last address's error if none answers.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
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
        let stream = TcpStream::on(reactor, mio::net::TcpStream::connect(addr)?, Ready::EMPTY)?;
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

    pub(super) fn on(reactor: &Arc<Reactor>, stream: mio::net::TcpStream, presumed: Ready) -> io::Result<TcpStream> {
        Ok(TcpStream { io: Registered::new(Arc::clone(reactor), stream, presumed)? })
    }

    pub(super) fn mio(&self) -> &mio::net::TcpStream {
        self.io.io()
    }

    pub(super) fn source(&self) -> &Source {
        self.io.source()
    }

    /// Makes a stream of std's, which must have been set non-blocking.
    ///
    /// # Errors
    ///
    /// If it cannot be registered.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::on(&context::reactor(), mio::net::TcpStream::from_std(stream), Ready::EMPTY)
    }

    /// Makes a stream of std's; it stays non-blocking.
    ///
    /// # Errors
    ///
    /// If it cannot be deregistered.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        Ok(self.io.into_io()?.into())
    }

    /// Splits it into a half that reads and one that writes, for use within one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::halves(self)
    }

    /// Splits it into a half that reads and one that writes, which can go to different tasks.
    ///
    /// Dropping the half that writes shuts the writing direction down.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::halves(self)
    }

    /// Reads what there is, waiting until there is something; answers how many bytes. None means the end (or that `buf` is
    /// empty).
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been read.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        transfer::read(self, buf).await
    }

    /// As [`read`](TcpStream::read), into several buffers in turn.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been read.
    pub async fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        transfer::read_vectored(self, bufs).await
    }

    /// Fills `buf`; answers its length.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream ends first, or what the operating system says.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some bytes may have been read, and it is not known how many.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        transfer::read_exact(self, buf).await
    }

    /// Reads until the end and appends it to `buf`; answers how many bytes.
    ///
    /// # Errors
    ///
    /// What the operating system says. What had been read by then is in `buf`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what has been read is in `buf`, and reading can go on.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        transfer::read_to_end(self, buf).await
    }

    /// Writes as much as there is room for, waiting until there is some; answers how many bytes.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been written.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        transfer::write(self, buf).await
    }

    /// As [`write`](TcpStream::write), from several buffers in turn.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been written.
    pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        transfer::write_vectored(self, bufs).await
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some bytes may have been written, and it is not known how many.
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        transfer::write_all(self, buf).await
    }

    /// Does nothing: what is written goes to the operating system at once.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Shuts the writing direction down: the peer reads what is on its way, and then the end. Reading goes on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.half_close()
    }

    pub(super) fn half_close(&self) -> io::Result<()> {
        self.mio().shutdown(Shutdown::Write)
    }

    /// Reads what there is without taking it away, waiting until there is something; answers how many bytes.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let Any(count) = self.source().io(Interest::READABLE, || self.mio().peek(buf).map(Any)).await?;
        Ok(count)
    }

    /// Polls for what [`peek`](TcpStream::peek) waits for. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.source().poll_io(Direction::Read, cx, || self.mio().peek(buf).map(Any)).map_ok(|Any(count)| count)
    }

    /// Waits until the stream is ready for some of `interest`; answers for what. Any number of tasks may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Readiness is not lost if the future is dropped: it stays until an operation answers `WouldBlock`.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(self.source().ready(interest).await?.ready() & interest.mask())
    }

    /// Waits until a read is worth trying. See [`ready`](TcpStream::ready).
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until a write is worth trying. See [`ready`](TcpStream::ready).
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Polls for a read being worth trying. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source().poll_ready(Direction::Read, cx).map_ok(drop)
    }

    /// Polls for a write being worth trying. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source().poll_ready(Direction::Write, cx).map_ok(drop)
    }

    /// Reads what there is without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing, or what the operating system says.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_read_slice(buf)
    }

    /// As [`try_read`](TcpStream::try_read), into several buffers in turn.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.try_read_slices(bufs)
    }

    /// Writes as much as there is room for without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, or what the operating system says.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_write_slice(buf)
    }

    /// As [`try_write`](TcpStream::try_write), from several buffers in turn.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_write_slices(bufs)
    }

    /// Does `f`, an operation on this socket, if the stream seems ready for some of `interest`.
    ///
    /// If `f` answers `WouldBlock`, the stream is no longer taken to be ready for `interest`. So `f` must answer that only
    /// if the socket did; else a later wait may last for ever.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it does not seem ready, or what `f` answers.
    pub fn try_io<R>(&self, interest: Interest, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.source().try_io(interest, || self.mio().try_io(f).map(Any)).map(|Any(answer)| answer)
    }

    /// Does `f`, an operation on this socket, each time the stream seems ready for some of `interest`, until it no longer
    /// answers `WouldBlock`. What [`try_io`](TcpStream::try_io) asks of `f` holds here too.
    ///
    /// # Errors
    ///
    /// What `f` answers, or that the runtime has been shut down.
    pub async fn async_io<R>(&self, interest: Interest, mut f: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        let Any(answer) = self.source().io(interest, || self.mio().try_io(&mut f).map(Any)).await?;
        Ok(answer)
    }
}

/// Options of the socket. Each gives the operating system's error if it refuses.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl TcpStream {
    /// This end's address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.mio().local_addr()
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.mio().peer_addr()
    }

    /// The error that is pending on the socket, which takes it away.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.mio().take_error()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.mio().nodelay()
    }

    /// Sends small writes at once (`TCP_NODELAY`), or collects them.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.mio().set_nodelay(nodelay)
    }

    /// The time to live of packets sent from it.
    pub fn ttl(&self) -> io::Result<u32> {
        self.mio().ttl()
    }

    /// Sets the time to live of packets sent from it.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.mio().set_ttl(ttl)
    }

    /// How long closing waits for unsent data (`SO_LINGER`); `None` if it does not wait.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.mio()).linger()
    }

    /// Sets how long closing waits for unsent data (`SO_LINGER`). A wait blocks the thread that drops the stream. A zero wait
    /// throws unsent data away and resets the connection.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.mio()).set_linger(linger)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpStream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.mio().as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.mio().as_raw_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for TcpStream {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.mio().as_socket()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsRawSocket for TcpStream {
    fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
        self.mio().as_raw_socket()
    }
}
