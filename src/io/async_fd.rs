//! Any file descriptor on the reactor.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::{fmt, io};

use super::descriptor::Descriptor;
use super::register_error::AsyncFdRegisterError;
use crate::context;
use crate::primitive::Arc;
use crate::reactor::{Interest, Reactor, Ready, Registered, Source};

/// A file descriptor whose readiness tasks wait for: a timer, an eventfd, a socket of another
/// library.
///
/// The descriptor must be non-blocking, and of a kind that can be waited for. The operating system
/// refuses an ordinary file.
///
/// Readiness lasts until it is cleared. After an operation that gave
/// [`WouldBlock`](io::ErrorKind::WouldBlock), call
/// [`clear_ready`](super::ready_guard::AsyncFdReadyGuard::clear_ready). A `try_io` does that by
/// itself. Do not clear readiness without a `WouldBlock`: what is already ready may never be
/// reported again.
///
/// With the features `tokio-io` and `futures-io`, an `AsyncFd` of a resource that implements
/// [`Read`](io::Read) and [`Write`](io::Write) also implements the I/O traits of those crates.
/// Their shutdown only flushes: the descriptor is closed when the `AsyncFd` is dropped.
///
/// # The descriptor has to stay open
///
/// The resource must keep its descriptor open, under the same number, until the `AsyncFd` is
/// dropped. A resource that owns its descriptor does so: an [`OwnedFd`](std::os::fd::OwnedFd), a
/// `File`, a socket.
///
/// With a bare [`RawFd`], the owner of the number must keep it open for so long. The drop
/// deregisters the descriptor that has the number at that time, and so does
/// [`into_inner`](AsyncFd::into_inner). If the number has been closed and reused meanwhile, another
/// resource of the same runtime may be deregistered. A wait for that resource never ends. [`AsFd`]
/// is implemented only if the resource implements it, because a `RawFd` proves nothing about the
/// number.
///
/// # Examples
///
/// Reading from a socket of std:
///
/// ```
/// use heist::io::unix::AsyncFd;
/// use std::io::{self, Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// # fn main() -> io::Result<()> {
/// heist::runtime::Runtime::new()?.block_on(async {
///     let (reader, mut writer) = UnixStream::pair()?;
///     reader.set_nonblocking(true)?;
///     let reader = AsyncFd::new(reader)?;
///     writer.write_all(b"hello")?;
///     let mut buf = [0; 16];
///     let count = loop {
///         let mut guard = reader.readable().await?;
///         match guard.try_io(|reader| reader.get_ref().read(&mut buf)) {
///             Ok(result) => break result?,
///             Err(_would_block) => continue,
///         }
///     };
///     assert_eq!(&buf[..count], b"hello");
///     Ok(())
/// })
/// # }
/// ```
pub struct AsyncFd<T: AsRawFd> {
    /// Before the resource: the descriptor is deregistered while it is still open.
    pub(super) registered: Registered<Descriptor>,
    pub(super) inner: T,
}

