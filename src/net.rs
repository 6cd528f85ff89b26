//! Sockets: TCP, UDP, unix sockets, pipes.
//!
//! The socket types have inherent `async` methods, so that a plain program needs no trait import.
//! With the features `futures-io`, `tokio-io` and `hyper` they also implement the I/O traits of
//! those crates.
//!
//! A socket belongs to the runtime in which it was made. After that runtime has been shut down,
//! every operation on the socket gives an error.
//!
//! ```
//! use heist::net::{TcpListener, TcpStream};
//!
//! # fn main() -> std::io::Result<()> {
//! heist::runtime::Runtime::new()?.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = heist::spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!     let mut stream = TcpStream::connect(address).await?;
//!     let mut greeting = [0; 5];
//!     stream.read_exact(&mut greeting).await?;
//!     assert_eq!(&greeting, b"hello");
//!     server.await.unwrap()
//! })
//! # }
//! ```

mod addr;
pub(crate) mod blocking_mode;
mod bounds;
mod descriptors;
mod mio_socket;
mod tcp_bytes;
mod tcp_listener;
mod tcp_options;
mod tcp_socket;
mod tcp_socket_options;
mod tcp_split;
mod tcp_split_owned;
mod tcp_stream;
mod transfer;
mod udp;
mod udp_messages;
mod udp_options;

#[cfg(unix)]
mod pipe;
#[cfg(unix)]
mod pipe_receiver;
#[cfg(unix)]
mod pipe_sender;
#[cfg(unix)]
mod unix_addr;
#[cfg(unix)]
mod unix_bytes;
#[cfg(unix)]
mod unix_datagram;
#[cfg(unix)]
mod unix_datagram_messages;
#[cfg(unix)]
mod unix_listener;
#[cfg(unix)]
mod unix_socket;
#[cfg(unix)]
mod unix_split;
#[cfg(unix)]
mod unix_split_owned;
#[cfg(unix)]
mod unix_stream;

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
mod hyper_io;
#[cfg(feature = "tokio-io")]
mod read_buf;
#[cfg(feature = "tokio-io")]
mod tokio_io;

#[cfg(all(test, not(heist_loom)))]
mod tests;
#[cfg(all(test, not(heist_loom)))]
mod trait_tests;

pub use addr::{ToSocketAddrs, lookup_host};
pub use tcp_listener::TcpListener;
pub use tcp_socket::TcpSocket;
pub use tcp_stream::TcpStream;
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix_datagram::UnixDatagram;
#[cfg(unix)]
pub use unix_listener::UnixListener;
#[cfg(unix)]
pub use unix_socket::UnixSocket;
#[cfg(unix)]
pub use unix_stream::UnixStream;

/// The halves of a [`TcpStream`].
pub mod tcp {
    pub use super::tcp_split::{ReadHalf, WriteHalf};
    pub use super::tcp_split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
}

/// The halves of a [`UnixStream`], addresses, credentials, pipes.
#[cfg(unix)]
pub mod unix {
    pub use super::unix_addr::{SocketAddr, UCred, gid_t, pid_t, uid_t};
    pub use super::unix_split::{ReadHalf, WriteHalf};
    pub use super::unix_split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};

    /// Pipes, with and without a name.
    pub mod pipe {
        pub use crate::net::pipe::{OpenOptions, pipe};
        pub use crate::net::pipe_receiver::Receiver;
        pub use crate::net::pipe_sender::Sender;
    }
}
