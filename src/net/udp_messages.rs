//! Sending, receiving and peeking at UDP messages.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::addr::{ToSocketAddrs, addresses};
use super::udp::UdpSocket;
use crate::primitive::sockets;
use crate::reactor::{Direction, Interest};

/// Messages. A send and a receive each move one whole message. What does not fit into the buffer of
/// the receiver is lost. Any number of tasks may send and receive at once.
impl UdpSocket {
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
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// assert_eq!(socket.try_send(b"hello")?, 5);
    /// # assert_eq!(peer.recv(&mut [0; 16]).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
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
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// peer.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// let count = socket.recv(&mut buf).await?;
    /// assert_eq!(&buf[..count], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().async_io(Interest::READABLE, || self.registered().io().recv(buf)).await
    }

    /// Polls for a message, as [`recv`](Self::recv) waits for it. Only the task of the latest call
    /// is woken.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.registered().poll_io(Direction::Read, cx, || self.registered().io().recv(buf))
    }

    /// Receives a message as [`recv`](Self::recv) does, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no message. Other errors are those of
    /// [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// use std::io::ErrorKind;
    ///
    /// let mut buf = [0; 1500];
    /// assert_eq!(socket.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// peer.send(b"hello").await?;
    /// socket.readable().await?;
    /// assert_eq!(socket.try_recv(&mut buf)?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().try_io(Interest::READABLE, || self.registered().io().recv(buf))
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// peer.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// let (count, sender) = socket.recv_from(&mut buf).await?;
    /// println!("{:?} from {sender:?}", &buf[..count]);
    /// # assert_eq!(count, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registered().async_io(Interest::READABLE, || self.registered().io().recv_from(buf)).await
    }

    /// Polls for a message, as [`recv_from`](Self::recv_from) waits for it. Only the task of the
    /// latest call is woken.
    ///
    /// # Errors
    ///
    /// Those of [`recv_from`](Self::recv_from).
    pub fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.registered().poll_io(Direction::Read, cx, || self.registered().io().recv_from(buf))
    }

    /// Receives a message as [`recv_from`](Self::recv_from) does, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no message. Other errors are those of
    /// [`recv_from`](Self::recv_from).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// peer.send(b"hello").await?;
    /// socket.readable().await?;
    /// let mut buf = [0; 1500];
    /// let (count, sender) = socket.try_recv_from(&mut buf)?;
    /// println!("{:?} from {sender:?}", &buf[..count]);
    /// # assert_eq!(count, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registered().try_io(Interest::READABLE, || self.registered().io().recv_from(buf))
    }
}

/// Messages to any address.
impl UdpSocket {
    /// Sends a message to `target`, and returns the number of bytes. Of several addresses, the
    /// first one is used.
    ///
    /// # Errors
    ///
    /// If the operating system reports an error, or if the runtime has been shut down.
    ///
    /// # Panics
    ///
    /// If `target` is a name that has to be resolved, and this thread is not inside of a runtime.
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
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// assert_eq!(socket.send_to(b"hello", peer.local_addr()?).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], target: A) -> io::Result<usize> {
        let target = addresses(target).await?[0];
        self.registered().async_io(Interest::WRITABLE, || self.registered().io().send_to(buf, target)).await
    }

    /// Polls a send, as [`send_to`](UdpSocket::send_to) waits for it. Only the task of the latest
    /// call is woken.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](UdpSocket::send_to).
    pub fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        self.registered().poll_io(Direction::Write, cx, || self.registered().io().send_to(buf, target))
    }

    /// Sends a message as [`send_to`](UdpSocket::send_to) does, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. Other errors are those of
    /// [`send_to`](UdpSocket::send_to).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// assert_eq!(socket.try_send_to(b"hello", peer.local_addr()?)?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.registered().try_io(Interest::WRITABLE, || self.registered().io().send_to(buf, target))
    }
}

/// Reading a message without consuming it. Errors and cancel safety are those of the receiving
/// method of the same name.
#[allow(clippy::missing_errors_doc, reason = "the comment above says it once")]
impl UdpSocket {
    /// Reads the next message, as [`recv`](UdpSocket::recv) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// peer.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// assert_eq!(socket.peek(&mut buf).await?, 5);
    /// assert_eq!(socket.recv(&mut buf).await?, 5); // it is still there
    /// # Ok(())
    /// # }
    /// ```
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().async_io(Interest::READABLE, || self.registered().io().peek(buf)).await
    }

    /// Polls for the next message, as [`poll_recv`](UdpSocket::poll_recv) does. Only the task of
    /// the latest call is woken.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.registered().poll_io(Direction::Read, cx, || self.registered().io().peek(buf))
    }

    /// Reads the next message without waiting, as [`try_recv`](UdpSocket::try_recv) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// peer.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// socket.readable().await?;
    /// assert_eq!(socket.try_peek(&mut buf)?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.registered().try_io(Interest::READABLE, || self.registered().io().peek(buf))
    }

    /// Reads the next message and the address of its sender, as [`recv_from`](UdpSocket::recv_from)
    /// does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// peer.send(b"hello").await?;
    /// let mut buf = [0; 1500];
    /// assert_eq!(socket.peek_from(&mut buf).await?, (5, peer.local_addr()?));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registered().async_io(Interest::READABLE, || self.registered().io().peek_from(buf)).await
    }

    /// Polls for the next message, as [`poll_recv_from`](UdpSocket::poll_recv_from) does. Only the
    /// task of the latest call is woken.
    pub fn poll_peek_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.registered().poll_io(Direction::Read, cx, || self.registered().io().peek_from(buf))
    }

    /// Reads the next message without waiting, as [`try_recv_from`](UdpSocket::try_recv_from) does.
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.registered().try_io(Interest::READABLE, || self.registered().io().peek_from(buf))
    }

    /// Returns the sender of the next message, and waits until there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # use heist::net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// # socket.connect(peer.local_addr()?).await?;
    /// # peer.connect(socket.local_addr()?).await?;
    /// peer.send(b"hello").await?;
    /// assert_eq!(socket.peek_sender().await?, peer.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.registered().async_io(Interest::READABLE, || next_sender(self)).await
    }

    /// Polls for the sender of the next message, as [`peek_sender`](UdpSocket::peek_sender) waits
    /// for it. Only the task of the latest call is woken.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.registered().poll_io(Direction::Read, cx, || next_sender(self))
    }

    /// Returns the sender of the next message, without waiting.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.registered().try_io(Interest::READABLE, || next_sender(self))
    }
}

fn next_sender(socket: &UdpSocket) -> io::Result<SocketAddr> {
    sockets::next_sender(socket.registered().io())
}
