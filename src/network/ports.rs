//! The ports of all hosts.

use std::collections::BTreeSet;
use std::io;

use super::HostId;

/// The first port of those that are given to sockets that ask for none.
const FIRST_FREE: u16 = 49_152;

/// The transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// The ports that are taken.
#[derive(Debug, Default)]
pub(super) struct Ports {
    taken: BTreeSet<(HostId, Protocol, u16)>,
    drawn: u16,
}

impl Ports {
    /// Takes `port`, or a free one for 0.
    pub(super) fn take(&mut self, host: HostId, protocol: Protocol, port: u16) -> io::Result<u16> {
        if port != 0 {
            if self.taken.insert((host, protocol, port)) {
                return Ok(port);
            }
            let text = format!("the port {port} is taken on this host: pass 0 for a free one");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        let range = u16::MAX - FIRST_FREE;
        for _ in 0..range {
            let port = FIRST_FREE + self.drawn;
            self.drawn = (self.drawn + 1) % range;
            if self.taken.insert((host, protocol, port)) {
                return Ok(port);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no port of this host is free: close some sockets first"))
    }

    pub(super) fn release(&mut self, host: HostId, protocol: Protocol, port: u16) {
        self.taken.remove(&(host, protocol, port));
    }

    pub(super) fn release_all(&mut self, host: HostId) {
        self.taken.retain(|(owner, _, _)| *owner != host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_taken_twice_gives_an_error_until_it_is_released() {
        let mut ports = Ports::default();
        assert_eq!(ports.take(0, Protocol::Tcp, 80).unwrap(), 80);
        assert_eq!(ports.take(0, Protocol::Udp, 80).unwrap(), 80);
        assert_eq!(ports.take(1, Protocol::Tcp, 80).unwrap(), 80);
        assert_eq!(ports.take(0, Protocol::Tcp, 80).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        ports.release(0, Protocol::Tcp, 80);
        assert_eq!(ports.take(0, Protocol::Tcp, 80).unwrap(), 80);
    }

    #[test]
    fn free_ports_differ_until_none_is_left() {
        let mut ports = Ports::default();
        let mut drawn: Vec<u16> = (FIRST_FREE..u16::MAX).map(|_| ports.take(0, Protocol::Tcp, 0).unwrap()).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), usize::from(u16::MAX - FIRST_FREE));
        assert_eq!(ports.take(0, Protocol::Tcp, 0).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
