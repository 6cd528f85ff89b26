//! TLS: the certificate, and a listener whose handshakes delay no other connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::settings::Settings;

/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// While this many handshakes are under way, further connections wait in the kernel's queue.
const MAX_HANDSHAKES: usize = 1024;

/// Reads the certificate and its key. Clients choose between HTTP/1.1 and HTTP/2 (ALPN).
pub fn acceptor(settings: &Settings) -> anyhow::Result<TlsAcceptor> {
    let (certificate, key) = (&settings.tls_certificate, &settings.tls_key);
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| {
            format!("TLS_CERTIFICATE: {} is unreadable; set it to a PEM file with a certificate", certificate.display())
        })?;
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| {
        format!("TLS_KEY: {} is unreadable; set it to a PEM file with a private key", key.display())
    })?;
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private).with_context(|| {
            format!(
                "the key {} does not belong to the certificate {}; set both anew",
                key.display(),
                certificate.display()
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Accepted = (TlsStream<TcpStream>, SocketAddr);

/// Accepts TLS connections for [`axum::serve`].
///
/// Each handshake runs in a task of its own. The drop of the listener cancels those that are under
/// way: no request has arrived by them.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<Accepted>>,
}

impl TlsListener {
    /// Listens on `address`.
    pub async fn bind(address: SocketAddr, acceptor: TlsAcceptor) -> anyhow::Result<TlsListener> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "LISTEN: {address} is not available; end the program that uses it, or set LISTEN to another address"
            )
        })?;
        Ok(TlsListener { listener, acceptor, handshakes: JoinSet::new() })
    }

    /// Starts the handshake of a connection.
    async fn begin_handshake(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, peer)) => drop(self.handshakes.spawn(shake_hands(self.acceptor.clone(), stream, peer))),
            Err(error) => {
                // Most likely the process has no free file descriptors.
                tracing::warn!(%error, "a connection was not accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn shake_hands(acceptor: TlsAcceptor, stream: TcpStream, peer: SocketAddr) -> Option<Accepted> {
    // An answer is sent at once, also if it is small. An error means that the peer has gone.
    let _ = stream.set_nodelay(true);
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => return Some((stream, peer)),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "the TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
    None
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    // `axum::serve` may drop this future at an `await`. Nothing is lost then: a handshake that has
    // begun is in `self.handshakes`.
    async fn accept(&mut self) -> Accepted {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if self.handshakes.len() < MAX_HANDSHAKES => {
                    self.begin_handshake(accepted).await;
                }
                Some(ended) = self.handshakes.join_next() => {
                    if let Ok(Some(accepted)) = ended {
                        return accepted;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
