//! A hierarchical timing wheel: the data structure alone, without a lock, a clock or a waker.
//!
//! Deadlines are nanoseconds on some clock, rounded *up* to ticks of 32.8 µs, so that nothing is
//! handed out early. A wheel entry hangs on the level of the highest group of bits in which its
//! tick differs from `elapsed`, in the slot which that group names. From this follows everything
//! that the wheel relies on:
//!
//! - All wheel entries of a level are due before all wheel entries of the level above, and inside a
//!   level the slots are in order and lie ahead of where `elapsed` stands. So the first bit of the
//!   first level that has one names the next slot, and no slot ever wraps around: there are levels
//!   enough for every `u64`.
//! - When `elapsed` reaches the start of a slot, that slot's wheel entries all belong on lower
//!   levels, or are due. Each wheel entry moves at most once per level.
//!
//! Every slot remembers its earliest tick. With it the wheel names the exact time of the next wheel
//! entry, and an idle thread is not woken only to move wheel entries down. Taking out the earliest
//! wheel entry leaves that note too early; whoever comes at that time moves the slot down and so
//! corrects it: one look too many, never one too few.

use std::ptr::NonNull;

use crate::sync::UnsafeCell;
use crate::util::list::{Linked, Links, List};

/// A tick is 2^15 ns; one nanosecond where time may be paused, so that it leaps to where a test
/// expects it.
const TICK_BITS: u32 = if cfg!(feature = "test-util") { 0 } else { 15 };
pub(crate) const TICK: u64 = 1 << TICK_BITS;

/// A level has 2^6 slots.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// Enough for the largest tick, `u64::MAX` rounded up, which has one bit more than a rounded down
/// one.
const LEVELS: usize = (u64::BITS - TICK_BITS + 1).div_ceil(SLOT_BITS) as usize;

/// The tick at which `deadline` has passed.
fn tick_of(deadline: u64) -> u64 {
    deadline.div_ceil(TICK)
}

/// When a wheel entry with this `deadline` is handed out: the end of its tick. `u64::MAX` is never.
pub(crate) fn due_at(deadline: u64) -> u64 {
    tick_of(deadline).saturating_mul(TICK)
}

/// What hangs on the wheel: an intrusive node that lies in something of its owner's.
#[derive(Debug)]
pub(crate) struct WheelEntry {
    entry_state: UnsafeCell<EntryState>,
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
    fn slot_bit(self) -> u64 {
        1 << self.slot
    }
}

impl WheelEntry {
    pub(crate) fn new() -> Self {
        WheelEntry {
            entry_state: UnsafeCell::new(EntryState { links: Links::new(), tick: 0, place: EntryPlace::Nowhere }),
        }
    }

    /// # Safety
    ///
    /// `peg` is live, and nobody else touches it meanwhile.
    unsafe fn read<R>(entry: NonNull<WheelEntry>, f: impl FnOnce(&EntryState) -> R) -> R {
        // SAFETY: the caller vouches that it is live.
        let entry = unsafe { entry.as_ref() };
        // SAFETY: the caller vouches that nobody writes to it.
        entry.entry_state.with(|entry_state| f(unsafe { &*entry_state }))
    }

    /// # Safety
    ///
    /// As for `read`.
    unsafe fn write(entry: NonNull<WheelEntry>, f: impl FnOnce(&mut EntryState)) {
        // SAFETY: the caller vouches that it is live.
        let entry = unsafe { entry.as_ref() };
        // SAFETY: the caller vouches that it is the only one here.
        entry.entry_state.with_mut(|entry_state| f(unsafe { &mut *entry_state }));
    }
}

impl Drop for WheelEntry {
    fn drop(&mut self) {
        // Under loom this is also the proof that nobody touches a wheel entry that goes.
        // SAFETY: the wheel entry is borrowed exclusively.
        let place = self.entry_state.with_mut(|entry_state| unsafe { (*entry_state).place });
        debug_assert_eq!(place, EntryPlace::Nowhere, "a peg was dropped on the wheel");
    }
}

// SAFETY: the links lie in the wheel entry's cell, and only the list touches them while the wheel
// entry is linked.
unsafe impl Linked for WheelEntry {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller vouches that it is live.
        let entry = unsafe { node.as_ref() };
        // SAFETY: a place inside of a live cell.
        let links = entry.entry_state.with_mut(|entry_state| unsafe { &raw mut (*entry_state).links });
        // SAFETY: a field's address is not null.
        unsafe { NonNull::new_unchecked(links) }
    }
}

#[derive(Debug)]
struct Slot {
    entries: List<WheelEntry>,
    /// No wheel entry in here is due before this tick. Meaningless while the slot is empty.
    earliest: u64,
}

/// What one [`Wheel::step`] did.
#[derive(Debug)]
#[must_use]
pub(crate) enum Advance {
    /// This wheel entry is due, and hangs on the wheel no longer.
    Due(NonNull<WheelEntry>),
    /// A wheel entry was moved to a lower level.
    Moved,
    /// Nothing more is due.
    Done,
}

/// Wheel entries in the order of their deadlines.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The tick up to which the wheel has been turned.
    elapsed: u64,
    due: List<WheelEntry>,
    /// The slot whose time has come and which is not empty yet. No wheel entry is ever added to it.
    expiring_slot: Option<SlotId>,
    /// One map per level, a bit for every slot that is not empty.
    pub(crate) occupied: [u64; LEVELS],
    slots: Box<[Slot]>,
}

impl Wheel {
    /// An empty wheel that has been turned up to `now`.
    pub(crate) fn new(now: u64) -> Self {
        let slots = (0..LEVELS * SLOTS).map(|_| Slot { entries: List::new(), earliest: 0 }).collect();
        Wheel { elapsed: now / TICK, due: List::new(), expiring_slot: None, occupied: [0; LEVELS], slots }
    }

