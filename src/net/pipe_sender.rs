//! The writing end of a pipe.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use super::pipe;
use crate::context;
use crate::primitive::Arc;
use crate::reactor::{Interest, Reactor, Ready, Registered};

/// The writing end of a pipe.
///
/// If the other end is gone, a write gives [`BrokenPipe`](io::ErrorKind::BrokenPipe). Dropping the
/// last sender ends the pipe for the reader.
#[derive(Debug)]
pub struct Sender {
    io: Registered<mio::unix::pipe::Sender>,
}

/// Files and descriptors.
impl Sender {
    /// Makes a sender of the file of a pipe, and sets the file non-blocking.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe, or is not open for
    /// writing. Otherwise, if the operating system reports an error.
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
    /// use heist::net::unix::pipe::Sender;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let file = std::fs::File::from(sender.into_nonblocking_fd()?); // from any source
    /// let sender = Sender::from_file(file)?;
    /// # drop((sender, receiver));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_file(file: File) -> io::Result<Sender> {
        Sender::from_owned_fd(file.into())
    }

    /// Makes a sender of a descriptor, as [`from_file`](Self::from_file) does of a file.
    ///
    /// # Errors
    ///
    /// Those of [`from_file`](Self::from_file).
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
    /// use heist::net::unix::pipe::Sender;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let fd = sender.into_blocking_fd()?; // from any source
    /// let sender = Sender::from_owned_fd(fd)?;
    /// # drop((sender, receiver));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Sender> {
        let reactor = context::reactor();
        let remedy = "this pipe is not open for writing: open it with `OpenOptions::write(true)`";
        Sender::register_on(&reactor, pipe::checked_fd(fd, libc::O_WRONLY, remedy)?.into(), Ready::EMPTY)
    }

    /// Makes a sender of a file, without the checks of [`from_file`](Self::from_file). The file
    /// must be a pipe, open for writing, and non-blocking.
    ///
    /// # Errors
    ///
    /// If the pipe cannot be registered.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    #[track_caller]
    pub fn from_file_unchecked(file: File) -> io::Result<Sender> {
        Sender::from_owned_fd_unchecked(file.into())
    }

    /// Makes a sender of a descriptor, as [`from_file_unchecked`](Self::from_file_unchecked) does
    /// of a file.
    ///
    /// # Errors
    ///
    /// If the pipe cannot be registered.
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
    /// use heist::net::unix::pipe::Sender;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let fd = sender.into_nonblocking_fd()?;
    /// let sender = Sender::from_owned_fd_unchecked(fd)?;
    /// # drop((sender, receiver));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<Sender> {
        Sender::register_on(&context::reactor(), fd.into(), Ready::EMPTY)
    }

    /// Converts the sender into its descriptor, and sets that to blocking mode.
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
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let fd = sender.into_blocking_fd()?;
    /// let file = std::fs::File::from(fd); // for a thread, or a child process
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
        let fd = self.into_nonblocking_fd()?;
        pipe::set_blocking(&fd)?;
        Ok(fd)
    }

    /// Converts the sender into its descriptor, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// If the pipe cannot be deregistered.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let fd = sender.into_nonblocking_fd()?; // for another runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
        Ok(self.io.into_io()?.into())
    }
}

/// Readiness, and operations that heist does not have.
impl Sender {
    /// Waits until the pipe is ready for some of `interest`, and returns what of it the pipe is
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
    /// use heist::io::Interest;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// assert!(sender.ready(Interest::WRITABLE).await?.is_writable());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.registered().ready(interest).await
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
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// sender.writable().await?;
    /// assert_eq!(sender.try_write(b"hello")?, 5);
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

    /// Does `f`, an operation on this end, once, if the pipe seems ready.
    ///
    /// If `f` gives `WouldBlock`, the pipe no longer counts as ready. So `f` must give it only if
    /// the pipe did; otherwise a later wait may last for ever.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the pipe does not seem ready. Other errors are
    /// those of `f`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// // The operation returns what it found. `WouldBlock` would mean that the pipe is not ready.
    /// let result = sender.try_io(|| Ok::<(), std::io::Error>(()));
    /// # let _ = result;
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_io<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.io.try_io(Interest::WRITABLE, f)
    }
}

/// Writing.
impl Sender {
    /// Writes as many bytes of `buf` as there is room for, as
    /// [`TcpStream::write`](crate::net::TcpStream::write) does.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been written.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let count = sender.write(b"hello").await?; // up to five
    /// let mut got = vec![0; count];
    /// receiver.read_exact(&mut got).await?;
    /// assert_eq!(got, b"hello"[..count]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.registered().write(buf).await
    }

    /// Writes from several buffers in turn, as
    /// [`TcpStream::write_vectored`](crate::net::TcpStream::write_vectored) does.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been written.
    pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registered().write_vectored(bufs).await
    }

    /// Writes all of `buf`, as [`TcpStream::write_all`](crate::net::TcpStream::write_all) does.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some bytes may have been written, and their number is unknown.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// sender.write_all(b"hello").await?;
    /// let mut got = [0; 5];
    /// receiver.read_exact(&mut got).await?;
    /// assert_eq!(&got, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.registered().write_all(buf).await
    }

    /// Does nothing, because each write goes to the operating system at once.
    ///
    /// # Errors
    ///
    /// None: this returns `Ok`.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Does nothing: a pipe ends when its last sender is dropped.
    ///
    /// # Errors
    ///
    /// None: this returns `Ok`.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.shutdown_write()
    }

    /// Writes as many bytes of `buf` as there is room for without waiting, as
    /// [`TcpStream::try_write`](crate::net::TcpStream::try_write) does.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. Other errors are those of
    /// [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use std::io::ErrorKind;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let count = loop {
    ///     sender.writable().await?;
    ///     match sender.try_write(b"hello") {
    ///         // Readiness is a hint: wait again.
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
    ///         result => break result?,
    ///     }
    /// };
    /// let mut got = vec![0; count];
    /// receiver.read_exact(&mut got).await?;
    /// assert_eq!(got, b"hello"[..count]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.registered().try_write(buf)
    }

    /// Writes from several buffers in turn without waiting, as
    /// [`TcpStream::try_write_vectored`](crate::net::TcpStream::try_write_vectored) does.
    ///
    /// # Errors
    ///
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registered().try_write_vectored(bufs)
    }
}

impl Sender {
    /// Registers one end of a pipe with a reactor. Until it proves otherwise, it counts as ready
    /// for `presumed`.
    pub(super) fn register_on(
        reactor: &Arc<Reactor>,
        end: mio::unix::pipe::Sender,
        presumed: Ready,
    ) -> io::Result<Sender> {
        let io = Registered::new(Arc::clone(reactor), end, presumed)?;
        Ok(Sender { io })
    }

    pub(super) fn registered(&self) -> &Registered<mio::unix::pipe::Sender> {
        &self.io
    }

    /// Does nothing: a pipe ends when its last sender is dropped.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }
}
