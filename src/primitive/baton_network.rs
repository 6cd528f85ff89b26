//! The network of a simulation, as its threads reach it.

use super::baton::{Key, Threads, with_current};
use crate::network::{Caller, Network};

/// Does something with the network of the simulation.
pub(crate) fn with_network<R>(run: impl FnOnce(&mut Network, Caller) -> R) -> Option<R> {
    with_current(|_, here, mut threads| {
        let caller = Caller { host: threads.all[here].host, now: threads.all[here].time };
        // What the thread was charged for within this step has taken it past these events.
        while threads.network.next_time().is_some_and(|event| event <= caller.now) {
            threads.advance_network();
        }
        let result = run(&mut threads.network, caller);
        threads.wake_sleepers(caller.now);
        result
    })
}

/// Adds a reactor. Each of its event queues has a key, the first of which is what its worker waits
/// for.
pub(super) fn add_reactor(queues: impl Iterator<Item = usize> + Clone) {
    with_current(|_, _, mut threads| {
        let sleeper = queues.clone().next().unwrap_or(0);
        threads.pending.retain(|&kept| kept != sleeper);
        threads.network.ready_lists().remove_queues(sleeper);
        queues.for_each(|queue| threads.network.ready_lists().add_queue(queue, sleeper));
    });
}

impl Threads {
    /// Carries out the next event of the network.
    pub(super) fn advance_network(&mut self) {
        if let Some(time) = self.network.advance() {
            self.record(time);
            self.wake_sleepers(time);
        }
    }

    /// Wakes the threads that wait for events of the network which have come.
    fn wake_sleepers(&mut self, now: u64) {
        for reactor in self.network.ready_lists().take_sleepers() {
            self.wake_at(Key::Address(reactor), now, None, false);
        }
    }
}
