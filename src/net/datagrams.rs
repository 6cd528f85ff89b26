//! Sending and receiving messages: what UDP sockets and unix datagram sockets have in common.

macro_rules! datagrams {
    ($socket:ident, $address:ty, $scene:ident) => {
        // `receive` and `receive_from` are the socket's own: one try.
        /// Messages. A send and a receive each move one whole message; what does not fit into the receiver's buffer is lost.
        /// Any number of tasks may send and receive at once.
        impl $socket {
            /// Sends a message to the peer that it is connected to; answers how many bytes.
            ///
            /// # Errors
            ///
            /// What the operating system says, such as that it is not connected; or that the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been sent.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// assert_eq!(here.send(b"hello").await?, 5);
            /// # assert_eq!(there.recv(&mut [0; 16]).await?, 5);
            #[doc = crate::net::doc_examples::end!()]
            pub async fn send(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.try_until_done(crate::reactor::Interest::WRITABLE, || self.mio().send(buf)).await
            }

            /// Polls for what [`send`](Self::send) waits for. Only the latest caller's task is woken.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// let count = std::future::poll_fn(|cx| here.poll_send(cx, b"hello")).await?;
            /// assert_eq!(count, 5);
            #[doc = crate::net::doc_examples::end!()]
            pub fn poll_send(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.poll_once(crate::reactor::Direction::Write, cx, || self.mio().send(buf))
            }

            /// As [`send`](Self::send), without waiting.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no room, or as there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// assert_eq!(here.try_send(b"hello")?, 5);
            /// # assert_eq!(there.recv(&mut [0; 16]).await?, 5);
            #[doc = crate::net::doc_examples::end!()]
            pub fn try_send(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.try_once(crate::reactor::Interest::WRITABLE, || self.mio().send(buf))
            }

            /// Receives a message, waiting until there is one; answers how many bytes. Of a connected socket they are the
            /// peer's.
            ///
            /// # Errors
            ///
            /// What the operating system says, or that the runtime has been shut down.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been received.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.send(b"hello").await?;
            /// let mut buf = [0; 1500];
            /// let count = here.recv(&mut buf).await?;
            /// assert_eq!(&buf[..count], b"hello");
            #[doc = crate::net::doc_examples::end!()]
            pub async fn recv(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.try_until_done(crate::reactor::Interest::READABLE, || self.receive(buf)).await
            }

            /// Polls for what [`recv`](Self::recv) waits for. Only the latest caller's task is woken.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.send(b"hello").await?;
            /// let mut buf = [0; 1500];
            /// let count = std::future::poll_fn(|cx| here.poll_recv(cx, &mut buf)).await?;
            /// assert_eq!(&buf[..count], b"hello");
            #[doc = crate::net::doc_examples::end!()]
            pub fn poll_recv(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.poll_once(crate::reactor::Direction::Read, cx, || self.receive(buf))
            }

            /// As [`recv`](Self::recv), without waiting.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no message, or as there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// let mut buf = [0; 1500];
            /// assert_eq!(here.try_recv(&mut buf).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            /// there.send(b"hello").await?;
            /// here.readable().await?;
            /// assert_eq!(here.try_recv(&mut buf)?, 5);
            #[doc = crate::net::doc_examples::end!()]
            pub fn try_recv(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.try_once(crate::reactor::Interest::READABLE, || self.receive(buf))
            }

            /// As [`recv`](Self::recv), and answers with the sender's address.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing has been received.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.send(b"hello").await?;
            /// let mut buf = [0; 1500];
            /// let (count, sender) = here.recv_from(&mut buf).await?;
            /// println!("{:?} from {sender:?}", &buf[..count]);
            /// # assert_eq!(count, 5);
            #[doc = crate::net::doc_examples::end!()]
            pub async fn recv_from(&self, buf: &mut [u8]) -> std::io::Result<(usize, $address)> {
                let receive = || self.receive_from(buf);
                self.try_until_done(crate::reactor::Interest::READABLE, receive).await
            }

            /// Polls for what [`recv_from`](Self::recv_from) waits for. Only the latest caller's task is woken.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.send(b"hello").await?;
            /// let mut buf = [0; 1500];
            /// let (count, sender) = std::future::poll_fn(|cx| here.poll_recv_from(cx, &mut buf)).await?;
            /// println!("{:?} from {sender:?}", &buf[..count]);
            /// # assert_eq!(count, 5);
            #[doc = crate::net::doc_examples::end!()]
            pub fn poll_recv_from(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<std::io::Result<(usize, $address)>> {
                self.poll_once(crate::reactor::Direction::Read, cx, || self.receive_from(buf))
            }

            /// As [`recv_from`](Self::recv_from), without waiting.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no message, or as there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// there.send(b"hello").await?;
            /// here.readable().await?;
            /// let mut buf = [0; 1500];
            /// let (count, sender) = here.try_recv_from(&mut buf)?;
            /// println!("{:?} from {sender:?}", &buf[..count]);
            /// # assert_eq!(count, 5);
            #[doc = crate::net::doc_examples::end!()]
            pub fn try_recv_from(&self, buf: &mut [u8]) -> std::io::Result<(usize, $address)> {
                self.try_once(crate::reactor::Interest::READABLE, || self.receive_from(buf))
            }
        }
    };
}
pub(super) use datagrams;