impl<T: AsRawFd> AsyncFd<T> {
    /// Registers a descriptor for reading and writing.
    ///
    /// # Errors
    ///
    /// If the operating system refuses, as it does for an ordinary file.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist::io::unix::AsyncFd;
    /// # use std::os::unix::net::UnixStream;
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (socket, mut peer) = UnixStream::pair()?;
    /// # socket.set_nonblocking(true)?;
    /// let fd = AsyncFd::new(socket)?;
    /// assert!(fd.writable().await?.ready().is_writable());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        AsyncFd::with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// Registers a descriptor for `interest`. A wait for anything else lasts for ever.
    ///
    /// # Errors
    ///
    /// Those of [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist::io::Interest;
    /// # use heist::io::unix::AsyncFd;
    /// # use std::io::{Read, Write};
    /// # use std::os::unix::net::UnixStream;
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (socket, mut peer) = UnixStream::pair()?;
    /// # socket.set_nonblocking(true)?;
    /// peer.write_all(b"hello")?;
    /// let fd = AsyncFd::with_interest(socket, Interest::READABLE)?;
    /// assert!(fd.readable().await?.ready().is_readable());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
        AsyncFd::register_on(context::reactor(), inner, interest).map_err(io::Error::from)
    }

    /// Registers a descriptor as [`new`](AsyncFd::new) does. The error gives the resource back.
    ///
    /// # Errors
    ///
    /// Those of [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist::io::unix::AsyncFd;
    /// # use std::os::unix::net::UnixStream;
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (socket, mut peer) = UnixStream::pair()?;
    /// # socket.set_nonblocking(true)?;
    /// match AsyncFd::try_new(socket) {
    ///     Ok(fd) => drop(fd.writable().await?),
    ///     Err(error) => {
    ///         let (socket, cause) = error.into_parts();
    ///         eprintln!("{socket:?} is not lost: {cause}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn try_new(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// Registers a descriptor as [`with_interest`](AsyncFd::with_interest) does. The error gives
    /// the resource back.
    ///
    /// # Errors
    ///
    /// Those of [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist::io::Interest;
    /// # use heist::io::unix::AsyncFd;
    /// # use std::os::unix::net::UnixStream;
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (socket, mut peer) = UnixStream::pair()?;
    /// # socket.set_nonblocking(true)?;
    /// let fd = AsyncFd::try_with_interest(socket, Interest::WRITABLE)?;
    /// assert!(fd.writable().await?.ready().is_writable());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn try_with_interest(inner: T, interest: Interest) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::register_on(context::reactor(), inner, interest)
    }

    /// Registers a descriptor as [`try_new`](AsyncFd::try_new) does. The caller vouches for the
    /// descriptor.
    ///
    /// # Safety
    ///
    /// `inner` returns one and the same open descriptor as long as the `AsyncFd` lives.
    ///
    /// # Errors
    ///
    /// Those of [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist::io::unix::AsyncFd;
    /// # use std::os::unix::net::UnixStream;
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (socket, mut peer) = UnixStream::pair()?;
    /// # socket.set_nonblocking(true)?;
    /// // SAFETY: a socket of std has the same descriptor as long as it lives.
    /// let fd = unsafe { AsyncFd::register(socket) }?;
    /// assert!(fd.writable().await?.ready().is_writable());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub unsafe fn register(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_new(inner)
    }

    /// Registers a descriptor as [`try_with_interest`](AsyncFd::try_with_interest) does. The caller
    /// vouches for the descriptor.
    ///
    /// # Safety
    ///
    /// `inner` returns one and the same open descriptor as long as the `AsyncFd` lives.
    ///
    /// # Errors
    ///
    /// Those of [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    #[track_caller]
    pub unsafe fn register_with_interest(inner: T, interest: Interest) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_with_interest(inner, interest)
    }

    fn register_on(reactor: Arc<Reactor>, inner: T, interest: Interest) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        match Registered::new(reactor, Descriptor::new(inner.as_raw_fd(), interest), Ready::EMPTY) {
            Ok(registered) => Ok(AsyncFd { registered, inner }),
            Err(cause) => Err(AsyncFdRegisterError::new(inner, cause)),
        }
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        self.registered.source()
    }

    /// Returns the resource.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist::io::unix::AsyncFd;
    /// # use std::os::unix::net::UnixStream;
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (socket, mut peer) = UnixStream::pair()?;
    /// # socket.set_nonblocking(true)?;
    /// let fd = AsyncFd::new(socket)?;
    /// assert!(fd.get_ref().peer_addr()?.is_unnamed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Returns the resource. Do not replace it by another: the new descriptor would not be
    /// registered, and the old one might be closed too early.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist::io::unix::AsyncFd;
    /// # use std::io::{Read, Write};
    /// # use std::os::unix::net::UnixStream;
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (socket, mut peer) = UnixStream::pair()?;
    /// # socket.set_nonblocking(true)?;
    /// let mut fd = AsyncFd::new(socket)?;
    /// assert_eq!(fd.get_mut().write(b"hello")?, 5); // without waiting: it may give `WouldBlock`
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Deregisters the resource, and returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist::io::unix::AsyncFd;
    /// # use std::os::unix::net::UnixStream;
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let (socket, mut peer) = UnixStream::pair()?;
    /// # socket.set_nonblocking(true)?;
    /// let fd = AsyncFd::new(socket)?;
    /// let socket = fd.into_inner();
    /// socket.set_nonblocking(false)?; // for use without a runtime
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_inner(self) -> T {
        let AsyncFd { registered, inner } = self;
        drop(registered);
        inner
    }
}

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// The implementation of the resource: only the resource knows that its descriptor is open.
impl<T: AsRawFd + AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("inner", &self.inner).finish_non_exhaustive()
    }
}
