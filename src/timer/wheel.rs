//! A hierarchical timing wheel: the data structure alone, without a lock, a clock or a waker.
//!
//! Deadlines are nanoseconds on some clock, rounded *up* to ticks of 32.8 µs, so that no entry is
//! handed out early. The level of an entry is the highest group of bits in which its tick differs
//! from `elapsed`. The value of that group in the tick is its slot. Everything that the wheel
//! relies on follows:
//!
//! - All entries of a level are due before all entries of the level above.
//! - Inside a level the slots are in order and lie ahead of `elapsed`. So the first bit of the
//!   first level that has one names the next slot.
//! - No slot ever wraps around: there are levels enough for every `u64`.
//! - When `elapsed` reaches the start of a slot, each entry of that slot belongs on a lower level,
//!   or is due. Each entry moves at most once per level.
//!
//! Every slot stores its earliest tick. From it the wheel knows the exact time of the next entry,
//! so an idle thread is not woken only to move entries down. Removing the earliest entry leaves the
//! stored tick too early. The next step at that time moves the slot down, and so corrects it: the
//! price is one step too many, never one too few.

use std::ptr::NonNull;

use crate::primitive::UnsafeCell;
use crate::util::list::{Linked, Links, List};

/// A tick is 2^15 ns. Where a test may pause time, it is one nanosecond, so that time advances to
/// exactly the deadline that the test expects.
const TICK_BITS: u32 = if cfg!(feature = "test-util") { 0 } else { 15 };
pub(crate) const TICK: u64 = 1 << TICK_BITS;

/// A level has 2^6 slots.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// Enough levels for the largest tick, `u64::MAX` rounded up. It has one bit more than `u64::MAX`
/// rounded down.
const LEVELS: usize = (u64::BITS - TICK_BITS + 1).div_ceil(SLOT_BITS) as usize;

/// Returns the tick at which `deadline` has passed.
fn tick_of(deadline: u64) -> u64 {
    deadline.div_ceil(TICK)
}

/// Returns when an entry with this `deadline` is due: the end of its tick. `u64::MAX` means never.
pub(crate) fn due_at(deadline: u64) -> u64 {
    tick_of(deadline).saturating_mul(TICK)
}

/// An entry of the wheel: an intrusive node that lies inside of a larger value of its owner.
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
    /// On no wheel.
    Unlinked,
    /// In the list of entries whose tick had passed when they were linked.
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

    /// Returns the bit of this slot in its level's map.
    fn slot_bit(self) -> u64 {
        1 << self.slot
    }
}

impl WheelEntry {
    pub(crate) fn new() -> Self {
        WheelEntry {
            entry_state: UnsafeCell::new(EntryState { links: Links::new(), tick: 0, place: EntryPlace::Unlinked }),
        }
    }

    /// # Safety
    ///
    /// `entry` is live, and no other thread accesses it meanwhile.
    unsafe fn read<R>(entry: NonNull<WheelEntry>, f: impl FnOnce(&EntryState) -> R) -> R {
        // SAFETY: the caller guarantees that it is live.
        let entry = unsafe { entry.as_ref() };
        // SAFETY: the caller guarantees that no other thread writes to it.
        entry.entry_state.with(|entry_state| f(unsafe { &*entry_state }))
    }

    /// # Safety
    ///
    /// As for [`WheelEntry::read`].
    unsafe fn write(entry: NonNull<WheelEntry>, f: impl FnOnce(&mut EntryState)) {
        // SAFETY: the caller guarantees that it is live.
        let entry = unsafe { entry.as_ref() };
        // SAFETY: the caller guarantees exclusive access.
        entry.entry_state.with_mut(|entry_state| f(unsafe { &mut *entry_state }));
    }
}

impl Drop for WheelEntry {
    fn drop(&mut self) {
        // Under loom this access also proves that no other thread accesses an entry that is
        // dropped. SAFETY: the entry is borrowed exclusively.
        let place = self.entry_state.with_mut(|entry_state| unsafe { (*entry_state).place });
        debug_assert_eq!(place, EntryPlace::Unlinked, "an entry was dropped while it was on a wheel");
    }
}

