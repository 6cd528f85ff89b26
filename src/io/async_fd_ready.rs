//! Waiting for a file descriptor, and operations on it.

use std::io;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};

use super::async_fd::AsyncFd;
use super::ready_guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};
use crate::reactor::{Direction, Interest, Opaque};

/// Waiting for readiness.
impl<T: AsRawFd> AsyncFd<T> {
    /// Waits until the descriptor is ready for some of `interest`. Any number of tasks may wait at
    /// once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost.
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
    /// peer.write_all(b"hello")?;
    /// let guard = fd.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(!guard.ready().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let seen = self.source().ready(interest).await?;
        Ok(AsyncFdReadyGuard::new(self, interest.mask(), seen))
    }

    /// Waits as [`ready`](AsyncFd::ready) does. The guard borrows the descriptor exclusively.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost.
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
    /// let mut fd = AsyncFd::new(socket)?;
    /// peer.write_all(b"hello")?;
    /// let mut guard = fd.ready_mut(Interest::READABLE).await?;
    /// let mut buf = [0; 16];
    /// let read = guard.try_io(|fd| fd.get_mut().read(&mut buf));
    /// assert_eq!(read.expect("it is ready")?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready_mut(&mut self, interest: Interest) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let seen = self.source().ready(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, interest.mask(), seen))
    }

    /// Waits until the descriptor is ready for reading, as [`ready`](AsyncFd::ready) does.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost.
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
    /// let count = loop {
    ///     let mut guard = fd.readable().await?;
    ///     if let Ok(result) = guard.try_io(|fd| fd.get_ref().read(&mut buf)) {
    ///         break result?;
    ///     }
    /// };
    /// assert_eq!(&buf[..count], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until the descriptor is ready for reading, as [`ready_mut`](AsyncFd::ready_mut) does.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost.
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until the descriptor is ready for writing, as [`ready`](AsyncFd::ready) does.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost.
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
    /// let mut guard = fd.writable().await?;
    /// let written = guard.try_io(|fd| fd.get_ref().write(b"hello"));
    /// assert_eq!(written.expect("it is ready")?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until the descriptor is ready for writing, as [`ready_mut`](AsyncFd::ready_mut) does.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, readiness is not lost.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }
}

/// Operations on the resource.
impl<T: AsRawFd> AsyncFd<T> {
    /// Does `f`, an operation on the resource, once, if the resource seems ready for some of
    /// `interest`.
    ///
    /// If `f` gives `WouldBlock`, the resource no longer counts as ready for `interest`. So `f`
    /// must give it only if the resource did.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the resource does not seem ready. Other errors
    /// are those of `f`.
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
    /// let mut buf = [0; 16];
    /// let read = fd.try_io(Interest::READABLE, |mut socket| socket.read(&mut buf));
    /// // No byte has come yet.
    /// assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_io<R>(&self, interest: Interest, f: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.source().try_io(interest, || f(&self.inner).map(Opaque)).map(|Opaque(output)| output)
    }

    /// Does `f` as [`try_io`](AsyncFd::try_io) does, with the resource borrowed exclusively.
    ///
    /// # Errors
    ///
    /// Those of [`try_io`](AsyncFd::try_io).
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
    /// let mut fd = AsyncFd::new(socket)?;
    /// drop(fd.writable().await?);
    /// assert_eq!(fd.try_io_mut(Interest::WRITABLE, |socket| socket.write(b"hello"))?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_io_mut<R>(&mut self, interest: Interest, f: impl FnOnce(&mut T) -> io::Result<R>) -> io::Result<R> {
        let AsyncFd { registered, inner } = self;
        registered.source().try_io(interest, || f(inner).map(Opaque)).map(|Opaque(output)| output)
    }

    /// Does `f`, an operation on the resource, each time the resource seems ready for some of
    /// `interest`, until `f` no longer gives `WouldBlock`.
    ///
    /// For `f`, the rule of [`try_io`](AsyncFd::try_io) holds.
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
    /// # use heist::io::Interest;
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
    /// let count = fd.async_io(Interest::READABLE, |mut socket| socket.read(&mut buf)).await?;
    /// assert_eq!(&buf[..count], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn async_io<R>(&self, interest: Interest, mut f: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let Opaque(output) = self.source().io(interest, || f(&self.inner).map(Opaque)).await?;
        Ok(output)
    }

    /// Does `f` as [`async_io`](AsyncFd::async_io) does, with the resource borrowed exclusively.
    ///
    /// # Errors
    ///
    /// Those of [`async_io`](AsyncFd::async_io).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, each call of `f` so far has given `WouldBlock`.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let AsyncFd { registered, inner } = self;
        let Opaque(output) = registered.source().io(interest, || f(inner).map(Opaque)).await?;
        Ok(output)
    }
}

/// Polling for readiness.
impl<T: AsRawFd> AsyncFd<T> {
    /// Polls until the descriptor is ready for reading. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
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
    /// let guard = std::future::poll_fn(|cx| fd.poll_read_ready(cx)).await?;
    /// assert!(guard.ready().is_readable());
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_read_ready<'a>(&'a self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        self.poll_ready(Direction::Read, cx)
    }

    /// Polls until the descriptor is ready for writing. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_write_ready<'a>(&'a self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        self.poll_ready(Direction::Write, cx)
    }

    /// Polls as [`poll_read_ready`](AsyncFd::poll_read_ready) does. The guard borrows the
    /// descriptor exclusively.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
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
    /// use std::future::poll_fn;
    /// use std::task::{Poll, ready};
    ///
    /// peer.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// // A `poll_read` would be a loop, which polls again after a `WouldBlock`.
    /// let read = poll_fn(|cx| {
    ///     let mut guard = ready!(fd.poll_read_ready_mut(cx))?;
    ///     Poll::Ready(guard.try_io(|fd| fd.get_mut().read(&mut buf)).expect("it is ready"))
    /// });
    /// assert_eq!(read.await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        self.poll_ready_mut(Direction::Read, cx)
    }

    /// Polls as [`poll_write_ready`](AsyncFd::poll_write_ready) does. The guard borrows the
    /// descriptor exclusively.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        self.poll_ready_mut(Direction::Write, cx)
    }

    fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let seen = ready!(self.source().poll_ready(direction, cx))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, direction.mask(), seen)))
    }

    fn poll_ready_mut(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'_, T>>> {
        let seen = ready!(self.source().poll_ready(direction, cx))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, direction.mask(), seen)))
    }
}
