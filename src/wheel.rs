//! A hierarchical timing wheel: the data structure alone, without a lock, a clock or a waker.
//!
//! Deadlines are nanoseconds on some clock, rounded *up* to ticks of 32.8 µs, so that nothing is handed out early. A peg
//! hangs on the level of the highest group of bits in which its tick differs from `elapsed`, in the slot which that group
//! names. From this follows everything that the wheel relies on:
//!
//! - All pegs of a level are due before all pegs of the level above, and inside a level the slots are in order and lie
//!   ahead of where `elapsed` stands. So the first bit of the first level that has one names the next slot, and no slot ever wraps
//!   around: there are levels enough for every `u64`.
//! - When `elapsed` reaches the start of a slot, that slot's pegs all belong on lower levels, or are due. Each peg moves at
//!   most once per level.
//!
//! Every slot remembers its earliest tick. With it the wheel names the exact time of the next peg, and an idle thread is not
//! woken only to move pegs down. Taking out the earliest peg leaves that note too early; whoever comes at that time moves
//! the slot down and so corrects it: one look too many, never one too few.

use std::ptr::NonNull;

use crate::list::{Linked, Links, List};
use crate::sync::UnsafeCell;

/// A tick is 2^15 ns; one nanosecond where time may be paused, so that it leaps to where a test expects it.
const TICK_BITS: u32 = if cfg!(feature = "test-util") { 0 } else { 15 };
pub(crate) const TICK: u64 = 1 << TICK_BITS;

/// A level has 2^6 slots.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// Enough for the largest tick, `u64::MAX` rounded up, which has one bit more than a rounded down one.
const LEVELS: usize = (u64::BITS - TICK_BITS + 1).div_ceil(SLOT_BITS) as usize;

/// The tick at which `deadline` has passed.
fn tick_of(deadline: u64) -> u64 {
    deadline.div_ceil(TICK)
}

/// When a peg with this `deadline` is handed out: the end of its tick. `u64::MAX` is never.
pub(crate) fn due_at(deadline: u64) -> u64 {
    tick_of(deadline).saturating_mul(TICK)
}

/// What hangs on the wheel: an intrusive node that lies in something of its owner's.
#[derive(Debug)]
pub(crate) struct WheelEntry {
    hung: UnsafeCell<EntryState>,
}

