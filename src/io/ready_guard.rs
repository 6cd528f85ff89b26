//! Guards of a descriptor that was ready: through them, readiness is cleared.

use std::error::Error;
use std::os::fd::AsRawFd;
use std::{fmt, io};

use super::async_fd::AsyncFd;
use crate::primitive::Arc;
use crate::reactor::{Ready, Snapshot, Source};

/// A descriptor that was ready. Through the guard, the readiness is cleared.
///
/// Dropping the guard changes nothing.
#[must_use = "readiness lasts until it is cleared"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    fd: &'a AsyncFd<T>,
    seen: Seen,
}

/// A descriptor that was ready, borrowed exclusively. Through the guard, the readiness is cleared.
///
/// Dropping the guard changes nothing. If its [`AsyncFd`] is exchanged for another, as by
/// [`std::mem::swap`], the guard clears nothing. The wait was for the first one, and the operation
/// may have been on the second.
#[must_use = "readiness lasts until it is cleared"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    fd: &'a mut AsyncFd<T>,
    seen: Seen,
    /// The source that was waited for. The guard keeps it, so that no later registration has the
    /// same address.
    source: Arc<Source>,
}

/// The operation would block. The readiness has been cleared: wait again.
#[derive(Debug)]
pub struct TryIoError(());

/// The readiness at the end of the wait, and the part of it that was waited for.
#[derive(Clone, Copy, Debug)]
struct Seen {
    snapshot: Snapshot,
    mask: Ready,
}

impl Seen {
    fn ready(self) -> Ready {
        self.snapshot.ready() & self.mask
    }

    /// Clears what was seen and is in `ready`, unless the source has reported it again since.
    fn clear(self, source: &Source, ready: Ready) {
        source.clear(self.ready() & ready, self.snapshot);
    }
}

