//! Listening TCP sockets, and the making of connections.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::hosts::Hosts;
use super::ports::Protocol;
use super::segment::{NOBODY, Payload, Segment};
use super::stream::{State, Stream};
use super::{Caller, Event, HostId, Network, Ready, SocketId, gone, reachable};

/// After so many attempts a connection times out, as with Linux.
const MOST_ATTEMPTS: u32 = 6;
/// The time until the second attempt, in nanoseconds. It doubles.
const FIRST_RETRY: u64 = 1_000_000_000;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) host: HostId,
    local: SocketAddr,
    backlog: usize,
    /// Connections that wait to be accepted.
    waiting: VecDeque<SocketId>,
}

impl Listener {
    pub(super) fn readiness(&self) -> Ready {
        Ready::READABLE.only_if(!self.waiting.is_empty())
    }

    /// Returns true if this listens at an address.
    pub(super) fn serves(&self, host: HostId, addr: SocketAddr) -> bool {
        let any = self.local.ip().is_unspecified();
        self.host == host && self.local.port() == addr.port() && (any || self.local.ip() == addr.ip())
    }
}

impl Network {
    /// Takes an address for a socket. The port 0 stands for a free one.
    pub(crate) fn reserve(&mut self, caller: Caller, addr: SocketAddr) -> io::Result<SocketAddr> {
        let mut local = self.local_address(caller.host, addr)?;
        local.set_port(self.ports.take(caller.host, Protocol::Tcp, addr.port())?);
        Ok(local)
    }

    /// Gives back an address that was reserved and not used.
    pub(crate) fn release(&mut self, caller: Caller, local: SocketAddr) {
        self.ports.release(caller.host, Protocol::Tcp, local.port());
    }

    /// Listens at an address that is reserved.
    pub(crate) fn listen(&mut self, caller: Caller, local: SocketAddr, backlog: usize) -> SocketId {
        let socket = self.next_socket();
        let listener = Listener { host: caller.host, local, backlog: backlog.max(1), waiting: VecDeque::new() };
        self.listeners.insert(socket, listener);
        socket
    }

    /// Returns the oldest connection that waits, and the address of its peer.
    pub(crate) fn accept(&mut self, socket: SocketId) -> io::Result<(SocketId, SocketAddr)> {
        let listener = self.listeners.get_mut(&socket).ok_or_else(gone)?;
        let accepted = listener.waiting.pop_front().ok_or(ErrorKind::WouldBlock)?;
        Ok((accepted, self.stream_addresses(accepted)?.1))
    }

    pub(crate) fn listener_address(&self, socket: SocketId) -> io::Result<SocketAddr> {
        self.listeners.get(&socket).map(|listener| listener.local).ok_or_else(gone)
    }

    /// Closes a listener. The connections that wait are reset.
    pub(crate) fn close_listener(&mut self, caller: Caller, socket: SocketId) {
        let Some(listener) = self.listeners.remove(&socket) else { return };
        self.ready.deregister(socket);
        self.ports.release(listener.host, Protocol::Tcp, listener.local.port());
        for waiting in listener.waiting {
            self.send_from(caller.now, waiting, Payload::Reset);
            self.forget_stream(waiting);
        }
    }

    /// Begins to connect from an address that is reserved.
    pub(crate) fn connect(&mut self, caller: Caller, local: SocketAddr, remote: SocketAddr) -> io::Result<SocketId> {
        let remote = reachable(remote);
        let Some(server) = self.hosts.at(caller.host, remote.ip()) else {
            self.release(caller, local);
            let text = format!("no host of the simulation has the address {}", remote.ip());
            return Err(io::Error::new(ErrorKind::HostUnreachable, text));
        };
        let mut local = local;
        if local.ip().is_unspecified() {
            local.set_ip(if remote.ip().is_loopback() { remote.ip() } else { Hosts::ip(caller.host) });
        }
        let socket = self.next_socket();
        let capacity = self.draw_capacity(caller.host, server);
        self.streams.insert(socket, Stream::new(caller.host, local, remote, None, capacity));
        self.send_connect(caller.now, socket, 1);
        Ok(socket)
    }

    fn draw_capacity(&self, from: HostId, to: HostId) -> usize {
        usize::try_from(self.between(self.hosts.link(from, to).buffers)).unwrap_or(usize::MAX)
    }

    /// Asks the server for a connection, and schedules the next attempt.
    fn send_connect(&mut self, now: u64, client: SocketId, attempt: u32) {
        let Some(stream) = self.streams.get(&client) else { return };
        let from_host = stream.host;
        let Some(to_host) = self.hosts.at(from_host, stream.remote.ip()) else { return };
        let payload = Payload::Connect { attempt };
        self.send_segment(now, Segment { from: client, to: NOBODY, from_host, to_host, payload });
        let next = now + (FIRST_RETRY << (attempt - 1));
        self.schedule(next, Event::RetryConnect { client, attempt });
    }

    pub(super) fn retry_connect(&mut self, now: u64, client: SocketId, attempt: u32) {
        if self.streams.get(&client).is_none_or(|stream| stream.state != State::Connecting) {
            return;
        }
        if attempt > MOST_ATTEMPTS {
            return self.fail_stream(client, ErrorKind::TimedOut);
        }
        self.send_connect(now, client, attempt + 1);
    }

    /// An attempt to connect arrives at the server.
    pub(super) fn receive_connect(&mut self, now: u64, client: SocketId, attempt: u32) {
        let Some(stream) = self.streams.get(&client).filter(|stream| stream.state == State::Connecting) else { return };
        let (client_host, from, to) = (stream.host, stream.local, stream.remote);
        let Some(host) = self.hosts.at(client_host, to.ip()) else { return };
        let Some((&socket, listener)) = self.listeners.iter_mut().find(|(_, listener)| listener.serves(host, to))
        else {
            let refused =
                Segment { from: NOBODY, to: client, from_host: host, to_host: client_host, payload: Payload::Refused };
            return self.send_segment(now, refused);
        };
        // An earlier attempt may have been late, not lost.
        let is_repeated = attempt > 1 && self.admitted.contains_key(&client);
        if is_repeated || listener.waiting.len() >= listener.backlog {
            return;
        }
        self.sockets += 1;
        let accepted = self.sockets;
        listener.waiting.push_back(accepted);
        self.admitted.insert(client, host);
        let capacity = self.draw_capacity(host, client_host);
        self.streams.insert(accepted, Stream::new(host, to, from, Some((client, client_host)), capacity));
        self.send_from(now, accepted, Payload::Connected);
        self.ready.add(socket);
    }
}
