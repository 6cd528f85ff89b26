//! Trace files for tests: one with each kind of event, and one of a simulated runtime.

use std::collections::VecDeque;

use heist_trace::write::TraceBuilder;
use heist_trace::{DrainPhase, Event, EventKind, Nanos, Place, PollEnd, Runtime, Task, TaskId, TrackKind};

use crate::random::Random;

/// Returns the runtime of the samples.
pub fn runtime(snapshot_at: u64, workers: u64) -> Runtime<'static> {
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
pub fn named(id: u64, name: &'static str) -> Task<'static> {
    let mut task = Task::new(TaskId(id));
    task.name = Some(name);
    task.place = Some(Place { file: "src/server.rs", line: 40 + id, column: 9 });
    task
}

/// Returns a file with each kind of event.
pub fn every_event() -> Vec<u8> {
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
pub fn events<'a>(list: &[(u64, EventKind<'a>)]) -> Vec<Event<'a>> {
    list.iter().map(|(at, kind)| Event::new(Nanos(*at), *kind)).collect()
}

const NAMES: [&str; 5] = ["accept", "connection", "database", "cache", "logger"];

/// A worker of a simulated runtime.
struct Worker {
    now: u64,
    queue: VecDeque<u64>,
    events: Vec<Event<'static>>,
}

impl Worker {
    fn record(&mut self, pause: u64, kind: EventKind<'static>) {
        self.now += pause;
        self.events.push(Event::new(Nanos(self.now), kind));
    }
}

/// Returns a file of a simulated runtime, with at least so many events.
pub fn simulated(seed: u64, events: usize, workers: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let new = |_| Worker { now: 1_000, queue: VecDeque::new(), events: Vec::new() };
    let mut list: Vec<Worker> = (0..workers).map(new).collect();
    let tasks = (events as u64 / 50).max(20);
    let mut is_queued = vec![false; tasks as usize + 1];
    let mut recorded = 0;
    while recorded < events {
        // The worker that is furthest behind goes on, so that all wake-ups are in its past.
        let index = (0..workers).min_by_key(|index| list[*index].now).unwrap_or(0);
        let before = list[index].events.len();
        let next = list[index].queue.pop_front().or_else(|| {
            let victim = (0..workers).max_by_key(|victim| list[*victim].queue.len()).unwrap_or(0);
            let stolen = list[victim].queue.pop_back()?;
            list[index].record(150, EventKind::Steal { victim: victim as u64, tasks: 1 });
            Some(stolen)
        });
        let worker = &mut list[index];
        match next {
            Some(task) => {
                is_queued[task as usize] = false;
                let queued = worker.queue.len() as u64;
                worker.record(100, EventKind::PollStart { task: TaskId(task), queued });
                for _ in 0..random.below(3) {
                    wake(worker, &mut is_queued, &mut random);
                }
                let how = if random.one_in(20) { PollEnd::Yield } else { PollEnd::Pending };
                let length = if random.one_in(1_000) { 2_000_000 } else { random.below(20_000) };
                worker.record(length, EventKind::PollEnd { task: TaskId(task), how });
                if how == PollEnd::Yield && !is_queued[task as usize] {
                    is_queued[task as usize] = true;
                    worker.queue.push_back(task);
                }
            }
            None => {
                worker.record(200, EventKind::Park);
                let duration = 5_000 + random.below(50_000);
                worker.record(duration, EventKind::ReactorPoll { events: 2, duration: Nanos(duration) });
                worker.record(100, EventKind::Unpark);
                (0..2).for_each(|_| wake(worker, &mut is_queued, &mut random));
            }
        }
        recorded += list[index].events.len() - before;
    }
    let end = list.iter().map(|worker| worker.now).max().unwrap_or(0);
    let mut builder = TraceBuilder::new(&runtime(end, workers as u64));
    for id in 1..=tasks {
        builder.task(&named(id, NAMES[id as usize % NAMES.len()]));
    }
    for (index, worker) in list.iter().enumerate() {
        builder.track_of_thread(TrackKind::Worker(index as u64), 100 + index as u64, 0, &worker.events);
    }
    builder.finish()
}

fn wake(worker: &mut Worker, is_queued: &mut [bool], random: &mut Random) {
    let task = 1 + random.below(is_queued.len() as u64 - 1);
    if !std::mem::replace(&mut is_queued[task as usize], true) {
        worker.record(300, EventKind::Wake { task: TaskId(task), thread: 0 });
        worker.queue.push_back(task);
    }
}
