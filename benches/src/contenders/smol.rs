use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::{io, thread};

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::{Executor, Timer, future};
use smol_hyper::rt::FuturesIo;

use crate::contender::{Contender, Sockets, Timers};

/// A static, as in smol's own `spawn`. [`Smol`] starts and joins the threads that run it.
static EXECUTOR: Executor<'static> = Executor::new();

pub struct Smol {
    threads: Vec<thread::JoinHandle<()>>,
    stop: smol::channel::Sender<()>,
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Contender for Smol {
    const NAME: &'static str = "smol";
    type Join<T: Send + 'static> = smol::Task<T>;

    fn build(workers: usize) -> Smol {
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let run = |n| {
            let stopped = stopped.clone();
            let body = move || {
                let _ = smol::block_on(EXECUTOR.run(stopped.recv()));
            };
            thread::Builder::new().name(format!("smol-{n}")).spawn(body).expect("no thread for smol")
        };
        Smol { threads: (0..workers).map(run).collect(), stop }
    }

    fn spawn_outside<F>(&self, future: F) -> smol::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn spawn<F>(future: F) -> smol::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn detach<T: Send + 'static>(join: smol::Task<T>) {
        join.detach();
    }

    fn cancel<T: Send + 'static>(join: smol::Task<T>) {
        drop(join);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        future::yield_now()
    }
}

impl Timers for Smol {
    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    fn timeout<F: Future + Send>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> + Send
    where
        F::Output: Send,
    {
        future::or(async { Some(future.await) }, async move {
            Timer::after(limit).await;
            None
        })
    }
}

impl Sockets for Smol {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Http = FuturesIo<TcpStream>;

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

    fn http(stream: TcpStream) -> FuturesIo<TcpStream> {
        FuturesIo::new(stream)
    }
}