#[derive(Debug)]
struct EntryState {
    links: Links<WheelEntry>,
    tick: u64,
    place: EntryPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryPlace {
    Nowhere,
    /// In the list of those whose tick had passed when they came.
    Due,
    Slot(SlotId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SlotId {
    level: u8,
    slot: u8,
}

impl SlotId {
    fn index(self) -> usize {
        usize::from(self.level) * SLOTS + usize::from(self.slot)
    }

    /// Whether a bit of a level's map is this slot's.
    fn bit(self) -> u64 {
        1 << self.slot
    }
}

impl WheelEntry {
    pub(crate) fn new() -> Self {
        WheelEntry { hung: UnsafeCell::new(EntryState { links: Links::new(), tick: 0, place: EntryPlace::Nowhere }) }
    }

    /// # Safety
    ///
    /// `peg` is live, and nobody else touches it meanwhile.
    unsafe fn read<R>(peg: NonNull<WheelEntry>, f: impl FnOnce(&EntryState) -> R) -> R {
        // SAFETY: the caller vouches that it is live.
        let peg = unsafe { peg.as_ref() };
        // SAFETY: the caller vouches that nobody writes to it.
        peg.hung.with(|hung| f(unsafe { &*hung }))
    }

    /// # Safety
    ///
    /// As for `read`.
    unsafe fn write(peg: NonNull<WheelEntry>, f: impl FnOnce(&mut EntryState)) {
        // SAFETY: the caller vouches that it is live.
        let peg = unsafe { peg.as_ref() };
        // SAFETY: the caller vouches that it is the only one here.
        peg.hung.with_mut(|hung| f(unsafe { &mut *hung }));
    }
}

impl Drop for WheelEntry {
    fn drop(&mut self) {
        // Under loom this is also the proof that nobody touches a peg that goes.
        // SAFETY: the peg is borrowed exclusively.
        let place = self.hung.with_mut(|hung| unsafe { (*hung).place });
        debug_assert_eq!(place, EntryPlace::Nowhere, "a peg was dropped on the wheel");
    }
}

// SAFETY: the links lie in the peg's cell, and only the list touches them while the peg is linked.
unsafe impl Linked for WheelEntry {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller vouches that it is live.
        let peg = unsafe { node.as_ref() };
        // SAFETY: a place inside of a live cell.
        let links = peg.hung.with_mut(|hung| unsafe { &raw mut (*hung).links });
        // SAFETY: a field's address is not null.
        unsafe { NonNull::new_unchecked(links) }
    }
}

#[derive(Debug)]
struct Slot {
    pegs: List<WheelEntry>,
    /// No peg in here is due before this tick. Meaningless while the slot is empty.
    earliest: u64,
}

/// What one [`Wheel::step`] did.
#[derive(Debug)]
#[must_use]
pub(crate) enum Advance {
    /// This peg is due, and hangs on the wheel no longer.
    Due(NonNull<WheelEntry>),
    /// A peg was moved to a lower level.
    Moved,
    /// Nothing more is due.
    Done,
}

/// Pegs in the order of their deadlines.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The tick up to which the wheel has been turned.
    elapsed: u64,
    due: List<WheelEntry>,
    /// The slot whose time has come and which is not empty yet. No peg is ever added to it.
    expiring_slot: Option<SlotId>,
    /// One map per level, a bit for every slot that is not empty.
    occupied: [u64; LEVELS],
    slots: Box<[Slot]>,
}

impl Wheel {
    /// An empty wheel that has been turned up to `now`.
    pub(crate) fn new(now: u64) -> Self {
        let slots = (0..LEVELS * SLOTS).map(|_| Slot { pegs: List::new(), earliest: 0 }).collect();
        Wheel { elapsed: now / TICK, due: List::new(), expiring_slot: None, occupied: [0; LEVELS], slots }
    }

    /// Hangs `peg` up, to be handed out when `deadline` has passed. A deadline of `u64::MAX` never passes.
    ///
    /// # Safety
    ///
    /// `peg` is live and hangs nowhere. Until it is taken out it stays where it is and only this wheel touches it.
    pub(crate) unsafe fn insert(&mut self, peg: NonNull<WheelEntry>, deadline: u64) {
        // SAFETY: as the caller vouches.
        unsafe { self.link_entry(peg, tick_of(deadline)) };
    }

    /// Takes `peg` out.
    ///
    /// # Safety
    ///
    /// `peg` hangs on this wheel.
    pub(crate) unsafe fn remove(&mut self, peg: NonNull<WheelEntry>) {
        // SAFETY: what hangs on the wheel is live and the wheel's.
        match unsafe { WheelEntry::read(peg, |hung| hung.place) } {
            EntryPlace::Nowhere => unreachable!("the caller vouched that the peg hangs on this wheel"),
            // SAFETY: that is the list it is in.
            EntryPlace::Due => unsafe { self.due.remove(peg) },
            EntryPlace::Slot(id) => {
                let slot = &mut self.slots[id.index()];
                // SAFETY: that is the list it is in.
                unsafe { slot.pegs.remove(peg) };
                if slot.pegs.is_empty() {
                    self.emptied(id);
                }
            }
        }
        // SAFETY: it is live, and in no list.
        unsafe { WheelEntry::write(peg, |hung| hung.place = EntryPlace::Nowhere) };
    }

