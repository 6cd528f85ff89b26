//! A long wait of a queued task, and what its worker did meanwhile.

use std::collections::HashMap;
use std::fmt;

use super::{Counted, Subject, trigger_name, write_cause};
use crate::history::{Cause, History, Poll, Trigger, Wait};
use crate::nanos::Nanos;
use crate::track::TrackKind;

/// The most kinds of tasks that are named as what occupied a worker.
const MOST_OCCUPANTS: usize = 3;

/// The most wake-ups that are followed back.
const MOST_LINKS: usize = 6;

/// The most polls that may be open inside of each other.
const MOST_NESTED: usize = 64;

/// A long wait of a queued task, and what its worker did meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delay {
    /// The index of the wait in [`History::waits`].
    pub wait: usize,
    /// The index of the track of the worker that had the task in its queue. If the task came from
    /// another thread, this is the worker that has polled it.
    pub track: Option<usize>,
    /// What this worker polled meanwhile, by kind, the longest time first.
    pub occupants: Vec<Occupant>,
    /// The time for which this worker was parked meanwhile.
    pub parked: Nanos,
    /// The wake-ups that led to the wait, the latest first.
    pub chain: Vec<Link>,
    /// How many other waits overlap with this one at the same worker, and are not shorter than the
    /// last delay of the list. They are not listed by themselves.
    pub similar: u64,
}

/// Tasks of one kind that a worker polled while another task was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occupant {
    /// The index of the kind in [`History::kinds`].
    pub kind: usize,
    /// The number of polls.
    pub polls: u64,
    /// The time of these polls while the task was queued.
    pub time: Nanos,
    /// The index of the longest of these polls in [`History::polls`].
    pub longest: usize,
}

/// A wake-up that led to a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// What queued the task.
    pub trigger: Trigger,
    /// What caused it.
    pub cause: Cause,
}

/// Returns the longest waits of tasks, the longest first. Of waits that overlap at one worker, the
/// longest is listed.
pub(crate) fn delays(history: &History<'_>, most: usize) -> Vec<Delay> {
    let mut polls_of = vec![Vec::new(); history.tracks().len()];
    for (index, poll) in history.polls().iter().enumerate() {
        polls_of[poll.track()].push(index as u32);
    }
    let waits = history.waits().iter().enumerate();
    let waits = waits.filter(|(_, wait)| wait.is_known() && !history.kind_of(wait.task()).is_blocking);
    let tracks = history.track_kinds();
    let explain = |index: usize| {
        let wait = &history.waits()[index];
        let is_worker = |track: &usize| matches!(tracks[*track], TrackKind::Worker(_));
        let polled_on = wait.poll().map(|poll| history.polls()[poll].track());
        let track = Some(wait.track()).filter(is_worker).or(polled_on.filter(is_worker));
        let occupants = track.map(|track| occupants(history, &polls_of[track], wait)).unwrap_or_default();
        let parked = track.map(|track| parked(&history.tracks()[track].parks, wait)).unwrap_or_default();
        Delay { wait: index, track, occupants, parked, chain: chain(history, wait), similar: 0 }
    };
    let mut waits: Vec<(Nanos, u32)> = waits.map(|(index, wait)| (wait.duration(), index as u32)).collect();
    waits.retain(|(duration, _)| *duration > Nanos::ZERO);
    waits.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut delays: Vec<Delay> = Vec::new();
    for index in waits.into_iter().map(|(_, index)| index as usize) {
        let wait = &history.waits()[index];
        let is_similar = |delay: &Delay| {
            let listed = &history.waits()[delay.wait];
            listed.track() == wait.track() && overlap(listed, wait.since(), wait.until()) > Nanos::ZERO
        };
        match delays.iter().position(is_similar) {
            Some(place) => delays[place].similar += 1,
            None if delays.len() < most => delays.push(explain(index)),
            None => break,
        }
    }
    delays
}

