//! The right to take readiness back.

use std::error::Error;
use std::os::fd::AsRawFd;
use std::{fmt, io};

use super::async_fd::AsyncFd;
use crate::reactor::{Ready, Snapshot, Source};
use crate::sync::Arc;

/// A descriptor that was ready; through it the readiness is taken back.
///
/// Dropping it changes nothing.
#[must_use = "readiness lasts until it is taken back"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    fd: &'a AsyncFd<T>,
    seen: Seen,
}

/// A descriptor that was ready, held exclusively; through it the readiness is taken back.
///
/// Dropping it changes nothing. If its [`AsyncFd`] is exchanged for another, as by [`std::mem::swap`], the guard takes nothing back: the wait was for
/// the first one, and the operation may have been on the second.
#[must_use = "readiness lasts until it is taken back"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    fd: &'a mut AsyncFd<T>,
    seen: Seen,
    /// The source that was waited for. The guard keeps it, so that no later registration has the same address.
    source: Arc<Source>,
}

/// The operation would block. The readiness has been taken back; wait again.
#[derive(Debug)]
pub struct TryIoError(());

/// What was seen when the wait ended, and what of it was waited for.
#[derive(Clone, Copy, Debug)]
struct Seen {
    snapshot: Snapshot,
    mask: Ready,
}

impl Seen {
    fn ready(self) -> Ready {
        self.snapshot.ready() & self.mask
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    pub(super) fn new(fd: &'a AsyncFd<T>, mask: Ready, snapshot: Snapshot) -> Self {
        AsyncFdReadyGuard { fd, seen: Seen { snapshot, mask } }
    }

    /// Returns the source that was waited for.
    fn source(&self) -> Option<&Source> {
        Some(self.fd.source())
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyMutGuard<'a, T> {
    pub(super) fn new(fd: &'a mut AsyncFd<T>, mask: Ready, snapshot: Snapshot) -> Self {
        let source = Arc::clone(fd.source());
        AsyncFdReadyMutGuard { fd, seen: Seen { snapshot, mask }, source }
    }

    /// Returns the source that was waited for, if the guard still has its `AsyncFd`.
    fn source(&self) -> Option<&Source> {
        Arc::ptr_eq(&self.source, self.fd.source()).then_some(&*self.source)
    }
}

macro_rules! guard {
    ($guard:ident) => {
        impl<T: AsRawFd> $guard<'_, T> {
            /// Takes back what it was ready for, unless it has been announced anew since. Only for one who has seen
            /// [`WouldBlock`](io::ErrorKind::WouldBlock); what has ended stays ended.
            ///
            #[doc = crate::io::doc_examples::set!(fd)]
            /// there.write_all(b"hello")?;
            /// let mut buf = [0; 16];
            /// let mut guard = here.readable().await?;
            /// while guard.get_inner().read(&mut buf).is_ok() {} // until it would block
            /// guard.clear_ready(); // the next wait is for what comes from now on
            #[doc = crate::io::doc_examples::end!()]
            pub fn clear_ready(&mut self) {
                self.clear_ready_matching(Ready::ALL);
            }

            /// As [`clear_ready`](Self::clear_ready), of what is in `ready`.
            ///
            #[doc = crate::io::doc_examples::set!(fd)]
            /// there.write_all(b"hello")?;
            /// let mut buf = [0; 16];
            /// let mut guard = here.ready(Interest::READABLE | Interest::WRITABLE).await?;
            /// while guard.get_inner().read(&mut buf).is_ok() {} // until it would block
            /// guard.clear_ready_matching(Ready::READABLE); // it can still be written to
            #[doc = crate::io::doc_examples::end!()]
            pub fn clear_ready_matching(&mut self, ready: Ready) {
                if let Some(source) = self.source() {
                    source.clear(self.seen.ready() & ready, self.seen.snapshot);
                }
            }

            /// Leaves it ready; the same as dropping the guard.
            ///
            #[doc = crate::io::doc_examples::set!(fd)]
            /// there.write_all(b"hello")?;
            /// let mut guard = here.readable().await?;
            /// guard.retain_ready(); // it was only asked whether there is something
            /// assert!(here.readable().await?.ready().is_readable());
            #[doc = crate::io::doc_examples::end!()]
            pub fn retain_ready(&mut self) {}

            fn clear_on_would_block<R>(&mut self, result: io::Result<R>) -> Result<io::Result<R>, TryIoError> {
                match result {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.clear_ready();
                        Err(TryIoError(()))
                    }
                    result => Ok(result),
                }
            }

            /// What it is ready for, of what was waited for.
            ///
            #[doc = crate::io::doc_examples::set!(fd)]
            /// let guard = here.writable().await?;
            /// assert!(guard.ready().is_writable());
            #[doc = crate::io::doc_examples::end!()]
            pub fn ready(&self) -> Ready {
                self.seen.ready()
            }
        }

        impl<T: AsRawFd + fmt::Debug> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($guard)).field("fd", &self.fd).field("ready", &self.ready()).finish()
            }
        }
    };
}

