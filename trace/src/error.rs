//! The place and the cause of a fault in a trace file.

use std::fmt;

/// A fault in a trace file: where it is, and what was expected there.
///
/// A file with a fault is rejected as a whole. The place is a byte of the file, so that a hex dump
/// shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    offset: usize,
    place: &'static str,
    expected: &'static str,
}

impl Error {
    pub(crate) fn new(offset: usize, place: &'static str, expected: &'static str) -> Self {
        Self { offset, place, expected }
    }

    /// Returns the byte of the file at which the fault is.
    ///
    /// It is the length of the file if the file ends too early.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the part of the file in which the fault is, such as `the tasks`.
    #[must_use]
    pub fn place(&self) -> &'static str {
        self.place
    }

    /// Returns what was expected at [`offset`](Self::offset).
    #[must_use]
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}, in {}: expected {}", self.offset, self.place, self.expected)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_display_names_the_byte_the_place_and_the_expectation() {
        let error = Error::new(17, "the tasks", "a number");
        assert_eq!(error.to_string(), "at byte 17, in the tasks: expected a number");
        assert_eq!((error.offset(), error.place(), error.expected()), (17, "the tasks", "a number"));
    }
}
