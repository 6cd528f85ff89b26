//! The timer as its owner holds it, and the node that the wheel sees of it.

use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Instant;

use super::TimerWheel;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{Arc, UnsafeCell};
use crate::timer::wheel::WheelEntry;
use crate::util::wake_list::{WakeList, drop_contained};

/// Where a timer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// It hangs nowhere; only its owner knows of it.
    Idle = 0,
    /// It hangs on a wheel. Leaves this state under that wheel's lock only.
    Armed = 1,
    /// Its deadline has passed; the wheel has let go of it.
    Fired = 2,
    /// Its wheel was closed before that; it has let go of it too.
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

/// What the wheel may touch while the timer is armed. The wheel entry comes first: its address is
/// the node's.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Node {
    entry: WheelEntry,
    /// The wheel's, under its lock, while the timer is armed; else the owner's.
    waker: UnsafeCell<Option<Waker>>,
    state: AtomicU8,
}

// SAFETY: while armed, everything but the state is touched under the lock of one wheel; else by the
// owner alone.
unsafe impl Send for Node {}
// SAFETY: through a shared reference its owner can only read the state.
unsafe impl Sync for Node {}

impl Drop for Node {
    fn drop(&mut self) {
        // Under loom this is also the proof that nobody touches a node that goes.
        // SAFETY: the node is borrowed exclusively.
        debug_assert!(self.waker.with_mut(|cell| unsafe { (*cell).is_none() }), "an armed timer was dropped");
    }
}

impl Node {
    fn new() -> Self {
        Node { entry: WheelEntry::new(), waker: UnsafeCell::new(None), state: AtomicU8::new(State::Idle as u8) }
    }

    /// The wheel's view of the node, from which the way back leads too.
    pub(super) fn entry(&self) -> NonNull<WheelEntry> {
        NonNull::from(self).cast()
    }

    /// For use under the lock of the wheel on which it is, or was: Relaxed, since that lock orders
    /// it.
    pub(super) fn is_armed(&self) -> bool {
        State::from_bits(self.state.load(Ordering::Relaxed)) == State::Armed
    }

    /// For those who own the state: the owner of an unarmed node, or whoever holds the lock on
    /// behalf of the owner. Relaxed, since the owner's next look is its own, and everybody else's
    /// goes through the lock.
    pub(super) fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// # Safety
    ///
    /// The node is armed and the caller holds its wheel's lock, or it is unarmed and the caller is
    /// its owner.
    pub(super) unsafe fn replace_waker(&self, waker: Waker) -> Option<Waker> {
        // SAFETY: the caller vouches for being alone here.
        self.waker.with_mut(|cell| unsafe { (*cell).replace(waker) })
    }

    /// # Safety
    ///
    /// As for `replace_waker`.
    pub(super) unsafe fn take_waker(&self) -> Option<Waker> {
        // SAFETY: the caller vouches for being alone here.
        self.waker.with_mut(|cell| unsafe { (*cell).take() })
    }

    /// Ends an armed node: its waker goes to `wakes`, and `state` tells its owner why.
    ///
    /// # Safety
    ///
    /// `peg` belongs to an armed node that has just been taken out of the wheel whose lock the
    /// caller holds.
    pub(super) unsafe fn finish_node(entry: NonNull<WheelEntry>, state: State, wakes: &mut WakeList) {
        // SAFETY: a wheel entry is its node's first field, came from a pointer to all of it, and an
        // armed node is live.
        let node = unsafe { entry.cast::<Node>().as_ref() };
        // SAFETY: it is still armed, and the caller holds the lock.
        if let Some(waker) = unsafe { node.take_waker() } {
            wakes.push(waker);
        }
        // Release, with the Acquire in `Timer::state`: the owner may free the node as soon as it
        // sees this, without the lock, so this is the last time that we touch it.
        node.state.store(state as u8, Ordering::Release);
    }
}

/// A waker's identity, by which `will_wake` judges, kept where the owner can compare it without a
/// lock.
type WakerId = (usize, usize);

