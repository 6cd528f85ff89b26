//! The events of all tracks, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::event::{Event, EventKind};
use crate::nanos::Nanos;
use crate::trace::Trace;
use crate::track::{Events, TrackKind};

/// The events of all known tracks, in the order of time, each with the index of its track.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    tracks: Vec<(Events<'a>, Option<Event<'a>>)>,
    /// The time of the next event of each track that has one.
    heads: BinaryHeap<Reverse<(Nanos, u8, u32)>>,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(trace: &'a Trace<'a>) -> Self {
        let mut merge = Self { tracks: Vec::new(), heads: BinaryHeap::new() };
        for (index, track) in trace.tracks().enumerate() {
            let mut events = track.events();
            let head = if matches!(track.kind(), TrackKind::Unknown(_)) { None } else { events.next() };
            merge.heads.extend(head.map(|head| Reverse((head.at, rank(&head.kind), index as u32))));
            merge.tracks.push((events, head));
        }
        merge
    }
}

impl<'a> Iterator for Merge<'a> {
    type Item = (u32, Event<'a>);

    fn next(&mut self) -> Option<(u32, Event<'a>)> {
        let mut first = self.heads.peek_mut()?;
        let index = first.0.2;
        let (events, head) = &mut self.tracks[index as usize];
        let event = head.take()?;
        *head = events.next();
        match head {
            Some(next) => *first = Reverse((next.at, rank(&next.kind), index)),
            None => drop(std::collections::binary_heap::PeekMut::pop(first)),
        }
        Some((index, event))
    }
}

/// Returns the order of events at the same time: what queues a task comes before its poll.
fn rank(kind: &EventKind<'_>) -> u8 {
    match kind {
        EventKind::PollStart { .. } | EventKind::BlockingStart { .. } => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskId;
    use crate::trace::Runtime;
    use crate::write::TraceBuilder;

    #[test]
    fn merge_of_two_tracks_is_in_the_order_of_time() {
        let mut builder = TraceBuilder::new(&Runtime::default());
        let start = EventKind::PollStart { task: TaskId(1), queued: 0 };
        let wake = EventKind::Wake { task: TaskId(1), thread: 0 };
        builder.track(TrackKind::Worker(0), &[Event::new(Nanos(5), start), Event::new(Nanos(7), EventKind::Park)]);
        builder.track(TrackKind::Unknown(9), &[Event::new(Nanos(6), EventKind::Park)]);
        builder.track(TrackKind::Threads, &[Event::new(Nanos(5), wake), Event::new(Nanos(9), EventKind::Unpark)]);
        let file = builder.finish();
        let trace = Trace::parse(&file).unwrap();
        let order: Vec<(u32, u64)> = Merge::new(&trace).map(|(track, event)| (track, event.at.0)).collect();
        assert_eq!(order, [(2, 5), (0, 5), (0, 7), (2, 9)]);
    }
}
