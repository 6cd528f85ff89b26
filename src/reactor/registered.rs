//! An I/O resource together with its registration.

use std::{fmt, io};

use super::Reactor;
use super::interest::Ready;
use super::source::Source;
use crate::primitive::Arc;

/// An I/O resource that is registered for as long as this value lives.
pub(crate) struct Registered<E: mio::event::Source> {
    /// Present until `into_io` or the drop takes it.
    io: Option<E>,
    source: Arc<Source>,
    /// The reactor's shard with which it is registered.
    shard: usize,
    reactor: Arc<Reactor>,
}

// No user code runs while one of the runtime's locks is held. So a panic of user code leaves
// nothing here half done. All sockets inherit this.
impl<E: mio::event::Source> std::panic::UnwindSafe for Registered<E> {}
impl<E: mio::event::Source> std::panic::RefUnwindSafe for Registered<E> {}

impl<E: mio::event::Source> Registered<E> {
    /// Registers `io`. It counts as ready for `presumed` until an operation would block.
    pub(crate) fn new(reactor: Arc<Reactor>, mut io: E, presumed: Ready) -> io::Result<Registered<E>> {
        let shard = reactor.next_shard();
        let source = reactor.register(shard, &mut io, presumed)?;
        Ok(Registered { io: Some(io), source, shard, reactor })
    }

    pub(crate) fn io(&self) -> &E {
        self.io.as_ref().expect("the resource is present until it is consumed")
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Returns the shard with which it is registered.
    #[cfg(test)]
    pub(super) fn shard(&self) -> usize {
        self.shard
    }

    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    /// Deregisters the resource and gives it back.
    pub(crate) fn into_io(mut self) -> io::Result<E> {
        let mut io = self.io.take().expect("the resource is present until it is consumed");
        self.reactor.deregister(self.shard, &mut io, &self.source)?;
        Ok(io)
    }
}

impl<E: mio::event::Source> Drop for Registered<E> {
    fn drop(&mut self) {
        if let Some(mut io) = self.io.take() {
            // An error changes nothing: the resource is closed next, and that deregisters it with
            // the operating system in any case.
            let _ = self.reactor.deregister(self.shard, &mut io, &self.source);
        }
    }
}

impl<E: mio::event::Source + fmt::Debug> fmt::Debug for Registered<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}
