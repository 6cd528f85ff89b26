//! The segments of TCP connections on their way between hosts.

use std::cmp::Reverse;

use super::stream::{State, Stream};
use super::{Event, HostId, Network, Scheduled, SocketId};

/// How long segments may be held before their connection is given up: about what Linux takes, in
/// nanoseconds.
const LONGEST_HOLD: u64 = 924_000_000_000;
/// The sender of a refusal.
pub(super) const NOBODY: SocketId = 0;
/// The bytes of a segment beside its data.
const HEADER: usize = 40;

/// What one end of a connection sends to the other.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    pub(super) from: SocketId,
    pub(super) to: SocketId,
    pub(super) from_host: HostId,
    pub(super) to_host: HostId,
    pub(super) payload: Payload,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Payload {
    /// The client asks for a connection. The segment has no receiver yet.
    Connect {
        attempt: u32,
    },
    /// The server has made a connection; the sender is its end.
    Connected,
    /// No socket listens.
    Refused,
    Data(Vec<u8>),
    /// The receiver has read so many bytes.
    Read(usize),
    /// No more data follows.
    End,
    Reset,
}

impl Network {
    /// Sends a segment, or holds it if it cannot travel now.
    pub(super) fn send_segment(&mut self, now: u64, segment: Segment) {
        if self.hosts.is_cut(segment.from_host, segment.to_host) {
            return self.hold(now, segment);
        }
        let (from, to) = (segment.from_host, segment.to_host);
        let bytes = HEADER + if let Payload::Data(data) = &segment.payload { data.len() } else { 0 };
        let latency = self.between(self.hosts.link(from, to).latency);
        let arrival = self.hosts.sent_at(now, from, to, bytes) + latency;
        let last = self.last_arrival.entry(segment.from).or_insert(0);
        *last = arrival.max(*last);
        let in_order = if segment.from == NOBODY { arrival } else { *last };
        self.schedule(in_order, Event::Segment(segment));
    }

    /// Holds the segments that travel in a direction which is cut now, before any that is sent
    /// later.
    pub(super) fn hold_travelling(&mut self, now: u64) {
        let (mut cut, rest) = std::mem::take(&mut self.events).into_vec().into_iter().partition(|Reverse(scheduled)| {
            matches!(&scheduled.event, Event::Segment(segment) if self.hosts.is_cut(segment.from_host, segment.to_host))
        });
        let rest: Vec<_> = rest;
        self.events = rest.into();
        let travelling: &mut Vec<Reverse<Scheduled>> = &mut cut;
        travelling.sort_unstable_by(|one, other| other.cmp(one));
        for Reverse(scheduled) in cut {
            if let Event::Segment(segment) = scheduled.event {
                self.hold(now, segment);
            }
        }
    }

    /// Keeps a segment until the hosts are connected. An attempt to connect is lost, and so is its
    /// refusal: the client repeats the attempt by itself.
    fn hold(&mut self, now: u64, segment: Segment) {
        if matches!(segment.payload, Payload::Connect { .. } | Payload::Refused) {
            return;
        }
        let is_sending = matches!(segment.payload, Payload::Data(_) | Payload::End);
        if let Some(stream) = self.streams.get_mut(&segment.from).filter(|_| is_sending) {
            if stream.held_since.is_none() {
                stream.held_since = Some(now);
                self.schedule(now + LONGEST_HOLD, Event::GiveUp { socket: segment.from, since: now });
            }
        }
        self.held.push(segment);
    }

    /// Sends the held segments again whose hosts are connected.
    pub(super) fn release_held(&mut self, now: u64) {
        let (held, free) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held| self.hosts.is_cut(held.from_host, held.to_host));
        self.held = held;
        let free: Vec<Segment> = free;
        for segment in free {
            if let Some(stream) = self.streams.get_mut(&segment.from) {
                stream.held_since = None;
            }
            self.send_segment(now, segment);
        }
    }

    /// Ends a connection whose segments have been held for too long.
    pub(super) fn give_up(&mut self, socket: SocketId, since: u64) {
        if self.streams.get(&socket).is_some_and(|stream| stream.held_since == Some(since)) {
            self.held.retain(|held| held.from != socket);
            self.fail_stream(socket, std::io::ErrorKind::TimedOut);
        }
    }

    pub(super) fn receive_segment(&mut self, now: u64, segment: Segment) {
        let (from, to) = (segment.from, segment.to);
        if let Payload::Connect { attempt } = segment.payload {
            return self.receive_connect(now, from, attempt);
        }
        if matches!(segment.payload, Payload::End | Payload::Reset) && !self.streams.contains_key(&from) {
            self.last_arrival.remove(&from);
        }
        let is_foreign = |stream: &Stream| stream.peer.is_some_and(|(peer, _)| peer != from && from != NOBODY);
        if self.streams.get(&to).is_none_or(|stream| stream.state == State::Failed || is_foreign(stream)) {
            // An acknowledgement that comes late needs no answer.
            if matches!(segment.payload, Payload::Data(_) | Payload::Connected | Payload::End) {
                let answer = Segment {
                    from: to,
                    to: from,
                    from_host: segment.to_host,
                    to_host: segment.from_host,
                    payload: Payload::Reset,
                };
                self.send_segment(now, answer);
            }
            return;
        }
        match segment.payload {
            Payload::Connect { .. } => {}
            Payload::Connected => self.receive_connected(to, (from, segment.from_host)),
            Payload::Refused => self.receive_refusal(to),
            Payload::Data(data) => self.receive_data(to, data),
            Payload::Read(count) => self.receive_acknowledgement(to, count),
            Payload::End => self.receive_end(to),
            Payload::Reset => self.fail_stream(to, std::io::ErrorKind::ConnectionReset),
        }
    }
}
