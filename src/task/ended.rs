//! Which members of a [`JoinSet`](super::JoinSet) have ended.

use std::collections::VecDeque;
use std::task::{Poll, Wake, Waker};

use crate::sync::{Arc, Mutex};

/// The keys of members that have ended and have not been joined, in the order in which they did, and who waits for the next.
///
/// Each member's handle holds a [`Ticket`] as its joiner's waker. It is used once, at the member's end, and is the only thing that
/// brings a key here. So whoever joins takes a key out, and looks at no other member.
#[derive(Debug)]
pub(super) struct Ended(Mutex<Line>);

#[derive(Debug)]
struct Line {
    keys: VecDeque<usize>,
    joiner: Option<Waker>,
}

/// Brings one member's key when it is woken.
struct Ticket {
    ended: Arc<Ended>,
    key: usize,
}

impl Ended {
    pub(super) fn new() -> Arc<Ended> {
        Arc::new(Ended(Mutex::new(Line { keys: VecDeque::new(), joiner: None })))
    }

    /// The waker that says that the member `key` has ended.
    pub(super) fn ticket(self: &Arc<Self>, key: usize) -> Waker {
        Arc::new(Ticket { ended: Arc::clone(self), key }).into()
    }

    /// The key of a member that has ended.
    pub(super) fn take(&self) -> Option<usize> {
        self.0.lock().keys.pop_front()
    }

    /// The key of a member that has ended; else leaves `waker` for the next end.
    pub(super) fn poll_take(&self, waker: &Waker) -> Poll<usize> {
        let mut fresh = None;
        loop {
            let mut line = self.0.lock();
            // Under the lock: an end that came before it is seen here, a later one finds the waker.
            if let Some(key) = line.keys.pop_front() {
                return Poll::Ready(key);
            }
            if line.joiner.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
                return Poll::Pending;
            }
            if fresh.is_some() {
                let old = std::mem::replace(&mut line.joiner, fresh);
                drop(line);
                drop(old);
                return Poll::Pending;
            }
            drop(line);
            fresh = Some(waker.clone());
        }
    }
}

impl Wake for Ticket {
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
            joiner.wake();
        }
    }
}
