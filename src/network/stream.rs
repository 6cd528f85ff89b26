//! The ends of TCP connections.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};

use super::segment::{Payload, Segment};
use super::{Caller, HostId, Network, Ready, SocketId, gone};

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) host: HostId,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The other end, and its host. Unknown while the connection is attempted.
    pub(super) peer: Option<(SocketId, HostId)>,
    pub(super) state: State,
    /// The error that the next operation reports.
    error: Option<ErrorKind>,
    received: VecDeque<u8>,
    /// The peer sends no more.
    has_ended: bool,
    read_is_shut: bool,
    write_is_shut: bool,
    /// The bytes that were written and that the peer has not read, as far as this end knows.
    unread: usize,
    /// The most bytes that may be unread.
    capacity: usize,
    /// A write found too little room. The socket becomes writable when there is room.
    wants_room: bool,
    /// Since when segments of this end are held.
    pub(super) held_since: Option<u64>,
    /// The port is this socket's, not a listener's.
    owns_port: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Connected,
    /// Refused, reset or timed out.
    Failed,
}

impl Stream {
    pub(super) fn new(
        host: HostId,
        local: SocketAddr,
        remote: SocketAddr,
        peer: Option<(SocketId, HostId)>,
        capacity: usize,
    ) -> Stream {
        Stream {
            host,
            local,
            remote,
            peer,
            state: if peer.is_some() { State::Connected } else { State::Connecting },
            error: None,
            received: VecDeque::new(),
            has_ended: false,
            read_is_shut: false,
            write_is_shut: false,
            unread: 0,
            capacity,
            wants_room: false,
            held_since: None,
            owns_port: peer.is_none(),
        }
    }

    /// Returns true if a third of the buffer is free, as with Linux.
    fn has_room(&self) -> bool {
        self.capacity - self.unread >= self.capacity.div_ceil(3)
    }

    pub(super) fn readiness(&self) -> Ready {
        let failed = self.state == State::Failed;
        let read_ends = failed || self.has_ended || self.read_is_shut;
        let connected = self.state == State::Connected;
        Ready::READABLE.only_if(!self.received.is_empty() || read_ends)
            | Ready::WRITABLE.only_if(failed || connected && (self.has_room() || self.write_is_shut))
            | Ready::READ_CLOSED.only_if(read_ends)
            | Ready::WRITE_CLOSED.only_if(failed || self.write_is_shut && read_ends)
            | Ready::ERROR.only_if(self.error.is_some())
    }
}

