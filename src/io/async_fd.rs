//! Any file descriptor on the reactor.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use super::descriptor::Descriptor;
use super::ready_guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};
use super::register_error::AsyncFdRegisterError;
use crate::context;
use crate::reactor::{Direction, Interest, Opaque, Reactor, Ready, Registered, Source};
use crate::sync::Arc;

/// A file descriptor whose readiness tasks wait for: a timer, an eventfd, a socket of another library.
///
/// It has to be non-blocking, and of a kind that can be waited for: an ordinary file is refused by the operating system. The
/// readiness lasts until somebody takes it back, so an operation that answered
/// [`WouldBlock`](io::ErrorKind::WouldBlock) must be followed by [`clear_ready`](AsyncFdReadyGuard::clear_ready), or go
/// through a `try_io`, which does that. Do not take it back without having seen `WouldBlock`: what is ready already may never be
/// announced again.
///
/// # The descriptor has to stay open
///
/// The resource must keep its descriptor open, under the same number, until the `AsyncFd` is dropped. A resource that owns its
/// descriptor does so: an [`OwnedFd`](std::os::fd::OwnedFd), a `File`, a socket.
///
/// With a bare [`RawFd`] the owner of the number must keep it open for so long. The drop, as [`into_inner`](AsyncFd::into_inner), deregisters the
/// descriptor that has that number then. If the number has been closed and reused meanwhile, another resource of the same runtime may be
/// deregistered. A wait for that resource never ends. [`AsFd`] is implemented only if the resource implements it: a `RawFd` proves nothing about the
/// number.
///
/// # Examples
///
/// A pipe of std's:
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
    /// Before the resource: it is deregistered while its descriptor is still open.
    registered: Registered<Descriptor>,
    inner: T,
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
    /// Outside of a runtime, or if that has no I/O.
    ///
    #[doc = crate::io::doc_examples::set!(socket)]
    /// let here = AsyncFd::new(here)?;
    /// assert!(here.writable().await?.ready().is_writable());
    #[doc = crate::io::doc_examples::end!()]
    #[track_caller]
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        AsyncFd::with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// Registers a descriptor for `interest`. Waiting for anything else lasts for ever.
    ///
    /// # Errors
    ///
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// As [`new`](AsyncFd::new).
    ///
    #[doc = crate::io::doc_examples::set!(socket)]
    /// there.write_all(b"hello")?;
    /// let here = AsyncFd::with_interest(here, Interest::READABLE)?; // nobody will ask whether it can be written
    /// assert!(here.readable().await?.ready().is_readable());
    #[doc = crate::io::doc_examples::end!()]
    #[track_caller]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
        AsyncFd::register_on(context::reactor(), inner, interest).map_err(io::Error::from)
    }

    /// As [`new`](AsyncFd::new), with an error that gives the resource back.
    ///
    /// # Errors
    ///
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// As [`new`](AsyncFd::new).
    ///
    #[doc = crate::io::doc_examples::set!(socket)]
    /// match AsyncFd::try_new(here) {
    ///     Ok(here) => drop(here.writable().await?),
    ///     Err(error) => {
    ///         let (here, why) = error.into_parts(); // it is not lost
    ///         eprintln!("{here:?}: {why}");
    ///     }
    /// }
    #[doc = crate::io::doc_examples::end!()]
    #[track_caller]
    pub fn try_new(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// As [`with_interest`](AsyncFd::with_interest), with an error that gives the resource back.
    ///
    /// # Errors
    ///
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// As [`new`](AsyncFd::new).
    ///
    #[doc = crate::io::doc_examples::set!(socket)]
    /// let here = AsyncFd::try_with_interest(here, Interest::WRITABLE).expect("a socket can be waited for");
    /// assert!(here.writable().await?.ready().is_writable());
    #[doc = crate::io::doc_examples::end!()]
    #[track_caller]
    pub fn try_with_interest(inner: T, interest: Interest) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::register_on(context::reactor(), inner, interest)
    }

    /// As [`try_new`](AsyncFd::try_new), for one who vouches for the descriptor.
    ///
    /// # Safety
    ///
    /// `inner` answers with one and the same open descriptor as long as this lives.
    ///
    /// # Errors
    ///
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// As [`new`](AsyncFd::new).
    ///
    #[doc = crate::io::doc_examples::set!(socket)]
    /// // SAFETY: a socket of std's has the same descriptor as long as it lives.
    /// let here = unsafe { AsyncFd::register(here) }?;
    /// assert!(here.writable().await?.ready().is_writable());
    #[doc = crate::io::doc_examples::end!()]
    #[track_caller]
    pub unsafe fn register(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_new(inner)
    }

    /// As [`try_with_interest`](AsyncFd::try_with_interest), for one who vouches for the descriptor.
    ///
    /// # Safety
    ///
    /// As [`register`](AsyncFd::register).
    ///
    /// # Errors
    ///
    /// As [`new`](AsyncFd::new).
    ///
    /// # Panics
    ///
    /// As [`new`](AsyncFd::new).
    ///
    #[doc = crate::io::doc_examples::set!(socket)]
    /// // SAFETY: a socket of std's has the same descriptor as long as it lives.
    /// let here = unsafe { AsyncFd::register_with_interest(here, Interest::WRITABLE) }?;
    /// assert!(here.writable().await?.ready().is_writable());
    #[doc = crate::io::doc_examples::end!()]
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

    /// The resource.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// assert!(here.get_ref().peer_addr()?.is_unnamed());
    #[doc = crate::io::doc_examples::end!()]
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Returns the resource. Do not replace it by another: the new descriptor would not be registered, and the old one might be closed too early.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// assert_eq!(here.get_mut().write(b"hello")?, 5); // without waiting: it may answer `WouldBlock`
    #[doc = crate::io::doc_examples::end!()]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Deregisters the resource and gives it back.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let socket = here.into_inner();
    /// socket.set_nonblocking(false)?; // for use without a runtime
    #[doc = crate::io::doc_examples::end!()]
    pub fn into_inner(self) -> T {
        let AsyncFd { registered, inner } = self;
        drop(registered);
        inner
    }

    /// Waits until it is ready for some of `interest`. Any number of tasks may wait at once.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Readiness is not lost if the future is dropped.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let guard = here.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(!guard.ready().is_empty());
    #[doc = crate::io::doc_examples::end!()]
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let seen = self.source().ready(interest).await?;
        Ok(AsyncFdReadyGuard::new(self, interest.mask(), seen))
    }

    /// As [`ready`](AsyncFd::ready), with a guard that gives the resource exclusively.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Readiness is not lost if the future is dropped.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let mut guard = here.ready_mut(Interest::READABLE).await?;
    /// let mut buf = [0; 16];
    /// assert_eq!(guard.try_io(|fd| fd.get_mut().read(&mut buf)).expect("it is ready")?, 5);
    #[doc = crate::io::doc_examples::end!()]
    pub async fn ready_mut(&mut self, interest: Interest) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let seen = self.source().ready(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, interest.mask(), seen))
    }

    /// Waits until it is ready to be read. See [`ready`](AsyncFd::ready).
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let count = loop {
    ///     let mut guard = here.readable().await?;
    ///     if let Ok(result) = guard.try_io(|fd| fd.get_ref().read(&mut buf)) {
    ///         break result?;
    ///     }
    /// };
    /// assert_eq!(&buf[..count], b"hello");
    #[doc = crate::io::doc_examples::end!()]
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until it is ready to be read. See [`ready_mut`](AsyncFd::ready_mut).
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let count = loop {
    ///     let mut guard = here.readable_mut().await?;
    ///     if let Ok(result) = guard.try_io(|fd| fd.get_mut().read(&mut buf)) {
    ///         break result?;
    ///     }
    /// };
    /// assert_eq!(&buf[..count], b"hello");
    #[doc = crate::io::doc_examples::end!()]
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until it is ready to be written. See [`ready`](AsyncFd::ready).
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let mut guard = here.writable().await?;
    /// assert_eq!(guard.try_io(|fd| fd.get_ref().write(b"hello")).expect("it is ready")?, 5);
    #[doc = crate::io::doc_examples::end!()]
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until it is ready to be written. See [`ready_mut`](AsyncFd::ready_mut).
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let mut guard = here.writable_mut().await?;
    /// assert_eq!(guard.try_io(|fd| fd.get_mut().write(b"hello")).expect("it is ready")?, 5);
    #[doc = crate::io::doc_examples::end!()]
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Does `f`, an operation on the resource, if it seems ready for some of `interest`. If `f` answers `WouldBlock`, it is no
    /// longer taken to be ready; so `f` must answer that only if the resource did.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it does not seem ready, or what `f` answers.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let mut buf = [0; 16];
    /// let error = here.try_io(Interest::READABLE, |mut socket| socket.read(&mut buf)).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock); // nothing has come yet
    #[doc = crate::io::doc_examples::end!()]
    pub fn try_io<R>(&self, interest: Interest, f: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.source().try_io(interest, || f(&self.inner).map(Opaque)).map(|Opaque(answer)| answer)
    }

    /// As [`try_io`](AsyncFd::try_io), with the resource exclusively.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// drop(here.writable().await?);
    /// assert_eq!(here.try_io_mut(Interest::WRITABLE, |socket| socket.write(b"hello"))?, 5);
    #[doc = crate::io::doc_examples::end!()]
    pub fn try_io_mut<R>(&mut self, interest: Interest, f: impl FnOnce(&mut T) -> io::Result<R>) -> io::Result<R> {
        let AsyncFd { registered, inner } = self;
        registered.source().try_io(interest, || f(inner).map(Opaque)).map(|Opaque(answer)| answer)
    }

    /// Does `f`, an operation on the resource, each time it seems ready for some of `interest`, until it no longer answers
    /// `WouldBlock`. What [`try_io`](AsyncFd::try_io) asks of `f` holds here too.
    ///
    /// # Errors
    ///
    /// What `f` answers, or that the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no `f` has answered anything but `WouldBlock`.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let count = here.async_io(Interest::READABLE, |mut socket| socket.read(&mut buf)).await?;
    /// assert_eq!(&buf[..count], b"hello");
    #[doc = crate::io::doc_examples::end!()]
    pub async fn async_io<R>(&self, interest: Interest, mut f: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let Opaque(answer) = self.source().io(interest, || f(&self.inner).map(Opaque)).await?;
        Ok(answer)
    }

    /// As [`async_io`](AsyncFd::async_io), with the resource exclusively.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let count = here.async_io_mut(Interest::READABLE, |socket| socket.read(&mut buf)).await?;
    /// assert_eq!(&buf[..count], b"hello");
    #[doc = crate::io::doc_examples::end!()]
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let AsyncFd { registered, inner } = self;
        let Opaque(answer) = registered.source().io(interest, || f(inner).map(Opaque)).await?;
        Ok(answer)
    }

    /// Polls for it being ready to be read. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let guard = std::future::poll_fn(|cx| here.poll_read_ready(cx)).await?;
    /// assert!(guard.ready().is_readable());
    #[doc = crate::io::doc_examples::end!()]
    pub fn poll_read_ready<'a>(&'a self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        self.poll_ready(Direction::Read, cx)
    }

    /// Polls for it being ready to be written. Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let guard = std::future::poll_fn(|cx| here.poll_write_ready(cx)).await?;
    /// assert!(guard.ready().is_writable());
    #[doc = crate::io::doc_examples::end!()]
    pub fn poll_write_ready<'a>(&'a self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        self.poll_ready(Direction::Write, cx)
    }

    /// As [`poll_read_ready`](AsyncFd::poll_read_ready), with a guard that gives the resource exclusively.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// use std::future::poll_fn;
    /// use std::task::{Poll, ready};
    ///
    /// there.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// // A `poll_read` would be a loop: ask again if the try would have blocked.
    /// let read = poll_fn(|cx| {
    ///     let mut guard = ready!(here.poll_read_ready_mut(cx))?;
    ///     Poll::Ready(guard.try_io(|fd| fd.get_mut().read(&mut buf)).expect("it is ready"))
    /// });
    /// assert_eq!(read.await?, 5);
    #[doc = crate::io::doc_examples::end!()]
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        self.poll_ready_mut(Direction::Read, cx)
    }

    /// As [`poll_write_ready`](AsyncFd::poll_write_ready), with a guard that gives the resource exclusively.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// use std::future::poll_fn;
    /// use std::task::{Poll, ready};
    ///
    /// let write = poll_fn(|cx| {
    ///     let mut guard = ready!(here.poll_write_ready_mut(cx))?;
    ///     Poll::Ready(guard.try_io(|fd| fd.get_mut().write(b"hello")).expect("it is ready"))
    /// });
    /// assert_eq!(write.await?, 5);
    #[doc = crate::io::doc_examples::end!()]
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

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// The resource's own implementation: only the resource knows that its descriptor is open.
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
