//! The numbers of homes, so that a task's state word can hold one.
//!
//! A home is where a woken task is queued, and where it is linked. A pointer to it would cost each
//! task a word. So each home has a number of 20 bits while it lives, and one table of the process
//! leads from the number to the home. The first entries of the table are a static array, which
//! takes one bounds check and one load. The other ones are in chunks that double in size, which
//! only a process with thousands of homes allocates. Chunks are never freed or moved.

use std::num::NonZeroUsize;
use std::ptr::null_mut;

use crate::primitive::OnceLock;
use crate::primitive::statics::{AtomicPtr, Mutex, Ordering};

/// Bits of a number.
pub(super) const HOME_BITS: u32 = 20;

/// Entries in the static array: 32 KiB, of which pages that are not in use are not resident.
const STATIC_LEN: usize = 1 << 12;

/// Chunk `k` has the numbers from `STATIC_LEN << k` up to twice that.
const CHUNKS: usize = (HOME_BITS - STATIC_LEN.ilog2()) as usize;

/// A home, or null. Its type is known to the tasks that are linked in it.
type Entry = AtomicPtr<()>;

static STATIC_ENTRIES: [Entry; STATIC_LEN] = [const { AtomicPtr::new(null_mut()) }; STATIC_LEN];

static CHUNK_ENTRIES: [OnceLock<Box<[Entry]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { next: 1, free: Vec::new() });

/// The numbers that no home has.
struct Numbers {
    /// This number, and all higher ones, have never been in use.
    next: usize,
    free: Vec<usize>,
}

/// The number of a home. Zero is no number, so that a state word without one has zeros there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HomeNumber(NonZeroUsize);

impl HomeNumber {
    /// Returns the number in these bits, unless they are zero.
    #[inline]
    pub(super) fn from_bits(bits: usize) -> Option<HomeNumber> {
        NonZeroUsize::new(bits).map(HomeNumber)
    }

    #[inline]
    pub(super) fn bits(self) -> usize {
        self.0.get()
    }

    /// Returns the home of this number: what [`HomeSlot::bind`] was called with.
    #[inline]
    pub(super) fn home(self) -> *mut () {
        match STATIC_ENTRIES.get(self.bits()) {
            // Ordering: Relaxed — the caller has this number from the state word of a linked task,
            // which a thread has released after it had called `HomeSlot::bind`.
            Some(entry) => entry.load(Ordering::Relaxed),
            // Ordering: Relaxed — as above.
            None => self.chunk_entry().load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn entry(self) -> &'static Entry {
        match STATIC_ENTRIES.get(self.bits()) {
            Some(entry) => entry,
            None => self.chunk_entry(),
        }
    }

    #[cold]
    #[inline(never)]
    fn chunk_entry(self) -> &'static Entry {
        let chunk = (self.bits() / STATIC_LEN).ilog2();
        let first = STATIC_LEN << chunk;
        let entries =
            CHUNK_ENTRIES[chunk as usize].get_or_init(|| (0..first).map(|_| AtomicPtr::new(null_mut())).collect());
        &entries[self.bits() - first]
    }
}

/// A number that one home has, until this is dropped.
#[derive(Debug)]
pub(super) struct HomeSlot(HomeNumber);

impl HomeSlot {
    /// Takes a number for a home.
    ///
    /// # Panics
    ///
    /// If all numbers are in use.
    pub(super) fn claim() -> HomeSlot {
        let mut numbers = NUMBERS.lock();
        let number = numbers.free.pop().or_else(|| {
            let number = numbers.next;
            numbers.next = (number + 1).min(1 << HOME_BITS);
            (number < 1 << HOME_BITS).then_some(number)
        });
        // Before a panic, whose hook may take a number.
        drop(numbers);
        let number = number.expect(
            "a million workers, runtimes and local sets exist in this process; drop runtimes or local sets that have ended",
        );
        HomeSlot(HomeNumber::from_bits(number).expect("numbers start at one"))
    }

    /// Makes the number lead to `home`, before a task is linked there. Returns the number.
    #[inline]
    pub(super) fn bind(&self, home: *mut ()) -> HomeNumber {
        let entry = self.0.entry();
        // Ordering: Relaxed — the task's state word publishes it, see `HomeNumber::home`. Several
        // threads may find the entry empty, and store the same pointer.
        if entry.load(Ordering::Relaxed) != home {
            // Ordering: Relaxed — as above.
            entry.store(home, Ordering::Relaxed);
        }
        self.0
    }
}

impl Drop for HomeSlot {
    fn drop(&mut self) {
        // The next home of this number may have the same address, but not the same pointer.
        // Ordering: Relaxed — the lock orders it before the next `HomeSlot::bind`.
        self.0.entry().store(null_mut(), Ordering::Relaxed);
        NUMBERS.lock().free.push(self.0.bits());
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::loom_tests::support::{Bell, Counts, Home, idle_task, poll_join};

    #[test]
    fn home_numbers_beyond_the_static_array_lead_to_their_homes() {
        let slots: Vec<_> = (0..3 * STATIC_LEN).map(|_| HomeSlot::claim()).collect();
        let numbers: HashSet<usize> = slots.iter().map(|slot| slot.0.bits()).collect();
        assert_eq!(numbers.len(), slots.len(), "a number was given twice");
        assert!(numbers.iter().any(|number| *number >= 2 * STATIC_LEN));
        let place = |slot: &HomeSlot| (&raw const *slot).cast_mut().cast::<()>();
        for slot in &slots {
            assert_eq!(slot.bind(place(slot)), slot.0);
        }
        assert!(slots.iter().all(|slot| slot.0.home() == place(slot)));
        // A home with a number from a chunk.
        let (home, counts) = (Home::new(), Counts::new());
        let (mut handle, waker) = idle_task(&home, &counts, || true);
        waker.wake();
        assert_eq!(home.scheduled(), 1);
        home.run_all();
        assert!(poll_join(&mut handle, &Bell::new()).is_ready() && home.is_empty());
    }

    #[test]
    fn home_number_given_back_is_empty_and_used_again() {
        let place = 0_u8;
        let bound = (&raw const place).cast_mut().cast();
        let slot = HomeSlot::claim();
        let number = slot.bind(bound);
        assert_eq!(number.home(), bound);
        drop(slot);
        // It is null, unless another test has the number now.
        assert_ne!(number.home(), bound);
        // Without reuse, the numbers would be exhausted.
        (0..1 << HOME_BITS).for_each(|_| drop(HomeSlot::claim()));
    }

    #[test]
    fn home_number_limits_are_in_the_table() {
        for bits in [1, STATIC_LEN - 1, STATIC_LEN, 2 * STATIC_LEN - 1, 2 * STATIC_LEN] {
            let number = HomeNumber::from_bits(bits).expect("it is not zero");
            let _ = number.home();
        }
        assert_eq!(CHUNKS, ((1 << HOME_BITS) / STATIC_LEN).ilog2() as usize);
        assert_eq!(HomeNumber::from_bits(0), None);
    }
}
