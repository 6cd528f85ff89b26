//! Brings starts, ends and wake-ups of all tracks together.

use std::collections::HashMap;

use super::merge::Merge;
use super::poll::{NONE, Poll};
use super::track_times::TrackTimes;
use super::wait::{Cause, Trigger, Wait};
use super::{History, HistoryTask};
use crate::event::{Event, EventKind, PollEnd};
use crate::label::TaskKinds;
use crate::nanos::Nanos;
use crate::task::TaskId;
use crate::trace::Trace;
use crate::track::TrackKind;

/// The most polls of one track that are open inside of each other. A worker that blocks inside of a
/// poll hands its track to another thread, so there may be more than one.
const MOST_NESTED: usize = 64;

/// An event is written just after what it tells of. So a wake-up may be this much later than the
/// poll on another track that it has caused.
const SKEW: Nanos = Nanos(10_000);

/// What is known of a task so far.
#[derive(Clone, Copy)]
struct TaskState {
    /// The wait that has begun.
    queued: u32,
    /// The poll that has begun.
    open: u32,
}

/// What is known of a track so far.
#[derive(Default)]
struct TrackState {
    is_worker: bool,
    /// The polls that are open, the innermost last.
    open: Vec<u32>,
    /// Waits that have begun outside of a poll since the last event of the reactor or of timers.
    unattributed: Vec<u32>,
    /// What has come before them.
    driver: Option<Cause>,
}

