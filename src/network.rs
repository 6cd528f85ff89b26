//! The network of a simulation: hosts, TCP connections and UDP sockets in memory.
//!
//! It is a state machine without threads and locks. An operation of a socket changes it at the
//! caller's virtual time. What travels between hosts is an event at a later time, which
//! [`Network::advance`] carries out.
#![doc = include_str!("../docs/simulated-network.md")]

mod datagram;
mod hosts;
mod link;
mod listener;
mod ports;
mod ready_list;
mod segment;
mod stream;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use datagram::{Datagram, DatagramSocket};
pub(crate) use hosts::Hosts;
pub use link::Link;
use listener::Listener;
use ports::Ports;
pub(crate) use ready_list::Ready;
use ready_list::ReadyLists;
use segment::Segment;
use stream::Stream;

use crate::util::rng::Rng;

/// Names a host: its position in the order in which the hosts were added.
pub(crate) type HostId = usize;
/// Names a socket. No number is used twice.
pub(crate) type SocketId = u64;

/// The thread that does an operation: its host, and its virtual time in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) host: HostId,
    pub(crate) now: u64,
}

/// The state of all hosts, sockets and links.
#[derive(Debug)]
pub(crate) struct Network {
    /// Tells this network from that of another simulation.
    number: u64,
    rng: Rng,
    hosts: Hosts,
    events: BinaryHeap<Reverse<Scheduled>>,
    /// Numbers events, so that two at the same time have an order.
    scheduled: u64,
    sockets: u64,
    streams: BTreeMap<SocketId, Stream>,
    listeners: BTreeMap<SocketId, Listener>,
    datagram_sockets: BTreeMap<SocketId, DatagramSocket>,
    ports: Ports,
    /// The time at which the last segment of a socket arrives. A later segment comes later.
    last_arrival: BTreeMap<SocketId, u64>,
    /// The segments that cannot travel now. They are sent again when the hosts are connected.
    held: Vec<Segment>,
    /// The connecting sockets for which a server has made a connection, and the server's host.
    admitted: BTreeMap<SocketId, HostId>,
    ready: ReadyLists,
}

/// What happens at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A segment of a connection arrives.
    Segment(Segment),
    /// A connection attempt is repeated, or given up.
    RetryConnect { client: SocketId, attempt: u32 },
    /// A connection whose segments were held since then is given up.
    GiveUp { socket: SocketId, since: u64 },
    /// A datagram arrives.
    Datagram(Datagram),
    /// The sender of a datagram learns that no socket receives it.
    Unreachable(SocketId),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scheduled {
    time: u64,
    number: u64,
    event: Event,
}