/// Returns the result of an operation; `Err` if the operation would block.
fn unless_would_block<R>(result: io::Result<R>) -> Result<io::Result<R>, TryIoError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(TryIoError(())),
        result => Ok(result),
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    pub(super) fn new(fd: &'a AsyncFd<T>, mask: Ready, snapshot: Snapshot) -> Self {
        AsyncFdReadyGuard { fd, seen: Seen { snapshot, mask } }
    }

    /// Clears the readiness that was waited for, unless it has been reported again since.
    ///
    /// Call it only after a [`WouldBlock`](io::ErrorKind::WouldBlock). A direction that has ended
    /// stays ready.
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
    /// let fd = AsyncFd::new(socket)?;
    /// peer.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let mut guard = fd.readable().await?;
    /// while guard.get_inner().read(&mut buf).is_ok() {} // until it would block
    /// guard.clear_ready(); // the next wait is for what comes from now on
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_ready(&mut self) {
        self.clear_ready_matching(Ready::ALL);
    }

    /// Clears the readiness that is in `ready`, as [`clear_ready`](Self::clear_ready) clears all of
    /// it.
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
    /// let fd = AsyncFd::new(socket)?;
    /// use heist::io::Ready;
    ///
    /// peer.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let mut guard = fd.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// while guard.get_inner().read(&mut buf).is_ok() {} // until it would block
    /// guard.clear_ready_matching(Ready::READABLE); // it still has room for writes
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.seen.clear(self.fd.source(), ready);
    }

    /// Leaves the descriptor ready, as dropping the guard does.
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
    /// let fd = AsyncFd::new(socket)?;
    /// peer.write_all(b"hello")?;
    /// let mut guard = fd.readable().await?;
    /// guard.retain_ready(); // the wait was only to see whether there is something
    /// assert!(fd.readable().await?.ready().is_readable());
    /// # Ok(())
    /// # }
    /// ```
    pub fn retain_ready(&mut self) {}

    /// Returns what the descriptor is ready for, of what was waited for.
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
    /// let guard = fd.writable().await?;
    /// assert!(guard.ready().is_writable());
    /// # Ok(())
    /// # }
    /// ```
    pub fn ready(&self) -> Ready {
        self.seen.ready()
    }

    /// Does `f`, an operation on the descriptor. If `f` gives `WouldBlock`, clears the readiness.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if `f` gives `WouldBlock`: wait again. Any other result of `f` is in the
    /// `Ok`.
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
    /// let fd = AsyncFd::new(socket)?;
    /// peer.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let mut guard = fd.readable().await?;
    /// let read = guard.try_io(|fd| fd.get_ref().read(&mut buf));
    /// assert_eq!(read.expect("it is ready")?, 5);
    /// // There is nothing more. The readiness is cleared.
    /// assert!(guard.try_io(|fd| fd.get_ref().read(&mut buf)).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_io<R>(&mut self, f: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>) -> Result<io::Result<R>, TryIoError> {
        let result = unless_would_block(f(self.fd));
        if result.is_err() {
            self.clear_ready();
        }
        result
    }

    /// Returns the descriptor.
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
    /// let guard = fd.writable().await?;
    /// assert!(guard.get_ref().get_ref().peer_addr()?.is_unnamed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.fd
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
    /// let guard = fd.writable().await?;
    /// assert!(guard.get_inner().peer_addr()?.is_unnamed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_inner(&self) -> &'a T {
        self.fd.get_ref()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyGuard").field("fd", &self.fd).field("ready", &self.ready()).finish()
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyMutGuard<'a, T> {
    pub(super) fn new(fd: &'a mut AsyncFd<T>, mask: Ready, snapshot: Snapshot) -> Self {
        let source = Arc::clone(fd.source());
        AsyncFdReadyMutGuard { fd, seen: Seen { snapshot, mask }, source }
    }

    /// Clears the readiness that was waited for, unless it has been reported again since.
    ///
    /// Call it only after a [`WouldBlock`](io::ErrorKind::WouldBlock). A direction that has ended
    /// stays ready.
    pub fn clear_ready(&mut self) {
        self.clear_ready_matching(Ready::ALL);
    }

    /// Clears the readiness that is in `ready`, as [`clear_ready`](Self::clear_ready) clears all of
    /// it.
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        if Arc::ptr_eq(&self.source, self.fd.source()) {
            self.seen.clear(&self.source, ready);
        }
    }

    /// Leaves the descriptor ready, as dropping the guard does.
    pub fn retain_ready(&mut self) {}

    /// Returns what the descriptor is ready for, of what was waited for.
    pub fn ready(&self) -> Ready {
        self.seen.ready()
    }

    /// Does `f`, an operation on the descriptor. If `f` gives `WouldBlock`, clears the readiness.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if `f` gives `WouldBlock`: wait again. Any other result of `f` is in the
    /// `Ok`.
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
    /// peer.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let mut guard = fd.readable_mut().await?;
    /// let read = guard.try_io(|fd| fd.get_mut().read(&mut buf));
    /// assert_eq!(read.expect("it is ready")?, 5);
    /// // There is nothing more. The readiness is cleared.
    /// assert!(guard.try_io(|fd| fd.get_mut().read(&mut buf)).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_io<R>(&mut self, f: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>) -> Result<io::Result<R>, TryIoError> {
        let result = unless_would_block(f(self.fd));
        if result.is_err() {
            self.clear_ready();
        }
        result
    }

    /// Returns the descriptor.
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.fd
    }

    /// Returns the descriptor, borrowed exclusively.
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
    /// let mut guard = fd.writable_mut().await?;
    /// assert_eq!(guard.get_mut().get_mut().write(b"hello")?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.fd
    }

    /// Returns the resource.
    pub fn get_inner(&self) -> &T {
        self.fd.get_ref()
    }

    /// Returns the resource, borrowed exclusively. Do not replace it by another: the new descriptor
    /// would not be registered, and the old one might be closed too early.
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
    /// let mut guard = fd.writable_mut().await?;
    /// assert_eq!(guard.get_inner_mut().write(b"hello")?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.fd.get_mut()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFdReadyMutGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyMutGuard").field("fd", &self.fd).field("ready", &self.ready()).finish()
    }
}

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would block")
    }
}

impl Error for TryIoError {}
