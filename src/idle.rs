#![doc = include_str!("../docs/idle.md")]

use std::fmt;

use crate::primitive::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::primitive::{CachePadded, occupy_idle_word};

/// Bit 0 of the idle word: the watchdog sleeps. A worker that stops sleeping, or a thread that
/// wakes a worker, sees this bit and wakes the watchdog.
const WATCHDOG_ASLEEP: usize = 1;
/// One searcher. Bits 1 to 15 count the searchers, with a sign.
const SEARCHER: usize = 1 << 1;
/// One sleeper. The bits from 16 up count the sleepers, with a sign.
const SLEEPER: usize = 1 << 16;

/// Seats per word of the mask.
const BITS: usize = 64;

/// Counts the searchers and the sleepers of a pool, and grants wake-ups. See [the page](self).
pub(crate) struct Idle {
    counts: CachePadded<AtomicUsize>,
    /// Invariant: a set bit is an announced sleeper whose wake-up has not been granted.
    mask: Box<[AtomicU64]>,
}

/// The counts at one moment.
///
/// A claim clears the bit first and counts afterwards. By then, the woken worker may have ended its
/// search. So for a moment the searchers may be too low, even below zero, and the sleepers too
/// high. A claimed sleeper counts as a searcher before its thread is awake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts(usize);

/// State of a worker that has withdrawn its announcement.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// The worker goes on without a search.
    Working,
    /// The worker is a searcher: it asked to be one, or a claim had granted it a wake-up.
    Searching,
}

