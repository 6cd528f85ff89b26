//! The public methods that several socket types share, each written once.

/// A type that is one wire and nothing else: its making, its descriptor.
macro_rules! socket {
    ($socket:ident, $wire:ty) => {
        impl $socket {
            pub(super) fn on(
                reactor: &crate::sync::Arc<crate::reactor::Reactor>,
                wire: $wire,
                presumed: crate::reactor::Ready,
            ) -> std::io::Result<$socket> {
                let io = crate::reactor::Registered::new(crate::sync::Arc::clone(reactor), wire, presumed)?;
                Ok($socket { io })
            }
        }

        crate::net::methods::descriptor!($socket);
    };
}
pub(super) use socket;

/// The descriptor of a type around one wire.
macro_rules! descriptor {
    ($socket:ident) => {
        #[cfg(unix)]
        impl std::os::fd::AsFd for $socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.io.io().as_fd()
            }
        }

        #[cfg(unix)]
        impl std::os::fd::AsRawFd for $socket {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.io.io().as_raw_fd()
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsSocket for $socket {
            fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
                self.io.io().as_socket()
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsRawSocket for $socket {
            fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
                self.io.io().as_raw_socket()
            }
        }
    };
}
pub(super) use descriptor;

/// That a type is around a wire: the expression leads there.
macro_rules! wired {
    ($socket:ty, $wire:ty, $self:ident => $registered:expr) => {
        impl crate::net::wired::Wired for $socket {
            type Wire = $wire;

            fn registered(&$self) -> &crate::reactor::Registered<$wire> {
                $registered
            }
        }
    };
}
pub(super) use wired;

/// From and to the type of std.
macro_rules! std_forms {
    ($socket:ident, $std:ty, $wire:ty) => {
        impl $socket {
            /// Makes one of std's, which must have been set non-blocking.
            ///
            /// # Errors
            ///
            /// If it is in blocking mode, which would block a worker; or if it cannot be registered.
            ///
            /// # Panics
            ///
            /// Outside of a runtime, or if that has no I/O.
            #[track_caller]
            pub fn from_std(socket: $std) -> std::io::Result<$socket> {
                let reactor = crate::context::reactor();
                crate::net::blocking_mode::refuse(&socket)?;
                $socket::on(&reactor, <$wire>::from_std(socket), crate::reactor::Ready::EMPTY)
            }

            /// Makes one of std's; it stays non-blocking.
            ///
            /// # Errors
            ///
            /// If it cannot be deregistered.
            pub fn into_std(self) -> std::io::Result<$std> {
                Ok(self.io.into_io()?.into())
            }
        }

        /// As `from_std`, with the same errors and panics.
        impl TryFrom<$std> for $socket {
            type Error = std::io::Error;

            fn try_from(socket: $std) -> std::io::Result<$socket> {
                $socket::from_std(socket)
            }
        }
    };
}
pub(super) use std_forms;

/// Waiting until it is ready for something.
macro_rules! ready {
    ($socket:ty) => {
        /// Readiness.
        impl $socket {
            /// Waits until it is ready for some of `interest`; answers for what. Any number of tasks may wait at once.
            ///
            /// # Errors
            ///
            /// If the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// Readiness is not lost if the future is dropped: it stays until an operation answers `WouldBlock`.
            pub async fn ready(&self, interest: crate::reactor::Interest) -> std::io::Result<crate::reactor::Ready> {
                Ok(self.source().ready(interest).await?.ready() & interest.mask())
            }
        }
    };
}
pub(super) use ready;

/// Waiting until an operation of one direction is worth trying.
macro_rules! worth_trying {
    ($socket:ty, $direction:ident, $interest:ident, $what:literal, $wait:ident, $poll:ident) => {
        #[doc = concat!("Readiness for ", $what, ".")]
        impl $socket {
            #[doc = concat!("Waits until ", $what, " is worth trying; it may still answer `WouldBlock`. Any number of tasks")]
            /// may wait at once.
            ///
            /// # Errors
            ///
            /// If the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// Readiness is not lost if the future is dropped: it stays until an operation answers `WouldBlock`.
            pub async fn $wait(&self) -> std::io::Result<()> {
                self.source().ready(crate::reactor::Interest::$interest).await.map(drop)
            }

            #[doc = concat!("Polls for ", $what, " being worth trying. Only the latest caller's task is woken.")]
            ///
            /// # Errors
            ///
            /// If the runtime has been shut down.
            pub fn $poll(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
                self.source().poll_ready(crate::reactor::Direction::$direction, cx).map_ok(drop)
            }
        }
    };
}
pub(super) use worth_trying;

/// The `poll_` form of streams and of messages have different names.
macro_rules! readable {
    ($socket:ty, $poll:ident) => {
        crate::net::methods::worth_trying!($socket, Read, READABLE, "a read", readable, $poll);
    };
}
pub(super) use readable;

