use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::contender::{Contender, LightLoad, Sockets, Timers};
use crate::rows::hello;

pub struct Tokio(tokio::runtime::Runtime);

pub struct Join<T>(tokio::task::JoinHandle<T>);

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|output| output.expect("the task panicked"))
    }
}

/// Serves HTTP.
pub fn serve(workers: usize) -> SocketAddr {
    hello::serve::<Tokio, _>(workers, Tokio::http)
}

impl Contender for Tokio {
    const NAME: &'static str = "tokio";
    type Join<T: Send + 'static> = Join<T>;

    fn build(workers: usize) -> Tokio {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
        Tokio(runtime.expect("tokio's runtime could not be built"))
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
        Join(tokio::spawn(future))
    }

    fn detach<T: Send + 'static>(join: Join<T>) {
        drop(join);
    }

    fn cancel<T: Send + 'static>(join: Join<T>) {
        join.0.abort();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }
}

impl Timers for Tokio {
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        tokio::time::timeout(limit, future).await.ok()
    }
}

impl LightLoad for Tokio {
    fn run_blocking(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn_blocking(job);
    }

    async fn tick_for_ever(every: Duration) {
        let mut interval = tokio::time::interval(every);
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

impl Sockets for Tokio {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Http = TokioIo<TcpStream>;

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

    fn http(stream: TcpStream) -> TokioIo<TcpStream> {
        TokioIo::new(stream)
    }
}
