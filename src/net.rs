//! Sockets: TCP, UDP, unix sockets, pipes.
//!
//! The socket types have inherent `async` methods, so that a plain program needs no trait import.
//! With the features `futures-io`, `tokio-io` and `hyper` they also implement the I/O traits of
//! those crates.
//!
//! A socket belongs to the runtime in which it was made. When that runtime is gone, every operation
//! on it gives an error.
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
mod bytes;
mod datagrams;
mod doc_examples;
mod halves;
mod methods;
mod mio_socket;
mod options;
mod tcp_halves;
mod tcp_listener;
mod tcp_socket;
mod tcp_stream;
mod transfer;
mod udp;

#[cfg(unix)]
mod pipe;
#[cfg(unix)]
mod unix_addr;
#[cfg(unix)]
mod unix_datagram;
#[cfg(unix)]
mod unix_listener;
#[cfg(unix)]
mod unix_socket;
#[cfg(unix)]
mod unix_stream;

#[cfg(any(feature = "futures-io", feature = "tokio-io", feature = "hyper"))]
mod io_trait_impls;

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
    pub use super::tcp_halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
}

/// The halves of a [`UnixStream`], addresses, credentials, pipes.
#[cfg(unix)]
pub mod unix {
    pub use super::unix_addr::{SocketAddr, UCred, gid_t, pid_t, uid_t};
    pub use super::unix_stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};

    /// Pipes, with and without a name.
    pub mod pipe {
        pub use crate::net::pipe::{OpenOptions, Receiver, Sender, pipe};
    }
}
