//! The registration of I/O resources with heist's reactor.

use std::io;
use std::task::{Context, Poll, ready};

use heist::facade;
use mio::event::Source;

use super::scheduler;
use crate::io::interest::Interest;
use crate::io::ready::Ready;

/// The registration of one resource.
#[derive(Debug)]
pub(crate) struct Registration {
    inner: facade::Registration,
    /// The resource may be the descriptor of a child process: it is only ever readable.
    may_be_child: bool,
}

/// The readiness of a resource at one moment. `ready` is what a clear of it clears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyEvent {
    pub(crate) ready: Ready,
    event: facade::ReadyEvent,
}

impl ReadyEvent {
    fn new(event: facade::ReadyEvent, mask: Ready) -> ReadyEvent {
        ReadyEvent { ready: to_tokio(event.ready()) & mask, event }
    }

    /// Returns this event with another readiness to clear.
    #[allow(dead_code)]
    pub(crate) fn with_ready(&self, ready: Ready) -> ReadyEvent {
        ReadyEvent { ready, event: self.event }
    }
}

const PAIRS: [(Ready, heist::io::Ready); 4] = [
    (Ready::READABLE, heist::io::Ready::READABLE),
    (Ready::WRITABLE, heist::io::Ready::WRITABLE),
    (Ready::READ_CLOSED, heist::io::Ready::READ_CLOSED),
    (Ready::WRITE_CLOSED, heist::io::Ready::WRITE_CLOSED),
];

#[cfg(any(target_os = "linux", target_os = "android"))]
const MORE_PAIRS: [(Ready, heist::io::Ready); 2] =
    [(Ready::ERROR, heist::io::Ready::ERROR), (Ready::PRIORITY, heist::io::Ready::PRIORITY)];
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MORE_PAIRS: [(Ready, heist::io::Ready); 1] = [(Ready::ERROR, heist::io::Ready::ERROR)];

fn pairs() -> impl Iterator<Item = (Ready, heist::io::Ready)> {
    PAIRS.into_iter().chain(MORE_PAIRS)
}

fn to_tokio(ready: heist::io::Ready) -> Ready {
    pairs().filter(|&(_, bit)| !(ready & bit).is_empty()).fold(Ready::EMPTY, |sum, (bit, _)| sum | bit)
}

fn to_heist(ready: Ready) -> heist::io::Ready {
    pairs().filter(|&(bit, _)| !(ready & bit).is_empty()).fold(heist::io::Ready::EMPTY, |sum, (_, bit)| sum | bit)
}

fn interest_to_heist(interest: Interest) -> heist::io::Interest {
    let parts = [
        (interest.is_readable(), heist::io::Interest::READABLE),
        (interest.is_writable(), heist::io::Interest::WRITABLE),
        (interest.is_error(), heist::io::Interest::ERROR),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        (interest.is_priority(), heist::io::Interest::PRIORITY),
    ];
    let parts = parts.into_iter().filter(|&(is_wanted, _)| is_wanted).map(|(_, part)| part);
    parts.reduce(heist::io::Interest::add).expect("an interest is never empty")
}

impl Registration {
    #[track_caller]
    pub(crate) fn new_with_interest_and_handle(
        io: &mut impl Source,
        interest: Interest,
        handle: scheduler::Handle,
    ) -> io::Result<Registration> {
        let inner = facade::Registration::new(&handle.0, io)?;
        Ok(Registration { inner, may_be_child: interest == Interest::READABLE })
    }

    pub(crate) fn deregister(&mut self, io: &mut impl Source) -> io::Result<()> {
        self.inner.deregister(io)
    }

    pub(crate) fn clear_readiness(&self, event: ReadyEvent) {
        // A closed side stays closed.
        let drained = event.ready - Ready::READ_CLOSED - Ready::WRITE_CLOSED;
        self.inner.clear_readiness(event.event, to_heist(drained));
    }

    #[allow(dead_code)]
    pub(crate) fn assume_ready(&self, ready: Ready) {
        self.inner.assume_ready(to_heist(ready));
    }

    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<ReadyEvent>> {
        let event = ready!(self.inner.poll_read_ready(cx))?;
        Poll::Ready(Ok(ReadyEvent::new(event, Ready::READABLE | Ready::READ_CLOSED)))
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<ReadyEvent>> {
        let event = ready!(self.inner.poll_write_ready(cx))?;
        Poll::Ready(Ok(ReadyEvent::new(event, Ready::WRITABLE | Ready::WRITE_CLOSED)))
    }

    pub(crate) fn poll_read_io<R>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_io(|| self.poll_read_ready(cx), operation)
    }

    pub(crate) fn poll_write_io<R>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_io(|| self.poll_write_ready(cx), operation)
    }

    fn poll_io<R>(
        &self,
        mut poll_ready: impl FnMut() -> Poll<io::Result<ReadyEvent>>,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let event = ready!(poll_ready())?;
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.clear_readiness(event),
                result => return Poll::Ready(result),
            }
        }
    }

    pub(crate) fn try_io<R>(&self, interest: Interest, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let event = ReadyEvent::new(self.inner.ready_event(), Ready::from_interest(interest));
        if event.ready.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_readiness(event);
                Err(io::ErrorKind::WouldBlock.into())
            }
            result => result,
        }
    }

    pub(crate) async fn readiness(&self, interest: Interest) -> io::Result<ReadyEvent> {
        let event = self.inner.readiness(interest_to_heist(interest)).await?;
        Ok(ReadyEvent::new(event, Ready::from_interest(interest)))
    }

    #[allow(dead_code)]
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let event = self.readiness(interest).await?;
            let unit = std::future::poll_fn(crate::task::coop::poll_proceed).await;
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.clear_readiness(event),
                result => {
                    unit.made_progress();
                    return result;
                }
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A waker may own this registration, so it would keep itself alive.
        self.inner.clear_wakers();
        // The child may become an orphan next.
        #[cfg(all(unix, feature = "process"))]
        if self.may_be_child {
            super::signal::enable_reaping();
        }
    }
}
