//! Reads files that follow docs/trace-format.md, and files that do not.

use heist_trace::write::{TraceBuilder, put_header, put_number, put_section, put_text};
use heist_trace::{Event, EventKind, Nanos, Runtime, Task, TaskId, Trace, TrackKind};

#[path = "support/random.rs"]
mod random;
#[path = "support/sample.rs"]
mod sample;
#[path = "support/simulation.rs"]
mod simulation;

/// Returns the section of a runtime without a name.
fn runtime() -> Vec<u8> {
    let mut body = Vec::new();
    ["0.1.0", "", "stall"].iter().for_each(|text| put_text(&mut body, text));
    [7, 8, 9, 10].iter().for_each(|number| put_number(&mut body, *number));
    body
}

/// Returns a file of these sections.
fn file(sections: &[(u8, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    put_header(&mut file);
    sections.iter().for_each(|(tag, body)| put_section(&mut file, *tag, body));
    file
}

/// Returns a track of worker 0 with these events.
fn track(count: u64, events: &[&[u64]]) -> Vec<u8> {
    let mut body = Vec::new();
    [0, 0, 0, 0, count].iter().for_each(|number| put_number(&mut body, *number));
    events.iter().flat_map(|event| event.iter()).for_each(|number| put_number(&mut body, *number));
    body
}

/// Returns the fault of a file, after its header.
#[track_caller]
fn fault(sections: &[(u8, &[u8])], expected: &str) -> usize {
    let error = Trace::parse(&file(sections)).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    error.offset()
}

#[test]
fn parse_of_every_event_and_build_give_the_same_file() {
    let bytes = sample::every_event();
    let trace = Trace::parse(&bytes).unwrap();
    let mut builder = TraceBuilder::new(trace.runtime());
    trace.tasks().iter().for_each(|task| builder.task(task));
    let mut events = 0;
    for track in trace.tracks() {
        let list: Vec<Event<'_>> = track.events().collect();
        events += list.len();
        assert_eq!(list.len() as u64, track.event_count());
        builder.track_of_thread(track.kind(), track.thread().unwrap_or(0), track.lost(), &list);
    }
    assert_eq!(events, 34);
    assert_eq!(builder.finish(), bytes);
    assert_eq!(trace.runtime(), &sample::runtime(9_000_000, 2));
}

#[test]
fn parse_of_a_task_gives_its_fields() {
    let bytes = sample::every_event();
    let trace = Trace::parse(&bytes).unwrap();
    let job = trace.task(TaskId(3)).unwrap();
    assert!(job.is_blocking && !job.is_alive);
    assert_eq!((job.name, job.group), (Some("resolve"), Some("dns")));
    assert_eq!(job.place.unwrap().to_string(), "src/server.rs:43:9");
    assert_eq!(trace.task(TaskId(4)).unwrap().name, None);
    assert_eq!(trace.task(TaskId(99)), None);
}

#[test]
fn parse_of_the_written_example_matches_the_page() {
    // A poll of task 300 starts at 5, with no field `queued`; it ends 2 later, completed.
    let events = track(2, &[&[3 << 3 | 1, 5, 300], &[4 << 3 | 2, 2, 300, 2]]);
    let bytes = file(&[(1, &runtime()), (4, &events)]);
    let trace = Trace::parse(&bytes).unwrap();
    let list: Vec<Event<'_>> = trace.tracks().next().unwrap().events().collect();
    assert_eq!(list[0], Event::new(Nanos(5), EventKind::PollStart { task: TaskId(300), queued: 0 }));
    assert_eq!(list[1].at, Nanos(7));
    let runtime = trace.runtime();
    assert_eq!((runtime.version, runtime.reason), ("0.1.0", "stall"));
    assert_eq!((runtime.process, runtime.wall_clock, runtime.snapshot_at, runtime.workers), (7, 8, Nanos(9), 10));
}

#[test]
fn parse_of_what_a_later_version_adds_skips_it() {
    let mut longer = runtime();
    longer.extend([1, 2, 3]);
    // An event of an unknown kind with seven fields, and a park with two fields.
    let events = track(3, &[&[6 << 3, 1], &[90 << 3 | 7, 10, 1, 2, 3, 4, 5, 6, 7], &[7 << 3 | 2, 100, 8, 9]]);
    let bytes = file(&[(1, &longer), (200, b"anything"), (4, &events)]);
    let trace = Trace::parse(&bytes).unwrap();
    let track = trace.tracks().next().unwrap();
    let list: Vec<Event<'_>> = track.events().collect();
    assert_eq!(track.event_count(), 3);
    assert_eq!(list, [Event::new(Nanos(1), EventKind::Park), Event::new(Nanos(111), EventKind::Unpark)]);
}

#[test]
fn parse_of_a_wrong_header_names_the_byte() {
    let valid = file(&[(1, &runtime())]);
    for (at, expected) in [(0, "HEISTTRC"), (8, "version 1"), (10, "two bytes of zero")] {
        let mut changed = valid.clone();
        changed[at] = 9;
        let error = Trace::parse(&changed).unwrap_err();
        assert_eq!(error.offset(), at);
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(Trace::parse(b"HEIST").unwrap_err().offset(), 5);
}

#[test]
fn parse_of_sections_in_a_wrong_order_is_a_fault() {
    let (runtime, texts) = (runtime(), [0]);
    assert_eq!(fault(&[], "the runtime (1) comes first"), 12);
    assert_eq!(fault(&[(2, &texts)], "the runtime (1) once"), 12);
    let second = 12 + 5 + runtime.len();
    assert_eq!(fault(&[(1, &runtime), (1, &runtime)], "the runtime (1) once"), second);
    assert_eq!(fault(&[(1, &runtime), (2, &texts), (2, &texts)], "the texts (2) once"), second + 6);
    assert_eq!(fault(&[(1, &runtime), (4, &track(0, &[])), (2, &texts)], "the texts (2) once"), second + 10);
}

#[test]
fn parse_of_a_missing_text_is_a_fault() {
    let runtime = runtime();
    let start = 12 + 5 + runtime.len() + 5;
    assert_eq!(fault(&[(1, &runtime), (3, &[1, 1, 0, 1, 0, 0, 0, 0])], "the index of a text"), start + 3);
    let events = track(1, &[&[19 << 3 | 1, 1, 0]]);
    assert_eq!(fault(&[(1, &runtime), (4, &events)], "a mark whose text"), start + 5);
}

#[test]
fn parse_of_a_time_beyond_the_range_is_a_fault() {
    let events = track(2, &[&[6 << 3, u64::MAX], &[7 << 3, 1]]);
    fault(&[(1, &runtime()), (4, &events)], "a trace time below 2⁶⁴");
    let missing = track(2, &[&[6 << 3, 1]]);
    fault(&[(1, &runtime()), (4, &missing)], "the rest of a number");
}

#[test]
fn parse_of_a_task_twice_finds_the_first() {
    let mut builder = TraceBuilder::new(&Runtime::default());
    for name in ["first", "second"] {
        let mut task = Task::new(TaskId(5));
        task.name = Some(name);
        builder.task(&task);
    }
    builder.track(TrackKind::Unknown(5), &[]);
    let bytes = builder.finish();
    let trace = Trace::parse(&bytes).unwrap();
    assert_eq!(trace.tasks().len(), 2);
    assert_eq!(trace.task(TaskId(5)).unwrap().name, Some("first"));
    assert_eq!(trace.tracks().next().unwrap().kind(), TrackKind::Unknown(5));
}

#[test]
fn parse_of_a_simulated_runtime_keeps_the_order_of_time() {
    let bytes = simulation::simulated(3, 10_000, 4);
    let trace = Trace::parse(&bytes).unwrap();
    let mut events = 0;
    for track in trace.tracks() {
        let mut before = Nanos::ZERO;
        for event in track.events() {
            assert!(event.at >= before);
            before = event.at;
            events += 1;
        }
    }
    assert!(events >= 10_000);
}
