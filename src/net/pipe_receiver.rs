//! The reading end of a pipe.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use super::pipe;
use crate::context;
use crate::primitive::Arc;
use crate::reactor::{Interest, Reactor, Ready, Registered};

/// The reading end of a pipe. It reads the end when every sender is gone and all bytes are read.
#[derive(Debug)]
pub struct Receiver {
    io: Registered<mio::unix::pipe::Receiver>,
}

/// Files and descriptors.
impl Receiver {
    /// Makes a receiver of the file of a pipe, and sets the file non-blocking.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe, or is not open for
    /// reading. Otherwise, if the operating system reports an error.
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
    /// use heist::net::unix::pipe::Receiver;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let file = std::fs::File::from(receiver.into_nonblocking_fd()?); // from any source
    /// let receiver = Receiver::from_file(file)?;
    /// # drop((sender, receiver));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_file(file: File) -> io::Result<Receiver> {
        Receiver::from_owned_fd(file.into())
    }

    /// Makes a receiver of a descriptor, as [`from_file`](Self::from_file) does of a file.
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
    /// use heist::net::unix::pipe::Receiver;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let fd = receiver.into_blocking_fd()?; // from any source
    /// let receiver = Receiver::from_owned_fd(fd)?;
    /// # drop((sender, receiver));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Receiver> {
        let reactor = context::reactor();
        let remedy = "this pipe is not open for reading: open it with `OpenOptions::read(true)`";
        Receiver::register_on(&reactor, pipe::checked_fd(fd, libc::O_RDONLY, remedy)?.into(), Ready::EMPTY)
    }

    /// Makes a receiver of a file, without the checks of [`from_file`](Self::from_file). The file
    /// must be a pipe, open for reading, and non-blocking.
    ///
    /// # Errors
    ///
    /// If the pipe cannot be registered.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    #[track_caller]
    pub fn from_file_unchecked(file: File) -> io::Result<Receiver> {
        Receiver::from_owned_fd_unchecked(file.into())
    }

    /// Makes a receiver of a descriptor, as [`from_file_unchecked`](Self::from_file_unchecked) does
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
    /// use heist::net::unix::pipe::Receiver;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// let fd = receiver.into_nonblocking_fd()?;
    /// let receiver = Receiver::from_owned_fd_unchecked(fd)?;
    /// # drop((sender, receiver));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<Receiver> {
        Receiver::register_on(&context::reactor(), fd.into(), Ready::EMPTY)
    }

    /// Converts the receiver into its descriptor, and sets that to blocking mode.
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
    /// let fd = receiver.into_blocking_fd()?;
    /// let file = std::fs::File::from(fd); // for a thread, or a child process
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
        let fd = self.into_nonblocking_fd()?;
        pipe::set_blocking(&fd)?;
        Ok(fd)
    }

    /// Converts the receiver into its descriptor, which stays non-blocking.
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
    /// let fd = receiver.into_nonblocking_fd()?; // for another runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
        Ok(self.io.into_io()?.into())
    }
}

/// Readiness, and operations that heist does not have.
impl Receiver {
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
    /// sender.write_all(b"hello").await?;
    /// assert!(receiver.ready(Interest::READABLE).await?.is_readable());
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
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// sender.write_all(b"hello").await?;
    /// receiver.readable().await?;
    /// assert_eq!(receiver.try_read(&mut [0; 16])?, 5);
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
    /// let result = receiver.try_io(|| Ok::<(), std::io::Error>(()));
    /// # let _ = result;
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_io<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.io.try_io(Interest::READABLE, f)
    }
}

/// Reading.
impl Receiver {
    /// Reads the bytes that are available into `buf`, as
    /// [`TcpStream::read`](crate::net::TcpStream::read) does.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been read.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// sender.write_all(b"hello").await?;
    /// let mut buf = [0; 16];
    /// let count = receiver.read(&mut buf).await?;
    /// assert_eq!(&buf[..count], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().read(buf).await
    }

    /// Reads the bytes that are available into several buffers in turn, as
    /// [`TcpStream::read_vectored`](crate::net::TcpStream::read_vectored) does.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been read.
    pub async fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registered().read_vectored(bufs).await
    }

    /// Fills `buf`, and returns its length, as
    /// [`TcpStream::read_exact`](crate::net::TcpStream::read_exact) does.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the pipe ends before `buf` is full. Other
    /// errors are those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some bytes may have been read, and their number is unknown.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// sender.write_all(b"hello, heist").await?;
    /// let mut word = [0; 5];
    /// receiver.read_exact(&mut word).await?;
    /// assert_eq!(&word, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().read_exact(buf).await
    }

    /// Reads until the end of the pipe, and appends the bytes to `buf`, as
    /// [`TcpStream::read_to_end`](crate::net::TcpStream::read_to_end) does.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read). The bytes read before the error are in `buf`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the bytes read so far are in `buf`, and reading can go on.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.registered().read_to_end(buf).await
    }

    /// Reads UTF-8 until the end of the pipe, and appends it to `text`, as
    /// [`TcpStream::read_to_string`](crate::net::TcpStream::read_to_string) does.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if the bytes are not UTF-8. Other errors are
    /// those of [`read`](Self::read). After an error, `text` is unchanged, and the bytes read so
    /// far are lost.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the bytes read so far are lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// sender.write_all("grüß dich".as_bytes()).await?;
    /// drop(sender);
    /// let mut text = String::new();
    /// receiver.read_to_string(&mut text).await?;
    /// assert_eq!(text, "grüß dich");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        self.registered().read_to_string(text).await
    }

    /// Reads the bytes that are available into `buf` without waiting, as
    /// [`TcpStream::try_read`](crate::net::TcpStream::try_read) does.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing to read. Other errors are
    /// those of [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use std::io::ErrorKind;
    ///
    /// let (mut sender, mut receiver) = heist::net::unix::pipe::pipe()?;
    /// sender.write_all(b"hello").await?;
    /// let mut buf = [0; 16];
    /// let count = loop {
    ///     receiver.readable().await?;
    ///     match receiver.try_read(&mut buf) {
    ///         // Readiness is a hint: wait again.
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
    ///         result => break result?,
    ///     }
    /// };
    /// assert_eq!(&buf[..count], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().try_read(buf)
    }

    /// Reads into several buffers in turn without waiting, as
    /// [`TcpStream::try_read_vectored`](crate::net::TcpStream::try_read_vectored) does.
    ///
    /// # Errors
    ///
    /// Those of [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registered().try_read_vectored(bufs)
    }
}

impl Receiver {
    /// Registers one end of a pipe with a reactor. Until it proves otherwise, it counts as ready
    /// for `presumed`.
    pub(super) fn register_on(
        reactor: &Arc<Reactor>,
        end: mio::unix::pipe::Receiver,
        presumed: Ready,
    ) -> io::Result<Receiver> {
        let io = Registered::new(Arc::clone(reactor), end, presumed)?;
        Ok(Receiver { io })
    }

    pub(super) fn registered(&self) -> &Registered<mio::unix::pipe::Receiver> {
        &self.io
    }
}