pub(crate) struct Builder<'a> {
    trace: &'a Trace<'a>,
    indices: HashMap<u64, u32>,
    kinds: TaskKinds<'a>,
    tasks: Vec<HistoryTask>,
    states: Vec<TaskState>,
    polls: Vec<Poll>,
    waits: Vec<Wait>,
    track_states: Vec<TrackState>,
    tracks: Vec<TrackTimes>,
    /// The blocking job of each thread.
    jobs: HashMap<u64, u32>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(trace: &'a Trace<'a>) -> Self {
        let track_states = trace
            .tracks()
            .map(|track| TrackState { is_worker: matches!(track.kind(), TrackKind::Worker(_)), ..Default::default() });
        Self {
            trace,
            indices: HashMap::new(),
            kinds: TaskKinds::default(),
            tasks: Vec::new(),
            states: Vec::new(),
            polls: Vec::new(),
            waits: Vec::new(),
            track_states: track_states.collect(),
            tracks: vec![TrackTimes::default(); trace.tracks().len()],
            jobs: HashMap::new(),
        }
    }

    pub(crate) fn build(mut self) -> History<'a> {
        let mut end = self.trace.runtime().snapshot_at;
        let mut is_first = vec![true; self.tracks.len()];
        for (track, event) in Merge::new(self.trace) {
            let times = &mut self.tracks[track as usize];
            if std::mem::take(&mut is_first[track as usize]) {
                times.first = event.at;
            }
            end = end.max(event.at);
            times.count(event.at, &event.kind);
            self.take(track, &event);
        }
        for task in self.trace.tasks() {
            self.task(task.id, task.is_blocking);
        }
        self.end(end);
        History {
            trace: self.trace,
            end,
            kinds: self.kinds.into_list(),
            tasks: self.tasks,
            polls: self.polls,
            waits: self.waits,
            tracks: self.tracks,
        }
    }

    fn take(&mut self, track: u32, event: &Event<'a>) {
        let at = event.at;
        match event.kind {
            EventKind::Spawn { task, thread } => self.queue(track, at, task, thread, Trigger::Spawn, false),
            EventKind::BlockingQueue { task, thread } => self.queue(track, at, task, thread, Trigger::Spawn, true),
            EventKind::Wake { task, thread } => self.queue(track, at, task, thread, Trigger::Wake, false),
            EventKind::PollStart { task, queued } => self.start(track, at, task, 0, queued, false),
            EventKind::BlockingStart { task, thread } => self.start(track, at, task, thread, 0, true),
            EventKind::PollEnd { task, how } => self.end_poll(track, at, task, how, false),
            EventKind::BlockingEnd { task, thread } => {
                self.jobs.remove(&thread);
                self.end_poll(track, at, task, PollEnd::Completed, true);
            }
            EventKind::ReactorPoll { events, .. } => self.attribute(track, Cause::Reactor, u64::MAX, events > 0),
            EventKind::TimersFired { timers, .. } => self.attribute(track, Cause::Timers, timers, true),
            _ => {}
        }
    }

    /// Returns the index of a task.
    fn task(&mut self, id: TaskId, is_blocking: bool) -> u32 {
        if let Some(index) = self.indices.get(&id.0) {
            return *index;
        }
        let index = self.tasks.len() as u32;
        self.indices.insert(id.0, index);
        self.tasks.push(HistoryTask { id, kind: self.kinds.index_of(self.trace, id, is_blocking) });
        self.states.push(TaskState { queued: NONE, open: NONE });
        index
    }

    /// Begins a wait. Each event 1, 2 and 11 has one.
    fn queue(&mut self, track: u32, at: Nanos, id: TaskId, thread: u64, trigger: Trigger, is_blocking: bool) {
        let task = self.task(id, is_blocking);
        let wait = self.waits.len() as u32;
        let state = &mut self.track_states[track as usize];
        let cause = match (state.is_worker, state.open.last(), self.jobs.get(&thread)) {
            (true, Some(poll), _) => Cause::Poll(*poll),
            (true, None, _) => {
                state.unattributed.push(wait);
                Cause::Driver
            }
            (false, _, Some(job)) => Cause::Poll(*job),
            (false, ..) => Cause::Thread(thread),
        };
        if let Cause::Poll(poll) = cause {
            self.polls[poll as usize].woken += 1;
        }
        self.waits.push(Wait { since: at, until: at, cause, task, track, poll: NONE, trigger, is_open: false });
        let open = self.states[task as usize].open;
        if let Some(poll) = self.polls.get_mut(open as usize) {
            if poll.wait == NONE && poll.track != track && at.since(poll.start) <= SKEW {
                poll.wait = wait;
                let wait = &mut self.waits[wait as usize];
                (wait.since, wait.until, wait.poll) = (poll.start, poll.start, open);
                return;
            }
        }
        self.states[task as usize].queued = wait;
    }

    /// Begins a poll. Each event 3 and 12 has one.
    fn start(&mut self, track: u32, at: Nanos, id: TaskId, thread: u64, behind: u64, is_blocking: bool) {
        let task = self.task(id, is_blocking);
        let poll = self.polls.len() as u32;
        let state = &mut self.states[task as usize];
        let before = std::mem::replace(&mut state.open, poll);
        let wait = std::mem::replace(&mut state.queued, NONE);
        if let Some(wait) = self.waits.get_mut(wait as usize) {
            wait.until = at.max(wait.since);
            wait.poll = poll;
        }
        // The end of the poll before this one has been overwritten.
        if let Some(unended) = self.polls.get_mut(before as usize) {
            unended.end = at;
            self.track_states[unended.track as usize].open.retain(|other| *other != before);
        }
        let behind = u32::try_from(behind).unwrap_or(u32::MAX);
        self.polls.push(Poll {
            start: at,
            end: at,
            thread,
            how: None,
            task,
            track,
            wait,
            woken: 0,
            behind,
            is_open: false,
        });
        self.attribute_rest(track);
        let state = &mut self.track_states[track as usize];
        if state.is_worker {
            if state.open.len() == MOST_NESTED {
                state.open.remove(0);
            }
            state.open.push(poll);
        } else if is_blocking {
            self.jobs.insert(thread, poll);
        }
    }

    fn end_poll(&mut self, track: u32, at: Nanos, id: TaskId, how: PollEnd, is_blocking: bool) {
        let task = self.task(id, is_blocking);
        let poll = std::mem::replace(&mut self.states[task as usize].open, NONE);
        if let Some(ended) = self.polls.get_mut(poll as usize) {
            ended.end = at;
            ended.how = Some(how);
            let open = &mut self.track_states[ended.track as usize].open;
            if let Some(place) = open.iter().rposition(|other| *other == poll) {
                open.remove(place);
            }
            if ended.track == track && open.is_empty() {
                self.tracks[track as usize].busy += ended.duration();
            }
        }
        let queued = self.states[task as usize].queued;
        if how.is_end_of_task() {
            self.states[task as usize].queued = NONE;
        } else if let Some(wait) = self.waits.get_mut(queued as usize) {
            // A task that is woken while it is polled is queued by the end of the poll.
            wait.since = at;
            wait.until = at;
        }
        if how == PollEnd::Yield {
            let wait = self.waits.len() as u32;
            let (cause, trigger) = (Cause::Itself, Trigger::Yield);
            self.waits.push(Wait { since: at, until: at, cause, task, track, poll: NONE, trigger, is_open: false });
            self.states[task as usize].queued = wait;
        }
    }

    /// Names the cause of the last `most` waits that have begun outside of a poll.
    fn attribute(&mut self, track: u32, cause: Cause, most: u64, has_events: bool) {
        let state = &mut self.track_states[track as usize];
        if state.is_worker && state.open.is_empty() {
            let kept = state.unattributed.len() - (state.unattributed.len() as u64).min(most) as usize;
            for wait in state.unattributed.drain(kept..) {
                self.waits[wait as usize].cause = cause;
            }
            self.attribute_rest(track);
            if has_events {
                self.track_states[track as usize].driver = Some(cause);
            }
        }
    }

    /// Gives the waits that are left the cause that came before them, and forgets it.
    fn attribute_rest(&mut self, track: u32) {
        let state = &mut self.track_states[track as usize];
        let cause = state.driver.take().unwrap_or(Cause::Driver);
        for wait in state.unattributed.drain(..) {
            self.waits[wait as usize].cause = cause;
        }
    }

    /// Ends what is open at the snapshot.
    fn end(&mut self, end: Nanos) {
        let (mut complete_since, mut open) = (Nanos::ZERO, Vec::new());
        for (index, track) in self.trace.tracks().enumerate() {
            self.attribute_rest(index as u32);
            let times = &mut self.tracks[index];
            times.last = end.max(times.first);
            times.end_park(end);
            if track.event_count() == 0 {
                times.first = end;
            }
            if track.lost() > 0 {
                complete_since = complete_since.max(times.first);
            }
            open.push(std::mem::take(&mut self.track_states[index].open));
        }
        for state in &self.states {
            if let Some(poll) = self.polls.get_mut(state.open as usize) {
                poll.end = end;
                poll.is_open = true;
                if open[poll.track as usize].first() == Some(&state.open) {
                    self.tracks[poll.track as usize].busy += poll.duration();
                }
            }
            if let Some(wait) = self.waits.get_mut(state.queued as usize) {
                let is_alive = self.trace.task(self.tasks[wait.task as usize].id).is_none_or(|task| task.is_alive);
                wait.is_open = state.open == NONE && is_alive && wait.since >= complete_since;
                if wait.is_open {
                    wait.until = end;
                }
            }
        }
    }
}
