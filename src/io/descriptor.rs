//! A descriptor that the reactor does not own, as a resource of mio.

use std::io;
use std::os::fd::RawFd;

use mio::unix::SourceFd;
use mio::{Registry, Token};

use crate::reactor::Interest;

/// The number of a descriptor, and the interest that it is registered for.
#[derive(Debug)]
pub(super) struct Descriptor {
    fd: RawFd,
    interest: mio::Interest,
}

impl Descriptor {
    pub(super) fn new(fd: RawFd, interest: Interest) -> Descriptor {
        Descriptor { fd, interest: mio_interest(interest) }
    }
}

/// Returns the interest to register.
///
/// The operating system always reports errors. So an interest in nothing else asks for readability.
fn mio_interest(interest: Interest) -> mio::Interest {
    let mut sum: Option<mio::Interest> = None;
    let mut add = |is: bool, part: mio::Interest| {
        if is {
            sum = Some(sum.map_or(part, |sum| sum | part));
        }
    };
    add(interest.is_readable(), mio::Interest::READABLE);
    add(interest.is_writable(), mio::Interest::WRITABLE);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    add(interest.is_priority(), mio::Interest::PRIORITY);
    sum.unwrap_or(mio::Interest::READABLE)
}

/// Registers the interest of the user, instead of the one that the reactor registers for every
/// resource: not every descriptor supports all of it.
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
