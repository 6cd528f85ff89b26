//! Stores a waker under a lock, without running the waker's code there.

use std::task::{Poll, Waker};

use super::wake_list::drop_contained;

/// Polls for something behind a lock, and leaves a waker there if it is not ready.
///
/// A waker is user code, so it is cloned and dropped while the lock is not held. `attempt` runs
/// under the lock. Its second argument is the clone, if there is one yet. `attempt` returns
///
/// * `Some` to end the poll. What it has left in its second argument, which may be the old waker
///   that the clone has replaced, is dropped after the unlock.
/// * `None` to ask for a clone. It then runs once more under a new hold of the lock, and has to
///   check again whether it is still needed. With a clone it must not return `None`.
///
/// `first` is a clone that the caller knows to be needed. A panic in a clone reaches the caller and
/// changes nothing; a panic in a waker's destructor is contained.
#[inline]
pub(crate) fn poll_or_store_waker<G, T>(
    waker: &Waker,
    first: Option<Waker>,
    mut lock: impl FnMut() -> G,
    mut attempt: impl FnMut(&mut G, &mut Option<Waker>) -> Option<Poll<T>>,
) -> Poll<T> {
    let mut spare = first;
    loop {
        let mut guard = lock();
        let polled = attempt(&mut guard, &mut spare);
        drop(guard);
        if let Some(polled) = polled {
            drop_contained(spare);
            return polled;
        }
        debug_assert!(spare.is_none(), "a clone was asked for twice");
        spare = Some(waker.clone());
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::task::Wake;

    use super::*;
    use crate::primitive::{Arc, Mutex};

    struct Quiet;

    impl Wake for Quiet {
        fn wake(self: Arc<Self>) {}
    }

    fn poll(slot: &Mutex<Option<Waker>>, waker: &Waker) -> Poll<()> {
        poll_or_store_waker(
            waker,
            None,
            || slot.lock(),
            |stored, spare| {
                if stored.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
                    return Some(Poll::Pending);
                }
                spare.is_some().then(|| {
                    std::mem::swap(&mut **stored, spare);
                    Poll::Pending
                })
            },
        )
    }

    #[test]
    fn waker_that_is_stored_already_is_not_cloned() {
        let slot = Mutex::new(None);
        let (first, second) = (Arc::new(Quiet), Arc::new(Quiet));
        let (first_waker, second_waker) = (Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second)));
        for _ in 0..2 {
            assert!(poll(&slot, &first_waker).is_pending());
            assert_eq!(Arc::strong_count(&first), 3);
        }
        assert!(poll(&slot, &second_waker).is_pending());
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 3));
    }

    #[test]
    fn first_clone_that_is_not_needed_is_dropped() {
        let quiet = Arc::new(Quiet);
        let waker = Waker::from(Arc::clone(&quiet));
        let lock = Mutex::new(7);
        let polled =
            poll_or_store_waker(&waker, Some(waker.clone()), || lock.lock(), |value, _| Some(Poll::Ready(**value)));
        assert_eq!((polled, Arc::strong_count(&quiet)), (Poll::Ready(7), 2));
    }
}
