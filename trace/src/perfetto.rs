//! Converts a trace into a file for the viewer Perfetto.
//!
//! Workers and other threads are tracks. Polls and parks are slices, and wake-ups are flows from an
//! instant to a slice. The lengths of the queues are counters.

mod protobuf;

use std::io::{self, Write};

use self::protobuf::Message;
use crate::event::EventKind;
use crate::history::{History, Poll, Trigger};
use crate::instant::Instant;
use crate::label::Label;
use crate::lanes::{Lane, Lanes};
use crate::nanos::Nanos;

/// Numbers of fields in Perfetto's schema.
mod field {
    pub(super) const TRACE_PACKET: u64 = 1;

    pub(super) const PACKET_TIMESTAMP: u64 = 8;
    pub(super) const PACKET_SEQUENCE: u64 = 10;
    pub(super) const PACKET_TRACK_EVENT: u64 = 11;
    pub(super) const PACKET_INTERNED_DATA: u64 = 12;
    pub(super) const PACKET_SEQUENCE_FLAGS: u64 = 13;
    pub(super) const PACKET_TRACK_DESCRIPTOR: u64 = 60;

    pub(super) const INTERNED_EVENT_NAMES: u64 = 2;
    pub(super) const EVENT_NAME_ID: u64 = 1;
    pub(super) const EVENT_NAME_TEXT: u64 = 2;

    pub(super) const TRACK_UUID: u64 = 1;
    pub(super) const TRACK_NAME: u64 = 2;
    pub(super) const TRACK_PROCESS: u64 = 3;
    pub(super) const TRACK_THREAD: u64 = 4;
    pub(super) const TRACK_PARENT: u64 = 5;
    pub(super) const TRACK_COUNTER: u64 = 8;

    pub(super) const PROCESS_PID: u64 = 1;
    pub(super) const PROCESS_NAME: u64 = 6;
    pub(super) const THREAD_PID: u64 = 1;
    pub(super) const THREAD_TID: u64 = 2;
    pub(super) const THREAD_NAME: u64 = 5;

    pub(super) const EVENT_ANNOTATIONS: u64 = 4;
    pub(super) const EVENT_TYPE: u64 = 9;
    pub(super) const EVENT_NAME_INTERNED: u64 = 10;
    pub(super) const EVENT_TRACK: u64 = 11;
    pub(super) const EVENT_CATEGORIES: u64 = 22;
    pub(super) const EVENT_NAME: u64 = 23;
    pub(super) const EVENT_COUNTER: u64 = 30;
    pub(super) const EVENT_FLOWS: u64 = 47;
    pub(super) const EVENT_ENDING_FLOWS: u64 = 48;

    pub(super) const ANNOTATION_UINT: u64 = 3;
    pub(super) const ANNOTATION_STRING: u64 = 6;
    pub(super) const ANNOTATION_NAME: u64 = 10;
}

const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;

/// All packets are of one sequence. Its first packet declares that nothing is interned before it.
const SEQUENCE: u64 = 1;
const STATE_CLEARED: u64 = 1;
const NEEDS_STATE: u64 = 2;

/// The tracks are numbered: the process, the lanes with even numbers, the counters with odd ones.
const PROCESS_TRACK: u64 = 1;

fn lane_track(lane: usize) -> u64 {
    2 + 2 * lane as u64
}

fn counter_track(track: usize) -> u64 {
    3 + 2 * track as u64
}

/// Writes the trace in Perfetto's format.
///
/// # Errors
///
/// Returns the errors of `out`.
pub fn write(history: &History<'_>, out: &mut impl Write) -> io::Result<()> {
    let mut timeline = Timeline { history, lanes: Lanes::new(history.trace()), out };
    timeline.write_process()?;
    timeline.write_polls()?;
    timeline.write_parks()?;
    timeline.write_wakes()?;
    timeline.write_events()
}

struct Timeline<'h, 'a, W> {
    history: &'h History<'a>,
    lanes: Lanes,
    out: &'h mut W,
}

