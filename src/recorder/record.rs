//! A record: one event, or a part of it, in two words.

use crate::raw_task::Id;

/// Bits of a kind. The other bits of the first word are the time.
const KIND_BITS: u32 = 6;

/// Bits of a task's id in a record. The others are those of the ids that are current.
const ID_BITS: u32 = 44;
const ID_MASK: u64 = (1 << ID_BITS) - 1;

/// Bits of a number of events in a record, beside a duration.
const COUNT_BITS: u32 = 20;

/// The bytes of text in one record.
const TEXT_BYTES: usize = 14;

/// The most records that hold one text. What does not fit is cut off.
const TEXT_RECORDS: usize = 5;

/// What a record tells. The numbers up to 21 are those of the trace format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Spawn = 1,
    Wake = 2,
    PollStart = 3,
    PollEnd = 4,
    Steal = 5,
    Park = 6,
    Unpark = 7,
    Notify = 8,
    Reactor = 9,
    Timers = 10,
    JobQueued = 11,
    JobStart = 12,
    JobEnd = 13,
    Stall = 14,
    Rescue = 15,
    Resize = 16,
    Drain = 17,
    BudgetSpent = 18,
    Mark = 19,
    GlobalTake = 20,
    Started = 21,
    /// The thread that has caused the event of the record before it.
    Thread = 40,
    /// The name of the task in the record before it, or one more part of that.
    Name = 41,
    /// The group of the task in the record before it, or one more part of that.
    Group = 42,
    /// The text of the mark in the record before it, or one more part of that.
    Text = 43,
    /// A duration in nanoseconds that belongs to the record before it.
    Duration = 44,
}

impl Kind {
    const ALL: [Kind; 26] = [
        Kind::Spawn,
        Kind::Wake,
        Kind::PollStart,
        Kind::PollEnd,
        Kind::Steal,
        Kind::Park,
        Kind::Unpark,
        Kind::Notify,
        Kind::Reactor,
        Kind::Timers,
        Kind::JobQueued,
        Kind::JobStart,
        Kind::JobEnd,
        Kind::Stall,
        Kind::Rescue,
        Kind::Resize,
        Kind::Drain,
        Kind::BudgetSpent,
        Kind::Mark,
        Kind::GlobalTake,
        Kind::Started,
        Kind::Thread,
        Kind::Name,
        Kind::Group,
        Kind::Text,
        Kind::Duration,
    ];
}

/// How a poll has ended, as the trace format numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PollResult {
    Pending = 0,
    Yielded = 1,
    Completed = 2,
    Panicked = 3,
    Cancelled = 4,
}

/// A task in a record: its id, and 20 bits more.
///
/// The place where it was spawned is in the upper 16 of these bits, if the record tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskWord(u64);

impl TaskWord {
    /// Returns the word of a task, and of the number of its place.
    #[inline]
    pub(crate) fn new(task: u64, site: u16, result: PollResult) -> TaskWord {
        TaskWord((u64::from(site) << (ID_BITS + 4)) | ((result as u64) << ID_BITS) | (task & ID_MASK))
    }

    /// Returns the word of a task, and of a number that is at most 2²⁰ − 1.
    #[inline]
    pub(crate) fn with_count(task: u64, count: usize) -> TaskWord {
        TaskWord(((count as u64).min((1 << COUNT_BITS) - 1) << ID_BITS) | (task & ID_MASK))
    }

    /// Returns the lower bits of the task's id.
    pub(crate) fn task(self) -> u64 {
        self.0 & ID_MASK
    }

    /// Returns the number of the place, or zero.
    pub(crate) fn site(self) -> u16 {
        (self.0 >> (ID_BITS + 4)) as u16
    }

    /// Returns how a poll has ended.
    pub(crate) fn result(self) -> u64 {
        (self.0 >> ID_BITS) & 15
    }

    /// Returns the number.
    pub(crate) fn count(self) -> u64 {
        self.0 >> ID_BITS
    }
}

/// Returns the id whose lower bits are `low`, if all ids are at most `newest`.
pub(crate) fn complete_id(low: u64, newest: u64) -> u64 {
    let id = (newest & !ID_MASK) | low;
    if id > newest { id.saturating_sub(1 << ID_BITS) } else { id }
}

/// A copy of a text, as much of it as records hold.
pub(crate) struct CutText {
    bytes: [u8; TEXT_BYTES * TEXT_RECORDS],
    len: u8,
}

