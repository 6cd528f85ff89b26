//! When tasks were queued, if somebody wants to know how long they wait.

use std::collections::HashMap;

use super::Pool;
use crate::raw_task::{Header, Id};
use crate::sync::{CachePadded, Mutex};

/// So many parts the book has, so that workers seldom meet.
const PARTS: u64 = 64;

/// Times, by the number of the task.
type Shard = Mutex<HashMap<u64, u64>>;

/// The times at which the tasks were queued that have not been polled since. Beside the tasks, so
/// that they are no larger for those who do not want to know.
#[derive(Debug)]
pub(crate) struct QueueTimes {
    parts: Box<[CachePadded<Shard>]>,
}

impl QueueTimes {
    pub(super) fn new() -> Self {
        QueueTimes { parts: (0..PARTS).map(|_| CachePadded::new(Mutex::new(HashMap::new()))).collect() }
    }

    fn shard(&self, id: Id) -> &Shard {
        &self.parts[(id.get() % PARTS) as usize]
    }

    fn record_queued(&self, id: Id, now: u64) {
        self.shard(id).lock().insert(id.get(), now);
    }

    fn take_queued(&self, id: Id) -> Option<u64> {
        self.shard(id).lock().remove(&id.get())
    }
}

impl Pool {
    /// The task is about to be queued, having been spawned, woken, or polled.
    #[cold]
    pub(crate) fn record_queue_time(&self, task: &Header) {
        if let Some(queue_times) = &self.queue_times {
            queue_times.record_queued(task.id(), self.clock.now());
        }
    }

    /// When the task was queued, in the pool's nanoseconds; said once.
    pub(crate) fn take_queue_time(&self, task: Id) -> Option<u64> {
        self.queue_times.as_ref()?.take_queued(task)
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_taken_once_and_is_the_last_one() {
        let queue_times = QueueTimes::new();
        let ids: Vec<Id> = (1..200).filter_map(Id::from_number).collect();
        for now in [5, 7] {
            ids.iter().for_each(|&id| queue_times.record_queued(id, now));
        }
        assert!(ids.iter().all(|&id| queue_times.take_queued(id) == Some(7)));
        assert!(ids.iter().all(|&id| queue_times.take_queued(id).is_none()));
        assert!(queue_times.parts.iter().all(|part| part.lock().is_empty()));
    }
}
