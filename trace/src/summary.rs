//! The summary of a trace: what ran, what waited, and why.

mod burst;
mod chain;
mod delay;
mod incident;
mod kind_row;

pub use burst::Burst;
pub use chain::Chain;
pub use delay::{Delay, Link, Occupant};
pub use incident::Incident;
pub(crate) use kind_row::kind_rows;
pub use kind_row::{KindRow, Waker};

use std::fmt;

use crate::history::{Cause, History, Poll, Trigger};
use crate::label::{Short, ShortPlace};
use crate::nanos::Nanos;
use crate::table::Table;
use crate::track::TrackKind;

/// The most rows of a list of the longest.
const MOST_LONGEST: usize = 10;

/// The most rows of the table of tasks.
const MOST_KINDS: usize = 40;

/// What a trace shows. Its `Display` is the report of `heist-trace summary`.
#[derive(Clone, Debug)]
pub struct Summary<'h, 'a> {
    history: &'h History<'a>,
    kinds: Vec<KindRow>,
    long_polls: Vec<usize>,
    delays: Vec<Delay>,
    bursts: Vec<Burst>,
    chains: Vec<Chain>,
    incidents: Vec<Incident<'a>>,
    incident_count: u64,
}

impl<'h, 'a> Summary<'h, 'a> {
    /// Analyses a history.
    #[must_use]
    pub fn new(history: &'h History<'a>) -> Self {
        let polls = history.polls().iter().enumerate();
        let polls = polls.filter(|(_, poll)| !history.kind_of(poll.task()).is_blocking);
        let (incidents, incident_count) = incident::incidents(history);
        Self {
            history,
            kinds: kind_rows(history),
            long_polls: longest(polls.map(|(index, poll)| (poll.duration(), index)), MOST_LONGEST),
            delays: delay::delays(history, MOST_LONGEST),
            bursts: burst::bursts(history),
            chains: chain::chains(history),
            incidents,
            incident_count,
        }
    }

    /// Returns a row per kind of task, those with the most CPU time first.
    #[must_use]
    pub fn kinds(&self) -> &[KindRow] {
        &self.kinds
    }

    /// Returns the longest polls of tasks as indices of [`History::polls`], the longest first.
    #[must_use]
    pub fn long_polls(&self) -> &[usize] {
        &self.long_polls
    }

    /// Returns the longest waits, each with what its worker did meanwhile.
    #[must_use]
    pub fn delays(&self) -> &[Delay] {
        &self.delays
    }

    /// Returns the polls that have woken or spawned many tasks.
    #[must_use]
    pub fn bursts(&self) -> &[Burst] {
        &self.bursts
    }

    /// Returns the longest chain of polls that wake each other, for each kind with a long one.
    #[must_use]
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// Returns the first stalls, rescues, resizes, drains and marks.
    #[must_use]
    pub fn incidents(&self) -> &[Incident<'a>] {
        &self.incidents
    }

    fn write_runtime(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runtime = self.history.trace().runtime();
        writeln!(
            f,
            "runtime `{}`, heist {}, process {}",
            Short(runtime.name),
            Short(runtime.version),
            runtime.process
        )?;
        let (events, lost) = self.history.trace().tracks().fold((0_u64, 0_u64), |(events, lost), track| {
            (events.saturating_add(track.event_count()), lost.saturating_add(track.lost()))
        });
        let first = self.history.tracks().iter().map(|times| times.first).min().unwrap_or_default();
        writeln!(f, "snapshot at {} ({}), {} workers", runtime.snapshot_at, Short(runtime.reason), runtime.workers)?;
        write!(f, "{events} events of {}", self.history.end().since(first))?;
        writeln!(f, "; {lost} older ones have been overwritten")
    }

