//! Where several polls cannot be waited for there is only one.

use std::io;
use std::time::Duration;

use mio::Registry;

/// Nothing is watched.
#[derive(Debug)]
pub(super) struct PollSet;

impl PollSet {
    /// So many can be watched at a time.
    pub(super) const MOST: usize = 1;

    pub(super) fn new<'a>(_: impl Iterator<Item = &'a Registry>) -> PollSet {
        PollSet
    }

    /// A single poll is waited for by itself.
    pub(super) fn wait(&mut self, _: Option<Duration>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn in_turn(&self, step: usize) -> usize {
        step
    }

    pub(super) fn is_ready(&self, _: usize) -> bool {
        true
    }

    pub(super) fn begin_at(&mut self, _: usize) {}
}
