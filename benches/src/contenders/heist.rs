use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};
use std::time::Duration;

use heist::net::{TcpListener, TcpStream, UdpSocket};
use hyper_util::rt::TokioIo;

use crate::contender::{Contender, LightLoad, Sockets, Timers};
use crate::rows::hello;

pub struct Heist(heist::runtime::Runtime);

pub struct Join<T>(heist::task::JoinHandle<T>);

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|output| output.expect("the task panicked"))
    }
}

impl Heist {
    /// Builds the runtime with its watchdog (the default), or without.
    pub fn with_watchdog(workers: usize, watchdog: bool) -> Heist {
        let mut builder = heist::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(workers).watchdog(watchdog).enable_all().build();
        Heist(runtime.expect("the runtime could not be built"))
    }
}

impl Heist {
    /// Builds the runtime with its flight recorder on, in rings of one mebibyte, or off.
    pub fn with_recorder(workers: usize, records: bool) -> Heist {
        let mut builder = heist::runtime::Builder::new_multi_thread();
        builder.worker_threads(workers).enable_all();
        if records {
            builder.flight_recorder(1 << 20);
        }
        Heist(builder.build().expect("the runtime could not be built"))
    }

    /// Returns the runtime, for what other contenders do not have.
    pub fn runtime(&self) -> &heist::runtime::Runtime {
        &self.0
    }
}

/// Serves HTTP through the native adapter.
pub fn serve(workers: usize) -> SocketAddr {
    hello::serve::<Heist, _>(workers, Heist::http)
}

/// Serves HTTP through Tokio's I/O traits.
pub fn serve_through_tokio_io(workers: usize) -> SocketAddr {
    hello::serve::<Heist, _>(workers, TokioIo::new)
}

impl Contender for Heist {
    const NAME: &'static str = "heist";
    type Join<T: Send + 'static> = Join<T>;

    fn build(workers: usize) -> Heist {
        Heist::with_watchdog(workers, true)
    }

    fn spawn_outside<F>(&self, future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join(self.0.spawn(future))
    }

    fn spawn<F>(future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join(heist::spawn(future))
    }

    fn detach<T: Send + 'static>(join: Join<T>) {
        drop(join);
    }

    fn cancel<T: Send + 'static>(join: Join<T>) {
        join.0.abort();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        heist::task::yield_now()
    }

    fn useless_wakes(&self) -> Option<u64> {
        let metrics = self.0.metrics();
        Some((0..metrics.num_workers()).map(|worker| metrics.worker_noop_count(worker)).sum())
    }
}

impl Timers for Heist {
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        heist::time::sleep(duration)
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        heist::time::timeout(limit, future).await.ok()
    }
}

impl LightLoad for Heist {
    fn run_blocking(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn_blocking(job);
    }

    async fn tick_for_ever(every: Duration) {
        let mut interval = heist::time::interval(every);
        loop {
            interval.tick().await;
        }
    }

    async fn receive_datagrams(addr_tx: SyncSender<SocketAddr>) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("no socket");
        addr_tx.send(socket.local_addr().expect("no address")).expect("the receiver of the address is gone");
        let mut datagram = [0; 64];
        loop {
            socket.recv(&mut datagram).await.expect("no datagram");
        }
    }
}

impl Sockets for Heist {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Http = TcpStream;

    async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut TcpStream, buf: &mut [u8]) -> io::Result<usize> {
        stream.read(buf).await
    }

    async fn write_all(stream: &mut TcpStream, buf: &[u8]) -> io::Result<()> {
        stream.write_all(buf).await
    }

    fn http(stream: TcpStream) -> TcpStream {
        stream
    }
}
