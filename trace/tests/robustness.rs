//! Any bytes give a trace or an error: no panic, and no more memory than a multiple of the file.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use heist_trace::Trace;

#[path = "support/analyses.rs"]
mod analyses;
#[path = "support/mutation.rs"]
mod mutation;
#[path = "support/random.rs"]
mod random;
#[path = "support/sample.rs"]
mod sample;
#[path = "support/simulation.rs"]
mod simulation;

use random::Random;

/// The most bytes that may be allocated at a time, for each byte of a file.
const MOST_PER_BYTE: usize = 256;

/// The most bytes that may be allocated at a time, whatever the file is.
const MOST_FOR_ANY: usize = 64 * 1024;

const ROUNDS: u64 = 200_000;

/// Counts the bytes that this thread has allocated.
struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(allocated: usize, freed: usize) {
    let live = LIVE.get().wrapping_add(allocated);
    PEAK.set(PEAK.get().max(live));
    LIVE.set(live.wrapping_sub(freed));
}

// SAFETY: each method passes its arguments to the same method of `System`, and counts besides.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the requirements of this method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps the requirements of this method.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller keeps the requirements of this method.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Runs everything on a file. Returns whether it is a trace, and the bytes that were allocated at a
/// time.
fn checked(file: &[u8]) -> (bool, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let is_trace = analyses::run_all(file);
    let peak = PEAK.get() - before;
    let most = MOST_FOR_ANY + MOST_PER_BYTE * file.len();
    assert!(peak <= most, "{peak} bytes were allocated for a file of {} bytes", file.len());
    assert_eq!(LIVE.get(), before, "memory is leaked");
    (is_trace, peak)
}

#[test]
fn trace_that_is_cut_anywhere_gives_an_error_or_a_part() {
    let file = sample::every_event();
    assert!(checked(&file).0);
    let parts = (0..file.len()).filter(|length| checked(&file[..*length]).0).count();
    // A cut between sections is a valid file: behind the runtime, the texts, the tasks, two tracks.
    assert_eq!(parts, 5);
}

#[test]
fn trace_with_any_byte_changed_gives_an_error_or_a_trace() {
    let file = sample::every_event();
    let mut traces = 0;
    for at in 0..file.len() {
        let mut changed = file.clone();
        for bit in 0..8 {
            changed[at] = file[at] ^ 1 << bit;
            traces += u64::from(checked(&changed).0);
        }
        for byte in [0x00, 0x7f, 0x80, 0xff] {
            changed[at] = byte;
            traces += u64::from(checked(&changed).0);
        }
    }
    assert!(traces > file.len() as u64);
}

#[test]
fn trace_with_random_mutations_gives_an_error_or_a_trace() {
    let mut random = Random::new(1);
    let samples = [sample::every_event(), simulation::simulated(2, 100, 3)];
    let mut traces = 0;
    for round in 0..ROUNDS {
        let mut file = match round % 3 {
            2 => mutation::random_file(&mut random),
            other => samples[other as usize].clone(),
        };
        if round % 3 < 2 || random.one_in(2) {
            mutation::mutate(&mut file, &mut random);
        }
        traces += u64::from(checked(&file).0);
    }
    assert!(traces > ROUNDS / 10, "only {traces} of {ROUNDS} mutated files are traces");
}

#[test]
fn trace_with_huge_counts_allocates_nothing_for_them() {
    let file = sample::every_event();
    let header = &file[..12];
    for tag in 2..=4 {
        let mut changed = header.to_vec();
        heist_trace::write::put_section(&mut changed, 1, &[0; 7]);
        let mut body = Vec::new();
        (0..5).for_each(|_| heist_trace::write::put_number(&mut body, u64::MAX));
        heist_trace::write::put_section(&mut changed, tag, &body);
        let before = LIVE.get();
        PEAK.set(before);
        assert!(Trace::parse(&changed).is_err());
        assert!(PEAK.get() - before < 1_000);
    }
}

#[test]
fn trace_with_one_long_text_in_each_task_is_analysed_in_linear_space() {
    let mut builder = heist_trace::write::TraceBuilder::new(&sample::runtime(0, 1));
    let long = "x".repeat(50_000);
    for id in 0..5_000 {
        let mut task = heist_trace::Task::new(heist_trace::TaskId(id));
        task.place = Some(heist_trace::Place { file: &long, line: id, column: 1 });
        builder.task(&task);
    }
    assert!(checked(&builder.finish()).0);
}
