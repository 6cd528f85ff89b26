//! TLS: tokio-rustls against OpenSSL's client, reqwest against OpenSSL's server.

#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/peers.rs"]
mod peers;

use std::process::Stdio;
use std::sync::Arc;

use certificate::Certificate;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn rustls_acceptor_echoes_a_line_to_openssl() {
    let certificate = Certificate::new();
    let folder = peers::folder("openssl-client");
    certificate.write(&folder);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(certificate.server()));
    let serving = tokio::spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        stream.write_all(line.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let mut client = tokio::process::Command::new("openssl");
    client.args(["s_client", "-quiet", "-verify_return_error", "-CAfile", "certificate.pem"]);
    client.args(["-servername", "localhost", "-verify_hostname", "localhost", "-connect", &address]);
    client.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut client = client.spawn().expect("openssl did not start; install the Debian package openssl");
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"a line\n").await.unwrap();
    let ended = client.wait_with_output().await.unwrap();
    assert_eq!(ended.stdout, b"a line\n", "{}", String::from_utf8_lossy(&ended.stderr));
    serving.await.unwrap();
    drop(input);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reqwest_gets_a_page_of_openssl_by_https() {
    let certificate = Certificate::new();
    let server = peers::openssl_server(|folder| certificate.write(folder));
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let url = format!("https://localhost:{}/", server.port);
    let root = reqwest::Certificate::from_der(certificate.der()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    for _ in 0..10 {
        let page = client.get(&url).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("s_server"), "{page}");
    }
    let other = reqwest::Certificate::from_der(Certificate::new().der()).unwrap();
    let stranger = reqwest::Client::builder().tls_certs_only([other]).build().unwrap();
    assert!(stranger.get(&url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn rustls_connection_carries_a_megabyte() {
    let certificate = Certificate::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(certificate.server()));
    let serving = tokio::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes.len()
    });
    let connector = tokio_rustls::TlsConnector::from(Arc::new(certificate.client()));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
    stream.write_all(&vec![7; 1 << 20]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(serving.await.unwrap(), 1 << 20);
}