guard!(AsyncFdReadyGuard);
guard!(AsyncFdReadyMutGuard);

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    /// Does `f`, an operation on the descriptor; if it answers `WouldBlock`, takes the readiness back.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if it would block: wait again. Any other answer of `f` is in the `Ok`.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let mut guard = here.readable().await?;
    /// assert_eq!(guard.try_io(|fd| fd.get_ref().read(&mut buf)).expect("it is ready")?, 5);
    /// assert!(guard.try_io(|fd| fd.get_ref().read(&mut buf)).is_err()); // it would block; the readiness has been taken back
    #[doc = crate::io::doc_examples::end!()]
    pub fn try_io<R>(&mut self, f: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>) -> Result<io::Result<R>, TryIoError> {
        let result = f(self.fd);
        self.clear_on_would_block(result)
    }

    /// The descriptor.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let guard = here.writable().await?;
    /// assert!(guard.get_ref().get_ref().peer_addr()?.is_unnamed());
    #[doc = crate::io::doc_examples::end!()]
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.fd
    }

    /// The resource.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let guard = here.writable().await?;
    /// assert!(guard.get_inner().peer_addr()?.is_unnamed());
    #[doc = crate::io::doc_examples::end!()]
    pub fn get_inner(&self) -> &'a T {
        self.fd.get_ref()
    }
}

impl<T: AsRawFd> AsyncFdReadyMutGuard<'_, T> {
    /// Does `f`, an operation on the descriptor; if it answers `WouldBlock`, takes the readiness back.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if it would block: wait again. Any other answer of `f` is in the `Ok`.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// there.write_all(b"hello")?;
    /// let mut buf = [0; 16];
    /// let mut guard = here.readable_mut().await?;
    /// assert_eq!(guard.try_io(|fd| fd.get_mut().read(&mut buf)).expect("it is ready")?, 5);
    /// assert!(guard.try_io(|fd| fd.get_mut().read(&mut buf)).is_err()); // it would block; the readiness has been taken back
    #[doc = crate::io::doc_examples::end!()]
    pub fn try_io<R>(&mut self, f: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>) -> Result<io::Result<R>, TryIoError> {
        let result = f(self.fd);
        self.clear_on_would_block(result)
    }

    /// The descriptor.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let guard = here.writable_mut().await?;
    /// assert!(guard.get_ref().get_ref().peer_addr()?.is_unnamed());
    #[doc = crate::io::doc_examples::end!()]
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.fd
    }

    /// The descriptor, exclusively.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let mut guard = here.writable_mut().await?;
    /// assert_eq!(guard.get_mut().get_mut().write(b"hello")?, 5);
    #[doc = crate::io::doc_examples::end!()]
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.fd
    }

    /// The resource.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let guard = here.writable_mut().await?;
    /// assert!(guard.get_inner().peer_addr()?.is_unnamed());
    #[doc = crate::io::doc_examples::end!()]
    pub fn get_inner(&self) -> &T {
        self.fd.get_ref()
    }

    /// Returns the resource, exclusively. Do not replace it by another: the new descriptor would not be registered, and the old one might be closed
    /// too early.
    ///
    #[doc = crate::io::doc_examples::set!(fd)]
    /// let mut guard = here.writable_mut().await?;
    /// assert_eq!(guard.get_inner_mut().write(b"hello")?, 5);
    #[doc = crate::io::doc_examples::end!()]
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.fd.get_mut()
    }
}

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would block")
    }
}

impl Error for TryIoError {}
