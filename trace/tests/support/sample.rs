//! A trace file with each kind of event, for tests.

use heist_trace::write::TraceBuilder;
use heist_trace::{DrainPhase, Event, EventKind, Nanos, Place, PollEnd, Runtime, Task, TaskId, TrackKind};

/// Returns the runtime of the samples.
pub(crate) fn runtime(snapshot_at: u64, workers: u64) -> Runtime<'static> {
    let mut runtime = Runtime::default();
    runtime.version = "0.1.0";
    runtime.name = "sample";
    runtime.reason = "request";
    runtime.process = 4321;
    runtime.wall_clock = 1_800_000_000_000_000_000;
    runtime.snapshot_at = Nanos(snapshot_at);
    runtime.workers = workers;
    runtime
}

/// Returns a task with a name.
pub(crate) fn named(id: u64, name: &'static str) -> Task<'static> {
    let mut task = Task::new(TaskId(id));
    task.name = Some(name);
    task.place = Some(Place { file: "src/server.rs", line: 40 + id, column: 9 });
    task
}

/// Returns a file with each kind of event.
pub(crate) fn every_event() -> Vec<u8> {
    let mut builder = TraceBuilder::new(&runtime(9_000_000, 2));
    builder.task(&named(1, "accept"));
    builder.task(&named(2, "connection"));
    let mut job = named(3, "resolve");
    (job.is_blocking, job.is_alive, job.group) = (true, false, Some("dns"));
    builder.task(&job);
    let mut unnamed = named(4, "");
    unnamed.name = None;
    builder.task(&unnamed);
    let task = TaskId;
    let worker_0 = [
        (1_000, EventKind::RecorderStart),
        (2_000, EventKind::Park),
        (60_000, EventKind::ReactorPoll { events: 1, duration: Nanos(58_000) }),
        (60_500, EventKind::Unpark),
        (61_000, EventKind::Wake { task: task(1), thread: 0 }),
        (62_000, EventKind::PollStart { task: task(1), queued: 3 }),
        (63_000, EventKind::Spawn { task: task(2), thread: 0 }),
        (63_500, EventKind::UnparkWorker { worker: 1 }),
        (64_000, EventKind::BlockingQueue { task: task(3), thread: 0 }),
        (65_000, EventKind::BudgetSpent { task: task(1) }),
        (66_000, EventKind::PollEnd { task: task(1), how: PollEnd::Yield }),
        (67_000, EventKind::TakeGlobal { tasks: 2 }),
        (70_000, EventKind::PollStart { task: task(1), queued: 0 }),
        (71_000, EventKind::PollEnd { task: task(1), how: PollEnd::Pending }),
        (90_000, EventKind::Wake { task: task(4), thread: 0 }),
        (91_000, EventKind::TimersFired { timers: 1, lateness: Nanos(800) }),
        (92_000, EventKind::PollStart { task: task(4), queued: 0 }),
        (93_000, EventKind::PollEnd { task: task(4), how: PollEnd::Panicked }),
    ];
    let worker_1 = [
        (63_900, EventKind::Unpark),
        (64_000, EventKind::Steal { victim: 0, tasks: 1 }),
        (65_000, EventKind::PollStart { task: task(2), queued: 0 }),
        (8_065_000, EventKind::Mark { text: "request done", thread: 0 }),
        (8_066_000, EventKind::PollEnd { task: task(2), how: PollEnd::Completed }),
    ];
    let threads = [
        (80_000, EventKind::BlockingStart { task: task(3), thread: 77 }),
        (100_000, EventKind::BlockingEnd { task: task(3), thread: 77 }),
        (110_000, EventKind::PollStart { task: TaskId::BLOCK_ON, queued: 0 }),
        (120_000, EventKind::PollEnd { task: TaskId::BLOCK_ON, how: PollEnd::Unknown(9) }),
        (5_000_000, EventKind::Stall { worker: 1, task: task(2), so_far: Nanos(4_935_000) }),
        (5_001_000, EventKind::Rescue { worker: 1 }),
        (8_100_000, EventKind::Resize { before: 2, after: 3 }),
        (8_200_000, EventKind::Drain { phase: DrainPhase::Begin, alive: 2 }),
        (8_300_000, EventKind::Drain { phase: DrainPhase::Deadline, alive: 1 }),
        (8_400_000, EventKind::Drain { phase: DrainPhase::End, alive: 0 }),
        (8_500_000, EventKind::Mark { text: "bye", thread: 78 }),
    ];
    builder.track_of_thread(TrackKind::Worker(0), 101, 0, &events(&worker_0));
    builder.track_of_thread(TrackKind::Worker(1), 102, 5, &events(&worker_1));
    builder.track(TrackKind::Threads, &events(&threads));
    builder.finish()
}

/// Returns events at these times.
pub(crate) fn events<'a>(list: &[(u64, EventKind<'a>)]) -> Vec<Event<'a>> {
    list.iter().map(|(at, kind)| Event::new(Nanos(*at), *kind)).collect()
}
