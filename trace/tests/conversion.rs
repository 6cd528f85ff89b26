//! The files for other tools, as readers of these formats see them.

use std::collections::BTreeMap;

use heist_trace::history::History;
use heist_trace::{Trace, chrome, flame, perfetto};
use serde_json::Value;

#[path = "support/random.rs"]
mod random;
#[path = "support/sample.rs"]
mod sample;
#[path = "support/schema.rs"]
mod schema;
#[path = "support/simulation.rs"]
mod simulation;

use schema::{Number, Packet};

/// Returns the events of a file in Chrome's format.
fn chrome_events(file: &[u8]) -> Vec<Value> {
    let trace = Trace::parse(file).unwrap();
    let mut json = Vec::new();
    chrome::write(&History::new(&trace), &mut json).unwrap();
    let value: Value = serde_json::from_slice(&json).expect("valid JSON");
    value["traceEvents"].as_array().expect("an array").clone()
}

/// Returns the packets of a file in Perfetto's format.
fn perfetto_packets(file: &[u8]) -> Vec<Packet> {
    let trace = Trace::parse(file).unwrap();
    let mut bytes = Vec::new();
    perfetto::write(&History::new(&trace), &mut bytes).unwrap();
    schema::packets(&bytes)
}

#[test]
fn chrome_events_of_each_phase_have_the_required_fields() {
    let events = chrome_events(&sample::every_event());
    let mut phases: BTreeMap<String, usize> = BTreeMap::new();
    for event in &events {
        let phase = event["ph"].as_str().expect("a phase");
        *phases.entry(phase.to_owned()).or_default() += 1;
        assert!(event["pid"].is_u64() && event["name"].is_string(), "{event}");
        match phase {
            "M" => assert!(event["args"]["name"].is_string()),
            "C" => assert!(event["args"]["tasks"].is_u64()),
            "X" => assert!(event["ts"].is_f64() && event["dur"].is_f64() && event["tid"].is_u64()),
            "i" => assert!(["t", "p"].contains(&event["s"].as_str().expect("a scope"))),
            _ => assert!(event["ts"].is_f64() && event["id"].is_u64()),
        }
    }
    let phases: Vec<(&str, usize)> = phases.iter().map(|(phase, count)| (phase.as_str(), *count)).collect();
    // Five polls, a blocking job and a park; five lanes and the process.
    assert_eq!(phases, [("C", 5), ("M", 6), ("X", 7), ("f", 5), ("i", 15), ("s", 5)]);
}

#[test]
fn chrome_flows_of_a_simulated_runtime_pair_up() {
    let events = chrome_events(&simulation::simulated(7, 5_000, 3));
    let mut flows: BTreeMap<u64, Vec<(&str, f64)>> = BTreeMap::new();
    for event in &events {
        let phase = event["ph"].as_str().unwrap();
        if phase == "s" || phase == "f" {
            let place = flows.entry(event["id"].as_u64().unwrap()).or_default();
            place.push((phase, event["ts"].as_f64().unwrap()));
        }
    }
    assert!(flows.len() > 500, "only {} flows", flows.len());
    for ends in flows.values() {
        let [("s", start), ("f", end)] = ends[..] else { panic!("a start and an end: {ends:?}") };
        assert!(start <= end);
    }
}

#[test]
fn chrome_texts_with_special_characters_stay_valid() {
    let mut task = sample::named(1, "quote \" backslash \\ newline \n");
    task.place = None;
    let mut builder = heist_trace::write::TraceBuilder::new(&sample::runtime(10, 1));
    builder.task(&task);
    let start = heist_trace::EventKind::PollStart { task: task.id, queued: 0 };
    builder.track(heist_trace::TrackKind::Worker(0), &sample::events(&[(5, start)]));
    let events = chrome_events(&builder.finish());
    assert_eq!(events[0]["name"], "quote \" backslash \\ newline ?");
}

