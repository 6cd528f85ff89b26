//! Twenty-eight calls of popular crates that are written for Tokio.
//!
//! Each is a future that runs inside of one task, and returns what went wrong. The functions use the
//! crates' own APIs, and no function of Tokio's that starts tasks or timers. So they also show what
//! a crate does under another runtime: a caller may `#[path]`-include this folder.

mod http;
mod layers;
mod network;
mod storage;

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};

/// The servers on this machine that the calls need.
pub struct Peers {
    /// redis-server.
    pub redis: u16,
    /// PostgreSQL, with the user `postgres` and no password.
    pub postgres: u16,
    /// mosquitto.
    pub mosquitto: u16,
    /// A DNS server that knows `name.example` as 10.1.2.3.
    pub dns: u16,
    /// An HTTP server that answers `/` with `hello`, and echoes text on the WebSocket `/ws`.
    pub http: u16,
    /// A gRPC server with the health service, in which `heist` serves.
    pub grpc: u16,
    /// A QUIC server that echoes one stream, for the name `localhost`.
    pub quic: u16,
    /// The certificate of `localhost`, and its key, as DER. The QUIC server has it.
    pub certificate: (Vec<u8>, Vec<u8>),
}

/// A call of the list.
pub type Call = for<'a> fn(&'a Peers) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Returns the calls, each with the name of its crate and function.
pub fn calls() -> [(&'static str, Call); 28] {
    [
        ("axum::serve", |peers| Box::pin(http::axum_serve(peers))),
        ("tokio_tungstenite::connect_async", |peers| Box::pin(http::tungstenite_connect(peers))),
        ("reqwest::Client::get", |peers| Box::pin(http::reqwest_get(peers))),
        ("reqwest::RequestBuilder::timeout", |peers| Box::pin(http::reqwest_timeout(peers))),
        ("hyper_util::client::legacy::Client::get", |peers| Box::pin(http::hyper_util_client(peers))),
        ("hyper_util::server::conn::auto::Builder::serve_connection", |peers| Box::pin(http::hyper_util_server(peers))),
        ("warp::serve", |peers| Box::pin(http::warp_serve(peers))),
        ("tonic::transport::Endpoint::connect", |peers| Box::pin(network::tonic_channel(peers))),
        ("tonic::transport::Server::serve_with_incoming", |peers| Box::pin(network::tonic_server(peers))),
        ("quinn::Endpoint::connect", |peers| Box::pin(network::quinn_connect(peers))),
        ("tokio_rustls::TlsConnector::connect", |peers| Box::pin(network::rustls_connect(peers))),
        ("hickory_resolver::Resolver::ipv4_lookup", |peers| Box::pin(network::hickory_lookup(peers))),
        ("redis::Client::get_multiplexed_async_connection", |peers| Box::pin(storage::redis_connection(peers))),
        ("redis::aio::ConnectionManager::new", |peers| Box::pin(storage::redis_manager(peers))),
        ("tokio_postgres::connect", |peers| Box::pin(storage::postgres_query(peers))),
        ("sqlx::postgres::PgPoolOptions::connect", |peers| Box::pin(storage::sqlx_pool(peers))),
        ("rumqttc::EventLoop::poll", |peers| Box::pin(storage::rumqttc_poll(peers))),
        ("bb8::Pool::get", |peers| Box::pin(storage::bb8_get(peers))),
        ("deadpool::managed::Pool::timeout_get", |peers| Box::pin(storage::deadpool_get(peers))),
        ("tower::timeout::Timeout", |peers| Box::pin(layers::tower_timeout(peers))),
        ("tower::buffer::Buffer", |peers| Box::pin(layers::tower_buffer(peers))),
        ("tower::limit::RateLimit", |peers| Box::pin(layers::tower_rate_limit(peers))),
        ("tower::hedge::Hedge", |peers| Box::pin(layers::tower_hedge(peers))),
        ("tokio_util::time::DelayQueue", |peers| Box::pin(layers::delay_queue(peers))),
        ("tokio_util::task::JoinMap::spawn", |peers| Box::pin(layers::join_map(peers))),
        ("tokio_stream::StreamExt::timeout", |peers| Box::pin(layers::stream_timeout(peers))),
        ("backon::Retryable::retry", |peers| Box::pin(layers::backon_retry(peers))),
        ("backoff::future::retry", |peers| Box::pin(layers::backoff_retry(peers))),
    ]
}

/// Returns the error of `what`, which names it.
fn failed<E: Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}

/// Returns an error unless `got` is `expected`.
fn expect<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(got: T, expected: U) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("got {got:?}, not {expected:?}")) }
}

/// Runs `client` to its end while `server` runs, without another task. Drops the server then.
async fn while_serving<S, E: Display>(
    server: impl Future<Output = Result<S, E>>,
    client: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    match select(pin!(server), pin!(client)).await {
        Either::Left((Err(error), _)) => Err(format!("the server ended: {error}")),
        // The client may have a rest to do.
        Either::Left((Ok(_), client)) => client.await,
        Either::Right((outcome, _)) => outcome,
    }
}

/// Runs `client` on a thread of its own, with blocking calls.
async fn on_a_thread(client: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(client()));
    outcome.await.map_err(failed("the client's thread"))?
}

/// Asks for `/` by blocking calls, as a client that no runtime has a part in.
fn get_hello(address: SocketAddr) -> Result<(), String> {
    use std::io::{Read, Write};

    let ask = || {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask().map_err(failed("the request"))?;
    let is_good = answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello");
    if is_good { Ok(()) } else { Err(format!("the answer is {answer:?}")) }
}
