//! The readiness of a resource and its waiters, without a resource, for the property tests.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::reactor::{Direction, Interest, Ready, ReadyFuture, Snapshot, Source, SourceKey};
use crate::util::wake_list::WakeList;

/// The source of an imaginary resource.
#[derive(Debug)]
pub struct TestSource(Source);

/// The readiness at one moment.
#[derive(Debug, Clone, Copy)]
pub struct SeenReady(Snapshot);

impl SeenReady {
    /// Returns what the resource was ready for.
    pub fn ready(self) -> Ready {
        self.0.ready()
    }
}

/// A wait for any of an interest. It resolves to the readiness that ended it.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct TestWait<'a>(Pin<Box<ReadyFuture<'a>>>);

impl Future for TestWait<'_> {
    type Output = io::Result<SeenReady>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map_ok(SeenReady)
    }
}

impl TestSource {
    /// Creates a source that is ready for `presumed`.
    pub fn new(presumed: Ready) -> TestSource {
        TestSource(Source::new(SourceKey::from(mio::Token(0)), presumed))
    }

    /// Reports an event, and wakes its waiters.
    pub fn set_ready(&self, ready: Ready) {
        let mut wakes = WakeList::new();
        self.0.set_ready(ready, &mut wakes);
        wakes.wake_all();
    }

    /// Closes the source, and wakes all waiters.
    pub fn close_source(&self) {
        let mut wakes = WakeList::new();
        self.0.close_source(&mut wakes);
        wakes.wake_all();
    }

    /// Clears `drained`, which an operation after `seen` has found to be over.
    pub fn clear(&self, drained: Ready, seen: SeenReady) {
        self.0.clear(drained, seen.0);
    }

    /// Does `operation` if the source is ready for anything of `interest`.
    ///
    /// # Errors
    ///
    /// Returns `WouldBlock` if it is not, an error if the source is closed, and the error of the
    /// operation.
    pub fn try_io(&self, interest: Interest, operation: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.0.try_io(interest, || operation().map(crate::reactor::Opaque)).map(|done| done.0)
    }

    /// Waits in the waker slot of reading or writing, where only the latest waker is kept.
    pub fn poll_ready(&self, is_write: bool, cx: &mut Context<'_>) -> Poll<io::Result<SeenReady>> {
        let direction = if is_write { Direction::Write } else { Direction::Read };
        self.0.poll_ready(direction, cx).map_ok(SeenReady)
    }

    /// Waits for anything of `interest`.
    pub fn ready(&self, interest: Interest) -> TestWait<'_> {
        TestWait(Box::pin(self.0.ready(interest)))
    }
}
