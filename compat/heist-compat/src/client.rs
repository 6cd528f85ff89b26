//! A pooled HTTP client of hyper-util over heist's sockets, tasks and timers.
//!
//! ```no_run
//! use http_body_util::Empty;
//! use hyper::body::Bytes;
//!
//! # async fn get() -> Result<(), Box<dyn std::error::Error>> {
//! let client = heist_compat::client::client::<Empty<Bytes>>();
//! let response = client.get("http://127.0.0.1:8080/".parse()?).await?;
//! assert!(response.status().is_success());
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use heist::hyper::{HeistExecutor, HeistTimer};
use heist::net::TcpStream;
use heist::time::Instant;
use hyper::Uri;
use hyper::body::Body;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

/// Returns a client with a pool of connections, for HTTP/1 without TLS.
///
/// For other settings, build the client by hyper-util with heist's executor, timers and
/// [`Connector`], as this function does.
///
/// # Panics
///
/// A request panics outside of a heist runtime, and inside of one without I/O or timers.
pub fn client<B>() -> Client<Connector, B>
where
    B: Body + Send,
    B::Data: Send,
{
    Client::builder(HeistExecutor).timer(HeistTimer).pool_timer(HeistTimer).build(Connector::new())
}

/// Connects to the host and port of a URI over TCP.
///
/// The port is that of the URI, else 443 for `https` and `wss`, else 80. Of several addresses, the
/// first one that accepts is used. For TLS, the crate `hyper-rustls` wraps it: see
/// `HttpsConnectorBuilder::wrap_connector`.
#[derive(Clone, Debug)]
pub struct Connector {
    connect_timeout: Option<Duration>,
}

impl Connector {
    /// Returns a connector that gives up after ten seconds.
    pub fn new() -> Connector {
        Connector { connect_timeout: Some(Duration::from_secs(10)) }
    }

    /// Sets the time for the lookup of the host and for all of its addresses together. Each address
    /// gets an equal share of what is left. `None` means no limit.
    pub fn connect_timeout(mut self, limit: Option<Duration>) -> Connector {
        self.connect_timeout = limit;
        self
    }

    async fn connect(self, uri: Uri) -> io::Result<HttpStream> {
        let host = uri.host().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("`{uri}` names no host; write `http://HOST/`"))
        })?;
        // An IPv6 address stands in brackets in a URI.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_secure = matches!(uri.scheme_str(), Some("https" | "wss"));
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let stream = match self.connect_timeout {
            Some(limit) => connect_in_time(host, port, limit).await?,
            None => TcpStream::connect((host, port)).await?,
        };
        stream.set_nodelay(true)?;
        Ok(HttpStream(stream))
    }
}

/// Looks the host up, and connects to the first address that accepts. An address that does not
/// answer does not use up the time of those after it.
async fn connect_in_time(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let end = Instant::now() + limit;
    let looking_up = heist::net::lookup_host((host, port));
    let addresses: Vec<SocketAddr> = heist::time::timeout(limit, looking_up).await??.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let share = end.saturating_duration_since(Instant::now()) / (addresses.len() - tried) as u32;
        match heist::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(late) => failure = late.into(),
        }
    }
    Err(failure)
}

impl Default for Connector {
    fn default() -> Connector {
        Connector::new()
    }
}

impl Service<Uri> for Connector {
    type Response = HttpStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<HttpStream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A TCP connection of a [`Connector`].
#[derive(Debug)]
pub struct HttpStream(TcpStream);

impl HttpStream {
    /// Returns the TCP connection.
    pub fn into_inner(self) -> TcpStream {
        self.0
    }
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for HttpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl Write for HttpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
