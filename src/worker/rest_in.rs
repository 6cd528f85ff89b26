//! Sleeping in the reactor.

use std::time::Instant;

use crate::park::Drive;
use crate::reactor::Turn;
use crate::wakes::Wakes;

/// The reactor, as a parker sees it.
pub(super) struct RestIn<'a> {
    pub(super) turn: Turn<'a>,
    pub(super) wakes: &'a mut Wakes,
    /// Whether the reactor was looked at.
    pub(super) looked: bool,
}

impl Drive for RestIn<'_> {
    fn rest(&mut self, deadline: Option<Instant>) {
        self.looked = true;
        super::report(self.turn.rest(deadline, self.wakes));
    }
}
