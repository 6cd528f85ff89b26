//! The trace file.
#![doc = include_str!("../../docs/trace-format.md")]

use std::collections::HashMap;

use super::snapshot::{Events, TimedEvent, TimedTrack};

/// The first bytes of a file: the magic text, the version, and two zeros.
const HEAD: &[u8; 12] = b"HEISTTRC\x01\x00\x00\x00";

/// What a file tells of the runtime.
#[derive(Debug)]
pub(crate) struct RuntimeFacts {
    pub(crate) name: String,
    pub(crate) reason: &'static str,
    pub(crate) unix_nanos: u64,
    pub(crate) taken_at: u64,
    pub(crate) workers: usize,
}

/// Bytes that grow by the elements of the format.
#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    /// Appends a section. If it were longer than its length can tell, it is left out.
    fn section(&mut self, tag: u8, payload: Encoder) {
        if let Ok(len) = u32::try_from(payload.0.len()) {
            self.0.push(tag);
            self.0.extend(len.to_le_bytes());
            self.0.extend(payload.0);
        }
    }
}

/// The texts of a file, each once.
#[derive(Default)]
struct Texts<'a> {
    indices: HashMap<&'a str, u64>,
    in_order: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn index(&mut self, text: &'a str) -> u64 {
        *self.indices.entry(text).or_insert_with(|| {
            self.in_order.push(text);
            self.in_order.len() as u64 - 1
        })
    }

    /// Returns the index plus one, or zero for no text.
    fn optional(&mut self, text: Option<&'a str>) -> u64 {
        text.map_or(0, |text| self.index(text) + 1)
    }
}

/// Returns the bytes of a trace file.
pub(crate) fn encode(facts: &RuntimeFacts, events: &Events) -> Vec<u8> {
    let mut texts = Texts::default();
    let tasks = encode_tasks(events, &mut texts);
    let tracks: Vec<Encoder> = events.tracks.iter().map(|track| encode_track(track, &mut texts)).collect();
    let mut file = Encoder(HEAD.to_vec());
    file.section(1, encode_facts(facts));
    let mut section = Encoder::default();
    section.number(texts.in_order.len() as u64);
    texts.in_order.iter().for_each(|text| section.text(text));
    file.section(2, section);
    file.section(3, tasks);
    tracks.into_iter().for_each(|track| file.section(4, track));
    file.0
}

fn encode_facts(facts: &RuntimeFacts) -> Encoder {
    let mut section = Encoder::default();
    [env!("CARGO_PKG_VERSION"), &facts.name, facts.reason].into_iter().for_each(|text| section.text(text));
    [u64::from(std::process::id()), facts.unix_nanos, facts.taken_at, facts.workers as u64]
        .into_iter()
        .for_each(|number| section.number(number));
    section
}

fn encode_tasks<'a>(events: &'a Events, texts: &mut Texts<'a>) -> Encoder {
    let mut section = Encoder::default();
    section.number(events.tasks.len() as u64);
    for (id, task) in &events.tasks {
        section.number(*id);
        section.number(u64::from(task.is_alive) | u64::from(task.is_job) << 1);
        section.number(texts.optional(task.name.as_deref()));
        section.number(texts.optional(task.group.as_deref()));
        section.number(texts.optional(task.location.map(std::panic::Location::file)));
        section.number(task.location.map_or(0, |place| place.line().into()));
        section.number(task.location.map_or(0, |place| place.column().into()));
    }
    section
}

fn encode_track<'a>(track: &'a TimedTrack, texts: &mut Texts<'a>) -> Encoder {
    let mut section = Encoder::default();
    section.number(track.seat.is_none().into());
    section.number(track.seat.unwrap_or(0) as u64);
    section.number(track.thread.into());
    section.number(track.lost);
    section.number(track.events.len() as u64);
    let mut before = 0;
    for TimedEvent { kind, at, fields, text } in &track.events {
        let text = text.as_deref().map(|text| texts.index(text));
        let fields = fields.as_slice();
        let count = (fields.len() + usize::from(text.is_some())) as u64;
        section.number((*kind as u64) << 3 | count);
        section.number(at - before);
        text.iter().chain(fields).for_each(|field| section.number(*field));
        before = *at;
    }
    section
}
