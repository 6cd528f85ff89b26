//! Random changes of trace files that keep most of their structure.

use heist_trace::write::{put_header, put_number, put_section, put_text};

use crate::random::Random;

/// Numbers at the edges of what fits into something.
const EDGES: [u64; 12] = [0, 1, 2, 127, 128, 255, 65_535, 1 << 31, u32::MAX as u64, 1 << 53, i64::MAX as u64, u64::MAX];

/// Bytes that change the meaning of a number.
const BYTES: [u8; 6] = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff];

/// Changes a file: up to eight changes of bytes, or one of sections.
pub(crate) fn mutate(file: &mut Vec<u8>, random: &mut Random) {
    if random.one_in(4) {
        *file = mutate_sections(file, random);
    }
    for _ in 0..random.below(8) {
        mutate_bytes(file, random);
    }
}

fn mutate_bytes(file: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(file.len() as u64) as usize;
    if file.is_empty() {
        return;
    }
    match random.below(7) {
        0 => file[at] ^= 1 << random.below(8),
        1 => file[at] = random.next() as u8,
        2 => file[at] = BYTES[random.below(BYTES.len() as u64) as usize],
        3 => drop(file.remove(at)),
        4 => file.insert(at, random.next() as u8),
        5 => file.truncate(at),
        _ => {
            // Copies some bytes to another place.
            let length = (random.below(32) as usize).min(file.len() - at);
            let to = random.below((file.len() - length + 1) as u64) as usize;
            file.copy_within(at..at + length, to);
        }
    }
}

/// Removes, repeats, renames or swaps sections.
fn mutate_sections(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut sections = Vec::new();
    let mut rest = file.get(12..).unwrap_or(&[]);
    while let [tag, a, b, c, d, after @ ..] = rest {
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let body = &after[..length.min(after.len())];
        sections.push((*tag, body));
        rest = &after[body.len()..];
    }
    let at = random.below(sections.len() as u64) as usize;
    if !sections.is_empty() {
        match random.below(4) {
            0 => drop(sections.remove(at)),
            1 => sections.insert(at, sections[at]),
            2 => sections[at].0 = random.below(7) as u8,
            _ => sections.swap(0, at),
        }
    }
    let mut changed = Vec::new();
    put_header(&mut changed);
    sections.iter().for_each(|(tag, body)| put_section(&mut changed, *tag, body));
    changed
}

/// Returns a file of random events. Most are of known kinds and name few tasks, so that the file is
/// valid most of the time.
pub(crate) fn random_file(random: &mut Random) -> Vec<u8> {
    let mut file = Vec::new();
    put_header(&mut file);
    let mut body = Vec::new();
    ["0.1.0", "random", "request"].iter().for_each(|text| put_text(&mut body, text));
    (0..4).for_each(|_| put_number(&mut body, number(random)));
    put_section(&mut file, 1, &body);
    let mut body = Vec::new();
    put_number(&mut body, 3);
    ["a", "src/b.rs", "c;\"\n"].iter().for_each(|text| put_text(&mut body, text));
    put_section(&mut file, 2, &body);
    let mut body = Vec::new();
    let tasks = random.below(20);
    put_number(&mut body, tasks);
    for id in 0..tasks {
        for field in [id, random.below(4), random.below(4), random.below(4), random.below(4), number(random), 1] {
            put_number(&mut body, field);
        }
    }
    put_section(&mut file, 3, &body);
    for _ in 0..random.below(4) {
        let mut body = Vec::new();
        let events = random.below(60);
        for field in [random.below(8) / 3, random.below(4), random.below(4), random.below(2), events] {
            put_number(&mut body, field);
        }
        (0..events).for_each(|_| put_random_event(&mut body, random));
        put_section(&mut file, 4, &body);
    }
    file
}

fn put_random_event(body: &mut Vec<u8>, random: &mut Random) {
    // The kinds of polls and wake-ups are the most frequent ones.
    let kind = if random.one_in(3) { random.below(24) } else { 1 + random.below(4) };
    let fields = if random.one_in(8) { random.below(8) } else { 2 };
    put_number(body, kind << 3 | fields);
    put_number(body, if random.one_in(500) { number(random) } else { random.below(10_000) });
    for _ in 0..fields {
        let is_large = kind != 19 && random.one_in(50);
        put_number(body, if is_large { number(random) } else { random.below(if kind == 19 { 3 } else { 12 }) });
    }
}

/// Returns a number at an edge, or any number.
fn number(random: &mut Random) -> u64 {
    let edge = EDGES[random.below(EDGES.len() as u64) as usize];
    if random.one_in(4) { random.next() >> random.below(64) } else { edge }
}
