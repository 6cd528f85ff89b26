//! The flight recorder, seen from outside: what it records, and when it saves snapshots.

#[path = "recorder/events.rs"]
mod events;
#[path = "recorder/snapshots.rs"]
mod snapshots;

use heist::runtime::{Builder, Runtime};
use heist_trace::{Event, EventKind, Trace, TrackKind};

/// Returns a runtime of one worker that records from the start.
fn recording() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).flight_recorder(256 << 10).enable_all().build().unwrap()
}

/// Returns the events of the worker, or of the other threads, for which `wanted` returns true.
fn events<'a>(trace: &'a Trace<'_>, of: TrackKind, wanted: impl Fn(&EventKind<'_>) -> bool) -> Vec<Event<'a>> {
    let tracks = trace.tracks().filter(|track| track.kind() == of);
    tracks.flat_map(|track| track.events().collect::<Vec<_>>()).filter(|event| wanted(&event.kind)).collect()
}
