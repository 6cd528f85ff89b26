//! The timer that a future owns, and the node in it that a wheel accesses.

use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Instant;

use super::TimerWheel;
use crate::primitive::atomic::{AtomicU8, Ordering};
use crate::primitive::{Arc, UnsafeCell};
use crate::timer::wheel::WheelEntry;
use crate::util::wake_list::{WakeList, drop_contained};

/// The state of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// On no wheel; only its owner accesses it.
    Idle = 0,
    /// On a wheel. Leaves this state under that wheel's lock only.
    Armed = 1,
    /// Its deadline has passed, and the wheel does not access it any more.
    Fired = 2,
    /// Its wheel was closed before the deadline, and does not access it any more.
    Closed = 3,
}

impl State {
    fn from_bits(bits: u8) -> State {
        match bits {
            0 => State::Idle,
            1 => State::Armed,
            2 => State::Fired,
            _ => State::Closed,
        }
    }
}

/// The part of a timer that the wheel may access while the timer is armed.
///
/// The wheel entry is the first field, so its address is the node's address.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Node {
    entry: WheelEntry,
    /// Belongs to the wheel, under its lock, while the timer is armed; else to the owner.
    waker: UnsafeCell<Option<Waker>>,
    state: AtomicU8,
}

// SAFETY: while armed, everything but the state is accessed under the lock of one wheel; else by
// the owner alone.
unsafe impl Send for Node {}
// SAFETY: a shared reference without the lock gives access to the atomic state only.
unsafe impl Sync for Node {}

impl Drop for Node {
    fn drop(&mut self) {
        // Under loom this access also proves that no other thread accesses a node that is dropped.
        // SAFETY: the node is borrowed exclusively.
        debug_assert!(self.waker.with_mut(|cell| unsafe { (*cell).is_none() }), "an armed timer was dropped");
    }
}

impl Node {
    fn new() -> Self {
        Node { entry: WheelEntry::new(), waker: UnsafeCell::new(None), state: AtomicU8::new(State::Idle as u8) }
    }

    /// Returns the wheel entry of the node. Casting the pointer back gives the node.
    pub(super) fn entry(&self) -> NonNull<WheelEntry> {
        NonNull::from(self).cast()
    }

    /// Returns whether the node is armed. The caller holds the lock of the wheel on which it is or
    /// was.
    pub(super) fn is_armed(&self) -> bool {
        // Ordering: Relaxed — every change from and to `Armed` happens under the wheel's lock,
        // which orders this load.
        State::from_bits(self.state.load(Ordering::Relaxed)) == State::Armed
    }

    /// Stores the state. The caller is the owner, and either the node is unarmed or the caller
    /// holds the wheel's lock.
    pub(super) fn set_state(&self, state: State) {
        // Ordering: Relaxed — the owner itself reads the state next, and every other reader takes
        // the lock before.
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Stores a waker and returns the old one.
    ///
    /// # Safety
    ///
    /// The node is armed and the caller holds its wheel's lock, or it is unarmed and the caller is
    /// its owner.
    pub(super) unsafe fn replace_waker(&self, waker: Waker) -> Option<Waker> {
        // SAFETY: the caller guarantees exclusive access.
        self.waker.with_mut(|cell| unsafe { (*cell).replace(waker) })
    }

    /// Takes the waker.
    ///
    /// # Safety
    ///
    /// As for [`Node::replace_waker`].
    pub(super) unsafe fn take_waker(&self) -> Option<Waker> {
        // SAFETY: the caller guarantees exclusive access.
        self.waker.with_mut(|cell| unsafe { (*cell).take() })
    }

    /// Ends an armed node: moves its waker to `wakes`, and stores `state`, which tells the owner
    /// why.
    ///
    /// # Safety
    ///
    /// `entry` belongs to an armed node that has just been removed from the wheel whose lock the
    /// caller holds.
    pub(super) unsafe fn finish_node(entry: NonNull<WheelEntry>, state: State, wakes: &mut WakeList) {
        // SAFETY: a wheel entry is its node's first field, the pointer was made from a reference to
        // the whole node, and an armed node is live.
        let node = unsafe { entry.cast::<Node>().as_ref() };
        // SAFETY: the node is still armed, and the caller holds the lock.
        if let Some(waker) = unsafe { node.take_waker() } {
            wakes.push(waker);
        }
        // Ordering: Release — pairs with the Acquire in `Timer::state` and `Timer::update_waker`:
        // the owner sees everything that the wheel did to the node. It may then free the node
        // without the lock, so this store is the wheel's last access.
        node.state.store(state as u8, Ordering::Release);
    }
}

/// The identity of a waker: the two addresses that `Waker::will_wake` compares. The owner keeps it
/// to compare wakers without a lock.
type WakerId = (usize, usize);

fn id_of(waker: &Waker) -> WakerId {
    (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}

/// A timer that its owner, a future, can arm any number of times. The drop removes it from its
/// wheel.
///
/// It never allocates. The pin is the guarantee on which the wheel relies: the timer is not moved
/// until it is dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    node: Node,
    /// The wheel on which it was last armed. The reference keeps the wheel alive for as long as the
    /// timer may be armed there.
    wheel: Option<Arc<TimerWheel>>,
    /// The identity of the waker in the node. Only meaningful while armed: the stored waker lives
    /// then, so no other waker can have its identity.
    waker_id: WakerId,
    _pinned: PhantomPinned,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Timer { node: Node::new(), wheel: None, waker_id: (0, 0), _pinned: PhantomPinned }
    }

