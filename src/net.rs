//! TCP sockets.
//!
//! The socket types have inherent `async` methods, so that a plain program needs no trait import. With the features
//! `futures-io`, `tokio-io` and `hyper` they also implement the I/O traits of those crates.
//!
//! A socket belongs to the runtime in which it was made. When that runtime is gone, every operation on it gives an error.
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
mod split;
mod split_owned;
mod tcp_listener;
mod tcp_stream;
mod transfer;

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
mod hyper_io;
#[cfg(feature = "tokio-io")]
mod tokio_io;

#[cfg(all(test, not(heist_loom)))]
mod tests;
#[cfg(all(test, not(heist_loom)))]
mod trait_tests;

pub use addr::{ToSocketAddrs, lookup_host};
pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
