//! Servers and clients of the tests.

use std::io::ErrorKind;

use heist::net::{TcpListener, TcpStream};
use heist::sim::Sim;
use heist::time::Duration;

/// One millisecond.
pub(crate) const MILLI: Duration = Duration::from_millis(1);

/// Echoes what each connection sends, until it ends.
pub(crate) async fn echo_server() {
    let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(heist::spawn(async move {
            let mut buf = [0; 1000];
            while let Ok(count @ 1..) = stream.read(&mut buf).await {
                if stream.write_all(&buf[..count]).await.is_err() {
                    break;
                }
            }
        }));
    }
}

/// Connects, and repeats a refused attempt: the server may not listen yet.
pub(crate) async fn connect(addr: &str) -> TcpStream {
    loop {
        match TcpStream::connect(addr).await {
            Ok(stream) => return stream,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}"),
        }
    }
}

/// Sends `bytes`, and reads as many.
pub(crate) async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

pub(crate) fn echo_sim(seed: u64) -> Sim {
    Sim::new(seed).workers(2).time_limit(Duration::from_secs(4000)).host("server", echo_server)
}
