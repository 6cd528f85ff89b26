//! The tasks that a trace describes.

use std::fmt;

/// The id of a task, of a blocking job, or of the future that is passed to `block_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

impl TaskId {
    /// The future that is passed to `Runtime::block_on`.
    pub const BLOCK_ON: TaskId = TaskId(0);
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a trace tells about a task.
///
/// The list has each task that was alive at the snapshot, and each whose place an event names. A
/// task of an event may be missing, because what described it has been overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Task<'a> {
    /// Its id.
    pub id: TaskId,
    /// Set if the task was alive at the snapshot.
    pub is_alive: bool,
    /// Set for a blocking job.
    pub is_blocking: bool,
    /// Its name, if it has one.
    pub name: Option<&'a str>,
    /// The name of its group, if it has one.
    pub group: Option<&'a str>,
    /// The place in which it was spawned, if that is known.
    pub place: Option<Place<'a>>,
}

impl Task<'_> {
    /// Returns a task that is alive, and of which nothing else is known.
    #[must_use]
    pub fn new(id: TaskId) -> Self {
        Self { id, is_alive: true, is_blocking: false, name: None, group: None, place: None }
    }
}

/// A place in a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    /// The path of the file.
    pub file: &'a str,
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_display_has_file_line_and_column() {
        assert_eq!(Place { file: "src/main.rs", line: 7, column: 5 }.to_string(), "src/main.rs:7:5");
    }
}
