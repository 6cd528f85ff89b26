//! HTTP: axum and a tower service by heist-compat's `serve`, hyper-util's client, WebSockets.

#[path = "../../works-with/tests/support/certificate.rs"]
mod certificate;
#[path = "support/command.rs"]
mod command;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use certificate::Certificate;
use command::output;
use futures_util::{SinkExt, StreamExt};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Handle};
use heist::task::JoinHandle;
use heist_compat::client::{Connector, client};
use heist_compat::serve::{PeerAddr, Serve, serve};
use heist_compat::tls::Acceptor;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/peer", get(|Extension(PeerAddr(peer)): Extension<PeerAddr>| async move { peer.ip().to_string() }))
}

async fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serving(set: impl FnOnce(Serve<Router>) -> Serve<Router>) -> (SocketAddr, JoinHandle<()>) {
    let (listener, address) = bound().await;
    (address, heist::spawn(set(serve(listener, app())).run()))
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_router_answers_curl_by_http_1_and_2() {
    let (address, serving) = serving(|serve| serve).await;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        assert_eq!(output("curl", &["-sf", version, &format!("http://{address}/")]).await, "hello");
        assert_eq!(output("curl", &["-sf", version, &format!("http://{address}/peer")]).await, "127.0.0.1");
    }
    serving.abort();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_router_answers_h2load_two_thousand_times() {
    let (address, serving) = serving(|serve| serve).await;
    let printed = output("h2load", &["-n2000", "-c10", "-m10", &format!("http://{address}/")]).await;
    assert!(printed.contains("2000 succeeded, 0 failed"), "{printed}");
    serving.abort();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_router_answers_curl_and_hyper_rustls_over_tls() {
    let certificate = Certificate::new();
    let mut config = certificate.server();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = Acceptor::new(Arc::new(config));
    let (address, serving) = serving(|serve| serve.with_tls(acceptor)).await;
    for version in ["--http1.1", "--http2"] {
        let url = format!("https://localhost:{}/", address.port());
        assert_eq!(output("curl", &["-sfk", version, &url]).await, "hello");
    }
    let mut config = certificate.client();
    config.alpn_protocols.clear();
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    let connector = connector.enable_all_versions().wrap_connector(Connector::new());
    let executor = heist::hyper::HeistExecutor;
    let client = hyper_util::client::legacy::Client::builder(executor).build::<_, Empty<Bytes>>(connector);
    let url: hyper::Uri = format!("https://localhost:{}/", address.port()).parse().unwrap();
    for _ in 0..10 {
        let answer = client.get(url.clone()).await.unwrap();
        assert_eq!(answer.version(), hyper::Version::HTTP_2);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
    serving.abort();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_client_that_is_silent_is_cut_off() {
    let acceptor = Acceptor::new(Arc::new(Certificate::new().server())).handshake_timeout(Duration::from_millis(20));
    let (address, serving) = serving(|serve| serve.with_tls(acceptor)).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    serving.abort();
}

/// Returns what the server sends until it closes the connection.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_with_an_unread_body_is_answered() {
    let (address, serving) = serving(|serve| serve).await;
    let request = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
    for _ in 0..100 {
        let answer = exchange(address, request).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer:?}");
    }
    serving.abort();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_in_small_pieces_is_answered() {
    let (address, serving) = serving(|serve| serve).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // It begins as the preface of HTTP/2 does.
    for byte in b"PRIX / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        heist::task::yield_now().await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer:?}");
    serving.abort();
}

#[test]
fn silent_tls_client_does_not_delay_the_shutdown() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let acceptor = Acceptor::new(Arc::new(Certificate::new().server())).handshake_timeout(Duration::from_secs(3600));
    let (address, serving) = runtime.block_on(serving(|serve| serve.with_tls(acceptor)));
    let silent = std::net::TcpStream::connect(address).unwrap();
    // The connection has a task of its own: its handshake has begun or will.
    while runtime.metrics().num_alive_tasks() < 2 {
        std::thread::yield_now();
    }
    let report = runtime.drain(Duration::from_secs(60)).wait();
    assert!(report.stragglers.is_empty() && report.cancelled == 0, "{report}");
    runtime.block_on(serving).unwrap();
    drop(silent);
}

#[heist::test]
async fn hyper_util_client_uses_its_connection_again() {
    let (address, serving) = serving(|serve| serve).await;
    let client = client::<Empty<Bytes>>();
    for _ in 0..100 {
        let answer = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
    let late = client.get("http://127.0.0.1:1/".parse().unwrap()).await.unwrap_err();
    assert!(late.is_connect());
    drop(client);
    serving.abort();
}

/// Serves requests that wait until `go` is sent.
async fn slow(begun: Arc<AtomicUsize>) -> (TcpListener, Router, async_broadcast::Sender) {
    let (go, wait) = async_broadcast::channel();
    let answer = move || {
        begun.fetch_add(1, Ordering::SeqCst);
        let wait = wait.clone();
        async move {
            wait.wait().await;
            "late"
        }
    };
    (bound().await.0, Router::new().route("/", get(answer)), go)
}

/// A gate that opens once, for any number of tasks.
mod async_broadcast {
    use heist::task::yield_now;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    pub struct Sender(Arc<AtomicBool>);

    #[derive(Clone)]
    pub struct Receiver(Arc<AtomicBool>);

    pub fn channel() -> (Sender, Receiver) {
        let open = Arc::new(AtomicBool::new(false));
        (Sender(open.clone()), Receiver(open))
    }

    impl Sender {
        pub fn open(&self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    impl Receiver {
        pub async fn wait(&self) {
            while !self.0.load(Ordering::SeqCst) {
                yield_now().await;
            }
        }
    }
}

#[test]
fn drain_ends_the_server_after_the_answers_under_way() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let (listener, app, go) = runtime.block_on(slow(Arc::clone(&begun)));
    let address = listener.local_addr().unwrap();
    let serving = runtime.spawn(serve(listener, app).run());
    let clients: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || command::output_now("curl", &["-sf", &format!("http://{address}/")])))
        .collect();
    while begun.load(Ordering::SeqCst) < clients.len() {
        std::thread::yield_now();
    }
    let drain = runtime.drain(Duration::from_secs(60));
    // The listener is closed before the answers are given.
    while std::net::TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    go.open();
    for client in clients {
        assert_eq!(client.join().unwrap(), "late");
    }
    let report = drain.wait();
    assert!(report.stragglers.is_empty() && report.cancelled == 0, "{report}");
    runtime.block_on(serving).unwrap();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn signal_ends_the_server_gracefully() {
    let (stop, stopped) = futures_util::future::abortable(std::future::pending::<()>());
    let (address, serving) = serving(|serve| serve.with_graceful_shutdown(async { _ = stop.await })).await;
    assert_eq!(output("curl", &["-sf", &format!("http://{address}/")]).await, "hello");
    stopped.abort();
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(Handle::try_current().is_ok());
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_sockets_of_both_families_carry_text() {
    let (listener, address) = bound().await;
    let server = heist::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = async_tungstenite::client_async(format!("ws://{address}/"), stream).await.unwrap();
    for number in 0..100 {
        socket.send(async_tungstenite::tungstenite::Message::text(format!("{number}"))).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), format!("{number}"));
    }
    socket.close(None).await.unwrap();
    drop(socket);
    server.await.unwrap();
}
