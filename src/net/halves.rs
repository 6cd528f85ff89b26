//! The halves of a stream, borrowed and owned.

/// The halves of one type of stream, with what takes it apart and brings it together.
macro_rules! halves {
    ($stream:ident, $address:ty, $wire:ty) => {
        /// The half of a borrowed stream that reads; made by its `split`.
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $stream);

        /// The half of a borrowed stream that writes; made by its `split`.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $stream);

        /// The half of a stream that reads, on its own; made by the stream's `into_split`.
        #[derive(Debug)]
        pub struct OwnedReadHalf(crate::sync::Arc<$stream>);

        /// The half of a stream that writes, on its own; made by the stream's `into_split`.
        ///
        /// Dropping it shuts the writing direction down.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: crate::sync::Arc<$stream>,
            /// Whether the drop has to shut the writing direction down.
            is_open: bool,
        }

        /// The error of bringing two halves together that are not of the same stream. It gives them back.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl std::fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the two halves are not of the same stream")
            }
        }

        impl std::error::Error for ReuniteError {}

        fn reunite(read: OwnedReadHalf, mut write: OwnedWriteHalf) -> Result<$stream, ReuniteError> {
            if !crate::sync::Arc::ptr_eq(&read.0, &write.stream) {
                return Err(ReuniteError(read, write));
            }
            write.is_open = false;
            drop(write);
            Ok(crate::sync::Arc::into_inner(read.0).expect("a stream has two halves"))
        }

        impl $stream {
            /// Splits it into a half that reads and one that writes, for use within one task.
            pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
                (ReadHalf(self), WriteHalf(self))
            }

            /// Splits it into a half that reads and one that writes, which can go to different tasks.
            ///
            /// Dropping the half that writes shuts the writing direction down.
            pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                let stream = crate::sync::Arc::new(self);
                (OwnedReadHalf(crate::sync::Arc::clone(&stream)), OwnedWriteHalf { stream, is_open: true })
            }
        }

        impl OwnedReadHalf {
            /// Brings the two halves of a stream together again.
            ///
            /// # Errors
            ///
            /// If they are not of the same stream.
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$stream, ReuniteError> {
                reunite(self, other)
            }
        }

        impl OwnedWriteHalf {
            /// Brings the two halves of a stream together again.
            ///
            /// # Errors
            ///
            /// If they are not of the same stream.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$stream, ReuniteError> {
                reunite(other, self)
            }

            /// Drops the half without shutting the writing direction down.
            pub fn forget(mut self) {
                self.is_open = false;
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.is_open {
                    // A connection that is gone already has nothing to shut down.
                    let _ = self.stream.half_close();
                }
            }
        }

        impl crate::net::wired::Closing for WriteHalf<'_> {
            fn close(&mut self) -> std::io::Result<()> {
                self.0.half_close()
            }
        }

        impl crate::net::wired::Closing for OwnedWriteHalf {
            fn close(&mut self) -> std::io::Result<()> {
                let result = self.stream.half_close();
                if result.is_ok() {
                    self.is_open = false;
                }
                result
            }
        }

        crate::net::halves::half!(ReadHalf<'_>, $stream, $address, $wire, self => self.0);
        crate::net::halves::half!(WriteHalf<'_>, $stream, $address, $wire, self => self.0);
        crate::net::halves::half!(OwnedReadHalf, $stream, $address, $wire, self => &self.0);
        crate::net::halves::half!(OwnedWriteHalf, $stream, $address, $wire, self => &self.stream);

        crate::net::methods::readable!(ReadHalf<'_>, poll_read_ready);
        crate::net::methods::readable!(OwnedReadHalf, poll_read_ready);
        crate::net::methods::writable!(WriteHalf<'_>, poll_write_ready);
        crate::net::methods::writable!(OwnedWriteHalf, poll_write_ready);
        crate::net::methods::reads!(ReadHalf<'_>);
        crate::net::methods::reads!(OwnedReadHalf);
        crate::net::methods::writes!(WriteHalf<'_>);
        crate::net::methods::writes!(OwnedWriteHalf);
    };
}
pub(super) use halves;

/// What each of the four kinds of half has.
macro_rules! half {
    ($half:ty, $stream:ident, $address:ty, $wire:ty, $self:ident => $whole:expr) => {
        crate::net::methods::wired!($half, $wire, $self => ($whole).registered());
        crate::net::methods::ready!($half);

        impl $half {
            /// The other end's address.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn peer_addr(&self) -> std::io::Result<$address> {
                self.as_ref().peer_addr()
            }

            /// This end's address.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn local_addr(&self) -> std::io::Result<$address> {
                self.as_ref().local_addr()
            }
        }

        impl AsRef<$stream> for $half {
            fn as_ref(&$self) -> &$stream {
                $whole
            }
        }
    };
}
pub(super) use half;
