//! The sockets of a simulated network that have events for a reactor, as an epoll instance has
//! them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::BitOr;

use super::SocketId;

/// What a socket is ready for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ready(u8);

impl Ready {
    pub(crate) const READABLE: Ready = Ready(1);
    pub(crate) const WRITABLE: Ready = Ready(2);
    pub(crate) const READ_CLOSED: Ready = Ready(4);
    pub(crate) const WRITE_CLOSED: Ready = Ready(8);
    pub(crate) const ERROR: Ready = Ready(16);

    pub(crate) fn contains(self, other: Ready) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns this readiness if `condition` holds, or none.
    pub(super) fn only_if(self, condition: bool) -> Ready {
        if condition { self } else { Ready::default() }
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

/// For each queue of events, the sockets that are ready.
#[derive(Debug, Default)]
pub(crate) struct ReadyLists {
    registrations: BTreeMap<SocketId, Registration>,
    queues: BTreeMap<usize, VecDeque<SocketId>>,
    /// For each queue, what a worker waits for that sleeps for its events.
    sleepers: BTreeMap<usize, usize>,
    /// The sleepers that have to be woken.
    to_wake: Vec<usize>,
}

#[derive(Debug)]
struct Registration {
    queue: usize,
    token: usize,
    is_queued: bool,
}

impl ReadyLists {
    /// Forgets the queues of a reactor that is gone.
    pub(crate) fn remove_queues(&mut self, sleeper: usize) {
        let Self { queues, sleepers, .. } = self;
        sleepers.retain(|queue, other| {
            let stays = *other != sleeper;
            if !stays {
                queues.remove(queue);
            }
            stays
        });
    }

    /// Adds a queue that is empty. A worker that sleeps for its events waits for `sleeper`.
    pub(crate) fn add_queue(&mut self, queue: usize, sleeper: usize) {
        self.queues.remove(&queue);
        self.registrations.retain(|_, registration| registration.queue != queue);
        self.sleepers.insert(queue, sleeper);
    }

    pub(super) fn register(&mut self, socket: SocketId, queue: usize, token: usize) {
        self.registrations.insert(socket, Registration { queue, token, is_queued: false });
    }

    /// Ends a registration. The socket has no more events.
    pub(crate) fn deregister(&mut self, socket: SocketId) {
        if let Some(Registration { queue, is_queued: true, .. }) = self.registrations.remove(&socket) {
            if let Some(sockets) = self.queues.get_mut(&queue) {
                sockets.retain(|&queued| queued != socket);
            }
        }
    }

    /// Adds an event of a socket, if it is registered and has none.
    pub(super) fn add(&mut self, socket: SocketId) {
        let Some(registration) = self.registrations.get_mut(&socket) else { return };
        if !std::mem::replace(&mut registration.is_queued, true) {
            self.queues.entry(registration.queue).or_default().push_back(socket);
            self.to_wake.extend(self.sleepers.get(&registration.queue));
        }
    }

    /// Takes the next socket of a queue, with its token.
    pub(super) fn pop(&mut self, queue: usize) -> Option<(SocketId, usize)> {
        let sockets = self.queues.get_mut(&queue)?;
        while let Some(socket) = sockets.pop_front() {
            if let Some(registration) = self.registrations.get_mut(&socket) {
                registration.is_queued = false;
                return Some((socket, registration.token));
            }
        }
        None
    }

    /// Returns true if a queue of this sleeper has events.
    pub(crate) fn has_events(&self, sleeper: usize) -> bool {
        let is_ready = |queue: &usize| self.queues.get(queue).is_some_and(|sockets| !sockets.is_empty());
        self.sleepers.iter().any(|(queue, other)| *other == sleeper && is_ready(queue))
    }

    /// Takes the sleepers that have to be woken.
    pub(crate) fn take_sleepers(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.to_wake)
    }
}
