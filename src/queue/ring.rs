//! A worker's bounded queue, and its two ends.

use std::cell::Cell;
use std::fmt;
use std::ptr::{NonNull, null_mut};

use super::Chain;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::primitive::hint::spin_loop;
use crate::raw_task::{Header, Runnable};

/// Runnables per ring. It is enough for what one request causes, and so small that a burst is soon
/// shared.
#[cfg(not(all(test, heist_loom)))]
pub(crate) const CAPACITY: usize = 256;
/// Small, so that a model reaches the limits.
#[cfg(all(test, heist_loom))]
pub(crate) const CAPACITY: usize = 4;

const SIZE: u32 = CAPACITY as u32;

/// The initial cursors. They wrap soon after, in every run.
const START: u32 = u32::MAX - 2;

/// The memory of the queue. See [the page](super) for the protocol.
#[repr(align(128))]
pub(crate) struct Ring {
    /// The cursor of the next Runnable to take. The owner and thieves advance it by CAS.
    head: AtomicU32,
    /// The cursor behind the last Runnable. Only the owner stores it, and it never moves back.
    tail: AtomicU32,
    /// How many Runnables thieves have taken so far; it wraps around. They write it when they own
    /// the cache line anyway.
    taken: AtomicU32,
    /// Invariant: a slot between head and tail holds a `Runnable`, which belongs to the thread that
    /// advances head past it.
    slots: [AtomicPtr<Header>; CAPACITY],
}

/// The end at which the seat's worker pushes and pops.
pub(crate) struct Owner {
    ring: Arc<Ring>,
    /// The owner's copy of the tail.
    tail: Cell<u32>,
    /// The distance from the count of queued tasks to the tail.
    moved: Cell<u32>,
    /// How many tasks this owner has stolen; it wraps around.
    stolen: Cell<u32>,
    /// The Runnables before this cursor stay here until they are polled: an overflow moves only
    /// newer ones. Stolen tasks and tasks from the global queue are pinned.
    ///
    /// Invariant: they are at most half a ring, and they are the oldest.
    pinned: Cell<u32>,
}

/// The end at which all other workers take.
#[derive(Clone)]
pub(crate) struct Thief {
    ring: Arc<Ring>,
}

impl Ring {
    /// Creates a ring, and returns its two ends.
    pub(crate) fn new_pair() -> (Owner, Thief) {
        Ring::new_pair_at(START)
    }

    /// Creates a ring whose cursors begin at `start`, and returns its two ends.
    pub(crate) fn new_pair_at(start: u32) -> (Owner, Thief) {
        let ring = Arc::new(Ring {
            head: AtomicU32::new(start),
            tail: AtomicU32::new(start),
            taken: AtomicU32::new(0),
            slots: std::array::from_fn(|_| AtomicPtr::new(null_mut())),
        });
        (
            Owner {
                ring: Arc::clone(&ring),
                tail: Cell::new(start),
                moved: Cell::new(0),
                stolen: Cell::new(0),
                pinned: Cell::new(start),
            },
            Thief { ring },
        )
    }

    #[inline]
    fn slot(&self, cursor: u32) -> &AtomicPtr<Header> {
        &self.slots[cursor as usize % CAPACITY]
    }

    /// Returns the pointer at `cursor`. It is a `Runnable` only if head can be advanced past it.
    #[inline]
    fn read(&self, cursor: u32) -> *mut Header {
        // Ordering: Relaxed — published by the tail (to a thief), or written by this thread (the
        // owner).
        self.slot(cursor).load(Ordering::Relaxed)
    }

    #[inline]
    fn write(&self, cursor: u32, task: *mut Header) {
        // Ordering: Relaxed — published by the store of the tail that follows.
        self.slot(cursor).store(task, Ordering::Relaxed);
    }
}

/// Converts a claimed pointer into its Runnable.
///
/// # Safety
///
/// `task` was read from a slot that the caller has claimed by advancing head. It is converted once.
unsafe fn runnable_from(task: *mut Header) -> Runnable {
    debug_assert!(!task.is_null(), "a claimed slot holds a task");
    // SAFETY: a claimed slot holds a task.
    let task = unsafe { NonNull::new_unchecked(task) };
    // SAFETY: by the invariant of `slots`, the claiming thread owns the `Runnable`.
    unsafe { Runnable::from_raw(task) }
}

