//! Reading and writing bytes: what all streams, their halves and the ends of pipes have in common.

/// Reading bytes.
macro_rules! reads {
    ($socket:ty, $scene:ident) => {
        /// Reading.
        impl $socket {
            /// Reads the bytes that are available, waiting until there are some. Returns how many bytes were read. None means the end. If `buf` is
            /// empty, returns 0 at once.
            ///
            /// # Errors
            ///
            /// What the operating system says, or that the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been read.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.write_all(b"hello").await?;
            /// let mut buf = [0; 16];
            /// let count = here.read(&mut buf).await?;
            /// assert_eq!(&buf[..count], b"hello");
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// use std::io::IoSliceMut;
            ///
            /// there.write_all(b"hello").await?;
            /// let (mut head, mut rest) = ([0; 2], [0; 16]);
            /// let count = here.read_vectored(&mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut rest)]).await?;
            /// assert_eq!((&head, &rest[..count - 2]), (b"he", &b"llo"[..]));
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.write_all(b"hello, heist").await?;
            /// let mut word = [0; 5];
            /// here.read_exact(&mut word).await?;
            /// assert_eq!(&word, b"hello");
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.write_all(b"hello").await?;
            /// drop(there);
            /// let mut all = Vec::new();
            /// assert_eq!(here.read_to_end(&mut all).await?, 5);
            /// assert_eq!(all, b"hello");
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.write_all("grüß dich".as_bytes()).await?;
            /// drop(there);
            /// let mut text = String::new();
            /// here.read_to_string(&mut text).await?;
            /// assert_eq!(text, "grüß dich");
            #[doc = crate::net::doc_examples::end!()]
            pub async fn read_to_string(&mut self, text: &mut String) -> std::io::Result<usize> {
                self.registered().read_text(text).await
            }

            /// Reads the bytes that are available without waiting. If `buf` is empty, returns 0.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is nothing, or as [`read`](Self::read).
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.write_all(b"hello").await?;
            /// let mut buf = [0; 16];
            /// let count = loop {
            ///     here.readable().await?;
            ///     match here.try_read(&mut buf) {
            ///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {} // it only seemed so: wait again
            ///         result => break result?,
            ///     }
            /// };
            /// assert_eq!(&buf[..count], b"hello");
            #[doc = crate::net::doc_examples::end!()]
            pub fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.registered().try_read_slice(buf)
            }

            /// As [`try_read`](Self::try_read), into several buffers in turn.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// use std::io::{ErrorKind, IoSliceMut};
            ///
            /// let (mut head, mut rest) = ([0; 2], [0; 16]);
            /// let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut rest)];
            /// assert_eq!(here.try_read_vectored(&mut bufs).unwrap_err().kind(), ErrorKind::WouldBlock);
            /// there.write_all(b"hello").await?;
            /// let count = loop {
            ///     here.readable().await?;
            ///     match here.try_read_vectored(&mut bufs) {
            ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            ///         result => break result?,
            ///     }
            /// };
            /// assert_eq!((count, &head), (5, b"he"));
            #[doc = crate::net::doc_examples::end!()]
            pub fn try_read_vectored(&self, bufs: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                self.registered().try_read_slices(bufs)
            }
        }
    };
}
pub(super) use reads;

/// Writing bytes.
macro_rules! writes {
    ($socket:ty, $scene:ident) => {
        /// Writing.
        impl $socket {
            /// Writes as much as there is room for, waiting until there is room. Returns how many bytes were written. If `buf` is empty, returns 0 at
            /// once.
            ///
            /// # Errors
            ///
            /// What the operating system says, or that the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been written.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// let count = here.write(b"hello").await?; // up to five
            /// let mut got = vec![0; count];
            /// there.read_exact(&mut got).await?;
            /// assert_eq!(got, b"hello"[..count]);
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// use std::io::IoSlice;
            ///
            /// let count = here.write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"body")]).await?; // up to eight
            /// let mut got = vec![0; count];
            /// there.read_exact(&mut got).await?;
            /// assert_eq!(got, b"headbody"[..count]);
            #[doc = crate::net::doc_examples::end!()]
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
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// here.write_all(b"hello").await?;
            /// let mut got = [0; 5];
            /// there.read_exact(&mut got).await?;
            /// assert_eq!(&got, b"hello");
            #[doc = crate::net::doc_examples::end!()]
            pub async fn write_all(&mut self, buf: &[u8]) -> std::io::Result<()> {
                self.registered().write_whole(buf).await
            }

            /// Does nothing: what is written goes to the operating system at once.
            ///
            /// # Errors
            ///
            /// None.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// here.write_all(b"hello").await?;
            /// here.flush().await?; // changes nothing here; code that is written for any writer calls it
            #[doc = crate::net::doc_examples::end!()]
            pub async fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }

            /// Ends what is written: the peer of a socket reads what is on its way, and then the end. Reading goes on. A pipe
            /// ends when it is dropped, and this does nothing.
            ///
            /// If the connection is gone already, as after the peer's reset, nothing is left to shut down: this returns `Ok`.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// here.write_all(b"the last words").await?;
            /// here.shutdown().await?;
            /// # drop(here);
            /// let mut text = String::new();
            /// there.read_to_string(&mut text).await?;
            /// assert_eq!(text, "the last words");
            #[doc = crate::net::doc_examples::end!()]
            pub async fn shutdown(&mut self) -> std::io::Result<()> {
                crate::net::mio_socket::Closing::shutdown_write(self)
            }

            /// Writes as much as there is room for without waiting. If `buf` is empty, returns 0.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no room, or as [`write`](Self::write).
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// let count = loop {
            ///     here.writable().await?;
            ///     match here.try_write(b"hello") {
            ///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {} // it only seemed so: wait again
            ///         result => break result?,
            ///     }
            /// };
            /// let mut got = vec![0; count];
            /// there.read_exact(&mut got).await?;
            /// assert_eq!(got, b"hello"[..count]);
            #[doc = crate::net::doc_examples::end!()]
            pub fn try_write(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.registered().try_write_slice(buf)
            }

            /// As [`try_write`](Self::try_write), from several buffers in turn.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// use std::io::IoSlice;
            ///
            /// here.writable().await?;
            /// let count = here.try_write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"body")])?;
            /// let mut got = vec![0; count];
            /// there.read_exact(&mut got).await?;
            /// assert_eq!(got, b"headbody"[..count]);
            #[doc = crate::net::doc_examples::end!()]
            pub fn try_write_vectored(&self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.registered().try_write_slices(bufs)
            }
        }
    };
}
pub(super) use writes;
