//! Sending and receiving the messages of a unix datagram socket.

use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use super::unix_addr::SocketAddr;
use super::unix_datagram::UnixDatagram;
use crate::reactor::{Direction, Interest};

/// Messages. A send and a receive each move one whole message. What does not fit into the buffer of
/// the receiver is lost. Any number of tasks may send and receive at once.
impl UnixDatagram {
    /// Sends a message to the peer that the socket is connected to, and returns the number of
    /// bytes.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, such as that the socket is not connected, or if
    /// the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (socket, peer) = heist::net::UnixDatagram::pair()?;
    /// assert_eq!(socket.send(b"hello").await?, 5);
    /// # assert_eq!(peer.recv(&mut [0; 16]).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.registered().async_io(Interest::WRITABLE, || self.registered().io().send(buf)).await
    }

    /// Polls a send, as [`send`](Self::send) waits for it. Only the task of the latest call is
    /// woken.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.registered().poll_io(Direction::Write, cx, || self.registered().io().send(buf))
    }

    /// Sends a message as [`send`](Self::send) does, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. Other errors are those of
    /// [`send`](Self::send).
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.registered().try_io(Interest::WRITABLE, || self.registered().io().send(buf))
    }

    /// Receives a message, waits until there is one, and returns the number of bytes. A connected
    /// socket receives messages of its peer only.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been received.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (socket, peer) = heist::net::UnixDatagram::pair()?;
    /// peer.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// let count = socket.recv(&mut buf).await?;
    /// assert_eq!(&buf[..count], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().async_io(Interest::READABLE, || self.recv_now(buf)).await
    }

    /// Polls for a message, as [`recv`](Self::recv) waits for it. Only the task of the latest call
    /// is woken.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.registered().poll_io(Direction::Read, cx, || self.recv_now(buf))
    }

    /// Receives a message as [`recv`](Self::recv) does, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no message. Other errors are those of
    /// [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().try_io(Interest::READABLE, || self.recv_now(buf))
    }

    /// Receives a message as [`recv`](Self::recv) does, and returns the address of its sender as
    /// well.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been received.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registered().async_io(Interest::READABLE, || self.recv_from_now(buf)).await
    }

    /// Polls for a message, as [`recv_from`](Self::recv_from) waits for it. Only the task of the
    /// latest call is woken.
    ///
    /// # Errors
    ///
    /// Those of [`recv_from`](Self::recv_from).
    pub fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.registered().poll_io(Direction::Read, cx, || self.recv_from_now(buf))
    }

    /// Receives a message as [`recv_from`](Self::recv_from) does, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no message. Other errors are those of
    /// [`recv_from`](Self::recv_from).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registered().try_io(Interest::READABLE, || self.recv_from_now(buf))
    }
}

/// Messages to any address.
impl UnixDatagram {
    /// Sends a message to the socket at `target`, and returns the number of bytes.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let name = format!("heist-net-6-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("socket");
    /// use heist::net::UnixDatagram;
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// assert_eq!(client.send_to(b"hello", &path).await?, 5);
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        self.registered().async_io(Interest::WRITABLE, || self.registered().io().send_to(buf, target.as_ref())).await
    }

    /// Polls a send, as [`send_to`](UnixDatagram::send_to) waits for it. Only the task of the
    /// latest call is woken.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](UnixDatagram::send_to).
    pub fn poll_send_to<P: AsRef<Path>>(&self, cx: &mut Context<'_>, buf: &[u8], target: P) -> Poll<io::Result<usize>> {
        self.registered().poll_io(Direction::Write, cx, || self.registered().io().send_to(buf, target.as_ref()))
    }

    /// Sends a message as [`send_to`](UnixDatagram::send_to) does, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. Other errors are those of
    /// [`send_to`](UnixDatagram::send_to).
    pub fn try_send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        self.registered().try_io(Interest::WRITABLE, || self.registered().io().send_to(buf, target.as_ref()))
    }
}
