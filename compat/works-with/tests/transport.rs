//! gRPC and QUIC, against peers on the real Tokio, and with heist on both sides.

#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/peers.rs"]
mod peers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certificate::Certificate;
use tokio::task::{JoinHandle, spawn_blocking};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Serves the health of `heist` on a port of 127.0.0.1.
async fn grpc_server() -> (SocketAddr, JoinHandle<Result<(), tonic::transport::Error>>) {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("heist", tonic_health::ServingStatus::Serving).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    (address, tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming)))
}

async fn call_a_hundred_times(address: SocketAddr) {
    let channel = tonic::transport::Endpoint::new(format!("http://{address}")).unwrap();
    let channel = channel.timeout(Duration::from_secs(5)).connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    for _ in 0..100 {
        let request = HealthCheckRequest { service: "heist".to_owned() };
        assert_eq!(client.check(request).await.unwrap().into_inner().status, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_channel_and_server_check_health() {
    let (address, serving) = grpc_server().await;
    call_a_hundred_times(address).await;
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_channel_calls_a_server_on_tokio() {
    let server = peers::tokio_server("grpc-server", |_| ());
    call_a_hundred_times(server.address()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_server_answers_a_client_on_tokio() {
    let (address, serving) = grpc_server().await;
    spawn_blocking(move || peers::tokio_client(&["grpc-client", &address.to_string()])).await.unwrap();
    serving.abort();
}

/// Echoes one stream of one connection.
fn quic_server(certificate: &Certificate) -> (SocketAddr, JoinHandle<()>) {
    let server = quinn::crypto::rustls::QuicServerConfig::try_from(certificate.server()).unwrap();
    let server = quinn::ServerConfig::with_crypto(Arc::new(server));
    let server = quinn::Endpoint::server(server, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let connection = server.accept().await.unwrap().await.unwrap();
        let (mut send, mut receive) = connection.accept_bi().await.unwrap();
        let bytes = receive.read_to_end(1 << 20).await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        connection.closed().await;
    });
    (address, serving)
}

async fn echo_by_quic(address: SocketAddr, certificate: &Certificate) {
    let client = quinn::crypto::rustls::QuicClientConfig::try_from(certificate.client()).unwrap();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(client)));
    let connection = endpoint.connect(address, "localhost").unwrap().await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&vec![9; 100_000]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(1 << 20).await.unwrap(), vec![9; 100_000]);
    connection.close(0u32.into(), b"");
    endpoint.wait_idle().await;
}

#[tokio::test]
async fn quinn_stream_echoes() {
    let certificate = Certificate::new();
    let (address, serving) = quic_server(&certificate);
    echo_by_quic(address, &certificate).await;
    serving.await.unwrap();
}

#[tokio::test]
async fn quinn_client_gets_an_echo_of_a_server_on_tokio() {
    let certificate = Certificate::new();
    let server = peers::tokio_server("quic-server", |folder| certificate.write(folder));
    echo_by_quic(server.address(), &certificate).await;
}

#[tokio::test]
async fn quinn_server_echoes_to_a_client_on_tokio() {
    let certificate = Certificate::new();
    let (address, serving) = quic_server(&certificate);
    let folder = peers::folder("quic-client");
    certificate.write(&folder);
    let path = folder.to_str().unwrap().to_owned();
    spawn_blocking(move || peers::tokio_client(&["quic-client", &address.to_string(), &path])).await.unwrap();
    serving.await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
