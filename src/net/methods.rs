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
        impl crate::net::mio_socket::HasMioSocket for $socket {
            type MioSocket = $wire;

            fn registered(&$self) -> &crate::reactor::Registered<$wire> {
                $registered
            }
        }
    };
}
pub(super) use wired;

/// From and to the type of std.
macro_rules! std_forms {
    ($socket:ident, $std:ty, $wire:ty, $made:literal) => {
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
            ///
            #[doc = crate::net::doc_examples::on!($made)]
            /// std.set_nonblocking(true)?;
            #[doc = concat!("let socket = heist::net::", stringify!($socket), "::from_std(std)?;")]
            /// assert!(socket.local_addr().is_ok());
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::on!($made)]
            /// # std.set_nonblocking(true)?;
            #[doc = concat!("let socket = heist::net::", stringify!($socket), "::from_std(std)?;")]
            /// let std = socket.into_std()?;
            /// std.set_nonblocking(false)?; // for use without a runtime
            #[doc = crate::net::doc_examples::end!()]
            pub fn into_std(self) -> std::io::Result<$std> {
                Ok(self.io.into_io()?.into())
            }
        }

        impl TryFrom<$std> for $socket {
            type Error = std::io::Error;

            /// Converts a socket of std, as [`from_std`](Self::from_std) does.
            ///
            /// # Errors
            ///
            /// As for `from_std`.
            ///
            /// # Panics
            ///
            /// If this thread is not inside of a runtime, or if the runtime has no I/O.
            #[track_caller]
            fn try_from(socket: $std) -> std::io::Result<$socket> {
                $socket::from_std(socket)
            }
        }
    };
}
pub(super) use std_forms;

/// Waiting until it is ready for something.
macro_rules! ready {
    ($socket:ty, $scene:ident) => {
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            #[doc = crate::net::doc_examples::readiness!($scene)]
            #[doc = crate::net::doc_examples::end!()]
            pub async fn ready(&self, interest: crate::reactor::Interest) -> std::io::Result<crate::reactor::Ready> {
                Ok(self.source().ready(interest).await?.ready() & interest.mask())
            }
        }
    };
}
pub(super) use ready;

/// Waiting until an operation of one direction is worth trying.
macro_rules! worth_trying {
    ($socket:ty, $scene:ident, $direction:ident, $interest:ident, $what:literal, $wait:ident, $poll:ident, $then:expr) => {
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            #[doc = crate::net::doc_examples::before!($direction, $scene)]
            #[doc = concat!("here.", stringify!($wait), "().await?;")]
            #[doc = $then]
            #[doc = crate::net::doc_examples::end!()]
            pub async fn $wait(&self) -> std::io::Result<()> {
                self.source().ready(crate::reactor::Interest::$interest).await.map(drop)
            }

            #[doc = concat!("Polls for ", $what, " being worth trying. Only the latest caller's task is woken.")]
            ///
            /// # Errors
            ///
            /// If the runtime has been shut down.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            #[doc = crate::net::doc_examples::before!($direction, $scene)]
            #[doc = concat!("std::future::poll_fn(|cx| here.", stringify!($poll), "(cx)).await?;")]
            #[doc = $then]
            #[doc = crate::net::doc_examples::end!()]
            pub fn $poll(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
                self.source().poll_ready(crate::reactor::Direction::$direction, cx).map_ok(drop)
            }
        }
    };
}
pub(super) use worth_trying;

/// The `poll_` form of streams and of messages have different names.
macro_rules! readable {
    ($socket:ty, $scene:ident, $poll:ident) => {
        crate::net::methods::worth_trying!(
            $socket,
            $scene,
            Read,
            READABLE,
            "a read",
            readable,
            $poll,
            crate::net::doc_examples::hear!($scene)
        );
    };
}
pub(super) use readable;

/// The same for the other direction.
macro_rules! writable {
    ($socket:ty, $scene:ident, $poll:ident) => {
        crate::net::methods::worth_trying!(
            $socket,
            $scene,
            Write,
            WRITABLE,
            "a write",
            writable,
            $poll,
            crate::net::doc_examples::speak!($scene)
        );
    };
}
pub(super) use writable;

/// Operations of the user's own.
macro_rules! own_operations {
    ($socket:ty, $scene:ident) => {
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// # #[cfg(unix)]
            /// # {
            /// use heist::io::Interest;
            /// use socket2::SockRef;
            ///
            /// here.writable().await?;
            /// // An operation that the socket does not have: a send with flags.
            /// let count = here.try_io(Interest::WRITABLE, || SockRef::from(&here).send_with_flags(b"hello", libc::MSG_NOSIGNAL))?;
            /// assert_eq!(count, 5);
            /// # }
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// # #[cfg(unix)]
            /// # {
            /// use heist::io::Interest;
            /// use socket2::SockRef;
            ///
            /// // An operation that the socket does not have: a send with flags.
            /// let send = || SockRef::from(&here).send_with_flags(b"hello", libc::MSG_NOSIGNAL);
            /// assert_eq!(here.async_io(Interest::WRITABLE, send).await?, 5);
            /// # }
            #[doc = crate::net::doc_examples::end!()]
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
