//! TLS over heist's sockets, by rustls.
//!
//! `tokio_rustls` takes a [`TcpStream`] of heist as it is. What this module adds is a limit of time
//! for the handshake, without which a silent peer keeps a connection open for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use heist::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// The time for a handshake, unless a setting says otherwise.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts TLS connections.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    timeout: Duration,
}

impl Acceptor {
    /// Returns an acceptor whose handshakes may take ten seconds.
    pub fn new(config: Arc<ServerConfig>) -> Acceptor {
        Acceptor { tls: TlsAcceptor::from(config), timeout: HANDSHAKE_TIMEOUT }
    }

    /// Sets the time for a handshake.
    pub fn handshake_timeout(mut self, limit: Duration) -> Acceptor {
        self.timeout = limit;
        self
    }

    /// Does the handshake as the server.
    ///
    /// # Errors
    ///
    /// If the handshake fails, or [`TimedOut`](io::ErrorKind::TimedOut) if it takes too long.
    ///
    /// # Panics
    ///
    /// Outside of a heist runtime with timers.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is closed.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        in_time(self.timeout, self.tls.accept(stream)).await
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Does the handshake as the client, which takes at most ten seconds.
///
/// # Errors
///
/// If the handshake fails, or [`TimedOut`](io::ErrorKind::TimedOut) if it takes too long.
///
/// # Panics
///
/// Outside of a heist runtime with timers.
///
/// # Cancel safety
///
/// If the future is dropped, the connection is closed.
pub async fn connect(
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
    stream: TcpStream,
) -> io::Result<client::TlsStream<TcpStream>> {
    in_time(HANDSHAKE_TIMEOUT, TlsConnector::from(config).connect(server, stream)).await
}

async fn in_time<T>(limit: Duration, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match heist::time::timeout(limit, handshake).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("the TLS handshake took more than {limit:?}"))),
    }
}

#[cfg(feature = "serve")]
mod of_serve {
    use std::io;
    use std::pin::Pin;

    use heist::net::TcpStream;
    use hyper_util::rt::TokioIo;

    use super::Acceptor;
    use crate::serve::{Handshake, HttpIo};

    impl Handshake for Acceptor {
        fn handshake(&self, stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<Box<dyn HttpIo>>> + Send>> {
            let acceptor = self.clone();
            Box::pin(async move {
                let stream = acceptor.accept(stream).await?;
                Ok(Box::new(TokioIo::new(stream)) as Box<dyn HttpIo>)
            })
        }
    }
}
