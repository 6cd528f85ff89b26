//! The halves of a stream, borrowed and owned.

/// The halves of one type of stream, with what takes it apart and brings it together.
macro_rules! halves {
    ($stream:ident, $address:ty, $wire:ty, $whole:ident, [$read:ident, $write:ident, $owned_read:ident, $owned_write:ident]) => {
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
            ///
            #[doc = crate::net::doc_examples::set!($whole)]
            /// let (mut read, mut write) = here.split();
            /// there.write_all(b"ping").await?;
            /// let mut got = [0; 4];
            /// // Both at once, in one task.
            /// let (sent, received) = futures::join!(write.write_all(b"pong"), read.read_exact(&mut got));
            /// sent?;
            /// assert_eq!((received?, &got), (4, b"ping"));
            #[doc = crate::net::doc_examples::end!()]
            pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
                (ReadHalf(self), WriteHalf(self))
            }

            /// Splits it into a half that reads and one that writes, which can go to different tasks.
            ///
            /// Dropping the half that writes shuts the writing direction down.
            ///
            #[doc = crate::net::doc_examples::set!($whole)]
            /// let (mut read, mut write) = here.into_split();
            /// let writing = heist::spawn(async move { write.write_all(b"hello").await });
            /// writing.await??; // the half that writes has been dropped by now: the other end reads the end
            /// let mut text = String::new();
            /// there.read_to_string(&mut text).await?;
            /// assert_eq!(text, "hello");
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($whole)]
            /// let (read, write) = here.into_split();
            /// let mut here = read.reunite(write).expect("they are of one stream");
            /// here.write_all(b"whole again").await?;
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($whole)]
            /// let (read, write) = here.into_split();
            /// let mut here = write.reunite(read).expect("they are of one stream");
            /// here.write_all(b"whole again").await?;
            #[doc = crate::net::doc_examples::end!()]
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$stream, ReuniteError> {
                reunite(other, self)
            }

            /// Drops the half without shutting the writing direction down.
            ///
            #[doc = crate::net::doc_examples::set!($whole)]
            /// let (read, write) = here.into_split();
            /// write.forget(); // the other end does not read the end: the stream lives on in `read`
            /// there.write_all(b"hello").await?;
            /// assert_eq!(there.try_read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            /// # drop(read);
            #[doc = crate::net::doc_examples::end!()]
            pub fn forget(mut self) {
                self.is_open = false;
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.is_open {
                    // A drop cannot report the error.
                    let _ = self.stream.half_close();
                }
            }
        }

        impl crate::net::mio_socket::Closing for WriteHalf<'_> {
            fn shutdown_write(&mut self) -> std::io::Result<()> {
                self.0.half_close()
            }
        }

        impl crate::net::mio_socket::Closing for OwnedWriteHalf {
            fn shutdown_write(&mut self) -> std::io::Result<()> {
                let result = self.stream.half_close();
                if result.is_ok() {
                    self.is_open = false;
                }
                result
            }
        }

        crate::net::halves::half!(ReadHalf<'_>, $read, $stream, $address, $wire, self => self.0);
        crate::net::halves::half!(WriteHalf<'_>, $write, $stream, $address, $wire, self => self.0);
        crate::net::halves::half!(OwnedReadHalf, $owned_read, $stream, $address, $wire, self => &self.0);
        crate::net::halves::half!(OwnedWriteHalf, $owned_write, $stream, $address, $wire, self => &self.stream);

        crate::net::methods::readable!(ReadHalf<'_>, $read, poll_read_ready);
        crate::net::methods::readable!(OwnedReadHalf, $owned_read, poll_read_ready);
        crate::net::methods::writable!(WriteHalf<'_>, $write, poll_write_ready);
        crate::net::methods::writable!(OwnedWriteHalf, $owned_write, poll_write_ready);
        crate::net::bytes::reads!(ReadHalf<'_>, $read);
        crate::net::bytes::reads!(OwnedReadHalf, $owned_read);
        crate::net::bytes::writes!(WriteHalf<'_>, $write);
        crate::net::bytes::writes!(OwnedWriteHalf, $owned_write);
    };
}
pub(super) use halves;

/// What each of the four kinds of half has.
macro_rules! half {
    ($half:ty, $scene:ident, $stream:ident, $address:ty, $wire:ty, $self:ident => $whole:expr) => {
        crate::net::methods::wired!($half, $wire, $self => ($whole).registered());
        crate::net::methods::ready!($half, $scene);

        impl $half {
            /// The other end's address.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// println!("{:?}", here.peer_addr()?);
            #[doc = crate::net::doc_examples::end!()]
            pub fn peer_addr(&self) -> std::io::Result<$address> {
                self.as_ref().peer_addr()
            }

            /// This end's address.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// println!("{:?}", here.local_addr()?);
            #[doc = crate::net::doc_examples::end!()]
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