/// Operations of sockets.
impl Network {
    /// Reads at most `limit` bytes, and consumes them unless this is a peek.
    pub(crate) fn read(&mut self, caller: Caller, socket: SocketId, limit: usize, peek: bool) -> io::Result<Vec<u8>> {
        let stream = self.streams.get_mut(&socket).ok_or_else(gone)?;
        if stream.state == State::Connecting {
            return Err(ErrorKind::WouldBlock.into());
        }
        if !stream.received.is_empty() {
            let count = limit.min(stream.received.len());
            if peek {
                return Ok(stream.received.range(..count).copied().collect());
            }
            let bytes: Vec<u8> = stream.received.drain(..count).collect();
            self.send_from(caller.now, socket, Payload::Read(bytes.len()));
            return Ok(bytes);
        }
        if let Some(error) = stream.error.take() {
            return Err(error.into());
        }
        let ends = stream.has_ended || stream.read_is_shut || stream.state == State::Failed;
        if ends { Ok(Vec::new()) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    /// Writes as many of the bytes as there is room for.
    pub(crate) fn write(&mut self, caller: Caller, socket: SocketId, bytes: &[u8]) -> io::Result<usize> {
        let stream = self.streams.get_mut(&socket).ok_or_else(gone)?;
        if let Some(error) = stream.error.take() {
            return Err(error.into());
        }
        match stream.state {
            State::Connecting => return Err(ErrorKind::WouldBlock.into()),
            State::Failed => return Err(ErrorKind::BrokenPipe.into()),
            State::Connected if stream.write_is_shut => return Err(ErrorKind::BrokenPipe.into()),
            State::Connected => {}
        }
        let count = bytes.len().min(stream.capacity - stream.unread);
        stream.wants_room = count < bytes.len();
        if count == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        stream.unread += count;
        let (host, peer_host) = (stream.host, stream.peer.map_or(stream.host, |(_, host)| host));
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let link = self.hosts.link(host, peer_host);
            let (sizes, resets) = (link.segments, link.resets);
            if self.happens(resets) {
                self.send_from(caller.now, socket, Payload::Reset);
                self.fail_stream(socket, ErrorKind::ConnectionReset);
                break;
            }
            let size = usize::try_from(self.between(sizes)).unwrap_or(usize::MAX).min(rest.len());
            self.send_from(caller.now, socket, Payload::Data(rest[..size].to_vec()));
            rest = &rest[size..];
        }
        Ok(count)
    }

    pub(crate) fn shut_down(&mut self, caller: Caller, socket: SocketId, how: Shutdown) -> io::Result<()> {
        let stream = self.streams.get_mut(&socket).ok_or_else(gone)?;
        if stream.state != State::Connected {
            return Err(ErrorKind::NotConnected.into());
        }
        if how != Shutdown::Write {
            stream.read_is_shut = true;
        }
        let ends = how != Shutdown::Read && !std::mem::replace(&mut stream.write_is_shut, true);
        if ends {
            self.send_from(caller.now, socket, Payload::End);
        }
        self.ready.add(socket);
        Ok(())
    }

    /// Closes a socket. If bytes are left that it has not read, the connection is reset, as with
    /// Linux.
    pub(crate) fn close_stream(&mut self, caller: Caller, socket: SocketId, lingers: bool) {
        let Some(stream) = self.streams.get(&socket) else { return };
        let (host, port, owns_port) = (stream.host, stream.local.port(), stream.owns_port);
        let state = stream.state;
        let (resets, ends) = (!stream.received.is_empty() || !lingers, !stream.write_is_shut);
        if state == State::Connected && resets {
            self.send_from(caller.now, socket, Payload::Reset);
        } else if state == State::Connected && ends {
            self.send_from(caller.now, socket, Payload::End);
        }
        self.forget_stream(socket);
        if owns_port {
            self.ports.release(host, super::ports::Protocol::Tcp, port);
        }
    }

    /// Takes the error that an operation would report next.
    pub(crate) fn take_error(&mut self, socket: SocketId) -> Option<io::Error> {
        let error = match self.streams.get_mut(&socket) {
            Some(stream) => stream.error.take(),
            None => self.datagram_sockets.get_mut(&socket)?.take_error(),
        };
        error.map(io::Error::from)
    }

    pub(crate) fn stream_addresses(&self, socket: SocketId) -> io::Result<(SocketAddr, SocketAddr)> {
        self.streams.get(&socket).map(|stream| (stream.local, stream.remote)).ok_or_else(gone)
    }

    /// Returns the address of the peer, if there is a connection.
    pub(crate) fn peer_address(&self, socket: SocketId) -> io::Result<SocketAddr> {
        match self.streams.get(&socket) {
            Some(stream) if stream.state == State::Connected => Ok(stream.remote),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }
}

/// What segments do at their arrival.
impl Network {
    /// Sends a segment to the other end.
    pub(super) fn send_from(&mut self, now: u64, socket: SocketId, payload: Payload) {
        let Some(stream) = self.streams.get(&socket) else { return };
        let Some((to, to_host)) = stream.peer else { return };
        let from_host = stream.host;
        self.send_segment(now, Segment { from: socket, to, from_host, to_host, payload });
    }

    pub(super) fn receive_connected(&mut self, socket: SocketId, peer: (SocketId, HostId)) {
        if let Some(stream) = self.streams.get_mut(&socket).filter(|stream| stream.state == State::Connecting) {
            stream.peer = Some(peer);
            stream.state = State::Connected;
            self.ready.add(socket);
        }
    }

    pub(super) fn receive_refusal(&mut self, socket: SocketId) {
        if self.streams.get(&socket).is_some_and(|stream| stream.state == State::Connecting) {
            self.fail_stream(socket, ErrorKind::ConnectionRefused);
        }
    }

    pub(super) fn receive_data(&mut self, socket: SocketId, data: Vec<u8>) {
        if let Some(stream) = self.streams.get_mut(&socket) {
            stream.received.extend(data);
            self.ready.add(socket);
        }
    }

    pub(super) fn receive_acknowledgement(&mut self, socket: SocketId, count: usize) {
        let Some(stream) = self.streams.get_mut(&socket) else { return };
        stream.unread -= count;
        if stream.wants_room && stream.has_room() {
            stream.wants_room = false;
            self.ready.add(socket);
        }
    }

    pub(super) fn receive_end(&mut self, socket: SocketId) {
        if let Some(stream) = self.streams.get_mut(&socket) {
            stream.has_ended = true;
            self.ready.add(socket);
        }
    }

    /// Ends a connection with an error. What has been received can still be read. If the peer has
    /// ended its direction, a reset is not an error of reads.
    pub(super) fn fail_stream(&mut self, socket: SocketId, error: ErrorKind) {
        let Some(stream) = self.streams.get_mut(&socket) else { return };
        if stream.state != State::Failed {
            stream.state = State::Failed;
            let is_expected = stream.has_ended && error == ErrorKind::ConnectionReset;
            stream.error = (!is_expected).then_some(error);
            self.ready.add(socket);
        }
    }

    /// Removes all that is known of a socket.
    pub(super) fn forget_stream(&mut self, socket: SocketId) {
        self.streams.remove(&socket);
        self.ready.deregister(socket);
        self.admitted.remove(&socket);
    }
}
