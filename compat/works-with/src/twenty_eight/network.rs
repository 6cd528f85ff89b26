//! gRPC, QUIC, TLS and DNS.

use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{Peers, expect, failed, while_serving};

async fn check_health(port: u16) -> Result<(), String> {
    let endpoint = Endpoint::new(format!("http://127.0.0.1:{port}")).map_err(failed("the endpoint"))?;
    let channel = endpoint.timeout(Duration::from_secs(10)).connect().await.map_err(failed("connect"))?;
    let mut client = HealthClient::new(channel);
    for _ in 0..10 {
        let request = HealthCheckRequest { service: "heist".to_owned() };
        expect(client.check(request).await.map_err(failed("the call"))?.into_inner().status, 1)?;
    }
    Ok(())
}

pub async fn tonic_channel(peers: &Peers) -> Result<(), String> {
    check_health(peers.grpc).await
}

pub async fn tonic_server(_: &Peers) -> Result<(), String> {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("heist", tonic_health::ServingStatus::Serving).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed("bind"))?;
    let port = listener.local_addr().map_err(failed("address"))?.port();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming);
    while_serving(server, check_health(port)).await
}

/// Returns the configurations of a server that has the certificate, and of a client that trusts it.
fn tls(peers: &Peers) -> Result<(rustls::ServerConfig, rustls::ClientConfig), String> {
    let certificate = CertificateDer::from(peers.certificate.0.clone());
    let key = PrivatePkcs8KeyDer::from(peers.certificate.1.clone()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let server = server.with_safe_default_protocol_versions().map_err(failed("protocols"))?.with_no_client_auth();
    let server = server.with_single_cert(vec![certificate.clone()], key).map_err(failed("the certificate"))?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).map_err(failed("the root"))?;
    let client = rustls::ClientConfig::builder_with_provider(provider);
    let client = client.with_safe_default_protocol_versions().map_err(failed("protocols"))?;
    Ok((server, client.with_root_certificates(roots).with_no_client_auth()))
}

pub async fn quinn_connect(peers: &Peers) -> Result<(), String> {
    let client = quinn::crypto::rustls::QuicClientConfig::try_from(tls(peers)?.1).map_err(failed("QUIC"))?;
    let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).map_err(failed("the endpoint"))?;
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(client)));
    let connecting = endpoint.connect(([127, 0, 0, 1], peers.quic).into(), "localhost").map_err(failed("connect"))?;
    let connection = connecting.await.map_err(failed("the handshake"))?;
    let (mut send, mut receive) = connection.open_bi().await.map_err(failed("open"))?;
    send.write_all(&[9; 100_000]).await.map_err(failed("write"))?;
    send.finish().map_err(failed("finish"))?;
    let answer = receive.read_to_end(100_000).await.map_err(failed("read"))?;
    connection.close(0u32.into(), b"");
    endpoint.wait_idle().await;
    if answer == [9; 100_000] { Ok(()) } else { Err(format!("{} bytes came back", answer.len())) }
}

pub async fn rustls_connect(peers: &Peers) -> Result<(), String> {
    let (server, client) = tls(peers)?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed("bind"))?;
    let address = listener.local_addr().map_err(failed("address"))?;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let server = async {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    let client = async {
        let name = ServerName::try_from("localhost").map_err(failed("the name"))?;
        let stream = TcpStream::connect(address).await.map_err(failed("connect"))?;
        let mut stream = connector.connect(name, stream).await.map_err(failed("the handshake"))?;
        stream.write_all(b"text").await.map_err(failed("write"))?;
        stream.shutdown().await.map_err(failed("shutdown"))?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map_err(failed("read"))?;
        expect(answer.as_slice(), b"text")
    };
    while_serving(server, client).await
}

pub async fn hickory_lookup(peers: &Peers) -> Result<(), String> {
    let mut connection = ConnectionConfig::udp();
    connection.port = peers.dns;
    let server = NameServerConfig::new([127, 0, 0, 1].into(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let resolver = resolver.build().map_err(failed("the resolver"))?;
    let found = resolver.ipv4_lookup("name.example.").await.map_err(failed("the lookup"))?;
    let found = format!("{found:?}");
    if found.contains("10.1.2.3") { Ok(()) } else { Err(format!("found {found}")) }
}
