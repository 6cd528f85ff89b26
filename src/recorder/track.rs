//! A track: the ring of records that one thread at a time writes, and that any thread reads.

use std::cell::Cell;
use std::collections::TryReserveError;
use std::fmt;

use super::record::Record;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// The bytes of a slot.
pub(crate) const SLOT_BYTES: usize = size_of::<[u64; 2]>();

/// The part of a track that writer and readers share.
///
/// Record `n` is in slot `n % slots.len()`, until record `n + slots.len()` overwrites it. The
/// protocol is on [the recorder's page](crate::recorder).
pub(crate) struct Track {
    /// The number of records that are complete.
    head: AtomicU64,
    slots: Box<[Slot]>,
}

#[derive(Default)]
struct Slot([AtomicU64; 2]);

/// The right to write to a track. Only one thread at a time has it.
pub(crate) struct TrackWriter {
    track: Arc<Track>,
    /// What the next record overwrites.
    slot: Cell<usize>,
    /// The head of the track.
    head: Cell<u64>,
}

/// The records that a reader has copied, the oldest first.
#[derive(Debug)]
pub(crate) struct CopiedRecords {
    /// The number of records before these, which have been overwritten.
    pub(crate) lost: u64,
    pub(crate) records: Vec<Record>,
}

impl TrackWriter {
    /// Creates a track of `bytes`, and returns its writer.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub(crate) fn new(bytes: usize) -> Result<TrackWriter, TryReserveError> {
        let len = (bytes / SLOT_BYTES).max(1);
        let mut slots = Vec::new();
        slots.try_reserve_exact(len)?;
        slots.resize_with(len, Slot::default);
        let track = Arc::new(Track { head: AtomicU64::new(0), slots: slots.into_boxed_slice() });
        Ok(TrackWriter { track, slot: Cell::new(0), head: Cell::new(0) })
    }

    /// Returns the track, for readers.
    pub(crate) fn track(&self) -> &Arc<Track> {
        &self.track
    }

    /// Appends a record. It overwrites the oldest one if the track is full.
    #[inline]
    pub(crate) fn write(&self, record: Record) {
        let [first, second] = record.words();
        let slot = self.slot.get();
        let Slot(words) = &self.track.slots[slot];
        // Ordering: Release — pairs with the Acquire in `Track::copy`. A reader that sees a word of
        // this record sees the head before it. So it detects that the older record is gone.
        words[0].store(first, Ordering::Release);
        // Ordering: Release — as above.
        words[1].store(second, Ordering::Release);
        let next = slot + 1;
        self.slot.set(if next == self.track.slots.len() { 0 } else { next });
        let head = self.head.get() + 1;
        self.head.set(head);
        // Ordering: Release — pairs with the Acquire in `Track::copy`: a reader that sees the head
        // sees the records before it.
        self.track.head.store(head, Ordering::Release);
    }
}

impl Track {
    /// Copies the records that the track holds. The writer is not disturbed. What it overwrites
    /// meanwhile is not part of the copy.
    pub(crate) fn copy(&self) -> CopiedRecords {
        let len = self.slots.len() as u64;
        // Ordering: Acquire — pairs with the Release in `TrackWriter::write`: the records before
        // the head are complete.
        let end = self.head.load(Ordering::Acquire);
        let begin = end.saturating_sub(len);
        let mut records = Vec::with_capacity((end - begin) as usize);
        for number in begin..end {
            let Slot(words) = &self.slots[(number % len) as usize];
            // Ordering: Acquire — pairs with the Release in `TrackWriter::write`. If a word is of a
            // newer record, the head that is loaded below is not older than that record.
            records.push(Record::from_words([0, 1].map(|word| words[word].load(Ordering::Acquire))));
        }
        // Ordering: Relaxed — the loads above have ordered it.
        let head = self.head.load(Ordering::Relaxed);
        // The writer may be about to complete record `head`, which overwrites record `head - len`.
        let intact = (head + 1).saturating_sub(len).max(begin);
        let overwritten = ((intact - begin) as usize).min(records.len());
        records.drain(..overwritten);
        CopiedRecords { lost: intact.min(end), records }
    }

    /// Returns the bytes of the ring.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.len() * SLOT_BYTES
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for TrackWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackWriter").field("head", &self.head).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::recorder::record::Kind;

    fn number(records: u64) -> Record {
        Record::new(Kind::Steal, records, records)
    }

    fn numbers(copied: &CopiedRecords) -> Vec<u64> {
        copied.records.iter().map(|record| record.payload()).collect()
    }

    #[test]
    fn copy_of_a_track_that_is_not_full_has_all_records() {
        let writer = TrackWriter::new(4 * SLOT_BYTES).unwrap();
        assert_eq!(writer.track().copy().records.len(), 0);
        (0..3).for_each(|n| writer.write(number(n)));
        let copied = writer.track().copy();
        assert_eq!((copied.lost, numbers(&copied)), (0, vec![0, 1, 2]));
    }

    #[test]
    fn copy_of_an_overwritten_track_has_all_but_one_of_its_slots() {
        let writer = TrackWriter::new(4 * SLOT_BYTES).unwrap();
        for n in 0..100 {
            writer.write(number(n));
            let copied = writer.track().copy();
            let first = (n + 2).saturating_sub(4);
            assert_eq!((copied.lost, numbers(&copied)), (first, (first..=n).collect()));
        }
    }

    #[test]
    fn track_has_the_bytes_that_were_asked_for() {
        for (bytes, has) in [(1 << 20, 1 << 20), (1000, 992), (1, SLOT_BYTES)] {
            assert_eq!(TrackWriter::new(bytes).unwrap().track().bytes(), has);
        }
        assert!(TrackWriter::new(usize::MAX).is_err());
    }
}
