//! The times at which tasks were queued, for hooks and histograms of schedule latency.

use std::collections::HashMap;

use super::Pool;
use crate::primitive::{CachePadded, Mutex};
use crate::raw_task::{Header, Id};

/// The number of shards, so that workers seldom contend for one.
const SHARDS: u64 = 64;

/// Queue times by task id.
type Shard = Mutex<HashMap<u64, u64>>;

/// The queue times of all tasks that have not been polled since. They are stored beside the tasks,
/// so that a task needs no field for them.
#[derive(Debug)]
pub(crate) struct QueueTimes {
    shards: Box<[CachePadded<Shard>]>,
}

impl QueueTimes {
    pub(super) fn new() -> Self {
        QueueTimes { shards: (0..SHARDS).map(|_| CachePadded::new(Mutex::new(HashMap::new()))).collect() }
    }

    fn shard(&self, id: Id) -> &Shard {
        &self.shards[(id.get() % SHARDS) as usize]
    }

    fn record_queued(&self, id: Id, now: u64) {
        self.shard(id).lock().insert(id.get(), now);
    }

    fn take_queued(&self, id: Id) -> Option<u64> {
        self.shard(id).lock().remove(&id.get())
    }
}

impl Pool {
    /// Records that the task is about to be queued: after a spawn, a wake, or a yield.
    #[cold]
    pub(crate) fn record_queue_time(&self, task: &Header) {
        if let Some(queue_times) = &self.queue_times {
            queue_times.record_queued(task.id(), self.clock.now());
        }
    }

    /// Returns when the task was queued, in the pool's nanoseconds, and removes the entry.
    pub(crate) fn take_queue_time(&self, task: Id) -> Option<u64> {
        self.queue_times.as_ref()?.take_queued(task)
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn queue_time_taken_once_is_latest_one() {
        let queue_times = QueueTimes::new();
        let ids: Vec<Id> = (1..200).filter_map(Id::from_number).collect();
        for now in [5, 7] {
            ids.iter().for_each(|&id| queue_times.record_queued(id, now));
        }
        assert!(ids.iter().all(|&id| queue_times.take_queued(id) == Some(7)));
        assert!(ids.iter().all(|&id| queue_times.take_queued(id).is_none()));
        assert!(queue_times.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