impl Owner {
    /// Returns the number of Runnables in the ring. A thief may take some of them meanwhile.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // Ordering: Relaxed — a hint.
        self.tail.get().wrapping_sub(self.ring.head.load(Ordering::Relaxed)) as usize
    }

    /// Returns how many tasks have been queued here so far, without those that only moved; it wraps
    /// around.
    pub(crate) fn queued(&self) -> u32 {
        self.tail.get().wrapping_sub(self.moved.get())
    }

    /// Returns how many tasks have moved to here, or within, so far; it wraps around.
    pub(crate) fn requeued(&self) -> u32 {
        self.moved.get()
    }

    /// Returns how many tasks have been stolen so far, from here or by this owner; it wraps around.
    pub(crate) fn stolen(&self) -> u32 {
        // Ordering: Relaxed — a count, for estimating the effect of stealing.
        self.ring.taken.load(Ordering::Relaxed).wrapping_add(self.stolen.get())
    }

    /// Counts `count` of the pushed tasks as moved: they were queued elsewhere before.
    pub(crate) fn count_requeued(&self, count: u32) {
        self.moved.set(self.moved.get().wrapping_add(count));
    }

    /// Returns how many more Runnables fit. Their slots may be written.
    fn room(&self) -> u32 {
        // Ordering: Acquire — as in `Owner::push`.
        SIZE - self.tail.get().wrapping_sub(self.ring.head.load(Ordering::Acquire))
    }

    /// Queues `runnable` behind the others.
    ///
    /// # Errors
    ///
    /// Returns the Runnable if the ring is full.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) -> Result<(), Runnable> {
        // Ordering: Acquire — pairs with the Release in `Thief::steal`: the thief has read the
        // slots that this thread is about to overwrite.
        let head = self.ring.head.load(Ordering::Acquire);
        let tail = self.tail.get();
        if tail.wrapping_sub(head) >= SIZE {
            return Err(runnable);
        }
        self.ring.write(tail, runnable.into_raw().as_ptr());
        self.advance(1);
        Ok(())
    }

    /// Takes the oldest Runnable.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        // Ordering: Relaxed — this thread wrote the slots; the CAS decides.
        let mut head = self.ring.head.load(Ordering::Relaxed);
        while head != self.tail.get() {
            let task = self.ring.read(head);
            let next = head.wrapping_add(1);
            // Ordering: Relaxed — a take publishes nothing. As a read-modify-write, it continues
            // the release sequence of the thieves' claims, which `Owner::push` acquires.
            match self.ring.head.compare_exchange_weak(head, next, Ordering::Relaxed, Ordering::Relaxed) {
                // SAFETY: the slot has just been claimed.
                Ok(_) => return Some(unsafe { runnable_from(task) }),
                Err(now) => head = now,
            }
        }
        None
    }

    /// Queues `runnable` in a ring that was found full. Removes the newest half and `runnable`, as
    /// one chain for the global queue.
    ///
    /// The chain is empty if a thief has made room meanwhile.
    #[cold]
    pub(crate) fn overflow(&self, runnable: Runnable) -> Chain {
        let mut chain = Chain::new();
        let tail = self.tail.get();
        let full = tail.wrapping_sub(SIZE);
        // Ordering: Relaxed — as in `Owner::pop`.
        if self.ring.head.compare_exchange(full, tail, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            if let Err(runnable) = self.push(runnable) {
                // The task counts as queued all the same.
                self.count_requeued(0_u32.wrapping_sub(1));
                chain.push(runnable);
            }
            return chain;
        }
        for offset in SIZE / 2..SIZE {
            // SAFETY: all of the ring has just been claimed.
            chain.push(unsafe { runnable_from(self.ring.read(full.wrapping_add(offset))) });
        }
        chain.push(runnable);
        // In a full ring, the tail points to the slot of the oldest. So the oldest half is in its
        // new place already.
        self.advance(SIZE / 2);
        // All but the one that has been queued.
        self.count_requeued(SIZE / 2 - 1);
        self.pinned.set(self.pinned.get().wrapping_add(SIZE));
        chain
    }

    /// Pins the current contents: they stay here until they are polled. The caller ensures that
    /// they are at most half a ring.
    pub(crate) fn pin_contents(&self) {
        self.pinned.set(self.tail.get());
    }

    /// Returns how many pinned Runnables are left.
    pub(crate) fn pinned_len(&self) -> usize {
        // Ordering: Relaxed — a hint; thieves only make it less.
        let left = self.pinned.get().wrapping_sub(self.ring.head.load(Ordering::Relaxed)) as usize;
        // If all pinned Runnables are gone, the cursor lies behind the head.
        if left > CAPACITY { 0 } else { left }
    }

    /// Removes all but the oldest `keep`, as one chain for the global queue.
    #[cold]
    pub(crate) fn evict_newest(&self, keep: usize) -> Chain {
        let mut chain = Chain::new();
        let (tail, keep) = (self.tail.get(), keep as u32);
        // Ordering: Relaxed — as in `Owner::pop`.
        let mut head = self.ring.head.load(Ordering::Relaxed);
        loop {
            if tail.wrapping_sub(head) <= keep {
                return chain;
            }
            // Ordering: Acquire — pairs with the Release in `Thief::steal`: earlier thieves have
            // read the slots that this thread writes below.
            match self.ring.head.compare_exchange(head, tail, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        let pinned = self.pinned.get().wrapping_sub(head);
        for offset in keep..tail.wrapping_sub(head) {
            // SAFETY: all of the ring has just been claimed.
            chain.push(unsafe { runnable_from(self.ring.read(head.wrapping_add(offset))) });
        }
        for offset in 0..keep {
            // The slot may be that of a kept Runnable, which has been read already.
            self.ring.write(tail.wrapping_add(offset), self.ring.read(head.wrapping_add(offset)));
        }
        self.advance(keep);
        self.count_requeued(keep);
        self.pinned.set(tail.wrapping_add(pinned));
        chain
    }

    /// Publishes `count` slots that have been written behind the tail.
    #[inline]
    fn advance(&self, count: u32) {
        let tail = self.tail.get().wrapping_add(count);
        self.tail.set(tail);
        // Ordering: Release — pairs with the Acquire in `Thief::steal`: publishes the slots, and
        // the tasks in them.
        self.ring.tail.store(tail, Ordering::Release);
    }
}

impl Thief {
    /// Returns the number of Runnables in the ring.
    pub(crate) fn len(&self) -> usize {
        loop {
            // Ordering: Acquire — the load of tail must not come before it.
            let head = self.ring.head.load(Ordering::Acquire);
            // Ordering: Relaxed — a hint, or read after a read-modify-write of the idle word. The
            // pusher's store precedes its own read-modify-write.
            let len = self.ring.tail.load(Ordering::Relaxed).wrapping_sub(head);
            // If it is more than a ring, the owner has advanced between the two loads. The ring
            // must not seem empty to a final check.
            if len <= SIZE {
                return len as usize;
            }
            spin_loop();
        }
    }

    /// Takes the older half, if there are at least `least`. Returns the oldest, and puts the rest
    /// into `into`.
    pub(crate) fn steal(&self, into: &Owner, least: usize) -> Option<Runnable> {
        let room = into.room();
        loop {
            // Ordering: Acquire — the load of tail must not come before it, or `head` could be
            // ahead.
            let head = self.ring.head.load(Ordering::Acquire);
            // Ordering: Acquire — pairs with the Release in `Owner::advance`: the slots, and the
            // tasks in them, can be read.
            let len = self.ring.tail.load(Ordering::Acquire).wrapping_sub(head);
            if len > SIZE {
                spin_loop();
                continue;
            }
            let half = (len - len / 2).min(room + 1);
            if half == 0 || (len as usize) < least {
                return None;
            }
            let first = self.ring.read(head);
            for offset in 1..half {
                let task = self.ring.read(head.wrapping_add(offset));
                into.ring.write(into.tail.get().wrapping_add(offset - 1), task);
            }
            let next = head.wrapping_add(half);
            // Ordering: Release — pairs with the Acquire in `Owner::push`: the reads of this thief
            // come before the owner's next writes.
            if self.ring.head.compare_exchange(head, next, Ordering::Release, Ordering::Relaxed).is_ok() {
                // Ordering: Relaxed — a count.
                self.ring.taken.fetch_add(half, Ordering::Relaxed);
                into.stolen.set(into.stolen.get().wrapping_add(half));
                if half > 1 {
                    into.advance(half - 1);
                    into.count_requeued(half - 1);
                    into.pin_contents();
                }
                // SAFETY: the slot has just been claimed.
                return Some(unsafe { runnable_from(first) });
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Ordering: Relaxed — no other reference is left, and the drop of the last one has ordered
        // all accesses.
        let (mut head, tail) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        while head != tail {
            // SAFETY: no other thread is left to claim it.
            drop(unsafe { runnable_from(self.read(head)) });
            head = head.wrapping_add(1);
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("len", &self.len()).finish()
    }
}

impl fmt::Debug for Thief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thief").field("len", &self.len()).finish()
    }
}