impl CutText {
    pub(crate) fn new(text: &str) -> CutText {
        let mut cut = CutText { bytes: [0; TEXT_BYTES * TEXT_RECORDS], len: 0 };
        let len = text.len().min(cut.bytes.len());
        cut.bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
        cut.len = len as u8;
        cut
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record([u64; 2]);

impl Record {
    #[inline]
    pub(crate) fn new(kind: Kind, at: u64, payload: u64) -> Record {
        Record([(at << KIND_BITS) | kind as u64, payload])
    }

    /// Returns the record of an event of a task.
    #[inline]
    pub(crate) fn of_task(kind: Kind, at: u64, word: TaskWord) -> Record {
        Record::new(kind, at, word.0)
    }

    /// Returns the record of an event that tells nothing of its task but the id.
    #[inline]
    pub(crate) fn of_id(kind: Kind, at: u64, task: Id) -> Record {
        Record::of_task(kind, at, TaskWord::with_count(task.get(), 0))
    }

    /// Returns the record of so many events that have taken, or missed, so much time.
    pub(crate) fn counted(kind: Kind, at: u64, count: usize, time: u64) -> Record {
        let time = time.min(u64::MAX >> COUNT_BITS);
        Record::new(kind, at, (time << COUNT_BITS) | (count as u64).min((1 << COUNT_BITS) - 1))
    }

    /// Returns the record of two numbers.
    pub(crate) fn pair(kind: Kind, at: u64, first: usize, second: usize) -> Record {
        let narrow = |number: usize| u64::from(u32::try_from(number).unwrap_or(u32::MAX));
        Record::new(kind, at, (narrow(second) << 32) | narrow(first))
    }

    /// Returns the records of a text. They follow the record to which it belongs.
    pub(crate) fn of_text(kind: Kind, text: &[u8]) -> impl Iterator<Item = Record> + '_ {
        text.chunks(TEXT_BYTES).take(TEXT_RECORDS).map(move |chunk| {
            let mut bytes = [0; 16];
            bytes[1] = chunk.len() as u8;
            bytes[2..2 + chunk.len()].copy_from_slice(chunk);
            let [first, second] = [0, 8].map(|at| {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[at..at + 8]);
                u64::from_le_bytes(word)
            });
            Record([first | kind as u64, second])
        })
    }

    pub(crate) fn words(self) -> [u64; 2] {
        self.0
    }

    pub(crate) fn from_words(words: [u64; 2]) -> Record {
        Record(words)
    }

    /// Returns the kind, or `None` if the slot has never been written.
    pub(crate) fn kind(self) -> Option<Kind> {
        let number = self.0[0] & ((1 << KIND_BITS) - 1);
        Kind::ALL.into_iter().find(|kind| *kind as u64 == number)
    }

    /// Returns the time, in ticks.
    pub(crate) fn at(self) -> u64 {
        self.0[0] >> KIND_BITS
    }

    pub(crate) fn payload(self) -> u64 {
        self.0[1]
    }

    pub(crate) fn task(self) -> TaskWord {
        TaskWord(self.0[1])
    }

    /// Returns the count and the time of [`Record::counted`].
    pub(crate) fn count_and_time(self) -> (u64, u64) {
        (self.0[1] & ((1 << COUNT_BITS) - 1), self.0[1] >> COUNT_BITS)
    }

    /// Returns the two numbers of [`Record::pair`].
    pub(crate) fn numbers(self) -> (u64, u64) {
        (self.0[1] & u64::from(u32::MAX), self.0[1] >> 32)
    }

    /// Appends the text of this record.
    pub(crate) fn append_text(self, text: &mut Vec<u8>) {
        let [first, second] = self.0.map(u64::to_le_bytes);
        let len = usize::from(first[1]).min(TEXT_BYTES);
        text.extend(first[2..].iter().chain(&second).take(len));
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn record_of_a_task_returns_what_it_was_made_of() {
        let record = Record::of_task(Kind::PollEnd, 123_456, TaskWord::new(77, 4096, PollResult::Panicked));
        assert_eq!((record.kind(), record.at()), (Some(Kind::PollEnd), 123_456));
        let word = record.task();
        assert_eq!((word.task(), word.site(), word.result()), (77, 4096, 3));
        let word = TaskWord::with_count(5, usize::MAX);
        assert_eq!((word.task(), word.count()), (5, (1 << 20) - 1));
    }

    #[test]
    fn record_with_numbers_beyond_its_fields_has_the_largest_ones() {
        let record = Record::counted(Kind::Timers, 1, usize::MAX, u64::MAX);
        assert_eq!(record.count_and_time(), ((1 << 20) - 1, (1 << 44) - 1));
        assert_eq!(Record::pair(Kind::Resize, 1, 3, usize::MAX).numbers(), (3, u32::MAX.into()));
    }

    #[test]
    fn text_longer_than_its_records_is_cut() {
        let long = "0123456789".repeat(20);
        for (text, kept) in [("", 0), ("short", 5), ("exactly 14 byt", 14), (long.as_str(), TEXT_BYTES * TEXT_RECORDS)]
        {
            let mut back = Vec::new();
            for record in Record::of_text(Kind::Name, text.as_bytes()) {
                assert_eq!(record.kind(), Some(Kind::Name));
                record.append_text(&mut back);
            }
            assert_eq!(back, &text.as_bytes()[..kept]);
        }
    }

    #[test]
    fn id_from_its_lower_bits_is_the_newest_that_fits() {
        for id in [1, ID_MASK, ID_MASK + 1, 5 << ID_BITS] {
            for newest in [id, id + 1000, id + ID_MASK] {
                assert_eq!(complete_id(id & ID_MASK, newest), id);
            }
        }
    }
}
