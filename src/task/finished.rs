//! The queue of the members of a [`JoinSet`](super::JoinSet) that have ended.

use std::collections::VecDeque;
use std::mem::swap;
use std::task::{Poll, Waker};

use crate::primitive::{Arc, Mutex};
use crate::raw_task::EndCallback;
use crate::util::store_waker::poll_or_store_waker;
use crate::util::wake_list::{drop_contained, wake_catch_panic};

/// The members that have ended and have not been joined, and the waker of the task that waits for
/// the next.
///
/// The keys of the members are in the order of their ends. Each member's handle holds a
/// [`MemberEnd`] in place of a joiner's waker. It is called once, at the member's end, and nothing
/// else adds a key. So a join takes a key out, and does not visit the other members.
#[derive(Debug)]
pub(super) struct FinishedQueue(Mutex<FinishedState>);

#[derive(Debug)]
struct FinishedState {
    keys: VecDeque<usize>,
    joiner: Option<Waker>,
}

/// Adds the key of one member to the queue when the member ends.
pub(super) struct MemberEnd {
    queue: Arc<FinishedQueue>,
    key: usize,
}

impl FinishedQueue {
    pub(super) fn new() -> Arc<FinishedQueue> {
        Arc::new(FinishedQueue(Mutex::new(FinishedState { keys: VecDeque::new(), joiner: None })))
    }

    /// Returns the callback for the handle of the member `key`.
    pub(super) fn member_end(self: &Arc<Self>, key: usize) -> MemberEnd {
        MemberEnd { queue: Arc::clone(self), key }
    }

    /// Removes and returns the key of a member that has ended, if there is one.
    pub(super) fn pop_finished(&self) -> Option<usize> {
        self.0.lock().keys.pop_front()
    }

    /// Removes and returns the key of a member that has ended. If there is none, stores `waker` for
    /// the next end.
    ///
    /// A replaced waker is dropped last: its destructor may panic, and that must not lose a key
    /// that has been removed. A panic in the clone of `waker` reaches the caller, and changes
    /// nothing.
    pub(super) fn poll_take(&self, waker: &Waker) -> Poll<usize> {
        poll_or_store_waker(
            waker,
            None,
            || self.0.lock(),
            |line, spare| {
                // Under the lock: an end that came before it is seen here, a later one finds the
                // waker.
                if let Some(key) = line.keys.pop_front() {
                    return Some(Poll::Ready(key));
                }
                if line.joiner.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
                    return Some(Poll::Pending);
                }
                spare.is_some().then(|| {
                    swap(&mut line.joiner, spare);
                    Poll::Pending
                })
            },
        )
    }
}

impl Drop for FinishedState {
    /// Must not panic: the set is being dropped, or the last member ends.
    fn drop(&mut self) {
        drop_contained(self.joiner.take());
    }
}

impl EndCallback for MemberEnd {
    fn on_end(self) {
        let mut state = self.queue.0.lock();
        state.keys.push_back(self.key);
        // The waker is removed, so that further ends before the next poll call no waker.
        let joiner = state.joiner.take();
        drop(state);
        if let Some(joiner) = joiner {
            wake_catch_panic(joiner);
        }
    }
}