/// Returns what a worker polled during a wait.
fn occupants(history: &History<'_>, polls: &[u32], wait: &Wait) -> Vec<Occupant> {
    let poll_at = |index: &u32| &history.polls()[*index as usize];
    let first = polls.partition_point(|index| poll_at(index).start() < wait.since());
    let end = polls.partition_point(|index| poll_at(index).start() < wait.until());
    let mut by_kind: HashMap<usize, Occupant> = HashMap::new();
    for index in &polls[first.saturating_sub(MOST_NESTED)..end.max(first)] {
        let poll = poll_at(index);
        let time = overlap(wait, poll.start(), poll.end());
        if time > Nanos::ZERO {
            let (kind, index) = (history.tasks()[poll.task()].kind(), *index as usize);
            let new = Occupant { kind, polls: 0, time: Nanos::ZERO, longest: index };
            let occupant = by_kind.entry(kind).or_insert(new);
            occupant.polls += 1;
            occupant.time += time;
            if poll.duration() > history.polls()[occupant.longest].duration() {
                occupant.longest = index;
            }
        }
    }
    let mut occupants: Vec<Occupant> = by_kind.into_values().collect();
    occupants.sort_by(|a, b| b.time.cmp(&a.time).then(a.kind.cmp(&b.kind)));
    occupants.truncate(MOST_OCCUPANTS);
    occupants
}

/// Returns the time for which a worker was parked during a wait.
fn parked(parks: &[(Nanos, Nanos)], wait: &Wait) -> Nanos {
    let first = parks.partition_point(|(_, end)| *end <= wait.since());
    let during = parks[first..].iter().take_while(|(start, _)| *start < wait.until());
    during.fold(Nanos::ZERO, |sum, (start, end)| sum + overlap(wait, *start, *end))
}

/// Returns the part of a span that lies inside of a wait.
fn overlap(wait: &Wait, start: Nanos, end: Nanos) -> Nanos {
    end.min(wait.until()).since(start.max(wait.since()))
}

/// Returns the wake-ups that led to a wait, the latest first.
fn chain(history: &History<'_>, wait: &Wait) -> Vec<Link> {
    let mut links = Vec::new();
    let mut next = Some(wait);
    while let Some(wait) = next.filter(|_| links.len() < MOST_LINKS) {
        links.push(Link { trigger: wait.trigger(), cause: wait.cause() });
        let cause: Option<&Poll> = match wait.cause() {
            Cause::Poll(poll) => Some(&history.polls()[poll as usize]),
            _ => None,
        };
        next = cause.and_then(Poll::wait).map(|wait| &history.waits()[wait]);
    }
    links
}

impl Delay {
    pub(crate) fn write(&self, history: &History<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wait = &history.waits()[self.wait];
        let tracks = history.track_kinds();
        let (kind, id) = (history.kind_of(wait.task()), history.tasks()[wait.task()].id());
        write!(f, "  {:>11}  `{kind}` (task {id}), queued at {}", wait.duration(), wait.since())?;
        writeln!(f, "{}", if wait.is_under_way() { ", still queued at the snapshot" } else { "" })?;
        write!(f, "{:15}{}", "", trigger_name(wait.trigger()))?;
        for (index, link) in self.chain.iter().enumerate() {
            match (index, link.trigger) {
                (_, Trigger::Yield) if index > 0 => write!(f, ", which had yielded")?,
                (_, Trigger::Yield) => {}
                (0, _) => write!(f, " by ").and_then(|()| write_cause(history, link.cause, f))?,
                (_, trigger) => {
                    write!(f, ", which was {} by ", trigger_name(trigger))?;
                    write_cause(history, link.cause, f)?;
                }
            }
        }
        writeln!(f)?;
        let Some(track) = self.track else {
            return writeln!(f, "{:15}in the global queue", "");
        };
        write!(f, "{:15}{} meanwhile: ", "", tracks[track])?;
        for occupant in &self.occupants {
            let longest = &history.polls()[occupant.longest];
            let kind = &history.kinds()[occupant.kind];
            write!(f, "`{kind}` for {} in {}", occupant.time, Counted(occupant.polls, "poll"))?;
            write!(f, ", the longest {} of {}; ", longest.duration(), Subject(history, longest))?;
        }
        match self.parked {
            Nanos::ZERO => write!(f, "not parked")?,
            parked => write!(f, "parked for {parked}")?,
        }
        match wait.poll().map(|poll| history.polls()[poll].track()) {
            Some(other) if other != track => writeln!(f, "; polled by {} in the end", tracks[other])?,
            _ => writeln!(f)?,
        }
        match self.similar {
            0 => Ok(()),
            similar => writeln!(f, "{:15}the same backlog delayed {} more", "", Counted(similar, "poll")),
        }
    }
}