impl<W: Write> Timeline<'_, '_, W> {
    /// Writes a packet of the sequence.
    fn write_packet(&mut self, mut packet: Message, flags: u64) -> io::Result<()> {
        packet.number(field::PACKET_SEQUENCE, SEQUENCE);
        packet.number(field::PACKET_SEQUENCE_FLAGS, flags);
        let mut trace = Message::default();
        trace.message(field::TRACE_PACKET, &packet);
        self.out.write_all(trace.bytes())
    }

    fn write_event(&mut self, at: Nanos, event: &Message) -> io::Result<()> {
        let mut packet = Message::default();
        packet.number(field::PACKET_TIMESTAMP, at.0);
        packet.message(field::PACKET_TRACK_EVENT, event);
        self.write_packet(packet, NEEDS_STATE)
    }

    fn write_track(&mut self, descriptor: &Message) -> io::Result<()> {
        let mut packet = Message::default();
        packet.message(field::PACKET_TRACK_DESCRIPTOR, descriptor);
        self.write_packet(packet, NEEDS_STATE)
    }

    /// Writes the process, and the names of the kinds of tasks. A kind's number is its index plus
    /// one.
    fn write_process(&mut self) -> io::Result<()> {
        let runtime = self.history.trace().runtime();
        let mut process = Message::default();
        process.number(field::PROCESS_PID, short_id(runtime.process));
        process.text(field::PROCESS_NAME, &Label::Name(runtime.name).to_string());
        let mut descriptor = Message::default();
        descriptor.number(field::TRACK_UUID, PROCESS_TRACK);
        descriptor.message(field::TRACK_PROCESS, &process);
        let mut packet = Message::default();
        packet.message(field::PACKET_TRACK_DESCRIPTOR, &descriptor);
        self.write_packet(packet, STATE_CLEARED)?;
        for (index, kind) in self.history.kinds().iter().enumerate() {
            let mut name = Message::default();
            name.number(field::EVENT_NAME_ID, index as u64 + 1);
            name.text(field::EVENT_NAME_TEXT, &kind.to_string());
            let mut interned = Message::default();
            interned.message(field::INTERNED_EVENT_NAMES, &name);
            let mut packet = Message::default();
            packet.message(field::PACKET_INTERNED_DATA, &interned);
            self.write_packet(packet, NEEDS_STATE)?;
        }
        Ok(())
    }

    /// Returns the number of a lane's track, which is described if it is new.
    fn describe_lane(&mut self, (index, new): (usize, Option<Lane>)) -> io::Result<u64> {
        let uuid = lane_track(index);
        if let Some(lane) = new {
            // A thread whose id is unknown gets one that no thread of Linux has.
            let tid = if lane.thread == 0 { (1 << 30) + index as u64 } else { lane.thread };
            let mut thread = Message::default();
            thread.number(field::THREAD_PID, short_id(self.history.trace().runtime().process));
            thread.number(field::THREAD_TID, short_id(tid));
            thread.text(field::THREAD_NAME, &lane.to_string());
            let mut descriptor = Message::default();
            descriptor.number(field::TRACK_UUID, uuid);
            descriptor.message(field::TRACK_THREAD, &thread);
            descriptor.number(field::TRACK_PARENT, PROCESS_TRACK);
            self.write_track(&descriptor)?;
        }
        Ok(uuid)
    }

    fn write_polls(&mut self) -> io::Result<()> {
        let history = self.history;
        for poll in history.polls() {
            let lane = self.lanes.of_poll(poll);
            let track = self.describe_lane(lane)?;
            let mut begin = event(SLICE_BEGIN, track, "poll");
            begin.number(field::EVENT_NAME_INTERNED, history.tasks()[poll.task()].kind() as u64 + 1);
            begin.message(field::EVENT_ANNOTATIONS, &number("task", history.tasks()[poll.task()].id().0));
            begin.message(field::EVENT_ANNOTATIONS, &number("woken", poll.woken()));
            if let Some(how) = poll.how() {
                begin.message(field::EVENT_ANNOTATIONS, &text("how", how.name()));
            }
            if let Some(wait) = poll.wait() {
                begin.fixed(field::EVENT_ENDING_FLOWS, wait as u64 + 1);
            }
            self.write_event(poll.start(), &begin)?;
            self.write_event(poll.end(), &event(SLICE_END, track, "poll"))?;
        }
        Ok(())
    }