    fn write_kinds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\ntasks")?;
        let headings = ["task", "tasks", "polls", "CPU", "longest", "waits", "p50", "p99", "max", "<woken most by"];
        let mut table = Table::new(&headings);
        for row in self.kinds.iter().take(MOST_KINDS) {
            let mut cells = vec![self.history.kinds()[row.kind].to_string()];
            cells.extend([row.tasks, row.polls].map(|count| count.to_string()));
            cells.extend([row.cpu, row.longest].map(|time| time.to_string()));
            cells.push(row.waits.count.to_string());
            cells.extend([row.waits.p50, row.waits.p99, row.waits.max].map(|time| time.to_string()));
            cells.push(row.waker.map_or("-".to_owned(), |waker| {
                let percent = row.waker_wakes as f64 * 100.0 / row.wakes.max(1) as f64;
                format!("{} ({percent:.0} %)", waker.shown(self.history))
            }));
            table.row(cells);
        }
        write!(f, "{table}")?;
        if self.kinds.len() > MOST_KINDS {
            writeln!(f, "  and {} more, with less CPU time", self.kinds.len() - MOST_KINDS)?;
        }
        Ok(())
    }

    fn write_workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nworkers")?;
        let headings =
            ["worker", "span", "busy", "searching", "parked", "polls", "steals", "stolen", "global", "events"];
        let mut table = Table::new(&headings);
        for (kind, times) in self.history.track_kinds().iter().zip(self.history.tracks()) {
            if matches!(kind, TrackKind::Worker(_)) {
                let mut cells = vec![kind.to_string(), times.span().to_string()];
                let shares = [times.busy, times.searching(), times.parked];
                cells.extend(shares.map(|share| format!("{:.1} %", share.percent_of(times.span()))));
                let counts = [times.polls, times.steals, times.stolen, times.taken, times.reactor_events];
                cells.extend(counts.map(|count| count.to_string()));
                table.row(cells);
            }
        }
        write!(f, "{table}")
    }

    fn write_long_polls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nlong polls")?;
        let tracks = self.history.track_kinds();
        for index in &self.long_polls {
            let poll = &self.history.polls()[*index];
            write!(f, "  {:>11}  {} on {}", poll.duration(), Subject(self.history, poll), tracks[poll.track()])?;
            write!(f, " at {}", poll.start())?;
            let id = self.history.tasks()[poll.task()].id();
            if let Some(place) = self.history.trace().task(id).and_then(|task| task.place) {
                write!(f, ", spawned at {}", ShortPlace(place))?;
            }
            writeln!(f, "{}", if poll.is_under_way() { ", under way" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_runtime(f)?;
        self.write_kinds(f)?;
        self.write_workers(f)?;
        self.write_long_polls(f)?;
        writeln!(f, "\nlong waits of queued tasks")?;
        for delay in &self.delays {
            delay.write(self.history, f)?;
        }
        if !self.bursts.is_empty() {
            writeln!(f, "\nmany tasks at once (thundering herd)")?;
        }
        for burst in &self.bursts {
            burst.write(self.history, f)?;
        }
        if !self.chains.is_empty() {
            writeln!(f, "\npolls that wake each other (a lock convoy, if the tasks share a lock)")?;
        }
        for chain in &self.chains {
            chain.write(self.history, f)?;
        }
        if !self.incidents.is_empty() {
            writeln!(f, "\nincidents")?;
        }
        for incident in &self.incidents {
            incident.write(self.history, f)?;
        }
        match self.incident_count - self.incidents.len() as u64 {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

/// The task of a poll: its kind, and its id.
struct Subject<'h, 'a>(&'h History<'a>, &'h Poll);

impl fmt::Display for Subject<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject(history, poll) = self;
        write!(f, "`{}` (task {})", history.kind_of(poll.task()), history.tasks()[poll.task()].id())
    }
}

/// A number of things, with their name in singular.
struct Counted(u64, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// Writes what has caused a spawn or a wake-up.
fn write_cause(history: &History<'_>, cause: Cause, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match cause {
        Cause::Poll(poll) => write!(f, "{}", Subject(history, &history.polls()[poll as usize])),
        Cause::Reactor => f.write_str("the reactor"),
        Cause::Timers => f.write_str("a timer"),
        Cause::Driver => f.write_str("the reactor or a timer"),
        Cause::Thread(0) => f.write_str("another thread"),
        Cause::Thread(thread) => write!(f, "thread {thread}"),
        Cause::Itself => f.write_str("itself"),
    }
}

fn trigger_name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Spawn => "spawned",
        Trigger::Wake => "woken",
        Trigger::Yield => "yielded",
    }
}

/// Returns the indices of the `most` longest times, the longest first. Those of length zero are
/// left out.
fn longest(times: impl Iterator<Item = (Nanos, usize)>, most: usize) -> Vec<usize> {
    let mut kept: Vec<(Nanos, usize)> = Vec::with_capacity(most + 1);
    for (time, index) in times {
        if time > Nanos::ZERO && (kept.len() < most || kept.last().is_some_and(|(least, _)| *least < time)) {
            let place = kept.partition_point(|(other, _)| *other >= time);
            kept.insert(place, (time, index));
            kept.truncate(most);
        }
    }
    kept.into_iter().map(|(_, index)| index).collect()
}
