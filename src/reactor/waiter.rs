//! The waiters of one source, guarded by its lock.

use std::marker::PhantomPinned;
use std::ptr::NonNull;
use std::task::Waker;

use super::interest::Ready;
use super::readiness::Direction;
use crate::primitive::UnsafeCell;
use crate::util::list::{Linked, Links, List};
use crate::util::wake_list::WakeList;

/// A node of a source's list. It lies inside of the future that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    mask: Ready,
    /// The source's lock guards this and `waker`.
    links: UnsafeCell<Links<Waiter>>,
    /// Present exactly while the waiter is in the list.
    waker: UnsafeCell<Option<Waker>>,
    _pin: PhantomPinned,
}

// SAFETY: `mask` is constant, the cells are accessed under the source's lock only, and a waker may
// be on any thread.
unsafe impl Send for Waiter {}
// SAFETY: as above.
unsafe impl Sync for Waiter {}

// SAFETY: the links lie in the node, and only the list accesses them.
unsafe impl Linked for Waiter {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller guarantees that the node is live.
        let waiter = unsafe { node.as_ref() };
        // SAFETY: the address of a field is not null.
        waiter.links.with_mut(|links| unsafe { NonNull::new_unchecked(links) })
    }
}

impl Waiter {
    pub(super) fn new(mask: Ready) -> Waiter {
        Waiter { mask, links: UnsafeCell::new(Links::new()), waker: UnsafeCell::new(None), _pin: PhantomPinned }
    }

    pub(super) fn mask(&self) -> Ready {
        self.mask
    }

    /// # Safety
    ///
    /// The caller holds the source's lock.
    unsafe fn replace_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: the lock gives exclusive access.
        self.waker.with_mut(|stored| unsafe { std::ptr::replace(stored, waker) })
    }
}

/// All waiters of one source. The source's lock is around this.
#[derive(Debug)]
pub(super) struct Waiters {
    list: List<Waiter>,
    /// One slot per direction, for the `poll_` functions.
    slots: [Option<Waker>; 2],
}

impl Waiters {
    pub(super) fn new() -> Waiters {
        Waiters { list: List::new(), slots: [None, None] }
    }

    pub(super) fn slot(&mut self, direction: Direction) -> &mut Option<Waker> {
        &mut self.slots[direction as usize]
    }

    /// Removes every waiter whose interest meets `ready`, and moves its waker to `wakes`.
    pub(super) fn take_ready(&mut self, ready: Ready, wakes: &mut WakeList) {
        for direction in Direction::BOTH {
            if ready.intersects(direction.mask()) {
                push_if_some(self.slot(direction).take(), wakes);
            }
        }
        let mut next = self.list.front();
        while let Some(node) = next {
            // SAFETY: the node is in the list.
            next = unsafe { self.list.next(node) };
            // SAFETY: a node in the list is live, and only shared references to it exist until it
            // is removed.
            let waiter = unsafe { node.as_ref() };
            if ready.intersects(waiter.mask) {
                // SAFETY: the waiter is in this list. The lock is held: `&mut self` comes from it.
                push_if_some(unsafe { self.remove(waiter) }, wakes);
            }
        }
    }

    /// Returns whether `waiter` is in the list with a waker that wakes the same task as `waker`.
    ///
    /// # Safety
    ///
    /// `waiter` is in this list or in none.
    pub(super) unsafe fn is_waiting(&self, waiter: &Waiter, waker: &Waker) -> bool {
        // SAFETY: the lock is held, because a reference to this comes from it.
        waiter.waker.with(|stored| unsafe { &*stored }.as_ref().is_some_and(|stored| stored.will_wake(waker)))
    }

    /// Adds `waiter` to the list, or replaces its waker if it is there. Returns the old waker.
    ///
    /// # Safety
    ///
    /// `waiter` is in this list or in none, and is not moved or freed until it has been removed.
    pub(super) unsafe fn insert_or_update(&mut self, waiter: &Waiter, waker: Waker) -> Option<Waker> {
        // SAFETY: the lock is held: `&mut self` comes from it.
        let old = unsafe { waiter.replace_waker(Some(waker)) };
        if old.is_none() {
            // SAFETY: without a waker it was in no list; the caller guarantees that it stays live
            // and in place.
            unsafe { self.list.push_back(NonNull::from(waiter)) };
        }
        old
    }

    /// Removes `waiter` if it is in the list, and returns its waker.
    ///
    /// # Safety
    ///
    /// `waiter` is in this list or in none.
    pub(super) unsafe fn remove(&mut self, waiter: &Waiter) -> Option<Waker> {
        // SAFETY: the lock is held: `&mut self` comes from it.
        let waker = unsafe { waiter.replace_waker(None) };
        if waker.is_some() {
            // SAFETY: with a waker it was in the list.
            unsafe { self.list.remove(NonNull::from(waiter)) };
        }
        waker
    }

    /// Returns how many wakers are stored here.
    #[cfg(test)]
    pub(super) fn waker_count(&self) -> usize {
        let mut count = self.slots.iter().flatten().count();
        let mut next = self.list.front();
        while let Some(node) = next {
            count += 1;
            // SAFETY: the node is in the list.
            next = unsafe { self.list.next(node) };
        }
        count
    }
}

fn push_if_some(waker: Option<Waker>, wakes: &mut WakeList) {
    if let Some(waker) = waker {
        wakes.push(waker);
    }
}