    /// Does one bounded thing towards the time `now`. A `now` before the last one is taken for the last one.
    ///
    /// Due pegs come in the order of their ticks. Steps of different times may follow each other before [`Step::Done`].
    pub(crate) fn step(&mut self, now: u64) -> Advance {
        let now = now.min(u64::MAX - 1);
        if let Some(peg) = self.due.front() {
            // SAFETY: it hangs on this wheel.
            unsafe { self.remove(peg) };
            return Advance::Due(peg);
        }
        let now = now / TICK;
        let Some(id) = self.expiring_slot.or_else(|| self.open(now)) else {
            self.elapsed = self.elapsed.max(now);
            return Advance::Done;
        };
        let peg = self.slots[id.index()].pegs.front().expect("an open slot is not empty");
        // SAFETY: it hangs on this wheel.
        unsafe { self.remove(peg) };
        // SAFETY: its owner has not been told that it is out.
        let tick = unsafe { WheelEntry::read(peg, |hung| hung.tick) };
        if tick <= self.elapsed {
            return Advance::Due(peg);
        }
        // SAFETY: it has just been taken out, under the contract of `insert`.
        unsafe { self.link_entry(peg, tick) };
        Advance::Moved
    }

    /// Takes out any peg, due or not.
    pub(crate) fn pop_any(&mut self) -> Option<NonNull<WheelEntry>> {
        let in_slot = || self.slots[self.first()?.index()].pegs.front();
        let peg = self.due.front().or_else(in_slot)?;
        // SAFETY: it hangs on this wheel.
        unsafe { self.remove(peg) };
        Some(peg)
    }

    /// Whether nothing hangs here, due or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.occupied.iter().all(|map| *map == 0)
    }

    /// When to turn the wheel next: not later than the first peg is due. `None` if none ever is.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if self.expiring_slot.is_some() || !self.due.is_empty() {
            return Some(self.elapsed * TICK);
        }
        self.slots[self.first()?.index()].earliest.checked_mul(TICK).filter(|&at| at < u64::MAX)
    }

    /// # Safety
    ///
    /// As for `insert`.
    unsafe fn link_entry(&mut self, peg: NonNull<WheelEntry>, tick: u64) {
        let place = self.place(tick);
        // SAFETY: the caller vouches that it is live and hangs nowhere.
        unsafe { WheelEntry::write(peg, |hung| (hung.tick, hung.place) = (tick, place)) };
        let EntryPlace::Slot(id) = place else {
            // SAFETY: as the caller vouches.
            unsafe { self.due.push_back(peg) };
            return;
        };
        let slot = &mut self.slots[id.index()];
        slot.earliest = if slot.pegs.is_empty() { tick } else { slot.earliest.min(tick) };
        self.occupied[usize::from(id.level)] |= id.bit();
        // SAFETY: as the caller vouches.
        unsafe { slot.pegs.push_back(peg) };
    }

    fn place(&self, tick: u64) -> EntryPlace {
        if tick <= self.elapsed {
            return EntryPlace::Due;
        }
        let level = (tick ^ self.elapsed).ilog2() / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) & (SLOTS as u64 - 1);
        EntryPlace::Slot(SlotId { level: level as u8, slot: slot as u8 })
    }

    /// The slot whose pegs are due first.
    fn first(&self) -> Option<SlotId> {
        let level = self.occupied.iter().position(|map| *map != 0)?;
        Some(SlotId { level: level as u8, slot: self.occupied[level].trailing_zeros() as u8 })
    }

    /// Moves on to the first slot, if its time has come by the tick `now`.
    fn open(&mut self, now: u64) -> Option<SlotId> {
        let id = self.first()?;
        let low = u32::from(id.level) * SLOT_BITS;
        let high = low + SLOT_BITS;
        // Its pegs agree with `elapsed` above their level, or they would hang higher. Above the last one there may be nothing.
        let above = u64::MAX.checked_shl(high).unwrap_or(0);
        let start = (self.elapsed & above) | (u64::from(id.slot) << low);
        if start > now {
            return None;
        }
        self.elapsed = start;
        self.expiring_slot = Some(id);
        self.expiring_slot
    }

    fn emptied(&mut self, id: SlotId) {
        self.occupied[usize::from(id.level)] &= !id.bit();
        if self.expiring_slot == Some(id) {
            self.expiring_slot = None;
        }
    }
}

#[cfg(test)]
#[path = "wheel/tests.rs"]
mod tests;