impl Network {
    /// Creates a network without hosts. `number` names it.
    pub(crate) fn new(number: u64, seed: u64, link: Link) -> Network {
        Network {
            number,
            // Other numbers than those of the threads, so that the order of steps stays the same.
            rng: Rng::new(seed ^ 0x6e65_7477_6f72_6b00),
            hosts: Hosts::new(link),
            events: BinaryHeap::new(),
            scheduled: 0,
            sockets: 0,
            streams: BTreeMap::new(),
            listeners: BTreeMap::new(),
            datagram_sockets: BTreeMap::new(),
            ports: Ports::default(),
            last_arrival: BTreeMap::new(),
            held: Vec::new(),
            admitted: BTreeMap::new(),
            ready: ReadyLists::default(),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub(crate) fn hosts_mut(&mut self) -> &mut Hosts {
        &mut self.hosts
    }

    /// Returns the lists of sockets that are ready.
    pub(crate) fn ready_lists(&mut self) -> &mut ReadyLists {
        &mut self.ready
    }

    /// Returns the time of the next event.
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.events.peek().map(|Reverse(scheduled)| scheduled.time)
    }

    /// Carries out the next event. Returns its time.
    pub(crate) fn advance(&mut self) -> Option<u64> {
        let Reverse(Scheduled { time, event, .. }) = self.events.pop()?;
        match event {
            Event::Segment(segment) => self.receive_segment(time, segment),
            Event::RetryConnect { client, attempt } => self.retry_connect(time, client, attempt),
            Event::GiveUp { socket, since } => self.give_up(socket, since),
            Event::Datagram(datagram) => self.receive_datagram(time, datagram),
            Event::Unreachable(socket) => self.report_unreachable(socket),
        }
        Some(time)
    }

    /// Takes the events of a queue: tokens, and what they are ready for.
    pub(crate) fn take_ready(&mut self, queue: usize, limit: usize) -> Vec<(usize, Ready)> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some((socket, token)) = self.ready.pop(queue) else { break };
            let ready = self.readiness(socket);
            if !ready.is_empty() {
                taken.push((token, ready));
            }
        }
        taken
    }

    /// Registers a socket with a queue. If it is ready already, that is an event.
    pub(crate) fn register(&mut self, socket: SocketId, queue: usize, token: usize) {
        self.ready.register(socket, queue, token);
        if !self.readiness(socket).is_empty() {
            self.ready.add(socket);
        }
    }

    fn readiness(&self, socket: SocketId) -> Ready {
        let stream = self.streams.get(&socket).map(Stream::readiness);
        let listener = || self.listeners.get(&socket).map(Listener::readiness);
        let datagrams = || self.datagram_sockets.get(&socket).map(DatagramSocket::readiness);
        stream.or_else(listener).or_else(datagrams).unwrap_or_default()
    }

    /// Closes a socket. If it does not linger, a connection is reset.
    pub(crate) fn close_socket(&mut self, caller: Caller, socket: SocketId, lingers: bool) {
        self.close_stream(caller, socket, lingers);
        self.close_listener(caller, socket);
        self.close_datagrams(socket);
    }

    /// Ends a host: its sockets are gone at once, and no peer is told. What is sent to it waits
    /// until [`Network::start_host`].
    pub(crate) fn stop_host(&mut self, now: u64, host: HostId) {
        self.hosts.set_up(host, false);
        let ended: Vec<SocketId> = self.sockets_of(host).collect();
        for socket in ended {
            self.ready.deregister(socket);
            self.last_arrival.remove(&socket);
            self.streams.remove(&socket);
            self.listeners.remove(&socket);
            self.datagram_sockets.remove(&socket);
        }
        self.admitted.retain(|_, server| *server != host);
        self.ports.release_all(host);
        self.hold_travelling(now);
        self.held.retain(|segment| segment.from_host != host);
    }

    fn sockets_of(&self, host: HostId) -> impl Iterator<Item = SocketId> {
        let streams = self.streams.iter().map(|(socket, stream)| (*socket, stream.host));
        let listeners = self.listeners.iter().map(|(socket, listener)| (*socket, listener.host));
        let datagrams = self.datagram_sockets.iter().map(|(socket, datagrams)| (*socket, datagrams.host));
        streams.chain(listeners).chain(datagrams).filter(move |(_, owner)| *owner == host).map(|(socket, _)| socket)
    }

    /// Starts a host again.
    pub(crate) fn start_host(&mut self, now: u64, host: HostId) {
        self.hosts.set_up(host, true);
        self.release_held(now);
    }

    /// Cuts the direction from one host to another, or restores it.
    pub(crate) fn set_cut(&mut self, now: u64, from: HostId, to: HostId, cut: bool) {
        self.hosts.set_cut(from, to, cut);
        if cut {
            self.hold_travelling(now);
        } else {
            self.release_held(now);
        }
    }

    fn next_socket(&mut self) -> SocketId {
        self.sockets += 1;
        self.sockets
    }

    fn schedule(&mut self, time: u64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(Scheduled { time, number: self.scheduled, event }));
    }

    fn between(&self, (least, most): (u64, u64)) -> u64 {
        least + self.rng.next() % (most - least + 1)
    }

    fn happens(&self, probability: f64) -> bool {
        // 53 bits are exact in a float, so this is the same on each machine.
        probability > 0.0 && ((self.rng.next() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// Returns the address that a socket gets which binds to `addr` on its host.
    fn local_address(&self, host: HostId, addr: SocketAddr) -> io::Result<SocketAddr> {
        if addr.ip().is_unspecified() || self.hosts.is_own(host, addr.ip()) {
            return Ok(addr);
        }
        let text = format!("{} is no address of the host {}: bind to 0.0.0.0", addr.ip(), self.hosts.name(host));
        Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text))
    }
}

/// Returns an address of the host itself in place of an unspecified one, as Linux does.
fn reachable(mut remote: SocketAddr) -> SocketAddr {
    if remote.ip().is_unspecified() {
        remote.set_ip(if remote.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    remote
}

/// The error of an operation on a socket whose host was stopped.
pub(crate) fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the host of this socket was stopped")
}
