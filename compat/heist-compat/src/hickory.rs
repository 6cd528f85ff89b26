//! hickory-resolver over heist's sockets, tasks and timers.
//!
//! ```no_run
//! use hickory_resolver::Resolver;
//! use hickory_resolver::config::ResolverConfig;
//!
//! # async fn run(servers: ResolverConfig) -> Result<(), Box<dyn std::error::Error>> {
//! let provider = heist_compat::hickory::HeistProvider;
//! let resolver = Resolver::builder_with_config(servers, provider).build()?;
//! let found = resolver.lookup_ip("example.com").await?;
//! println!("{:?}", found.iter().collect::<Vec<_>>());
//! # Ok(())
//! # }
//! ```
//!
//! Name servers over TLS, HTTPS or QUIC need Tokio, because hickory-net uses it for them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use heist::net::{TcpSocket, TcpStream, UdpSocket};
use hickory_resolver::net::runtime::{DnsTcpStream, DnsUdpSocket, RuntimeProvider, Spawn, Time};

/// The time for a connection if hickory names none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Lets hickory run on the heist runtime of the calling thread.
///
/// # Panics
///
/// Its functions panic outside of a heist runtime with I/O and timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeistProvider;

impl RuntimeProvider for HeistProvider {
    type Handle = HeistProvider;
    type Timer = HeistTime;
    type Udp = DnsUdp;
    type Tcp = DnsTcp;

    fn create_handle(&self) -> HeistProvider {
        HeistProvider
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        limit: Option<Duration>,
    ) -> Pin<Box<dyn Future<Output = io::Result<DnsTcp>> + Send>> {
        Box::pin(async move {
            let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(local) = local {
                socket.bind(local)?;
            }
            let stream = heist::time::timeout(limit.unwrap_or(CONNECT_TIMEOUT), socket.connect(server)).await??;
            stream.set_nodelay(true)?;
            Ok(DnsTcp(stream))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _: SocketAddr) -> Pin<Box<dyn Future<Output = io::Result<DnsUdp>> + Send>> {
        Box::pin(async move { Ok(DnsUdp(UdpSocket::bind(local).await?)) })
    }
}

impl Spawn for HeistProvider {
    #[track_caller]
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        drop(heist::spawn(future));
    }
}

/// heist's timers for hickory.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeistTime;

#[async_trait::async_trait]
impl Time for HeistTime {
    async fn delay_for(duration: Duration) {
        heist::time::sleep(duration).await;
    }

    async fn timeout<F: Future + Send + 'static>(duration: Duration, future: F) -> io::Result<F::Output> {
        Ok(heist::time::timeout(duration, future).await?)
    }
}

/// A UDP socket for hickory.
#[derive(Debug)]
pub struct DnsUdp(UdpSocket);

impl DnsUdpSocket for DnsUdp {
    type Time = HeistTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.0.poll_recv_from(cx, buf)
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        self.0.poll_send_to(cx, buf, target)
    }
}

/// A TCP connection for hickory.
#[derive(Debug)]
pub struct DnsTcp(TcpStream);

impl DnsTcpStream for DnsTcp {
    type Time = HeistTime;
}

impl AsyncRead for DnsTcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for DnsTcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
