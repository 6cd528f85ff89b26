//! What a task is called in a report: its name, or the place in which it was spawned.

use std::collections::HashMap;
use std::fmt::{self, Write};

use crate::task::{Place, Task, TaskId};
use crate::trace::Trace;

/// The most characters of a text that are shown. A file may name one long text many times.
const MOST_CHARACTERS: usize = 80;

/// What a task is called: its name, or the place in which it was spawned.
///
/// Tasks with the same label are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Label<'a> {
    /// The name of the tasks.
    Name(&'a str),
    /// The place in which the tasks were spawned, if they have no name.
    Place(Place<'a>),
    /// The future that is passed to `Runtime::block_on`.
    BlockOn,
    /// The trace does not tell.
    Unknown,
}

impl<'a> Label<'a> {
    /// Returns the label of a task, or of an id which the trace does not describe.
    #[must_use]
    pub fn of(id: TaskId, task: Option<&Task<'a>>) -> Self {
        match task {
            Some(Task { name: Some(name), .. }) => Self::Name(name),
            Some(Task { place: Some(place), .. }) => Self::Place(*place),
            _ if id == TaskId::BLOCK_ON => Self::BlockOn,
            _ => Self::Unknown,
        }
    }
}

/// Writes at most about a hundred characters, none of which is a control character.
impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => Short(name).fmt(f),
            Self::Place(place) => ShortPlace(*place).fmt(f),
            Self::BlockOn => f.write_str("block_on"),
            Self::Unknown => f.write_str("unknown task"),
        }
    }
}

/// A text of the file. It is cut at a number of characters, and control characters are replaced.
pub(crate) struct Short<'a>(pub(crate) &'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.0.chars().enumerate() {
            if at == MOST_CHARACTERS {
                return f.write_char('…');
            }
            f.write_char(if c.is_control() { '?' } else { c })?;
        }
        Ok(())
    }
}

/// A place of the file. If its path is too long, the end of it is shown.
pub(crate) struct ShortPlace<'a>(pub(crate) Place<'a>);

impl fmt::Display for ShortPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = self.0;
        let start = file.char_indices().rev().nth(MOST_CHARACTERS - 1).map_or(0, |(start, _)| start);
        write!(f, "{}{}:{line}:{column}", if start > 0 { "…" } else { "" }, Short(&file[start..]))
    }
}

/// The tasks that have one label.
#[derive(Clone, Copy, Debug)]
pub struct TaskKind<'a> {
    /// What the tasks are called.
    pub label: Label<'a>,
    /// Set if they are blocking jobs.
    pub is_blocking: bool,
    /// The place in which the first of them was spawned, if it is known.
    pub place: Option<Place<'a>>,
}

impl fmt::Display for TaskKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.label, if self.is_blocking { " (blocking)" } else { "" })
    }
}

/// Sorts tasks by label.
///
/// Tasks share their texts, so texts are compared by address. Each address is hashed as a text only
/// once: a file may name one long text in each of its tasks.
#[derive(Debug, Default)]
pub(crate) struct TaskKinds<'a> {
    texts: HashMap<&'a str, u32>,
    addresses: HashMap<(usize, usize), u32>,
    by_key: HashMap<(u8, u32, u64, u64), u32>,
    kinds: Vec<TaskKind<'a>>,
}

impl<'a> TaskKinds<'a> {
    /// Returns the index of the task's kind, which is added if it is new.
    pub(crate) fn index_of(&mut self, trace: &'a Trace<'a>, id: TaskId, is_blocking: bool) -> u32 {
        let task = trace.task(id);
        let is_blocking = task.map_or(is_blocking, |task| task.is_blocking);
        let label = Label::of(id, task);
        let (code, text, line, column) = match label {
            Label::Name(name) => (0, self.text(name), 0, 0),
            Label::Place(place) => (1, self.text(place.file), place.line, place.column),
            Label::BlockOn => (2, 0, 0, 0),
            Label::Unknown => (3, 0, 0, 0),
        };
        let kinds = &mut self.kinds;
        *self.by_key.entry((code << 1 | u8::from(is_blocking), text, line, column)).or_insert_with(|| {
            kinds.push(TaskKind { label, is_blocking, place: task.and_then(|task| task.place) });
            kinds.len() as u32 - 1
        })
    }

    pub(crate) fn into_list(self) -> Vec<TaskKind<'a>> {
        self.kinds
    }

    fn text(&mut self, text: &'a str) -> u32 {
        let texts = &mut self.texts;
        *self.addresses.entry((text.as_ptr().addr(), text.len())).or_insert_with(|| {
            let next = texts.len() as u32;
            *texts.entry(text).or_insert(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_display_cuts_long_texts_and_hides_control_characters() {
        let long = "x".repeat(500);
        assert_eq!(Label::Name(&long).to_string().chars().count(), MOST_CHARACTERS + 1);
        let place = Place { file: &format!("{long}/end.rs"), line: 1, column: 2 };
        assert!(Label::Place(place).to_string().ends_with("x/end.rs:1:2"));
        assert_eq!(Label::Name("a\x1b[2J\nb").to_string(), "a?[2J?b");
    }

    #[test]
    fn label_of_each_task_prefers_the_name() {
        let mut task = Task::new(TaskId(4));
        assert_eq!(Label::of(TaskId(4), Some(&task)), Label::Unknown);
        let place = Place { file: "a.rs", line: 1, column: 2 };
        task.place = Some(place);
        assert_eq!(Label::of(TaskId(4), Some(&task)), Label::Place(place));
        task.name = Some("db");
        assert_eq!(Label::of(TaskId(4), Some(&task)), Label::Name("db"));
        assert_eq!(Label::of(TaskId(0), None), Label::BlockOn);
    }
}
