//! A trace file of a simulated runtime, for tests.

use std::collections::VecDeque;

use heist_trace::write::TraceBuilder;
use heist_trace::{Event, EventKind, Nanos, PollEnd, TaskId, TrackKind};

use crate::random::Random;
use crate::sample::{named, runtime};

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
pub(crate) fn simulated(seed: u64, events: usize, workers: usize) -> Vec<u8> {
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
            list[index].now = list[index].now.max(list[victim].now);
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
