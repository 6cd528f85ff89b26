//! Those who wait for something that happens once.

use std::task::Waker;

use slab::Slab;

use crate::sync::Mutex;
use crate::util::wake_list::{WakeList, drop_contained};

/// Wakers that are woken when an event happens. Afterwards no waker is taken. No waker is cloned,
/// woken or dropped under the lock. A panic in a wake or in a waker's destructor is contained.
#[derive(Debug)]
pub(crate) struct OnceEvent(Mutex<List>);

#[derive(Debug)]
struct List {
    wakers: Slab<Waker>,
    over: bool,
}

impl OnceEvent {
    pub(crate) fn new() -> Self {
        OnceEvent(Mutex::new(List { wakers: Slab::new(), over: false }))
    }

    /// Leaves a waker in the place `key`, which is made at the first call. False if it has
    /// happened.
    pub(crate) fn register(&self, key: &mut Option<usize>, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut list = self.0.lock();
        if list.over {
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

    /// Gives the place back.
    pub(crate) fn deregister(&self, key: &mut Option<usize>) {
        let Some(key) = key.take() else { return };
        let mut list = self.0.lock();
        // After it has happened the places are gone.
        let waker = list.wakers.try_remove(key);
        drop(list);
        // The caller may have more to give back.
        drop_contained(waker);
    }

    /// Whether it has happened.
    pub(crate) fn is_over(&self) -> bool {
        self.0.lock().over
    }

    /// It happens: wakes everybody.
    pub(crate) fn fire(&self) {
        let mut wakes = WakeList::new();
        let mut list = self.0.lock();
        list.over = true;
        let wakers = std::mem::take(&mut list.wakers);
        drop(list);
        wakers.into_iter().for_each(|(_, waker)| wakes.push(waker));
        wakes.wake_all();
    }
}
