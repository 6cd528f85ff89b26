//! A resource together with its registration.

use std::{fmt, io};

use super::Reactor;
use super::interest::Ready;
use super::source::Source;
use crate::sync::Arc;

/// An I/O resource that is registered as long as this lives.
pub(crate) struct Registered<E: mio::event::Source> {
    /// Present until the drop.
    io: Option<E>,
    source: Arc<Source>,
    /// The reactor's shard with which it is registered.
    shard: usize,
    reactor: Arc<Reactor>,
}

/// No code of users runs while a lock of ours is held, so no panic of theirs leaves anything here
/// half done. All sockets inherit this.
impl<E: mio::event::Source> std::panic::UnwindSafe for Registered<E> {}
impl<E: mio::event::Source> std::panic::RefUnwindSafe for Registered<E> {}

impl<E: mio::event::Source> Registered<E> {
    /// Registers `io`, which is taken to be ready for `presumed` until it proves not to be.
    pub(crate) fn new(reactor: Arc<Reactor>, mut io: E, presumed: Ready) -> io::Result<Registered<E>> {
        let shard = reactor.next_shard();
        let source = reactor.register(shard, &mut io, presumed)?;
        Ok(Registered { io: Some(io), source, shard, reactor })
    }

    pub(crate) fn io(&self) -> &E {
        self.io.as_ref().expect("only the drop takes the resource out")
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// In which shard it is registered.
    #[cfg(test)]
    pub(super) fn shard(&self) -> usize {
        self.shard
    }

    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    /// Deregisters the resource and gives it back.
    pub(crate) fn into_io(mut self) -> io::Result<E> {
        let mut io = self.io.take().expect("only the drop takes the resource out");
        self.reactor.deregister(self.shard, &mut io, &self.source)?;
        Ok(io)
    }
}

impl<E: mio::event::Source> Drop for Registered<E> {
    fn drop(&mut self) {
        if let Some(mut io) = self.io.take() {
            // The resource is closed next, which takes it out of the operating system's books in
            // any case.
            let _ = self.reactor.deregister(self.shard, &mut io, &self.source);
        }
    }
}

impl<E: mio::event::Source + fmt::Debug> fmt::Debug for Registered<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}
