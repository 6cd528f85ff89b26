//! A platform that cannot wait for several polls has a reactor of one shard.

use std::io;
use std::time::Duration;

use mio::Registry;

/// Waits for nothing: a single poll waits by itself.
#[derive(Debug)]
pub(super) struct PollSet;

impl PollSet {
    /// The most polls that one wait can cover.
    pub(super) const MAX: usize = 1;

    pub(super) fn new<'a>(_: impl Iterator<Item = &'a Registry>) -> PollSet {
        PollSet
    }

    /// Fails: a reactor of one shard never calls this.
    pub(super) fn wait(&mut self, _: Option<Duration>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn nth(&self, step: usize) -> usize {
        step
    }

    pub(super) fn is_ready(&self, _: usize) -> bool {
        true
    }

    pub(super) fn set_first(&mut self, _: usize) {}
}