#[test]
fn perfetto_packets_follow_the_schema() {
    let packets = perfetto_packets(&sample::every_event());
    assert!(packets.iter().all(|packet| packet.sequence == 1));
    let flags: Vec<u64> = packets.iter().map(|packet| packet.sequence_flags).collect();
    assert_eq!(flags[0], 1);
    assert!(flags[1..].iter().all(|flags| *flags == 2));
    let mut tracks = BTreeMap::new();
    for track in packets.iter().filter_map(|packet| packet.track.as_ref()) {
        assert!(tracks.insert(track.uuid, track.clone()).is_none(), "a track is described twice");
    }
    let process = &tracks[&1];
    assert_eq!((process.pid, process.process_name.as_deref()), (Some(4321), Some("sample")));
    let threads: Vec<(&str, Number)> =
        tracks.values().filter_map(|track| Some((track.thread_name.as_deref()?, track.tid?))).collect();
    assert!(threads.contains(&("worker 0", 101)) && threads.contains(&("thread 77", 77)), "{threads:?}");
    for event in packets.iter().filter_map(|packet| packet.event.as_ref()) {
        assert!(tracks.contains_key(&event.track), "an event of a track that is not described");
    }
    let names: Vec<&str> = packets.iter().flat_map(|packet| &packet.names).map(|(_, name)| name.as_str()).collect();
    assert!(names.contains(&"accept") && names.contains(&"resolve (blocking)"), "{names:?}");
}

#[test]
fn perfetto_slices_and_flows_of_a_simulated_runtime_pair_up() {
    let packets = perfetto_packets(&simulation::simulated(7, 5_000, 3));
    let (mut open, mut polls): (BTreeMap<u64, i64>, usize) = (BTreeMap::new(), 0);
    let (mut started, mut ended): (Vec<Number>, Vec<Number>) = (Vec::new(), Vec::new());
    let mut names: BTreeMap<u64, &str> = BTreeMap::new();
    names.extend(packets.iter().flat_map(|packet| &packet.names).map(|(id, name)| (*id, name.as_str())));
    for packet in &packets {
        let Some(event) = &packet.event else { continue };
        let depth = open.entry(event.track).or_default();
        match event.kind {
            schema::SLICE_BEGIN => *depth += 1,
            schema::SLICE_END => *depth -= 1,
            _ => {}
        }
        assert!((0..=1).contains(depth));
        if event.category.as_deref() == Some("poll") {
            polls += 1;
            assert!(names.contains_key(&event.name_id), "a name that is not interned");
            let annotations: Vec<&str> = event.annotations.iter().map(|(name, _)| name.as_str()).collect();
            assert!(annotations.starts_with(&["task", "woken"]));
        }
        assert!(packet.timestamp.is_some());
        started.extend(&event.flows);
        ended.extend(&event.ending_flows);
    }
    assert!(polls > 500 && open.values().all(|depth| *depth == 0));
    started.sort_unstable();
    ended.sort_unstable();
    assert!(started.len() > 500);
    assert_eq!(started, ended);
    assert!(started.windows(2).all(|pair| pair[0] < pair[1]), "a flow has two starts");
}

#[test]
fn flame_stacks_are_read_by_inferno() {
    let file = simulation::simulated(7, 20_000, 3);
    let trace = Trace::parse(&file).unwrap();
    let mut folded = Vec::new();
    flame::write(&History::new(&trace), &mut folded).unwrap();
    let lines = folded.split(|byte| *byte == b'\n').count() - 1;
    // Three workers, five names, and `run` or `wait`.
    assert_eq!(lines, 30);
    let mut picture = Vec::new();
    let mut options = inferno::flamegraph::Options::default();
    inferno::flamegraph::from_reader(&mut options, &folded[..], &mut picture).expect("folded stacks");
    let picture = String::from_utf8(picture).expect("a picture in UTF-8");
    assert!(picture.contains("<title>worker 2;") || picture.contains("<title>worker 2 ("), "no frame of worker 2");
}
