//! Servers and clients on the real Tokio, which a test starts as a child process.
//!
//! A server prints the port on which it listens, and runs until it is killed. A client prints `done`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::get;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const USAGE: &str = "usage: heist-works-with-peers http | grpc-server | grpc-client ADDRESS | quic-server FOLDER | quic-client ADDRESS FOLDER";

/// How much a QUIC stream carries each way.
const SIZE: usize = 100_000;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    // heist's workers have another name. So a build that is patched by mistake is seen at once.
    let name = tokio::spawn(async { std::thread::current().name().map(str::to_owned) }).await?;
    if name.as_deref() == Some("heist-worker") {
        return Err("this program runs on heist, but is a peer on Tokio; build it without a patch".into());
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["http"] => http().await,
        ["grpc-server"] => grpc_server().await,
        ["grpc-client", address] => grpc_client(address).await,
        ["quic-server", folder] => quic_server(Path::new(folder)).await,
        ["quic-client", address, folder] => quic_client(address.parse()?, Path::new(folder)).await,
        _ => Err(USAGE.into()),
    }
}

async fn http() -> Outcome {
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
        })
    };
    let router = axum::Router::new().route("/", get(|| async { "hello" })).route("/ws", get(echo));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    Ok(axum::serve(listener, router).await?)
}

async fn grpc_server() -> Outcome {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("heist", tonic_health::ServingStatus::Serving).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    Ok(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?)
}

async fn grpc_client(address: &str) -> Outcome {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{address}"))?.timeout(Duration::from_secs(10));
    let mut client = HealthClient::new(endpoint.connect().await?);
    for _ in 0..100 {
        let answer = client.check(HealthCheckRequest { service: "heist".to_owned() }).await?;
        if answer.into_inner().status != 1 {
            return Err("the server does not serve".into());
        }
    }
    println!("done");
    Ok(())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

async fn quic_server(folder: &Path) -> Outcome {
    let certificate = CertificateDer::from(std::fs::read(folder.join("certificate.der"))?);
    let key = PrivatePkcs8KeyDer::from(std::fs::read(folder.join("key.der"))?);
    let server = rustls::ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let server = server.with_no_client_auth().with_single_cert(vec![certificate], key.into())?;
    let server = quinn::crypto::rustls::QuicServerConfig::try_from(server)?;
    let server = quinn::ServerConfig::with_crypto(Arc::new(server));
    let endpoint = quinn::Endpoint::server(server, "127.0.0.1:0".parse()?)?;
    println!("{}", endpoint.local_addr()?.port());
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let connection = incoming.await?;
            let (mut send, mut receive) = connection.accept_bi().await?;
            send.write_all(&receive.read_to_end(SIZE).await?).await?;
            send.finish()?;
            connection.closed().await;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
    Ok(())
}

async fn quic_client(address: SocketAddr, folder: &Path) -> Outcome {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(std::fs::read(folder.join("certificate.der"))?))?;
    let client = rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let client = quinn::crypto::rustls::QuicClientConfig::try_from(client)?;
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse()?)?;
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(client)));
    let connection = endpoint.connect(address, "localhost")?.await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let sent: Vec<_> = (0..SIZE).map(|number| number as u8).collect();
    send.write_all(&sent).await?;
    send.finish()?;
    if receive.read_to_end(SIZE).await? != sent {
        return Err("the stream came back changed".into());
    }
    connection.close(0u32.into(), b"");
    endpoint.wait_idle().await;
    println!("done");
    Ok(())
}