// SAFETY: the links lie in the entry's cell, and only the list accesses them while the entry is
// linked.
unsafe impl Linked for WheelEntry {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller guarantees that it is live.
        let entry = unsafe { node.as_ref() };
        // SAFETY: the pointer is to a field inside of a live cell, and no reference is made.
        let links = entry.entry_state.with_mut(|entry_state| unsafe { &raw mut (*entry_state).links });
        // SAFETY: a field's address is not null.
        unsafe { NonNull::new_unchecked(links) }
    }
}

#[derive(Debug)]
struct Slot {
    entries: List<WheelEntry>,
    /// No entry of the slot is due before this tick. Meaningless while the slot is empty.
    earliest: u64,
}

/// What one [`Wheel::step`] did.
#[derive(Debug)]
#[must_use]
pub(crate) enum Advance {
    /// This entry is due, and is not on the wheel any more.
    Due(NonNull<WheelEntry>),
    /// An entry was moved to a lower level.
    Moved,
    /// Nothing more is due.
    Done,
}

/// Hands out entries in the order of their deadlines.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The tick up to which the wheel has advanced.
    elapsed: u64,
    due: List<WheelEntry>,
    /// The slot whose start has been reached and which is not empty yet. No entry is ever added to
    /// it.
    expiring_slot: Option<SlotId>,
    /// One map per level, with a bit for every slot that is not empty.
    pub(crate) occupied: [u64; LEVELS],
    slots: Box<[Slot]>,
}

impl Wheel {
    /// Makes an empty wheel that has advanced to `now`.
    pub(crate) fn new(now: u64) -> Self {
        let slots = (0..LEVELS * SLOTS).map(|_| Slot { entries: List::new(), earliest: 0 }).collect();
        Wheel { elapsed: now / TICK, due: List::new(), expiring_slot: None, occupied: [0; LEVELS], slots }
    }

    /// Adds `entry`, to be handed out when `deadline` has passed. A deadline of `u64::MAX` never
    /// passes.
    ///
    /// # Safety
    ///
    /// `entry` is live and on no wheel. Until it is removed, it is not moved or freed, and only
    /// this wheel accesses it.
    pub(crate) unsafe fn insert(&mut self, entry: NonNull<WheelEntry>, deadline: u64) {
        // SAFETY: the caller guarantees the same.
        unsafe { self.link_entry(entry, tick_of(deadline)) };
    }

    /// Removes `entry`.
    ///
    /// # Safety
    ///
    /// `entry` is on this wheel.
    pub(crate) unsafe fn remove(&mut self, entry: NonNull<WheelEntry>) {
        // SAFETY: an entry on the wheel is live, and only the wheel accesses it.
        match unsafe { WheelEntry::read(entry, |entry_state| entry_state.place) } {
            EntryPlace::Unlinked => unreachable!("the entry is on this wheel, as the caller guarantees"),
            // SAFETY: the entry is in this list.
            EntryPlace::Due => unsafe { self.due.remove(entry) },
            EntryPlace::Slot(id) => {
                let slot = &mut self.slots[id.index()];
                // SAFETY: the entry is in this list.
                unsafe { slot.entries.remove(entry) };
                if slot.entries.is_empty() {
                    self.mark_slot_empty(id);
                }
            }
        }
        // SAFETY: the entry is live, and still only the wheel accesses it.
        unsafe { WheelEntry::write(entry, |entry_state| entry_state.place = EntryPlace::Unlinked) };
    }