    /// Returns the state. Once it is fired or closed, the wheel does not access the timer any more.
    pub(crate) fn state(&self) -> State {
        // Ordering: Acquire — pairs with the Release in `Node::finish_node`: everything that the
        // wheel did to the node happened before.
        State::from_bits(self.node.state.load(Ordering::Acquire))
    }

    /// Arms an unarmed timer: `waker` is woken once `deadline` has passed. Returns the new state:
    /// armed, or closed if the wheel is closed.
    pub(crate) fn arm(self: Pin<&mut Self>, wheel: Arc<TimerWheel>, deadline: Instant, waker: &Waker) -> State {
        debug_assert_ne!(self.state(), State::Armed);
        let deadline = wheel.clock().deadline(deadline);
        let waker = waker.clone();
        let (node, owned) = self.project();
        *owned.waker_id = id_of(&waker);
        // SAFETY: the node is unarmed, and this is its owner.
        let old = unsafe { node.replace_waker(waker) };
        debug_assert!(old.is_none());
        let wheel = owned.wheel.insert(wheel);
        // SAFETY: an unarmed node is on no wheel. It is pinned, and its drop removes it before it
        // releases the wheel.
        if unsafe { wheel.insert(node, deadline) } {
            return State::Armed;
        }
        // SAFETY: the closed wheel has refused the node, so it is unarmed, and this is its owner.
        let refused = unsafe { node.take_waker() };
        node.set_state(State::Closed);
        drop_contained(refused);
        State::Closed
    }

    /// Makes an armed timer wake `waker`. Returns the state: if it is not armed any more, the timer
    /// will not wake this waker.
    pub(crate) fn update_waker(self: Pin<&mut Self>, waker: &Waker) -> State {
        let (node, owned) = self.project();
        if *owned.waker_id == id_of(waker) {
            return State::Armed;
        }
        let waker = waker.clone();
        let waker_id = id_of(&waker);
        let wheel = owned.wheel.as_ref().expect("an armed timer has a wheel");
        // SAFETY: the node was inserted into this wheel.
        let unneeded = unsafe { wheel.replace_waker(node, waker) };
        *owned.waker_id = waker_id;
        drop_contained(unneeded);
        // Ordering: Acquire — as in `Timer::state`.
        State::from_bits(node.state.load(Ordering::Acquire))
    }

    /// Moves an armed timer to another deadline, on its present wheel and with its present waker.
    /// An unarmed timer becomes idle.
    pub(crate) fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let armed = self.state() == State::Armed;
        let (node, owned) = self.project();
        if armed {
            let wheel = owned.wheel.as_ref().expect("an armed timer has a wheel");
            // SAFETY: the node was inserted into this wheel.
            if unsafe { wheel.reinsert(node, wheel.clock().deadline(deadline)) } {
                return;
            }
        }
        node.set_state(State::Idle);
    }

    /// Returns whether `deadline` has passed on the clock of the wheel on which the timer was last
    /// armed.
    pub(crate) fn has_passed(&self, deadline: Instant) -> bool {
        self.wheel.as_ref().is_some_and(|wheel| wheel.clock().has_passed(deadline))
    }

    /// Marks the timer as fired, for an owner that has seen the deadline pass. An armed timer is
    /// removed from its wheel first.
    pub(crate) fn mark_fired(mut self: Pin<&mut Self>) {
        self.as_mut().cancel();
        self.node.set_state(State::Fired);
    }

    /// Removes the timer from its wheel if it is armed. It becomes idle, unless it has fired or
    /// been closed first.
    pub(crate) fn cancel(self: Pin<&mut Self>) {
        if self.state() != State::Armed {
            return;
        }
        let (node, owned) = self.project();
        let wheel = owned.wheel.as_ref().expect("an armed timer has a wheel");
        // SAFETY: the node was inserted into this wheel.
        let waker = unsafe { wheel.remove(node) };
        drop_contained(waker);
    }

    /// Splits the timer into the node, which the wheel accesses too, and the part that only the
    /// owner accesses.
    fn project(self: Pin<&mut Self>) -> (&Node, Owned<'_>) {
        // SAFETY: nothing is moved out. The node, the only pinned field, is lent as shared.
        let this = unsafe { self.get_unchecked_mut() };
        (&this.node, Owned { wheel: &mut this.wheel, waker_id: &mut this.waker_id })
    }
}

struct Owned<'a> {
    wheel: &'a mut Option<Arc<TimerWheel>>,
    waker_id: &'a mut WakerId,
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: if it was ever armed, it was pinned; and it is not moved any more.
        unsafe { Pin::new_unchecked(self) }.cancel();
    }
}
