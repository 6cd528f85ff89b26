//! Folded stacks: where the time of each worker goes, for tools that draw flame graphs.
//!
//! A line has a worker, the name or spawn location of tasks, and `run` or `wait`. Then come
//! microseconds: those inside of polls, or those for which the tasks were queued before such polls.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::history::History;
use crate::nanos::Nanos;

/// Writes folded stacks, one a line. Those of less than a microsecond are left out.
///
/// # Errors
///
/// Returns the errors of `out`.
pub fn write(history: &History<'_>, out: &mut impl Write) -> io::Result<()> {
    // The time of polls, and that of waits, by track and by kind of task.
    let mut times: BTreeMap<(usize, usize), [Nanos; 2]> = BTreeMap::new();
    for poll in history.polls() {
        let time = times.entry((poll.track(), history.tasks()[poll.task()].kind())).or_default();
        time[0] += poll.duration();
        if let Some(wait) = poll.wait() {
            time[1] += history.waits()[wait].duration();
        }
    }
    let tracks = history.track_kinds();
    for ((track, kind), time) in times {
        let label = frame(&history.kinds()[kind].to_string());
        for (what, time) in ["run", "wait"].into_iter().zip(time) {
            if time.0 >= 1_000 {
                writeln!(out, "{};{label};{what} {}", tracks[track], time.0 / 1_000)?;
            }
        }
    }
    Ok(())
}

/// Returns a text as the name of a frame: a semicolon would end the frame.
fn frame(text: &str) -> String {
    text.replace(';', ":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, EventKind, PollEnd};
    use crate::task::{Task, TaskId};
    use crate::trace::{Runtime, Trace};
    use crate::track::TrackKind;
    use crate::write::TraceBuilder;

    #[test]
    fn flame_of_one_task_has_its_poll_and_its_wait() {
        let mut builder = TraceBuilder::new(&Runtime::default());
        let mut task = Task::new(TaskId(1));
        task.name = Some("a;b");
        builder.task(&task);
        let kinds = [
            (1_000, EventKind::Wake { task: task.id, thread: 0 }),
            (6_000, EventKind::PollStart { task: task.id, queued: 0 }),
            (9_000, EventKind::PollEnd { task: task.id, how: PollEnd::Pending }),
        ];
        builder.track(TrackKind::Worker(2), &kinds.map(|(at, kind)| Event::new(Nanos(at), kind)));
        let file = builder.finish();
        let trace = Trace::parse(&file).unwrap();
        let mut folded = Vec::new();
        write(&History::new(&trace), &mut folded).unwrap();
        assert_eq!(String::from_utf8(folded).unwrap(), "worker 2;a:b;run 3\nworker 2;a:b;wait 5\n");
    }
}
