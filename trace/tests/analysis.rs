//! Polls, waits and what a summary says of them, for small traces whose answers are known.

use heist_trace::diff::Diff;
use heist_trace::history::{Cause, History, Trigger};
use heist_trace::summary::{Summary, Waker};
use heist_trace::write::TraceBuilder;
use heist_trace::{EventKind, Nanos, PollEnd, Task, TaskId, Trace, TrackKind};

#[path = "support/sample.rs"]
mod sample;

type Timed = (u64, EventKind<'static>);

fn spawn(at: u64, task: u64) -> Timed {
    (at, EventKind::Spawn { task: TaskId(task), thread: 0 })
}

fn wake(at: u64, task: u64) -> Timed {
    (at, EventKind::Wake { task: TaskId(task), thread: 0 })
}

fn start(at: u64, task: u64) -> Timed {
    (at, EventKind::PollStart { task: TaskId(task), queued: 0 })
}

fn end(at: u64, task: u64) -> Timed {
    (at, EventKind::PollEnd { task: TaskId(task), how: PollEnd::Pending })
}

fn yielded(at: u64, task: u64) -> Timed {
    (at, EventKind::PollEnd { task: TaskId(task), how: PollEnd::Yield })
}

/// Returns a file with these names of tasks, and these tracks.
fn build(names: &[(u64, &'static str)], snapshot_at: u64, tracks: &[(TrackKind, u64, Vec<Timed>)]) -> Vec<u8> {
    let mut builder = TraceBuilder::new(&sample::runtime(snapshot_at, tracks.len() as u64));
    names.iter().for_each(|(id, name)| builder.task(&sample::named(*id, name)));
    for (kind, lost, events) in tracks {
        builder.track_of_thread(*kind, 0, *lost, &sample::events(events));
    }
    builder.finish()
}

#[test]
fn history_of_a_yield_and_a_wake_has_both_waits() {
    let events = vec![wake(10, 1), start(15, 1), yielded(20, 1), start(50, 1), wake(55, 1), end(60, 1), start(90, 1)];
    let file = build(&[(1, "a")], 100, &[(TrackKind::Worker(0), 0, events)]);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let waits: Vec<(u64, Trigger)> = history.waits().iter().map(|wait| (wait.duration().0, wait.trigger())).collect();
    // The task is woken while it is polled, so that it is queued at the end of the poll.
    assert_eq!(waits, [(5, Trigger::Wake), (30, Trigger::Yield), (30, Trigger::Wake)]);
    let polls: Vec<u64> = history.polls().iter().map(|poll| poll.duration().0).collect();
    assert_eq!(polls, [5, 10, 10]);
    assert!(history.polls()[2].is_under_way());
    assert_eq!(history.tracks()[0].busy, Nanos(25));
    assert_eq!(history.waits()[2].cause(), Cause::Poll(1));
}

#[test]
fn history_of_lost_events_leaves_unknown_waits_out() {
    let lost = vec![start(500, 2), end(510, 2)];
    let kept = vec![wake(10, 1), wake(20, 3), wake(300, 1), wake(600, 4)];
    let tracks = [(TrackKind::Worker(0), 9, lost), (TrackKind::Worker(1), 0, kept)];
    let file = build(&[(1, "a"), (3, "b"), (4, "c")], 1_000, &tracks);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let known: Vec<bool> = history.waits().iter().map(|wait| wait.is_known()).collect();
    assert_eq!(known, [false, false, false, true]);
    assert!(history.waits()[3].is_under_way());
    assert_eq!(history.waits()[3].duration(), Nanos(400));
}

#[test]
fn history_of_wakes_outside_of_polls_names_reactor_and_timers() {
    let reactor = (30, EventKind::ReactorPoll { events: 1, duration: Nanos(9) });
    let timers = (50, EventKind::TimersFired { timers: 1, lateness: Nanos(1) });
    let events = vec![wake(10, 1), reactor, wake(40, 2), wake(45, 3), timers, start(60, 9), end(70, 9), wake(80, 4)];
    let thread = (90, EventKind::Wake { task: TaskId(5), thread: 77 });
    let file = build(&[], 100, &[(TrackKind::Worker(0), 0, events), (TrackKind::Threads, 0, vec![thread])]);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let causes: Vec<Cause> = history.waits().iter().map(|wait| wait.cause()).collect();
    assert_eq!(causes, [Cause::Reactor, Cause::Reactor, Cause::Timers, Cause::Driver, Cause::Thread(77)]);
}

#[test]
fn history_of_a_poll_that_is_stolen_before_its_wake_is_written_has_no_wait() {
    let waker = vec![start(10, 1), wake(200, 2), end(300, 1)];
    let thief = vec![start(190, 2), end(400, 2)];
    let tracks = [(TrackKind::Worker(0), 0, waker), (TrackKind::Worker(1), 0, thief)];
    let file = build(&[(1, "a"), (2, "b")], 1_000, &tracks);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    assert_eq!(history.waits()[0].duration(), Nanos::ZERO);
    assert_eq!(history.waits()[0].poll(), Some(1));
    assert_eq!(history.polls()[1].wait(), Some(0));
}

#[test]
fn history_of_a_blocking_job_names_it_as_the_waker() {
    let queued = (20, EventKind::BlockingQueue { task: TaskId(3), thread: 0 });
    let worker = vec![start(10, 1), queued, end(30, 1), start(900, 1)];
    let threads = vec![
        (100, EventKind::BlockingStart { task: TaskId(3), thread: 77 }),
        (800, EventKind::Wake { task: TaskId(1), thread: 77 }),
        (850, EventKind::BlockingEnd { task: TaskId(3), thread: 77 }),
    ];
    let tracks = [(TrackKind::Worker(0), 0, worker), (TrackKind::Threads, 0, threads)];
    let file = build(&[(1, "a")], 1_000, &tracks);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    assert_eq!(history.waits()[0].duration(), Nanos(80));
    assert_eq!(history.waits()[1].cause(), Cause::Poll(1));
    assert_eq!(history.polls()[1].thread(), Some(77));
    assert_eq!(
        history.kinds()[history.tasks()[history.polls()[1].task()].kind()].to_string(),
        "unknown task (blocking)"
    );
}

#[test]
fn summary_of_a_long_wait_names_what_occupied_the_worker() {
    let worker_0 = vec![
        start(1_000, 1),
        wake(2_000, 2),
        end(3_000, 1),
        start(4_000, 3),
        end(9_004_000, 3),
        (9_005_000, EventKind::Park),
        (9_105_000, EventKind::Unpark),
    ];
    let worker_1 = vec![start(9_200_000, 2), end(9_201_000, 2)];
    let tracks = [(TrackKind::Worker(0), 0, worker_0), (TrackKind::Worker(1), 0, worker_1)];
    let file = build(&[(1, "accept"), (2, "connection"), (3, "hash")], 10_000_000, &tracks);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let summary = Summary::new(&history);
    let delay = &summary.delays()[0];
    assert_eq!(history.waits()[delay.wait].duration(), Nanos(9_198_000));
    assert_eq!(delay.track, Some(0));
    assert_eq!(delay.parked, Nanos(100_000));
    let occupants: Vec<(String, u64, u64)> = delay
        .occupants
        .iter()
        .map(|occupant| (history.kinds()[occupant.kind].to_string(), occupant.polls, occupant.time.0))
        .collect();
    assert_eq!(occupants, [("hash".to_owned(), 1, 9_000_000), ("accept".to_owned(), 1, 1_000)]);
    let text = summary.to_string();
    assert!(text.contains("woken by `accept` (task 1)"), "{text}");
    assert!(text.contains("worker 0 meanwhile: `hash` for 9.000 ms in 1 poll"), "{text}");
    assert!(text.contains("polled by worker 1 in the end"), "{text}");
    assert_eq!(history.polls()[summary.long_polls()[0]].duration(), Nanos(9_000_000));
}

#[test]
fn summary_of_each_kind_counts_tasks_polls_and_wakers() {
    let events = vec![start(10, 1), wake(11, 2), wake(12, 3), end(20, 1), start(30, 2), end(40, 2), start(50, 3)];
    let file = build(&[(1, "a"), (2, "b"), (3, "b")], 100, &[(TrackKind::Worker(0), 0, events)]);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let summary = Summary::new(&history);
    let row = summary.kinds()[0];
    assert_eq!((row.tasks, row.polls, row.cpu, row.longest), (2, 2, Nanos(60), Nanos(50)));
    assert_eq!((row.waits.count, row.waits.p50, row.waits.max), (2, Nanos(19), Nanos(38)));
    assert_eq!((row.wakes, row.waker_wakes), (2, 2));
    assert!(matches!(row.waker, Some(Waker::Kind(kind)) if history.kinds()[kind as usize].to_string() == "a"));
}

#[test]
fn summary_of_one_poll_that_wakes_many_reports_a_herd() {
    let mut events = vec![start(10, 1)];
    events.extend((100..612).map(|task| wake(task, task)));
    events.push(end(700, 1));
    events.extend((100..612).flat_map(|task| [start(task * 10, task), end(task * 10 + 5, task)]));
    let file = build(&[(1, "broadcast")], 10_000, &[(TrackKind::Worker(0), 0, events)]);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let summary = Summary::new(&history);
    let burst = summary.bursts()[0];
    assert_eq!((summary.bursts().len(), burst.tasks, burst.trigger), (1, 512, Trigger::Wake));
    assert_eq!((burst.served, burst.longest_wait), (Nanos(6_010), Nanos(5_499)));
    assert!(summary.to_string().contains("one poll of `broadcast` (task 1) woke 512 tasks"), "{summary}");
}

#[test]
fn summary_of_tasks_that_wake_each_other_reports_the_chain() {
    let mut events = Vec::new();
    for poll in 0..40 {
        let at = 1_000 * poll;
        events.extend([start(at, 1 + poll % 4), wake(at + 10, 1 + (poll + 1) % 4), end(at + 20, 1 + poll % 4)]);
    }
    let names = [(1, "locker"), (2, "locker"), (3, "locker"), (4, "locker")];
    let file = build(&names, 50_000, &[(TrackKind::Worker(0), 0, events)]);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let summary = Summary::new(&history);
    let chain = &summary.chains()[0];
    assert_eq!((summary.chains().len(), chain.polls.len(), chain.tasks), (1, 40, 4));
    assert_eq!((chain.span, chain.queued), (Nanos(39_020), Nanos(39 * 990)));
    assert!(summary.to_string().contains("40 polls of `locker`"), "{summary}");
}

#[test]
fn summary_of_tasks_that_spawn_each_other_reports_no_chain() {
    let events = (1..40).flat_map(|id| [start(id * 100, id), spawn(id * 100 + 1, id + 1), end(id * 100 + 2, id)]);
    let file = build(&[], 9_000, &[(TrackKind::Worker(0), 0, events.collect())]);
    let trace = Trace::parse(&file).unwrap();
    assert_eq!(Summary::new(&History::new(&trace)).chains().len(), 0);
}

#[test]
fn summary_of_every_event_has_a_line_per_incident() {
    let file = sample::every_event();
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let summary = Summary::new(&history);
    assert_eq!(summary.incidents().len(), 8);
    let text = summary.to_string();
    for line in [
        "worker 1 is stalled by `connection` (task 2), for 4.935 ms so far",
        "the watchdog takes what waits behind worker 1, which is stalled",
        "the workers change from 2 to 3",
        "the drain reaches its deadline, 1 task alive",
        "mark `request done` on worker 1",
        "5 older ones have been overwritten",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn summary_of_a_worker_splits_its_time() {
    let events = vec![
        start(1_000, 1),
        end(1_400, 1),
        (1_500, EventKind::Park),
        (1_800, EventKind::Unpark),
        (1_900, EventKind::Steal { victim: 3, tasks: 4 }),
    ];
    let file = build(&[], 2_000, &[(TrackKind::Worker(0), 0, events)]);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let times = &history.tracks()[0];
    assert_eq!((times.span(), times.busy, times.parked), (Nanos(1_000), Nanos(400), Nanos(300)));
    assert_eq!((times.searching(), times.steals, times.stolen), (Nanos(300), 1, 4));
}

#[test]
fn diff_of_two_traces_sorts_by_the_change_of_the_wait() {
    let side = |wait: u64| {
        let events = vec![wake(10, 1), wake(20, 2), start(30, 2), end(40, 2), start(10 + wait, 1), end(20 + wait, 1)];
        build(&[(1, "slow"), (2, "fast")], 90_000, &[(TrackKind::Worker(0), 0, events)])
    };
    let (a, b) = (side(100), side(50_000));
    let (trace_a, trace_b) = (Trace::parse(&a).unwrap(), Trace::parse(&b).unwrap());
    let diff = Diff::new(&History::new(&trace_a), &History::new(&trace_b));
    let rows: Vec<(&str, u64)> = diff.rows().iter().map(|row| (row.label.as_str(), row.p99_change().0)).collect();
    assert_eq!(rows, [("slow", 49_900), ("fast", 0)]);
    assert!(diff.to_string().contains("100 ns 50.000 µs (×500.00)"), "{diff}");
}

#[test]
fn task_without_a_name_is_labelled_by_its_place() {
    let mut builder = TraceBuilder::new(&sample::runtime(100, 1));
    let mut task: Task<'_> = sample::named(1, "x");
    task.name = None;
    builder.task(&task);
    builder.track(TrackKind::Worker(0), &sample::events(&[start(10, 1), start(20, 0)]));
    let file = builder.finish();
    let trace = Trace::parse(&file).unwrap();
    let labels: Vec<String> = History::new(&trace).kinds().iter().map(ToString::to_string).collect();
    assert_eq!(labels, ["src/server.rs:41:9", "block_on"]);
}

#[test]
fn summary_of_one_backlog_lists_its_longest_wait_only() {
    let mut events: Vec<Timed> = vec![start(0, 1)];
    events.extend((2..30).map(|task| wake(task, task)));
    events.push(end(1_000_000, 1));
    events.extend((2..30).flat_map(|task| [start(1_000_000 + task, task), end(1_000_000 + task, task)]));
    events.extend([wake(2_000_000, 40), start(2_000_100, 40)]);
    let file = build(&[(1, "hash")], 3_000_000, &[(TrackKind::Worker(0), 0, events)]);
    let trace = Trace::parse(&file).unwrap();
    let history = History::new(&trace);
    let delays: Vec<(u64, u64)> = Summary::new(&history)
        .delays()
        .iter()
        .map(|delay| (history.waits()[delay.wait].duration().0, delay.similar))
        .collect();
    assert_eq!(delays, [(1_000_000, 27), (100, 0)]);
}