impl Idle {
    /// Counts for seats numbered below `seats`, all of whose workers are busy.
    pub(crate) fn new(seats: usize) -> Self {
        Idle {
            counts: CachePadded::new(AtomicUsize::new(0)),
            mask: (0..seats.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Returns the counts, for deciding whether a wake-up pays. The decision may be outdated.
    #[inline]
    pub(crate) fn counts(&self) -> Counts {
        // Ordering: Relaxed — a hint; see the page, "The claim".
        Counts(self.counts.load(Ordering::Relaxed))
    }

    /// Makes the caller a searcher, and returns true, if fewer than half of `workers` search.
    /// [`Idle::end_search`] or [`Idle::announce`] ends the search.
    pub(crate) fn try_search(&self, workers: usize) -> bool {
        let allowed =
            |now: usize| (2 * Counts(now).searchers() < workers as isize).then_some(now.wrapping_add(SEARCHER));
        occupy_idle_word(&self.counts);
        // Ordering: Relaxed — a searcher reads queues under their own orderings. Only the end of a
        // search is ordered.
        self.counts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, allowed).is_ok()
    }

    /// Ends the search of a worker that has found work. Returns true if it was the last searcher:
    /// if more work may be left, the caller then wakes a helper for it.
    #[must_use]
    pub(crate) fn end_search(&self) -> bool {
        occupy_idle_word(&self.counts);
        // Ordering: Acquire — pairs with the Release in `Idle::claim_sleeper`: a submitter that
        // relied on this searcher has published its work.
        let was = Counts(self.counts.fetch_sub(SEARCHER, Ordering::AcqRel));
        // The count is below one if the claim that woke this worker has not counted it yet.
        was.searchers() <= 1
    }

    /// Announces that the worker of `seat` is about to sleep. The final check follows.
    pub(crate) fn announce(&self, seat: usize, searching: bool) {
        occupy_idle_word(&self.counts);
        // Ordering: Relaxed — the next line publishes it.
        self.bitmap_word(seat).fetch_or(seat_bit(seat), Ordering::Relaxed);
        let change = SLEEPER - if searching { SEARCHER } else { 0 };
        // Ordering: Release — publishes the bit to `Idle::claim_sleeper`. Acquire — pairs with the
        // Release in `Idle::claim_sleeper`: the final check sees the work that was published before
        // it.
        self.counts.fetch_add(change, Ordering::AcqRel);
    }

    /// Withdraws the announcement of the worker of `seat`. The cause is its final check, an event,
    /// a deadline or an unpark. With `searching`, the worker goes on as a searcher.
    pub(crate) fn withdraw(&self, seat: usize, searching: bool) -> Withdrawn {
        occupy_idle_word(&self.counts);
        // Ordering: Acquire — pairs with the Release in `Idle::claim`.
        let was = self.bitmap_word(seat).fetch_and(!seat_bit(seat), Ordering::AcqRel);
        if was & seat_bit(seat) == 0 {
            // The claim that has cleared the bit counts this worker as a searcher, or is about to.
            return Withdrawn::Searching;
        }
        let change = if searching { SEARCHER } else { 0 };
        // Ordering: Acquire — pairs with the Release in `Idle::claim_sleeper`: a submitter that
        // found no bit leaves its work to this worker. Release — continues the release sequence of
        // earlier submitters.
        self.counts.fetch_add(change.wrapping_sub(SLEEPER), Ordering::AcqRel);
        if searching { Withdrawn::Searching } else { Withdrawn::Working }
    }

    /// Returns true if the worker of `seat` has announced its sleep and has not been claimed.
    pub(crate) fn is_announced(&self, seat: usize) -> bool {
        // Ordering: Acquire — pairs with the Release in `Idle::claim`.
        self.bitmap_word(seat).load(Ordering::Acquire) & seat_bit(seat) != 0
    }

    /// Grants a wake-up for work that has been published. Returns the seat to unpark.
    #[must_use]
    pub(crate) fn claim_sleeper(&self) -> Option<usize> {
        occupy_idle_word(&self.counts);
        // A read-modify-write of the same value takes a place in the order of all changes to the
        // word. Ordering: Release — publishes the work to `Idle::announce`, `Idle::withdraw` and
        // `Idle::end_search`. Acquire — pairs with the Release in `Idle::announce`: the bits of the
        // counted sleepers can be seen.
        let counts = Counts(self.counts.fetch_add(0, Ordering::AcqRel));
        if counts.could_wake() { self.claim() } else { None }
    }

    /// As [`Idle::claim_sleeper`], but grants the wake-up although there are searchers. The
    /// watchdog has found a worker that is stuck between two polls, and may count as one.
    #[cold]
    #[must_use]
    pub(crate) fn claim_beside_searchers(&self) -> Option<usize> {
        occupy_idle_word(&self.counts);
        // Ordering: as in `Idle::claim_sleeper`.
        let counts = Counts(self.counts.fetch_add(0, Ordering::AcqRel));
        if counts.sleepers() > 0 { self.claim() } else { None }
    }

    /// Clears the lowest set bit, and returns its seat. Seats fill from below, so the same workers
    /// stay warm.
    fn claim(&self) -> Option<usize> {
        for (index, word) in self.mask.iter().enumerate() {
            // Ordering: Relaxed — the exchange below decides. The bits of counted sleepers can be
            // seen already.
            let mut now = word.load(Ordering::Relaxed);
            while now != 0 {
                let lowest = now & now.wrapping_neg();
                // Ordering: Release and Acquire — pair with `Idle::withdraw` and with other claims.
                let was = word.fetch_and(!lowest, Ordering::AcqRel);
                if was & lowest != 0 {
                    occupy_idle_word(&self.counts);
                    // Ordering: Release — the work that the claim is for comes before the wake-up.
                    // Acquire — keeps earlier submitters in order.
                    self.counts.fetch_add(SEARCHER.wrapping_sub(SLEEPER), Ordering::AcqRel);
                    return Some(index * BITS + lowest.trailing_zeros() as usize);
                }
                now = was & !lowest;
            }
        }
        None
    }

    /// Sets the bit that the watchdog sleeps. A worker that stops sleeping later, or a later claim,
    /// sees the bit. The caller now checks all seats, and so sees the workers that were awake
    /// before.
    pub(crate) fn set_watchdog_asleep(&self) {
        // Ordering: Release — continues the release sequence of the submitters. Acquire — pairs
        // with the Release in `Idle::withdraw`.
        self.counts.fetch_or(WATCHDOG_ASLEEP, Ordering::AcqRel);
    }

    /// Clears the bit that the watchdog sleeps. Returns true to one of the callers, which has to
    /// wake the watchdog.
    #[must_use]
    pub(crate) fn claim_watchdog_wake(&self) -> bool {
        // Ordering: Release and Acquire — pair with `Idle::set_watchdog_asleep`: a thread that
        // never announced a sleep is seen by the watchdog, or sees its bit.
        self.counts.fetch_and(!WATCHDOG_ASLEEP, Ordering::AcqRel) & WATCHDOG_ASLEEP != 0
    }

    fn bitmap_word(&self, seat: usize) -> &AtomicU64 {
        &self.mask[seat / BITS]
    }
}

fn seat_bit(seat: usize) -> u64 {
    1 << (seat % BITS)
}

impl Counts {
    pub(crate) fn searchers(self) -> isize {
        // The low half, with its sign, above the watchdog's bit.
        isize::from(self.0 as i16 >> 1)
    }

    pub(crate) fn sleepers(self) -> isize {
        (self.0 as isize).wrapping_sub(isize::from(self.0 as i16)) / SLEEPER as isize
    }

    /// Returns true if the watchdog sleeps. Not outdated for a caller that has just changed the
    /// word, in order to stop sleeping or to claim a sleeper.
    #[inline]
    pub(crate) fn is_watchdog_asleep(self) -> bool {
        self.0 & WATCHDOG_ASLEEP != 0
    }

    /// Returns true if a worker sleeps and none searches.
    #[inline]
    pub(crate) fn could_wake(self) -> bool {
        self.searchers() <= 0 && self.sleepers() > 0
    }
}

impl Drop for Idle {
    /// Debug builds check that both counts are zero after the last worker is gone. Otherwise a
    /// wake-up was granted, or a search ended, once too often or never.
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !std::thread::panicking() {
            assert!(self.counts().0 & !WATCHDOG_ASLEEP == 0, "the idle counts have drifted: {:?}", self.counts());
        }
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").field("searchers", &self.searchers()).field("sleepers", &self.sleepers()).finish()
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(f)
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    /// More seats than one word of the mask has bits.
    const SEATS: usize = 2 * BITS + 1;

    /// Withdraws the claimed sleepers, so that the counts are zero in the end.
    fn end_all(idle: &Idle, seats: &[usize]) {
        for &seat in seats {
            assert_eq!(idle.withdraw(seat, false), Withdrawn::Searching);
            let _ = idle.end_search();
        }
    }

    /// Claims one sleeper after the other. Each of them ends its search before the next claim.
    fn claim_all(idle: &Idle) -> Vec<usize> {
        let claim = || {
            let seat = idle.claim_sleeper()?;
            end_all(idle, &[seat]);
            Some(seat)
        };
        std::iter::from_fn(claim).collect()
    }

    #[test]
    fn sleeper_in_a_later_word_is_claimed() {
        for seat in [BITS - 1, BITS, SEATS - 1] {
            let idle = Idle::new(SEATS);
            idle.announce(seat, false);
            assert_eq!(claim_all(&idle), [seat]);
        }
    }

    #[test]
    fn lowest_sleeper_is_claimed_first() {
        let idle = Idle::new(SEATS);
        [BITS + 1, 7, 2, 63].into_iter().for_each(|seat| idle.announce(seat, false));
        assert_eq!(claim_all(&idle), [2, 7, 63, BITS + 1]);
    }

    #[test]
    fn sleeper_beside_a_searcher_is_not_claimed() {
        let idle = Idle::new(3);
        idle.announce(0, false);
        assert!(idle.try_search(3));
        assert_eq!(idle.claim_sleeper(), None);
        assert!(idle.end_search(), "it was the only one");
        assert_eq!(claim_all(&idle), [0]);
    }

    #[test]
    fn sleeper_beside_a_stuck_searcher_is_claimed_for_the_watchdog() {
        let idle = Idle::new(3);
        assert_eq!(idle.claim_beside_searchers(), None, "no worker sleeps");
        idle.announce(0, false);
        assert!(idle.try_search(3));
        assert_eq!(idle.claim_beside_searchers(), Some(0));
        assert_eq!((idle.counts().searchers(), idle.counts().sleepers()), (2, 0));
        assert_eq!(idle.withdraw(0, false), Withdrawn::Searching);
        assert!(!idle.end_search(), "the stuck one still searches");
        assert!(idle.end_search());
    }

    #[test]
    fn searchers_are_fewer_than_half_of_the_workers() {
        for (workers, most) in [(1, 1), (2, 1), (3, 2), (8, 4)] {
            let idle = Idle::new(workers);
            let searching = std::iter::repeat_with(|| idle.try_search(workers)).take_while(|is| *is).count();
            assert_eq!(searching, most, "of {workers} workers");
            let last: Vec<bool> = (0..most).map(|_| idle.end_search()).collect();
            assert_eq!(last.iter().filter(|last| **last).count(), 1, "only the last one is told so");
        }
    }

    #[test]
    fn watchdog_wake_is_granted_once() {
        let idle = Idle::new(1);
        assert!(!idle.claim_watchdog_wake());
        idle.set_watchdog_asleep();
        assert!(idle.counts().is_watchdog_asleep());
        assert!(idle.claim_watchdog_wake());
        assert!(!idle.claim_watchdog_wake() && !idle.counts().is_watchdog_asleep());
    }
}