    /// Hangs `peg` up, to be handed out when `deadline` has passed. A deadline of `u64::MAX` never
    /// passes.
    ///
    /// # Safety
    ///
    /// `peg` is live and hangs nowhere. Until it is taken out it stays where it is and only this
    /// wheel touches it.
    pub(crate) unsafe fn insert(&mut self, entry: NonNull<WheelEntry>, deadline: u64) {
        // SAFETY: as the caller vouches.
        unsafe { self.link_entry(entry, tick_of(deadline)) };
    }

    /// Takes `peg` out.
    ///
    /// # Safety
    ///
    /// `peg` hangs on this wheel.
    pub(crate) unsafe fn remove(&mut self, entry: NonNull<WheelEntry>) {
        // SAFETY: what hangs on the wheel is live and the wheel's.
        match unsafe { WheelEntry::read(entry, |entry_state| entry_state.place) } {
            EntryPlace::Nowhere => unreachable!("the caller vouched that the peg hangs on this wheel"),
            // SAFETY: that is the list it is in.
            EntryPlace::Due => unsafe { self.due.remove(entry) },
            EntryPlace::Slot(id) => {
                let slot = &mut self.slots[id.index()];
                // SAFETY: that is the list it is in.
                unsafe { slot.entries.remove(entry) };
                if slot.entries.is_empty() {
                    self.emptied(id);
                }
            }
        }
        // SAFETY: it is live, and in no list.
        unsafe { WheelEntry::write(entry, |entry_state| entry_state.place = EntryPlace::Nowhere) };
    }

    /// Does one bounded thing towards the time `now`. A `now` before the last one is taken for the
    /// last one.
    ///
    /// Due wheel entries come in the order of their ticks. Steps of different times may follow each
    /// other before [`Advance::Done`].
    pub(crate) fn step(&mut self, now: u64) -> Advance {
        let now = now.min(u64::MAX - 1);
        if let Some(entry) = self.due.front() {
            // SAFETY: it hangs on this wheel.
            unsafe { self.remove(entry) };
            return Advance::Due(entry);
        }
        let now = now / TICK;
        let Some(id) = self.expiring_slot.or_else(|| self.open(now)) else {
            self.elapsed = self.elapsed.max(now);
            return Advance::Done;
        };
        let entry = self.slots[id.index()].entries.front().expect("an open slot is not empty");
        // SAFETY: it hangs on this wheel.
        unsafe { self.remove(entry) };
        // SAFETY: its owner has not been told that it is out.
        let tick = unsafe { WheelEntry::read(entry, |entry_state| entry_state.tick) };
        if tick <= self.elapsed {
            return Advance::Due(entry);
        }
        // SAFETY: it has just been taken out, under the contract of `insert`.
        unsafe { self.link_entry(entry, tick) };
        Advance::Moved
    }

    /// Takes out any wheel entry, due or not.
    pub(crate) fn pop_any(&mut self) -> Option<NonNull<WheelEntry>> {
        let in_slot = || self.slots[self.first()?.index()].entries.front();
        let entry = self.due.front().or_else(in_slot)?;
        // SAFETY: it hangs on this wheel.
        unsafe { self.remove(entry) };
        Some(entry)
    }

    /// Whether nothing hangs here, due or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.occupied.iter().all(|map| *map == 0)
    }

    /// When to turn the wheel next: not later than the first wheel entry is due. `None` if none
    /// ever is.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if self.expiring_slot.is_some() || !self.due.is_empty() {
            return Some(self.elapsed * TICK);
        }
        self.slots[self.first()?.index()].earliest.checked_mul(TICK).filter(|&at| at < u64::MAX)
    }

    /// # Safety
    ///
    /// As for `insert`.
    unsafe fn link_entry(&mut self, entry: NonNull<WheelEntry>, tick: u64) {
        let place = self.place_of(tick);
        // SAFETY: the caller vouches that it is live and hangs nowhere.
        unsafe { WheelEntry::write(entry, |entry_state| (entry_state.tick, entry_state.place) = (tick, place)) };
        let EntryPlace::Slot(id) = place else {
            // SAFETY: as the caller vouches.
            unsafe { self.due.push_back(entry) };
            return;
        };
        let slot = &mut self.slots[id.index()];
        slot.earliest = if slot.entries.is_empty() { tick } else { slot.earliest.min(tick) };
        self.occupied[usize::from(id.level)] |= id.slot_bit();
        // SAFETY: as the caller vouches.
        unsafe { slot.entries.push_back(entry) };
    }

    fn place_of(&self, tick: u64) -> EntryPlace {
        if tick <= self.elapsed {
            return EntryPlace::Due;
        }
        let level = (tick ^ self.elapsed).ilog2() / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) & (SLOTS as u64 - 1);
        EntryPlace::Slot(SlotId { level: level as u8, slot: slot as u8 })
    }

    /// The slot whose wheel entries are due first.
    fn first(&self) -> Option<SlotId> {
        let level = self.occupied.iter().position(|map| *map != 0)?;
        Some(SlotId { level: level as u8, slot: self.occupied[level].trailing_zeros() as u8 })
    }

    /// Moves on to the first slot, if its time has come by the tick `now`.
    fn open(&mut self, now: u64) -> Option<SlotId> {
        let id = self.first()?;
        let low = u32::from(id.level) * SLOT_BITS;
        let high = low + SLOT_BITS;
        // Its wheel entries agree with `elapsed` above their level, or they would hang higher.
        // Above the last one there may be nothing.
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
        self.occupied[usize::from(id.level)] &= !id.slot_bit();
        if self.expiring_slot == Some(id) {
            self.expiring_slot = None;
        }
    }
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
