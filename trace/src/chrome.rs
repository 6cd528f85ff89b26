//! Converts a trace into the JSON that Chrome's `about:tracing` and other viewers read.
//!
//! The format is called Trace Event Format. Polls and parks are spans, wake-ups are arrows, and the
//! lengths of the queues are counters.

mod json;

use std::io::{self, Write};

use self::json::Quoted;
use crate::event::EventKind;
use crate::history::{History, Trigger};
use crate::instant::Instant;
use crate::label::Label;
use crate::lanes::Lanes;
use crate::nanos::Micros;
use crate::trace::Trace;

/// Writes the trace as JSON in the Trace Event Format.
///
/// # Errors
///
/// Returns the errors of `out`.
pub fn write(history: &History<'_>, out: &mut impl Write) -> io::Result<()> {
    let mut timeline =
        Timeline { history, lanes: Lanes::new(history.trace()), process: history.trace().runtime().process };
    out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n")?;
    timeline.write_polls(out)?;
    timeline.write_parks(out)?;
    timeline.write_wakes(out)?;
    timeline.write_events(history.trace(), out)?;
    timeline.write_names(out)?;
    out.write_all(b"]}\n")
}

struct Timeline<'h, 'a> {
    history: &'h History<'a>,
    lanes: Lanes,
    process: u64,
}

impl Timeline<'_, '_> {
    fn write_polls(&mut self, out: &mut impl Write) -> io::Result<()> {
        for poll in self.history.polls() {
            let (lane, _) = self.lanes.of_poll(poll);
            let name = self.history.kind_of(poll.task()).to_string();
            write!(out, "{{\"ph\":\"X\",\"cat\":\"poll\",\"name\":{},\"pid\":{}", Quoted(&name), self.process)?;
            write!(out, ",\"tid\":{lane},\"ts\":{},\"dur\":{}", Micros(poll.start()), Micros(poll.duration()))?;
            let how = poll.how().map_or("unknown", |how| how.name());
            let id = self.history.tasks()[poll.task()].id();
            writeln!(out, ",\"args\":{{\"task\":{id},\"how\":\"{how}\",\"woken\":{}}}}},", poll.woken())?;
        }
        Ok(())
    }

    fn write_parks(&mut self, out: &mut impl Write) -> io::Result<()> {
        for (track, times) in self.history.tracks().iter().enumerate() {
            for (start, end) in &times.parks {
                let (lane, _) = self.lanes.lane(track, 0);
                write!(out, "{{\"ph\":\"X\",\"cat\":\"park\",\"name\":\"parked\",\"pid\":{}", self.process)?;
                writeln!(out, ",\"tid\":{lane},\"ts\":{},\"dur\":{}}},", Micros(*start), Micros(end.since(*start)))?;
            }
        }
        Ok(())
    }

    /// Writes an arrow from each wake-up to its poll. The ids of arrows are indices of waits.
    fn write_wakes(&mut self, out: &mut impl Write) -> io::Result<()> {
        for (id, wait) in self.history.waits().iter().enumerate() {
            let Some(poll) = wait.poll().map(|poll| &self.history.polls()[poll]) else { continue };
            let name = match wait.trigger() {
                Trigger::Spawn => "spawn",
                Trigger::Wake => "wake",
                Trigger::Yield => "yield",
            };
            let (from, _) = self.lanes.of_wait(self.history, wait);
            let (to, _) = self.lanes.of_poll(poll);
            for (phase, lane, at) in [("\"s\"", from, wait.since()), ("\"f\",\"bp\":\"e\"", to, poll.start())] {
                write!(out, "{{\"ph\":{phase},\"cat\":\"wake\",\"name\":\"{name}\",\"id\":{id}")?;
                writeln!(out, ",\"pid\":{},\"tid\":{lane},\"ts\":{}}},", self.process, Micros(at))?;
            }
        }
        Ok(())
    }

    fn write_events(&mut self, trace: &Trace<'_>, out: &mut impl Write) -> io::Result<()> {
        for (index, track) in trace.tracks().enumerate() {
            for event in track.events() {
                if let EventKind::PollStart { queued, .. } = event.kind {
                    write!(out, "{{\"ph\":\"C\",\"name\":\"queued at {}\",\"pid\":{}", track.kind(), self.process)?;
                    writeln!(out, ",\"ts\":{},\"args\":{{\"tasks\":{queued}}}}},", Micros(event.at))?;
                }
                let Some(instant) = Instant::of(self.history, event.kind) else { continue };
                let (lane, _) = self.lanes.lane(index, event.kind.thread());
                let (name, scope) = (instant.to_string(), if instant.is_global() { "p" } else { "t" });
                write!(out, "{{\"ph\":\"i\",\"cat\":\"event\",\"s\":\"{scope}\",\"name\":{}", Quoted(&name))?;
                write!(out, ",\"pid\":{},\"tid\":{lane},\"ts\":{},\"args\":{{", self.process, Micros(event.at))?;
                for (place, (name, number)) in instant.numbers().iter().enumerate() {
                    write!(out, "{}\"{name}\":{number}", if place > 0 { "," } else { "" })?;
                }
                out.write_all(b"}},\n")?;
            }
        }
        Ok(())
    }

    /// Writes the names of the process and of the lanes. The process comes last, without a comma.
    fn write_names(&self, out: &mut impl Write) -> io::Result<()> {
        for (lane, named) in self.lanes.used().iter().enumerate() {
            write!(out, "{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{},\"tid\":{lane}", self.process)?;
            writeln!(out, ",\"args\":{{\"name\":{}}}}},", Quoted(&named.to_string()))?;
        }
        let name = Label::Name(self.history.trace().runtime().name).to_string();
        write!(out, "{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{}", self.process)?;
        writeln!(out, ",\"args\":{{\"name\":{}}}}}", Quoted(&name))
    }
}
