//! Reading and writing the bytes of a TCP connection.

use std::io::{self, IoSlice, IoSliceMut};

use super::tcp_stream::TcpStream;

/// Reading.
impl TcpStream {
    /// Reads the bytes that are available into `buf`, and waits until there are some.
    ///
    /// Returns the number of bytes read. 0 means the end of the stream. If `buf` is empty, returns
    /// 0 at once.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been read.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// peer.write_all(b"hello").await?;
    /// let mut buf = [0; 16];
    /// let count = stream.read(&mut buf).await?;
    /// assert_eq!(&buf[..count], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().read(buf).await
    }

    /// Reads the bytes that are available into several buffers in turn, as [`read`](Self::read)
    /// does into one.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been read.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// use std::io::IoSliceMut;
    ///
    /// peer.write_all(b"hello").await?;
    /// let (mut head, mut rest) = ([0; 2], [0; 16]);
    /// let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut rest)];
    /// let count = stream.read_vectored(&mut bufs).await?;
    /// assert_eq!((&head, &rest[..count - 2]), (b"he", &b"llo"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registered().read_vectored(bufs).await
    }

    /// Fills `buf`, and returns its length.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream ends before `buf` is full.
    /// Other errors are those of [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some bytes may have been read, and their number is unknown.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// peer.write_all(b"hello, heist").await?;
    /// let mut word = [0; 5];
    /// stream.read_exact(&mut word).await?;
    /// assert_eq!(&word, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().read_exact(buf).await
    }

    /// Reads until the end of the stream, appends the bytes to `buf`, and returns their number.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read). The bytes read before the error are in `buf`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the bytes read so far are in `buf`, and reading can go on.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// peer.write_all(b"hello").await?;
    /// drop(peer);
    /// let mut all = Vec::new();
    /// assert_eq!(stream.read_to_end(&mut all).await?, 5);
    /// assert_eq!(all, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.registered().read_to_end(buf).await
    }

    /// Reads UTF-8 until the end of the stream, appends it to `text`, and returns the number of
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if the bytes are not UTF-8. Other errors are
    /// those of [`read`](Self::read). After an error, `text` is unchanged, and the bytes read so
    /// far are lost.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the bytes read so far are lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// peer.write_all("grüß dich".as_bytes()).await?;
    /// drop(peer);
    /// let mut text = String::new();
    /// stream.read_to_string(&mut text).await?;
    /// assert_eq!(text, "grüß dich");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        self.registered().read_to_string(text).await
    }

    /// Reads the bytes that are available into `buf`, without waiting.
    ///
    /// Returns the number of bytes read. 0 means the end of the stream. If `buf` is empty, returns
    /// 0.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing to read. Other errors are
    /// those of [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// use std::io::ErrorKind;
    ///
    /// peer.write_all(b"hello").await?;
    /// let mut buf = [0; 16];
    /// let count = loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buf) {
    ///         // Readiness is a hint: wait again.
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
    ///         result => break result?,
    ///     }
    /// };
    /// assert_eq!(&buf[..count], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().try_read(buf)
    }

    /// Reads into several buffers in turn, as [`try_read`](Self::try_read) does into one.
    ///
    /// # Errors
    ///
    /// Those of [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registered().try_read_vectored(bufs)
    }
}

/// Writing.
impl TcpStream {
    /// Writes as many bytes of `buf` as there is room for, and waits until there is room.
    ///
    /// Returns the number of bytes written. If `buf` is empty, returns 0 at once.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been written.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// let count = stream.write(b"hello").await?; // up to five
    /// let mut got = vec![0; count];
    /// peer.read_exact(&mut got).await?;
    /// assert_eq!(got, b"hello"[..count]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.registered().write(buf).await
    }

    /// Writes from several buffers in turn, as [`write`](Self::write) does from one.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been written.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// use std::io::IoSlice;
    ///
    /// let bufs = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    /// let count = stream.write_vectored(&bufs).await?; // up to eight
    /// let mut got = vec![0; count];
    /// peer.read_exact(&mut got).await?;
    /// assert_eq!(got, b"headbody"[..count]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registered().write_vectored(bufs).await
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some bytes may have been written, and their number is unknown.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// stream.write_all(b"hello").await?;
    /// let mut got = [0; 5];
    /// peer.read_exact(&mut got).await?;
    /// assert_eq!(&got, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.registered().write_all(buf).await
    }

    /// Does nothing, because each write goes to the operating system at once. Code that is generic
    /// over writers calls it.
    ///
    /// # Errors
    ///
    /// None: this returns `Ok`.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Shuts the writing direction down. The peer reads the bytes that are on their way, and then
    /// the end. Reading goes on.
    ///
    /// If the connection is already gone, as after a reset by the peer, nothing is left to shut
    /// down, and this returns `Ok`.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// stream.write_all(b"the last words").await?;
    /// stream.shutdown().await?;
    /// let mut text = String::new();
    /// peer.read_to_string(&mut text).await?;
    /// assert_eq!(text, "the last words");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.shutdown_write()
    }

    /// Writes as many bytes of `buf` as there is room for, without waiting.
    ///
    /// Returns the number of bytes written. If `buf` is empty, returns 0.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. Other errors are those of
    /// [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut stream = heist::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut peer, _) = listener.accept().await?;
    /// use std::io::ErrorKind;
    ///
    /// let count = loop {
    ///     stream.writable().await?;
    ///     match stream.try_write(b"hello") {
    ///         // Readiness is a hint: wait again.
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
    ///         result => break result?,
    ///     }
    /// };
    /// let mut got = vec![0; count];
    /// peer.read_exact(&mut got).await?;
    /// assert_eq!(got, b"hello"[..count]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.registered().try_write(buf)
    }

    /// Writes from several buffers in turn, as [`try_write`](Self::try_write) does from one.
    ///
    /// # Errors
    ///
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registered().try_write_vectored(bufs)
    }
}
