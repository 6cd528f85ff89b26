//! A descriptor that belongs to somebody else, as mio registers it.

use std::io;
use std::os::fd::RawFd;

use mio::unix::SourceFd;
use mio::{Registry, Token};

use crate::reactor::Interest;

/// The number of a descriptor, and what it is registered for.
#[derive(Debug)]
pub(super) struct Descriptor {
    fd: RawFd,
    interest: mio::Interest,
}

impl Descriptor {
    pub(super) fn new(fd: RawFd, interest: Interest) -> Descriptor {
        Descriptor { fd, interest: asked_for(interest) }
    }
}

/// What to ask the operating system for. Errors are always reported, so an interest in nothing else asks for readability.
fn asked_for(interest: Interest) -> mio::Interest {
    let mut asked: Option<mio::Interest> = None;
    let mut ask = |is: bool, what: mio::Interest| {
        if is {
            asked = Some(asked.map_or(what, |asked| asked | what));
        }
    };
    ask(interest.is_readable(), mio::Interest::READABLE);
    ask(interest.is_writable(), mio::Interest::WRITABLE);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    ask(interest.is_priority(), mio::Interest::PRIORITY);
    asked.unwrap_or(mio::Interest::READABLE)
}

/// What the reactor registers everything for gives way to what the user asked for: not every descriptor can do all.
impl mio::event::Source for Descriptor {
    fn register(&mut self, registry: &Registry, token: Token, _: mio::Interest) -> io::Result<()> {
        SourceFd(&self.fd).register(registry, token, self.interest)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, _: mio::Interest) -> io::Result<()> {
        SourceFd(&self.fd).reregister(registry, token, self.interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.fd).deregister(registry)
    }
}
