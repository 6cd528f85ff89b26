//! Which members of a [`JoinSet`](super::JoinSet) have ended.

use std::collections::VecDeque;
use std::mem::swap;
use std::task::{Poll, Wake, Waker};

use crate::sync::{Arc, Mutex};
use crate::util::store_waker::poll_or_store_waker;
use crate::util::wake_list::{drop_contained, wake_catch_panic};

/// The keys of members that have ended and have not been joined, in the order in which they did,
/// and who waits for the next.
///
/// Each member's handle holds a [`MemberWaker`] as its joiner's waker. It is used once, at the member's
/// end, and is the only thing that brings a key here. So whoever joins takes a key out, and looks
/// at no other member.
#[derive(Debug)]
pub(super) struct FinishedQueue(Mutex<FinishedState>);

#[derive(Debug)]
struct FinishedState {
    keys: VecDeque<usize>,
    joiner: Option<Waker>,
}

/// Brings one member's key when it is woken.
struct MemberWaker {
    ended: Arc<FinishedQueue>,
    key: usize,
}

impl FinishedQueue {
    pub(super) fn new() -> Arc<FinishedQueue> {
        Arc::new(FinishedQueue(Mutex::new(FinishedState { keys: VecDeque::new(), joiner: None })))
    }

    /// The waker that says that the member `key` has ended.
    pub(super) fn completion(self: &Arc<Self>, key: usize) -> Waker {
        Arc::new(MemberWaker { ended: Arc::clone(self), key }).into()
    }

    /// The key of a member that has ended.
    pub(super) fn pop_finished(&self) -> Option<usize> {
        self.0.lock().keys.pop_front()
    }

    /// The key of a member that has ended; else leaves `waker` for the next end.
    ///
    /// A waker that is not needed any more is dropped last: its destructor may panic, and a key
    /// that has been taken out must not be lost by that. A panic in the clone of `waker` reaches
    /// the caller, and changes nothing.
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
    /// The callers must not panic here: the set that is dropped, or the last member's completion.
    fn drop(&mut self) {
        drop_contained(self.joiner.take());
    }
}

impl Wake for MemberWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut line = self.ended.0.lock();
        line.keys.push_back(self.key);
        // Taken, so that further ends before the next look wake nobody.
        let joiner = line.joiner.take();
        drop(line);
        if let Some(joiner) = joiner {
            wake_catch_panic(joiner);
        }
    }
}
