//! An event that happens once, and the wakers that wait for it.

use std::task::Waker;

use slab::Slab;

use crate::primitive::Mutex;
use crate::util::wake_list::{WakeList, drop_contained};

/// Wakes the registered wakers when the event fires. Afterwards no waker is registered.
///
/// No waker is cloned, woken or dropped under the lock. A panic in a wake or in a waker's
/// destructor is contained.
#[derive(Debug)]
pub(crate) struct OnceEvent(Mutex<List>);

#[derive(Debug)]
struct List {
    wakers: Slab<Waker>,
    fired: bool,
}

impl OnceEvent {
    pub(crate) fn new() -> Self {
        OnceEvent(Mutex::new(List { wakers: Slab::new(), fired: false }))
    }

    /// Registers a waker under `key`, which the first call sets. Returns false if the event has
    /// fired.
    pub(crate) fn register(&self, key: &mut Option<usize>, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut list = self.0.lock();
        if list.fired {
            *key = None;
            drop(list);
            drop_contained(Some(waker));
            return false;
        }
        let old = match *key {
            Some(key) => Some(std::mem::replace(&mut list.wakers[key], waker)),
            None => {
                *key = Some(list.wakers.insert(waker));
                None
            }
        };
        drop(list);
        drop_contained(old);
        true
    }

    /// Removes the waker under `key`.
    pub(crate) fn deregister(&self, key: &mut Option<usize>) {
        let Some(key) = key.take() else { return };
        let mut list = self.0.lock();
        // Once the event has fired, the list is empty.
        let waker = list.wakers.try_remove(key);
        drop(list);
        // A panic must not get out: the caller may have more to release.
        drop_contained(waker);
    }

    /// Returns whether the event has fired.
    pub(crate) fn is_over(&self) -> bool {
        self.0.lock().fired
    }

    /// Fires the event: wakes every registered waker.
    pub(crate) fn fire(&self) {
        let mut wakes = WakeList::new();
        let mut list = self.0.lock();
        list.fired = true;
        let wakers = std::mem::take(&mut list.wakers);
        drop(list);
        wakers.into_iter().for_each(|(_, waker)| wakes.push(waker));
        wakes.wake_all();
    }
}
