//! quinn over heist's sockets, tasks and timers.
//!
//! ```no_run
//! # async fn run(config: quinn::EndpointConfig, server: quinn::ServerConfig) -> std::io::Result<()> {
//! let address = "0.0.0.0:4433".parse().unwrap();
//! let endpoint = heist_compat::quinn::endpoint(config, Some(server), address)?;
//! while let Some(incoming) = endpoint.accept().await {
//!     heist::spawn(async move { drop(incoming.await) });
//! }
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use heist::io::Interest;
use heist::time::Sleep;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, ServerConfig, UdpPoller};

/// Lets quinn run on the heist runtime of the calling thread.
///
/// # Panics
///
/// Its functions panic outside of a heist runtime with I/O and timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeistRuntime;

/// Returns an endpoint at `address` that connects, and accepts connections if there is a `server`.
/// Port 0 means any free port.
///
/// # Errors
///
/// If the address cannot be bound.
///
/// # Panics
///
/// Outside of a heist runtime with I/O and timers.
pub fn endpoint(config: EndpointConfig, server: Option<ServerConfig>, address: SocketAddr) -> io::Result<Endpoint> {
    let socket = std::net::UdpSocket::bind(address)?;
    Endpoint::new(config, server, socket, Arc::new(HeistRuntime))
}

impl Runtime for HeistRuntime {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer(Box::pin(heist::time::sleep_until(deadline.into()))))
    }

    #[track_caller]
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        drop(heist::spawn(future));
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        // It makes the socket non-blocking.
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Arc::new(UdpSocket { io: heist::net::UdpSocket::from_std(socket)?, state }))
    }

    fn now(&self) -> Instant {
        heist::time::Instant::now().into_std()
    }
}

#[derive(Debug)]
struct Timer(Pin<Box<Sleep>>);

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.0.as_mut().reset(deadline.into());
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

#[derive(Debug)]
struct UdpSocket {
    io: heist::net::UdpSocket,
    state: UdpSocketState,
}

impl AsyncUdpSocket for UdpSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, writable: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let receive = || self.state.recv((&self.io).into(), bufs, meta);
            // quinn ends all connections at an error. One message's error is no reason for that. If
            // the socket is of no use any more, the wait for readiness gives the error.
            if let Ok(count) = self.io.try_io(Interest::READABLE, receive) {
                return Poll::Ready(Ok(count));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// Waits for room to send, for one of quinn's tasks.
struct Poller {
    socket: Arc<UdpSocket>,
    writable: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Poller { socket, writable } = self.get_mut();
        let waiting = writable.get_or_insert_with(|| {
            let socket = Arc::clone(socket);
            Box::pin(async move { socket.io.writable().await })
        });
        let result = ready!(waiting.as_mut().poll(cx));
        *writable = None;
        Poll::Ready(result)
    }
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("socket", &self.socket).finish_non_exhaustive()
    }
}
