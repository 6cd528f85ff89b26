//! Those who wait for a source, under its lock.

use std::marker::PhantomPinned;
use std::ptr::NonNull;
use std::task::Waker;

use super::interest::Ready;
use super::readiness::Direction;
use crate::sync::UnsafeCell;
use crate::util::list::{Linked, Links, List};
use crate::util::wake_list::WakeList;

/// A place in a source's list. It lies in the future that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    mask: Ready,
    /// The source's lock guards these two.
    links: UnsafeCell<Links<Waiter>>,
    /// Present exactly while the waiter is in the list.
    waker: UnsafeCell<Option<Waker>>,
    _pin: PhantomPinned,
}

// SAFETY: what is not constant is only touched under the source's lock, and a waker may be on any
// thread.
unsafe impl Send for Waiter {}
// SAFETY: as above.
unsafe impl Sync for Waiter {}

// SAFETY: the links lie in the node, and only the list touches them.
unsafe impl Linked for Waiter {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller vouches for the node.
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
    /// The lock is held.
    unsafe fn replace(&self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: the lock gives exclusive access.
        self.waker.with_mut(|place| unsafe { std::ptr::replace(place, waker) })
    }
}

/// Everybody who waits for one source; its lock is around this.
#[derive(Debug)]
pub(super) struct Waiters {
    list: List<Waiter>,
    /// One for each direction's `poll_` functions.
    slots: [Option<Waker>; 2],
}

impl Waiters {
    pub(super) fn new() -> Waiters {
        Waiters { list: List::new(), slots: [None, None] }
    }

    pub(super) fn slot(&mut self, direction: Direction) -> &mut Option<Waker> {
        &mut self.slots[direction as usize]
    }

    /// Hands over the wakers of those who wait for any of `ready`, and takes them out.
    pub(super) fn take_ready(&mut self, ready: Ready, wakes: &mut WakeList) {
        for direction in Direction::BOTH {
            if ready.meets(direction.mask()) {
                hand_over(self.slot(direction).take(), wakes);
            }
        }
        let mut next = self.list.front();
        while let Some(node) = next {
            // SAFETY: it is in the list.
            next = unsafe { self.list.next(node) };
            // SAFETY: what is in the list is alive, and shared until it has left.
            let waiter = unsafe { node.as_ref() };
            if ready.meets(waiter.mask) {
                // SAFETY: it is in this list, and the caller holds the lock, having the list
                // exclusively.
                hand_over(unsafe { self.take_out(waiter) }, wakes);
            }
        }
    }

    /// Whether `waiter` is in the list with a waker as good as this one.
    ///
    /// # Safety
    ///
    /// `waiter` is in this list or in none.
    pub(super) unsafe fn is_waiting(&self, waiter: &Waiter, waker: &Waker) -> bool {
        // SAFETY: whoever has the list has the lock.
        waiter.waker.with(|kept| unsafe { &*kept }.as_ref().is_some_and(|kept| kept.will_wake(waker)))
    }

    /// Puts `waiter` into the list, or gives it a new waker if it is there; answers with the old
    /// one.
    ///
    /// # Safety
    ///
    /// `waiter` is in this list or in none, and stays where it is until it has been taken out.
    pub(super) unsafe fn insert_or_update(&mut self, waiter: &Waiter, waker: Waker) -> Option<Waker> {
        // SAFETY: whoever has the list exclusively has the lock.
        let old = unsafe { waiter.replace(Some(waker)) };
        if old.is_none() {
            // SAFETY: without a waker it was in no list; the caller vouches for the rest.
            unsafe { self.list.push_back(NonNull::from(waiter)) };
        }
        old
    }

    /// Takes `waiter` out if it is in the list; answers with its waker.
    ///
    /// # Safety
    ///
    /// `waiter` is in this list or in none.
    pub(super) unsafe fn take_out(&mut self, waiter: &Waiter) -> Option<Waker> {
        // SAFETY: whoever has the list exclusively has the lock.
        let waker = unsafe { waiter.replace(None) };
        if waker.is_some() {
            // SAFETY: with a waker it was in the list.
            unsafe { self.list.remove(NonNull::from(waiter)) };
        }
        waker
    }

    /// How many wakers are kept here.
    #[cfg(test)]
    pub(super) fn waker_count(&self) -> usize {
        let mut count = self.slots.iter().flatten().count();
        let mut next = self.list.front();
        while let Some(node) = next {
            count += 1;
            // SAFETY: it is in the list.
            next = unsafe { self.list.next(node) };
        }
        count
    }
}

fn hand_over(waker: Option<Waker>, wakes: &mut WakeList) {
    if let Some(waker) = waker {
        wakes.push(waker);
    }
}