/// The same for the other direction.
macro_rules! writable {
    ($socket:ty, $poll:ident) => {
        crate::net::methods::worth_trying!($socket, Write, WRITABLE, "a write", writable, $poll);
    };
}
pub(super) use writable;

/// Operations of the user's own.
macro_rules! own_operations {
    ($socket:ty) => {
        /// Operations of one's own.
        impl $socket {
            /// Does `f`, an operation on this socket, if it seems ready for some of `interest`.
            ///
            /// If `f` answers `WouldBlock`, the socket is no longer taken to be ready for `interest`. So `f` must answer that
            /// only if the socket did; else a later wait may last for ever.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if it does not seem ready, or what `f` answers.
            pub fn try_io<R>(
                &self,
                interest: crate::reactor::Interest,
                f: impl FnOnce() -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.try_once(interest, f)
            }

            /// Does `f`, an operation on this socket, each time it seems ready for some of `interest`, until it no longer
            /// answers `WouldBlock`. What [`try_io`](Self::try_io) asks of `f` holds here too.
            ///
            /// # Errors
            ///
            /// What `f` answers, or that the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, no `f` has answered anything but `WouldBlock`.
            pub async fn async_io<R>(
                &self,
                interest: crate::reactor::Interest,
                f: impl FnMut() -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.try_until_done(interest, f).await
            }
        }
    };
}
pub(super) use own_operations;

/// Reading bytes.
macro_rules! reads {
    ($socket:ty) => {
        /// Reading.
        impl $socket {
            /// Reads what there is, waiting until there is something; answers how many bytes. None means the end (or that
            /// `buf` is empty).
            ///
            /// # Errors
            ///
            /// What the operating system says, or that the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been read.
            pub async fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.registered().read_slice(buf).await
            }

            /// As [`read`](Self::read), into several buffers in turn.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been read.
            pub async fn read_vectored(&mut self, bufs: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                self.registered().read_slices(bufs).await
            }

            /// Fills `buf`; answers its length.
            ///
            /// # Errors
            ///
            /// [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) if the stream ends first, or as [`read`](Self::read).
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, some bytes may have been read, and it is not known how many.
            pub async fn read_exact(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.registered().read_whole(buf).await
            }

            /// Reads until the end and appends it to `buf`; answers how many bytes.
            ///
            /// # Errors
            ///
            /// As [`read`](Self::read). What had been read by then is in `buf`.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, what has been read is in `buf`, and reading can go on.
            pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> std::io::Result<usize> {
                self.registered().read_rest(buf).await
            }

            /// Reads text until the end and appends it to `text`; answers how many bytes.
            ///
            /// # Errors
            ///
            /// [`InvalidData`](std::io::ErrorKind::InvalidData) if it is not UTF-8, or as [`read`](Self::read). Then `text`
            /// is as it was, and what has been read is lost.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, what has been read is lost.
            pub async fn read_to_string(&mut self, text: &mut String) -> std::io::Result<usize> {
                self.registered().read_text(text).await
            }

            /// Reads what there is without waiting.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is nothing, or as [`read`](Self::read).
            pub fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.registered().try_read_slice(buf)
            }

            /// As [`try_read`](Self::try_read), into several buffers in turn.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn try_read_vectored(&self, bufs: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                self.registered().try_read_slices(bufs)
            }
        }
    };
}
pub(super) use reads;

/// Writing bytes.
macro_rules! writes {
    ($socket:ty) => {
        /// Writing.
        impl $socket {
            /// Writes as much as there is room for, waiting until there is some; answers how many bytes.
            ///
            /// # Errors
            ///
            /// What the operating system says, or that the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been written.
            pub async fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                self.registered().write_slice(buf).await
            }

            /// As [`write`](Self::write), from several buffers in turn.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been written.
            pub async fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.registered().write_slices(bufs).await
            }

            /// Writes all of `buf`.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, some bytes may have been written, and it is not known how many.
            pub async fn write_all(&mut self, buf: &[u8]) -> std::io::Result<()> {
                self.registered().write_whole(buf).await
            }

            /// Does nothing: what is written goes to the operating system at once.
            ///
            /// # Errors
            ///
            /// None.
            pub async fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }

            /// Ends what is written: the peer of a socket reads what is on its way, and then the end. Reading goes on. A pipe
            /// ends when it is dropped, and this does nothing.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub async fn shutdown(&mut self) -> std::io::Result<()> {
                crate::net::wired::Closing::close(self)
            }

            /// Writes as much as there is room for without waiting.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no room, or as [`write`](Self::write).
            pub fn try_write(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.registered().try_write_slice(buf)
            }

            /// As [`try_write`](Self::try_write), from several buffers in turn.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn try_write_vectored(&self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.registered().try_write_slices(bufs)
            }
        }
    };
}
pub(super) use writes;