    fn write_parks(&mut self) -> io::Result<()> {
        let history = self.history;
        for (index, times) in history.tracks().iter().enumerate() {
            for (start, end) in &times.parks {
                let lane = self.lanes.lane(index, 0);
                let track = self.describe_lane(lane)?;
                let mut begin = event(SLICE_BEGIN, track, "park");
                begin.text(field::EVENT_NAME, "parked");
                self.write_event(*start, &begin)?;
                self.write_event(*end, &event(SLICE_END, track, "park"))?;
            }
        }
        Ok(())
    }

    /// Writes an instant for each wake-up, with a flow to its poll.
    fn write_wakes(&mut self) -> io::Result<()> {
        let history = self.history;
        for (index, wait) in history.waits().iter().enumerate() {
            let Some(poll) = wait.poll().map(|poll: usize| -> &Poll { &history.polls()[poll] }) else { continue };
            let lane = self.lanes.of_wait(history, wait);
            let track = self.describe_lane(lane)?;
            let mut instant = event(INSTANT, track, "wake");
            let verb = match wait.trigger() {
                Trigger::Spawn => "spawn",
                Trigger::Wake => "wake",
                Trigger::Yield => "yield",
            };
            instant.text(field::EVENT_NAME, verb);
            instant.message(field::EVENT_ANNOTATIONS, &number("task", history.tasks()[poll.task()].id().0));
            instant.fixed(field::EVENT_FLOWS, index as u64 + 1);
            self.write_event(wait.since(), &instant)?;
        }
        Ok(())
    }

    fn write_events(&mut self) -> io::Result<()> {
        let history = self.history;
        for (index, track) in history.trace().tracks().enumerate() {
            let mut has_counter = false;
            for recorded in track.events() {
                if let EventKind::PollStart { queued, .. } = recorded.kind {
                    if !std::mem::replace(&mut has_counter, true) {
                        self.write_counter_track(index, &format!("queued at {}", track.kind()))?;
                    }
                    let mut counter = event(COUNTER, counter_track(index), "queue");
                    counter.number(field::EVENT_COUNTER, queued.min(i64::MAX as u64));
                    self.write_event(recorded.at, &counter)?;
                }
                let Some(point) = Instant::of(history, recorded.kind) else { continue };
                let lane = self.lanes.lane(index, recorded.kind.thread());
                let lane = self.describe_lane(lane)?;
                let target = if point.is_global() { PROCESS_TRACK } else { lane };
                let mut instant = event(INSTANT, target, "event");
                instant.text(field::EVENT_NAME, &point.to_string());
                for (name, value) in point.numbers() {
                    instant.message(field::EVENT_ANNOTATIONS, &number(name, value));
                }
                self.write_event(recorded.at, &instant)?;
            }
        }
        Ok(())
    }

    fn write_counter_track(&mut self, track: usize, name: &str) -> io::Result<()> {
        let mut descriptor = Message::default();
        descriptor.number(field::TRACK_UUID, counter_track(track));
        descriptor.number(field::TRACK_PARENT, PROCESS_TRACK);
        descriptor.text(field::TRACK_NAME, name);
        descriptor.message(field::TRACK_COUNTER, &Message::default());
        self.write_track(&descriptor)
    }
}

fn event(kind: u64, track: u64, category: &str) -> Message {
    let mut event = Message::default();
    event.number(field::EVENT_TYPE, kind);
    event.number(field::EVENT_TRACK, track);
    if kind != SLICE_END {
        event.text(field::EVENT_CATEGORIES, category);
    }
    event
}

/// Returns an annotation with a number.
fn number(name: &str, value: u64) -> Message {
    let mut annotation = Message::default();
    annotation.text(field::ANNOTATION_NAME, name);
    annotation.number(field::ANNOTATION_UINT, value);
    annotation
}

/// Returns an annotation with a text.
fn text(name: &str, value: &str) -> Message {
    let mut annotation = Message::default();
    annotation.text(field::ANNOTATION_NAME, name);
    annotation.text(field::ANNOTATION_STRING, value);
    annotation
}

/// Returns an id as a positive number of 32 bits with a sign, which the schema has for ids.
fn short_id(id: u64) -> u64 {
    id & 0x7fff_ffff
}