    /// Takes one bounded step towards the time `now`. If `now` is before the last one, the last one
    /// counts.
    ///
    /// Due entries come in the order of their ticks. `now` may change between two steps, also
    /// before [`Advance::Done`].
    pub(crate) fn step(&mut self, now: u64) -> Advance {
        let now = now.min(u64::MAX - 1);
        if let Some(entry) = self.due.front() {
            // SAFETY: the entry is on this wheel.
            unsafe { self.remove(entry) };
            return Advance::Due(entry);
        }
        let now = now / TICK;
        let Some(id) = self.expiring_slot.or_else(|| self.open_slot(now)) else {
            self.elapsed = self.elapsed.max(now);
            return Advance::Done;
        };
        let entry = self.slots[id.index()].entries.front().expect("an expiring slot is not empty");
        // SAFETY: the entry is on this wheel.
        unsafe { self.remove(entry) };
        // SAFETY: the entry's owner does not know yet that it was removed, so the entry is live and
        // still only the wheel accesses it.
        let tick = unsafe { WheelEntry::read(entry, |entry_state| entry_state.tick) };
        if tick <= self.elapsed {
            return Advance::Due(entry);
        }
        // SAFETY: the entry was just removed, and the guarantees of `insert` still hold.
        unsafe { self.link_entry(entry, tick) };
        Advance::Moved
    }

    /// Removes and returns any entry, due or not.
    pub(crate) fn pop_any(&mut self) -> Option<NonNull<WheelEntry>> {
        let in_slot = || self.slots[self.first_slot()?.index()].entries.front();
        let entry = self.due.front().or_else(in_slot)?;
        // SAFETY: the entry is on this wheel.
        unsafe { self.remove(entry) };
        Some(entry)
    }

    /// Returns true if there is no entry, due or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.occupied.iter().all(|map| *map == 0)
    }

    /// Returns when to step next: not later than the first entry is due. `None` if no entry is ever
    /// due.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if self.expiring_slot.is_some() || !self.due.is_empty() {
            return Some(self.elapsed * TICK);
        }
        self.slots[self.first_slot()?.index()].earliest.checked_mul(TICK).filter(|&at| at < u64::MAX)
    }

    /// # Safety
    ///
    /// As for [`Wheel::insert`].
    unsafe fn link_entry(&mut self, entry: NonNull<WheelEntry>, tick: u64) {
        let place = self.place_of(tick);
        // SAFETY: the caller guarantees that the entry is live and on no wheel.
        unsafe { WheelEntry::write(entry, |entry_state| (entry_state.tick, entry_state.place) = (tick, place)) };
        let EntryPlace::Slot(id) = place else {
            // SAFETY: the caller guarantees that the entry is in no list, and stays live and in
            // place.
            unsafe { self.due.push_back(entry) };
            return;
        };
        let slot = &mut self.slots[id.index()];
        slot.earliest = if slot.entries.is_empty() { tick } else { slot.earliest.min(tick) };
        self.occupied[usize::from(id.level)] |= id.slot_bit();
        // SAFETY: as above.
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

    /// Returns the slot whose entries are due first.
    fn first_slot(&self) -> Option<SlotId> {
        let level = self.occupied.iter().position(|map| *map != 0)?;
        Some(SlotId { level: level as u8, slot: self.occupied[level].trailing_zeros() as u8 })
    }

    /// Advances to the start of the first slot, if the tick `now` has reached it, and makes it the
    /// expiring slot.
    fn open_slot(&mut self, now: u64) -> Option<SlotId> {
        let id = self.first_slot()?;
        let low = u32::from(id.level) * SLOT_BITS;
        let high = low + SLOT_BITS;
        // Above their level its entries agree with `elapsed`; otherwise they would be on a higher
        // level. The last level may have no bits above it.
        let above = u64::MAX.checked_shl(high).unwrap_or(0);
        let start = (self.elapsed & above) | (u64::from(id.slot) << low);
        if start > now {
            return None;
        }
        self.elapsed = start;
        self.expiring_slot = Some(id);
        self.expiring_slot
    }

    fn mark_slot_empty(&mut self, id: SlotId) {
        self.occupied[usize::from(id.level)] &= !id.slot_bit();
        if self.expiring_slot == Some(id) {
            self.expiring_slot = None;
        }
    }
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