fn identity(waker: &Waker) -> WakerId {
    (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}

/// A timer in the hands of its owner: arms and fires any number of times, and takes itself off the
/// wheel when dropped.
///
/// It never allocates. Whoever pins it makes the promise on which the wheel relies: it stays where
/// it is until it is dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    node: Node,
    /// The wheel on which it was last armed, which lives for as long as it may be armed there.
    wheel: Option<Arc<TimerWheel>>,
    /// Whose waker lies in the node. Only meaningful while armed: the waker lives then, so that no
    /// other one can have its identity.
    known: WakerId,
    _pinned: PhantomPinned,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Timer { node: Node::new(), wheel: None, known: (0, 0), _pinned: PhantomPinned }
    }

    /// Where the timer stands. Once this says fired or closed, the wheel has let go of it.
    pub(crate) fn state(&self) -> State {
        // Acquire, with the Release in `Node::release`: what the wheel did to the node lies behind
        // us.
        State::from_bits(self.node.state.load(Ordering::Acquire))
    }

    /// Arms an unarmed timer: `waker` is woken once `deadline` has passed. Returns where the timer
    /// stands then: armed, or closed if the wheel is.
    pub(crate) fn arm(self: Pin<&mut Self>, wheel: Arc<TimerWheel>, deadline: Instant, waker: &Waker) -> State {
        debug_assert_ne!(self.state(), State::Armed);
        let deadline = wheel.clock().deadline(deadline);
        let waker = waker.clone();
        let (node, owned) = self.parts();
        *owned.known = identity(&waker);
        // SAFETY: the node is unarmed, and we are its owner.
        let old = unsafe { node.replace_waker(waker) };
        debug_assert!(old.is_none());
        let wheel = owned.wheel.insert(wheel);
        // SAFETY: it is unarmed, hence hangs nowhere; it is pinned, and its drop unfiles it, before
        // its wheel goes.
        if unsafe { wheel.insert(node, deadline) } {
            return State::Armed;
        }
        // SAFETY: it was refused, so it is ours.
        let refused = unsafe { node.take_waker() };
        node.set(State::Closed);
        drop_contained(refused);
        State::Closed
    }

    /// Sees to it that an armed timer wakes `waker`. Returns where the timer stands: if that is not
    /// armed any longer, nobody will be woken.
    pub(crate) fn update_waker(self: Pin<&mut Self>, waker: &Waker) -> State {
        let (node, owned) = self.parts();
        if *owned.known == identity(waker) {
            return State::Armed;
        }
        let waker = waker.clone();
        let known = identity(&waker);
        let wheel = owned.wheel.as_ref().expect("an armed timer has a wheel");
        // SAFETY: it was filed there.
        let unneeded = unsafe { wheel.replace_waker(node, waker) };
        *owned.known = known;
        drop_contained(unneeded);
        // Acquire, as in `state`.
        State::from_bits(node.state.load(Ordering::Acquire))
    }

    /// Moves an armed timer to another deadline, on its present wheel and with its present waker.
    /// Any other one becomes idle.
    pub(crate) fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let armed = self.state() == State::Armed;
        let (node, owned) = self.parts();
        if armed {
            let wheel = owned.wheel.as_ref().expect("an armed timer has a wheel");
            // SAFETY: it was filed there.
            if unsafe { wheel.reinsert(node, wheel.clock().deadline(deadline)) } {
                return;
            }
        }
        node.set(State::Idle);
    }

    /// Returns whether `deadline` has passed on the clock of the wheel on which the timer was last
    /// armed.
    pub(crate) fn has_passed(&self, deadline: Instant) -> bool {
        self.wheel.as_ref().is_some_and(|wheel| wheel.clock().has_passed(deadline))
    }

    /// Marks the timer as fired, for an owner that has seen the deadline pass. An armed timer
    /// leaves its wheel first.
    pub(crate) fn mark_fired(mut self: Pin<&mut Self>) {
        self.as_mut().cancel();
        self.node.set(State::Fired);
    }

    /// Takes the timer off its wheel, if it is armed. It is idle then, unless it has fired or been
    /// closed first.
    pub(crate) fn cancel(self: Pin<&mut Self>) {
        if self.state() != State::Armed {
            return;
        }
        let (node, owned) = self.parts();
        let wheel = owned.wheel.as_ref().expect("an armed timer has a wheel");
        // SAFETY: it was filed there.
        let waker = unsafe { wheel.remove(node) };
        drop_contained(waker);
    }

    /// The part that the wheel touches too, and the part that is ours alone.
    fn parts(self: Pin<&mut Self>) -> (&Node, Owned<'_>) {
        // SAFETY: nothing is moved out: the node is only lent as shared.
        let this = unsafe { self.get_unchecked_mut() };
        (&this.node, Owned { wheel: &mut this.wheel, known: &mut this.known })
    }
}

struct Owned<'a> {
    wheel: &'a mut Option<Arc<TimerWheel>>,
    known: &'a mut WakerId,
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: it was pinned if it was ever armed, and is not moved any more.
        unsafe { Pin::new_unchecked(self) }.cancel();
    }
}
