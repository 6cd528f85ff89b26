//! HTTP servers and clients, and WebSockets.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{Peers, expect, failed, get_hello, on_a_thread, while_serving};

pub async fn axum_serve(_: &Peers) -> Result<(), String> {
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed("bind"))?;
    let address = listener.local_addr().map_err(failed("address"))?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async { _ = stopped.await }).into_future();
    let client = on_a_thread(move || {
        let outcome = get_hello(address);
        drop(stop);
        outcome
    });
    let (served, outcome) = futures_util::future::join(server, client).await;
    served.map_err(failed("the graceful shutdown"))?;
    outcome
}

pub async fn tungstenite_connect(peers: &Peers) -> Result<(), String> {
    let url = format!("ws://127.0.0.1:{}/ws", peers.http);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.map_err(failed("connect"))?;
    socket.send("text".into()).await.map_err(failed("send"))?;
    let answer = socket.next().await.ok_or("the server closed the connection")?.map_err(failed("receive"))?;
    expect(answer.to_text().map_err(failed("text"))?, "text")
}

/// Returns a client. No request of it uses TLS, but reqwest asks for a provider.
fn client() -> Result<reqwest::Client, String> {
    // An error says that another call has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().build().map_err(failed("the client"))
}

pub async fn reqwest_get(peers: &Peers) -> Result<(), String> {
    let client = client()?;
    for _ in 0..10 {
        let answer = client.get(format!("http://127.0.0.1:{}/", peers.http)).send().await.map_err(failed("send"))?;
        expect(answer.text().await.map_err(failed("text"))?, "hello")?;
    }
    Ok(())
}

/// The server accepts by its backlog, and never answers.
pub async fn reqwest_timeout(_: &Peers) -> Result<(), String> {
    let silent = StdListener::bind("127.0.0.1:0").map_err(failed("bind"))?;
    let url = format!("http://{}/", silent.local_addr().map_err(failed("address"))?);
    match client()?.get(url).timeout(Duration::from_millis(50)).send().await {
        Err(error) if error.is_timeout() => Ok(()),
        outcome => Err(format!("expected a timeout, got {outcome:?}")),
    }
}

pub async fn hyper_util_client(peers: &Peers) -> Result<(), String> {
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    for _ in 0..10 {
        let uri = format!("http://127.0.0.1:{}/", peers.http).parse().map_err(failed("URI"))?;
        let answer = client.get(uri).await.map_err(failed("get"))?;
        expect(answer.into_body().collect().await.map_err(failed("body"))?.to_bytes(), "hello")?;
    }
    Ok(())
}

pub async fn hyper_util_server(_: &Peers) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed("bind"))?;
    let address = listener.local_addr().map_err(failed("address"))?;
    let server = async {
        let (stream, _) = listener.accept().await.map_err(failed("accept"))?;
        let service = hyper::service::service_fn(|_| async {
            Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from("hello"))))
        });
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), service).await.map_err(failed("serve"))
    };
    while_serving(server, on_a_thread(move || get_hello(address))).await
}

pub async fn warp_serve(_: &Peers) -> Result<(), String> {
    use warp::Filter;

    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed("bind"))?;
    let address = listener.local_addr().map_err(failed("address"))?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = warp::serve(warp::any().map(|| "hello")).incoming(listener);
    // Boxed, because the compiler does not prove that this future is `Send` as a part of another.
    let server = server.graceful(async { _ = stopped.await }).run().boxed();
    let client = on_a_thread(move || {
        let outcome = get_hello(address);
        drop(stop);
        outcome
    });
    futures_util::future::join(server, client).await.1
}
