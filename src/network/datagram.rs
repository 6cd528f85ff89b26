//! UDP sockets.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::hosts::Hosts;
use super::ports::Protocol;
use super::{Caller, Event, HostId, Network, Ready, SocketId, gone, reachable};

/// The most bytes of a datagram over IPv4.
const LONGEST: usize = 65_507;
/// The most bytes that wait for a receiver. What comes then is lost.
const BUFFER: usize = 212_992;

/// A UDP socket.
#[derive(Debug)]
pub(super) struct DatagramSocket {
    pub(super) host: HostId,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    received: VecDeque<(Vec<u8>, SocketAddr)>,
    buffered: usize,
    error: Option<ErrorKind>,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Datagram {
    from: SocketId,
    from_host: HostId,
    to_host: HostId,
    source: SocketAddr,
    target: SocketAddr,
    bytes: Vec<u8>,
}

impl DatagramSocket {
    pub(super) fn readiness(&self) -> Ready {
        Ready::READABLE.only_if(!self.received.is_empty())
            | Ready::WRITABLE
            | Ready::ERROR.only_if(self.error.is_some())
    }

    pub(super) fn take_error(&mut self) -> Option<ErrorKind> {
        self.error.take()
    }

    fn receives(&self, datagram: &Datagram) -> bool {
        self.host == datagram.to_host
            && self.local.port() == datagram.target.port()
            && (self.local.ip().is_unspecified() || self.local.ip() == datagram.target.ip())
            && self.peer.is_none_or(|peer| peer == datagram.source)
    }
}

impl Network {
    pub(crate) fn bind_datagrams(&mut self, caller: Caller, addr: SocketAddr) -> io::Result<SocketId> {
        let mut local = self.local_address(caller.host, addr)?;
        local.set_port(self.ports.take(caller.host, Protocol::Udp, addr.port())?);
        let socket = self.next_socket();
        let received = VecDeque::new();
        let bound = DatagramSocket { host: caller.host, local, peer: None, received, buffered: 0, error: None };
        self.datagram_sockets.insert(socket, bound);
        Ok(socket)
    }

    /// Sets the peer: the target of [`Network::send_datagram`], and the only source.
    pub(crate) fn connect_datagrams(&mut self, socket: SocketId, peer: SocketAddr) -> io::Result<()> {
        self.datagram_sockets.get_mut(&socket).ok_or_else(gone)?.peer = Some(reachable(peer));
        Ok(())
    }

    /// Returns the address of a socket and its peer.
    pub(crate) fn datagram_addresses(&self, socket: SocketId) -> io::Result<(SocketAddr, Option<SocketAddr>)> {
        let socket = self.datagram_sockets.get(&socket).ok_or_else(gone)?;
        let mut local = socket.local;
        if let Some(peer) = socket.peer.filter(|_| local.ip().is_unspecified()) {
            local.set_ip(if peer.ip().is_loopback() { peer.ip() } else { Hosts::ip(socket.host) });
        }
        Ok((local, socket.peer))
    }

    pub(crate) fn close_datagrams(&mut self, socket: SocketId) {
        if let Some(closed) = self.datagram_sockets.remove(&socket) {
            self.ports.release(closed.host, Protocol::Udp, closed.local.port());
            self.ready.deregister(socket);
        }
    }

    /// Sends a message to `target`, or to the peer.
    pub(crate) fn send_datagram(
        &mut self,
        caller: Caller,
        socket: SocketId,
        bytes: &[u8],
        target: Option<SocketAddr>,
    ) -> io::Result<usize> {
        if let Some(error) = self.take_error(socket) {
            return Err(error);
        }
        let from = self.datagram_sockets.get(&socket).ok_or_else(gone)?;
        let target = reachable(target.or(from.peer).ok_or(ErrorKind::NotConnected)?);
        if bytes.len() > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidInput, "a datagram has at most 65,507 bytes: split it"));
        }
        let (from_host, mut source) = (from.host, from.local);
        if source.ip().is_unspecified() {
            source.set_ip(if target.ip().is_loopback() { target.ip() } else { Hosts::ip(from_host) });
        }
        let Some(to_host) = self.hosts.at(from_host, target.ip()) else { return Ok(bytes.len()) };
        let link = self.hosts.link(from_host, to_host);
        let (latency, loss, duplication) = (link.latency, link.loss, link.duplication);
        if self.hosts.is_cut(from_host, to_host) || self.happens(loss) {
            return Ok(bytes.len());
        }
        let sent = self.hosts.sent_at(caller.now, from_host, to_host, bytes.len());
        let copies = 1 + usize::from(self.happens(duplication));
        for _ in 0..copies {
            let arrival = sent + self.between(latency);
            let datagram = Datagram { from: socket, from_host, to_host, source, target, bytes: bytes.to_vec() };
            self.schedule(arrival, Event::Datagram(datagram));
        }
        Ok(bytes.len())
    }

    /// Returns the oldest message and its source. Takes it unless this is a peek.
    pub(crate) fn receive(&mut self, socket: SocketId, peek: bool) -> io::Result<(Vec<u8>, SocketAddr)> {
        if let Some(error) = self.take_error(socket) {
            return Err(error);
        }
        let socket = self.datagram_sockets.get_mut(&socket).ok_or_else(gone)?;
        if peek {
            return socket.received.front().cloned().ok_or_else(|| ErrorKind::WouldBlock.into());
        }
        let (bytes, source) = socket.received.pop_front().ok_or(ErrorKind::WouldBlock)?;
        socket.buffered -= bytes.len();
        Ok((bytes, source))
    }

    pub(super) fn receive_datagram(&mut self, now: u64, datagram: Datagram) {
        if self.hosts.is_cut(datagram.from_host, datagram.to_host) {
            return;
        }
        let receiver = self.datagram_sockets.iter_mut().find(|(_, socket)| socket.receives(&datagram));
        let Some((&id, socket)) = receiver else {
            if self.hosts.is_cut(datagram.to_host, datagram.from_host) {
                return;
            }
            let latency = self.between(self.hosts.link(datagram.to_host, datagram.from_host).latency);
            return self.schedule(now + latency, Event::Unreachable(datagram.from));
        };
        if socket.buffered + datagram.bytes.len() <= BUFFER {
            socket.buffered += datagram.bytes.len();
            socket.received.push_back((datagram.bytes, datagram.source));
            self.ready.add(id);
        }
    }

    /// A connected socket learns that no socket receives at its peer.
    pub(super) fn report_unreachable(&mut self, socket: SocketId) {
        if let Some(sender) = self.datagram_sockets.get_mut(&socket).filter(|sender| sender.peer.is_some()) {
            sender.error = Some(ErrorKind::ConnectionRefused);
            self.ready.add(socket);
        }
    }
}
