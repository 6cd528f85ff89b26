//! The flight recorder: a reader of a track that is being written. See docs/recorder.md.

use super::support::start;
use crate::primitive::model;
use crate::recorder::record::{Kind, Record};
use crate::recorder::track::{CopiedRecords, SLOT_BYTES, TrackWriter};

/// Returns the record of this number. Its words name the number, so a torn record is seen.
fn numbered(number: u64) -> Record {
    Record::new(Kind::Steal, number, number)
}

/// Checks that a copy has consecutive records, each of one piece.
fn check(copied: &CopiedRecords) {
    for (number, record) in (copied.lost..).zip(&copied.records) {
        assert_eq!(*record, numbered(number), "the copy has a torn record, or skips one: {copied:?}");
    }
}

#[test]
fn copied_records_are_whole_and_consecutive() {
    model(|| {
        let writer = TrackWriter::new(2 * SLOT_BYTES).expect("memory");
        let track = std::sync::Arc::clone(writer.track());
        writer.write(numbered(0));
        let reader = start(move || check(&track.copy()));
        (1..4).for_each(|number| writer.write(numbered(number)));
        reader.join().expect("the reader");
        let copied = writer.track().copy();
        check(&copied);
        assert_eq!((copied.lost, copied.records.len()), (3, 1));
    });
}

#[test]
fn copy_after_the_writer_has_moved_has_what_both_have_written() {
    model(|| {
        let writer = TrackWriter::new(3 * SLOT_BYTES).expect("memory");
        let track = std::sync::Arc::clone(writer.track());
        // As a seat that passes from one worker to the next.
        let second = start(move || {
            writer.write(numbered(0));
            writer
        });
        check(&track.copy());
        let writer = second.join().expect("the writer");
        writer.write(numbered(1));
        let copied = track.copy();
        check(&copied);
        assert_eq!((copied.lost, copied.records.len()), (0, 2));
    });
}
