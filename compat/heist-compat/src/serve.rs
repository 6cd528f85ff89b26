//! An HTTP server for tower services over heist: HTTP/1 and HTTP/2, upgrades, graceful shutdown.
//!
//! A router of axum is a tower service, and so are the routes of tonic.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use heist::net::TcpListener;
//!
//! # async fn run() -> std::io::Result<()> {
//! let app: Router = Router::new().route("/", get(|| async { "hello" }));
//! let listener = TcpListener::bind("127.0.0.1:8080").await?;
//! heist_compat::serve::serve(listener, app).run().await;
//! # Ok(())
//! # }
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use async_channel::Receiver;
use heist::hyper::{HeistExecutor, HeistTimer};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::Handle;
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tower_service::Service;

use crate::preface::Preface;

/// The time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause after an `accept` that has failed. Most likely the process has no free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type BoxError = Box<dyn Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The address of the client. Each request carries it in its extensions.
///
/// An extractor of axum is `Extension(PeerAddr(address))`. Handlers that want `ConnectInfo` of axum
/// get it by a layer that copies the address into the extension `ConnectInfo<SocketAddr>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// What turns an accepted connection into one that carries HTTP.
pub(crate) trait Handshake: Send + Sync {
    fn handshake(&self, stream: TcpStream) -> BoxFuture<io::Result<Box<dyn HttpIo>>>;
}

/// A connection that carries HTTP.
pub(crate) trait HttpIo: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> HttpIo for T {}

/// A server that has not been started. [`serve`] makes it.
#[must_use = "it does nothing until `run` is awaited"]
pub struct Serve<S> {
    listener: TcpListener,
    service: S,
    http: auto::Builder<HeistExecutor>,
    shutdown: BoxFuture<()>,
    handshake: Option<Arc<dyn Handshake>>,
}

/// Serves `service` to each connection of `listener`, with HTTP/1 and HTTP/2.
///
/// Each connection is a task. A client has 30 seconds to say whether it speaks HTTP/2, and with
/// HTTP/1 as long for the head of each request. So an idle HTTP/1 connection is closed after that
/// time. An idle HTTP/2 connection is not, unless a setting of [`Serve::http`] does so.
pub fn serve<S>(listener: TcpListener, service: S) -> Serve<S> {
    let mut http = auto::Builder::new(HeistExecutor);
    http.http1().timer(HeistTimer).header_read_timeout(HEAD_TIMEOUT);
    http.http2().timer(HeistTimer).enable_connect_protocol();
    Serve { listener, service, http, shutdown: Box::pin(pending()), handshake: None }
}

impl<S> Serve<S> {
    /// Begins the graceful shutdown when `signal` is ready, too. A drain of the runtime begins it
    /// in any case.
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Serve<S> {
        self.shutdown = Box::pin(signal);
        self
    }

    /// Changes the settings of HTTP. Timers and the executor are set already.
    pub fn http(mut self, set: impl FnOnce(&mut auto::Builder<HeistExecutor>)) -> Serve<S> {
        set(&mut self.http);
        self
    }

    /// Serves over TLS. A handshake runs in the task of its connection, so it delays no other one.
    #[cfg(feature = "rustls")]
    pub fn with_tls(mut self, acceptor: crate::tls::Acceptor) -> Serve<S> {
        self.handshake = Some(Arc::new(acceptor));
        self
    }

    /// Serves until the graceful shutdown is complete.
    ///
    /// When the runtime begins to drain, or the signal is ready, the listener is closed. Each
    /// connection ends after the response that it is at. A connection without a response under way
    /// is closed, as in axum. Then this future is ready.
    ///
    /// An upgraded connection, such as a WebSocket, belongs to the handler: this future does not
    /// wait for it. An HTTP/2 client whose host has vanished may keep this future waiting. A
    /// drain ends that at its deadline, and so does [`heist::time::timeout`].
    ///
    /// An error of one connection ends that connection alone. If `accept` fails for
    /// another reason than a client that has hung up, the server warns by `tracing`, and goes on
    /// after 50 ms.
    ///
    /// # Panics
    ///
    /// If the future is polled outside of a heist runtime with I/O and timers.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the graceful shutdown begins, and is not waited for.
    pub async fn run<B>(self)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let Serve { listener, service, http, mut shutdown, handshake } = self;
        let graceful = GracefulShutdown::new();
        // Handshakes end with the shutdown: a silent client does not delay it.
        let (accepts, stopped) = async_channel::bounded::<Infallible>(1);
        let mut draining = Handle::current().draining();
        loop {
            let mut accepting = pin!(listener.accept());
            let accepted = poll_fn(|cx| {
                if Pin::new(&mut draining).poll(cx).is_ready() || shutdown.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                accepting.as_mut().poll(cx).map(Some)
            });
            match accepted.await {
                None => break,
                Some(Ok((stream, peer))) => {
                    let service = PeerService { inner: service.clone(), peer: PeerAddr(peer) };
                    let (http, watcher) = (http.clone(), graceful.watcher());
                    let handshake = handshake.clone().map(|handshake| (handshake, stopped.clone()));
                    drop(heist::spawn(connection(stream, http, service, handshake, watcher)));
                }
                Some(Err(error)) if is_of_client(&error) => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, "accept failed; if there are too many open files, raise the limit (`ulimit -n`)");
                    heist::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        drop(accepts);
        graceful.shutdown().await;
    }
}

impl<S> fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Returns true if the client has hung up before the `accept`.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection until it ends, or until `watcher` ends it gracefully.
async fn connection<S, B>(
    stream: TcpStream,
    http: auto::Builder<HeistExecutor>,
    service: PeerService<S>,
    handshake: Option<(Arc<dyn Handshake>, Receiver<Infallible>)>,
    watcher: Watcher,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let peer = service.peer.0;
    // An error means that the client has hung up, which the first read reports as well.
    _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(service);
    let served = match handshake {
        None => {
            let stream = Preface::new(stream, HEAD_TIMEOUT);
            watcher.watch(http.serve_connection_with_upgrades(stream, service).into_owned()).await
        }
        Some((handshake, stopped)) => match until_stopped(handshake.handshake(stream), stopped).await {
            None => return,
            Some(Ok(stream)) => {
                let stream = Preface::new(stream, HEAD_TIMEOUT);
                watcher.watch(http.serve_connection_with_upgrades(stream, service).into_owned()).await
            }
            Some(Err(error)) => Err(error.into()),
        },
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "the connection ended with an error");
    }
}

/// Returns the output of `future`, or `None` if the shutdown begins first.
async fn until_stopped<T>(mut future: BoxFuture<T>, stopped: Receiver<Infallible>) -> Option<T> {
    let mut stopping = pin!(stopped.recv());
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => stopping.as_mut().poll(cx).map(|_| None),
    })
    .await
}

/// Puts the address of the client into the extensions of each request.
#[derive(Clone, Debug)]
struct PeerService<S> {
    inner: S,
    peer: PeerAddr,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for PeerService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}
