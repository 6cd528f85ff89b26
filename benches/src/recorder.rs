//! The time of one event of the flight recorder.

use std::time::Instant;

use crate::contender::Contender;
use crate::contenders::heist::Heist;

/// Nanoseconds per operation, the best of some passes.
pub struct EventTimes {
    /// A mark, which is two events: the mark and its text.
    pub on: f64,
    pub off: f64,
    /// A poll that yields: its start and its end.
    pub poll_on: f64,
    pub poll_off: f64,
}

const OPERATIONS: u32 = 1_000_000;
const PASSES: usize = 11;

/// Measures on a runtime of one worker.
pub fn event() -> EventTimes {
    let [on, off] = [true, false].map(|records| best(records, mark));
    let [poll_on, poll_off] = [true, false].map(|records| best(records, poll));
    EventTimes { on, off, poll_on, poll_off }
}

fn best(records: bool, pass: fn(&Heist) -> f64) -> f64 {
    let runtime = Heist::with_recorder(1, records);
    (0..PASSES).map(|_| pass(&runtime)).fold(f64::INFINITY, f64::min)
}

fn mark(runtime: &Heist) -> f64 {
    let marks = runtime.spawn_outside(async {
        let began = Instant::now();
        for _ in 0..OPERATIONS {
            heist::runtime::mark("event");
        }
        began.elapsed().as_nanos() as f64 / f64::from(OPERATIONS)
    });
    runtime.runtime().block_on(marks)
}

fn poll(runtime: &Heist) -> f64 {
    let polls = runtime.spawn_outside(async {
        let began = Instant::now();
        for _ in 0..OPERATIONS {
            heist::task::yield_now().await;
        }
        began.elapsed().as_nanos() as f64 / f64::from(OPERATIONS)
    });
    runtime.runtime().block_on(polls)
}
