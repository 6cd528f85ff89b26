//! TLS of both families, gRPC, QUIC and DNS.

#[path = "../../works-with/tests/support/certificate.rs"]
mod certificate;
#[path = "../../works-with/tests/support/peers.rs"]
mod peers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certificate::Certificate;
use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use heist::net::{TcpListener, TcpStream};
use heist::task::spawn_blocking;
use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use rustls::pki_types::ServerName;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// A server of the one family echoes what a client of the other one sends.
#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn rustls_of_both_families_carries_a_megabyte() {
    let certificate = Certificate::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = heist_compat::tls::Acceptor::new(Arc::new(certificate.server()));
    let serving = heist::spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let (mut read, mut write) = tokio::io::split(stream);
        let copied = tokio::io::copy(&mut read, &mut write).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut write).await.unwrap();
        copied
    });
    let connector = futures_rustls::TlsConnector::from(Arc::new(certificate.client()));
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let (mut read, mut write) = stream.split();
    let writing = heist::spawn(async move {
        write.write_all(&vec![7; 1 << 20]).await.unwrap();
        write.close().await.unwrap();
    });
    let mut all = Vec::new();
    read.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 1 << 20);
    writing.await.unwrap();
    assert_eq!(serving.await.unwrap(), 1 << 20);
}

#[heist::test]
async fn rustls_client_reads_a_page_of_openssl() {
    let certificate = Certificate::new();
    let server = peers::openssl_server(|folder| certificate.write(folder));
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = heist_compat::tls::connect(Arc::new(certificate.client()), name, stream).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut page).await.unwrap();
    assert!(page.contains("s_server"), "{page}");
}

/// Serves the health of `heist` on a port of 127.0.0.1.
async fn grpc_server() -> (SocketAddr, heist::task::JoinHandle<()>) {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("heist", tonic_health::ServingStatus::Serving).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = tonic::service::Routes::new(service).prepare();
    (address, heist::spawn(heist_compat::serve::serve(listener, routes).run()))
}

async fn call_a_hundred_times(address: SocketAddr) {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(heist_compat::tonic::connect(endpoint).await.unwrap());
    for _ in 0..100 {
        let request = HealthCheckRequest { service: "heist".to_owned() };
        let answer = heist::time::timeout(Duration::from_secs(5), client.check(request)).await.unwrap();
        assert_eq!(answer.unwrap().into_inner().status, 1);
    }
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_channel_and_routes_check_health() {
    let (address, serving) = grpc_server().await;
    call_a_hundred_times(address).await;
    serving.abort();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_channel_calls_a_server_on_tokio() {
    let server = peers::tokio_server("grpc-server", |_| ());
    call_a_hundred_times(server.address()).await;
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_routes_answer_a_client_on_tokio() {
    let (address, serving) = grpc_server().await;
    spawn_blocking(move || peers::tokio_client(&["grpc-client", &address.to_string()])).await.unwrap();
    serving.abort();
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Echoes one stream of one connection.
fn quic_server(certificate: &Certificate) -> (SocketAddr, heist::task::JoinHandle<()>) {
    let server = quinn::crypto::rustls::QuicServerConfig::try_from(certificate.server()).unwrap();
    let server = quinn::ServerConfig::with_crypto(Arc::new(server));
    let server = heist_compat::quinn::endpoint(quinn::EndpointConfig::default(), Some(server), any_port()).unwrap();
    let address = server.local_addr().unwrap();
    let serving = heist::spawn(async move {
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
    let mut endpoint = heist_compat::quinn::endpoint(quinn::EndpointConfig::default(), None, any_port()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(client)));
    let connection = endpoint.connect(address, "localhost").unwrap().await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&vec![9; 100_000]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(1 << 20).await.unwrap(), vec![9; 100_000]);
    connection.close(0u32.into(), b"");
    endpoint.wait_idle().await;
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn quinn_stream_carries_bytes_both_ways() {
    let certificate = Certificate::new();
    let (address, serving) = quic_server(&certificate);
    echo_by_quic(address, &certificate).await;
    serving.await.unwrap();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn quinn_client_echoes_by_a_server_on_tokio() {
    let certificate = Certificate::new();
    let server = peers::tokio_server("quic-server", |folder| certificate.write(folder));
    echo_by_quic(server.address(), &certificate).await;
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn quinn_server_echoes_to_a_client_on_tokio() {
    let certificate = Certificate::new();
    let folder = peers::folder("quic-client");
    certificate.write(&folder);
    let (address, serving) = quic_server(&certificate);
    let (address, path) = (address.to_string(), folder.display().to_string());
    spawn_blocking(move || peers::tokio_client(&["quic-client", &address, &path])).await.unwrap();
    serving.await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

async fn look_up(mut connection: ConnectionConfig) {
    let server = peers::dnsmasq();
    connection.port = server.port;
    let server = NameServerConfig::new([127, 0, 0, 1].into(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let resolver = Resolver::builder_with_config(config, heist_compat::hickory::HeistProvider).build().unwrap();
    let found = resolver.ipv4_lookup("name.example.").await.unwrap();
    assert!(format!("{found:?}").contains("10.1.2.3"), "{found:?}");
    assert!(resolver.ipv4_lookup("other.example.").await.unwrap_err().is_no_records_found());
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn hickory_resolver_asks_dnsmasq_by_udp() {
    look_up(ConnectionConfig::udp()).await;
}

#[heist::test]
async fn hickory_resolver_asks_dnsmasq_by_tcp() {
    look_up(ConnectionConfig::tcp()).await;
}
