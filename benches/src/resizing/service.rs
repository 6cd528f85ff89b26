//! Three echo services whose number of workers can be changed.

use std::net::TcpStream;

use super::swap::Swap;

/// Serves connections, each in a task of its own, until the client disconnects.
pub trait Service: Send + Sync {
    fn name(&self) -> &'static str;

    /// Takes an accepted connection, in non-blocking mode.
    fn serve(&self, stream: TcpStream);

    /// Changes the number of workers, if the service can do so.
    fn resize(&self, workers: usize);

    /// Returns the number of its worker threads.
    fn threads(&self) -> usize;
}

/// heist, never resized.
pub struct Fixed(heist::runtime::Runtime);

/// heist, resized in place.
pub struct Resized(heist::runtime::Runtime);

/// Tokio behind a wrapper that replaces the runtime by a new one.
pub struct Swapped(Swap);

impl Fixed {
    pub fn new(workers: usize) -> Self {
        Fixed(super::runtime(workers))
    }
}

impl Resized {
    pub fn new(workers: usize) -> Self {
        Resized(super::runtime(workers))
    }
}

impl Swapped {
    pub fn new(workers: usize) -> Self {
        Swapped(Swap::new(workers))
    }
}

impl Service for Fixed {
    fn name(&self) -> &'static str {
        "heist, not resized"
    }

    fn serve(&self, stream: TcpStream) {
        self.0.spawn(echo_on_heist(stream));
    }

    fn resize(&self, _: usize) {}

    fn threads(&self) -> usize {
        self.0.worker_threads()
    }
}

impl Service for Resized {
    fn name(&self) -> &'static str {
        "heist, resized"
    }

    fn serve(&self, stream: TcpStream) {
        self.0.spawn(echo_on_heist(stream));
    }

    fn resize(&self, workers: usize) {
        self.0.resize(workers).wait().expect("the resize failed");
    }

    fn threads(&self) -> usize {
        self.0.worker_threads()
    }
}

impl Service for Swapped {
    fn name(&self) -> &'static str {
        "tokio, swapped"
    }

    fn serve(&self, stream: TcpStream) {
        self.0.spawn(echo_on_tokio(stream));
    }

    fn resize(&self, workers: usize) {
        self.0.replace(workers);
    }

    fn threads(&self) -> usize {
        self.0.threads()
    }
}

async fn echo_on_heist(stream: TcpStream) {
    let mut stream = heist::net::TcpStream::from_std(stream).expect("the reactor refused a socket");
    let mut buf = [0; 256];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..n]).await.is_err() {
            return;
        }
    }
}

async fn echo_on_tokio(stream: TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::from_std(stream).expect("the reactor refused a socket");
    let mut buf = [0; 256];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..n]).await.is_err() {
            return;
        }
    }
}
