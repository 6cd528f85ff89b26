//! HTTP: servers against curl, wrk and h2load, clients against axum.

#[path = "support/peers.rs"]
mod peers;

use std::process::Command;

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

async fn serve() -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/sse",
            get(|| async {
                Sse::new(futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Event::default().data("one"))]))
            }),
        )
        .route(
            "/ws",
            get(|upgrade: WebSocketUpgrade| async {
                upgrade.on_upgrade(|mut socket| async move {
                    while let Some(Ok(Message::Text(text))) = socket.recv().await {
                        socket.send(Message::Text(text)).await.unwrap();
                    }
                })
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        axum::serve(listener, app).with_graceful_shutdown(async { _ = stopped.await }).await.unwrap();
    });
    (address, stop, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_answers_curl_and_shuts_down() {
    let (address, stop, serving) = serve().await;
    let answer =
        tokio::process::Command::new("curl").args(["-s", &format!("http://{address}/")]).output().await.unwrap();
    assert_eq!(answer.stdout, b"hello");
    let answer = Command::new("curl").args(["-s", &format!("http://{address}/sse")]).output().unwrap();
    assert_eq!(answer.stdout, b"data: one\n\n");
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_answers_wrk_without_errors() {
    let (address, stop, serving) = serve().await;
    let report = peers::output("wrk", "wrk", &["-t1", "-c10", "-d1s", &format!("http://{address}/")]).await;
    assert!(report.contains("Requests/sec"), "{report}");
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_answers_h2load_with_prior_knowledge() {
    let (address, stop, serving) = serve().await;
    let arguments = ["-n", "2000", "-c", "10", "-p", "h2c", &format!("http://{address}/")];
    let report = peers::output("h2load", "nghttp2-client", &arguments).await;
    assert!(report.contains("2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
    assert!(report.contains("status codes: 2000 2xx"), "{report}");
    stop.send(()).unwrap();
    serving.await.unwrap();
}

/// Returns a client. No request of it uses TLS, but reqwest asks for a provider.
fn client() -> reqwest::Client {
    // An error says that another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

#[tokio::test]
async fn reqwest_gets_a_thousand_answers() {
    let (address, stop, serving) = serve().await;
    let client = client();
    for _ in 0..1000 {
        let text = client.get(format!("http://{address}/")).send().await.unwrap().text().await.unwrap();
        assert_eq!(text, "hello");
    }
    let late = client.get(format!("http://{address}/")).timeout(std::time::Duration::from_nanos(1)).send().await;
    assert!(late.unwrap_err().is_timeout());
    drop(client);
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn hyper_util_client_reuses_its_connections() {
    use http_body_util::{BodyExt, Empty};
    use hyper::body::Bytes;

    let (address, stop, serving) = serve().await;
    let client =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http::<Empty<Bytes>>();
    for _ in 0..100 {
        let answer = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
    drop(client);
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn web_socket_of_axum_and_tungstenite_carries_text() {
    let (address, _stop, serving) = serve().await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/ws")).await.unwrap();
    for number in 0..100 {
        socket.send(format!("{number}").into()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), format!("{number}"));
    }
    serving.abort();
}

async fn curl(address: std::net::SocketAddr) -> Vec<u8> {
    let url = format!("http://{address}/");
    tokio::process::Command::new("curl").args(["-s", &url]).output().await.unwrap().stdout
}

#[test]
fn actix_web_answers_curl() {
    actix_web::rt::System::new().block_on(async {
        let server = actix_web::HttpServer::new(|| {
            actix_web::App::new().route("/", actix_web::web::get().to(|| async { "hello" }))
        });
        let server = server.workers(2).bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        for _ in 0..10 {
            assert_eq!(curl(address).await, b"hello");
        }
        handle.stop(true).await;
        serving.await.unwrap().unwrap();
    });
}

#[tokio::test]
async fn warp_answers_curl() {
    use warp::Filter;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = warp::serve(warp::any().map(|| "hello")).incoming(listener);
    let serving = tokio::spawn(server.graceful(async { _ = stopped.await }).run());
    assert_eq!(curl(address).await, b"hello");
    stop.send(()).unwrap();
    serving.await.unwrap();
}
