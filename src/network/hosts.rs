//! The hosts of a simulated network, their addresses, and the links between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::HostId;
use super::link::Link;

/// All hosts.
#[derive(Debug)]
pub(crate) struct Hosts {
    all: Vec<Host>,
    link: Link,
    loopback: Link,
    /// Links that differ from the usual one.
    own_links: BTreeMap<(HostId, HostId), Link>,
    /// The directions that are cut.
    cut: BTreeSet<(HostId, HostId)>,
    /// When the last byte that was sent leaves a link.
    busy_until: BTreeMap<(HostId, HostId), u64>,
}

#[derive(Debug)]
struct Host {
    name: String,
    is_up: bool,
}

impl Hosts {
    pub(super) fn new(link: Link) -> Hosts {
        Hosts {
            all: Vec::new(),
            link,
            loopback: Link::loopback(),
            own_links: BTreeMap::new(),
            cut: BTreeSet::new(),
            busy_until: BTreeMap::new(),
        }
    }

    /// Adds a host. The first one has the address 10.0.0.1, the second one 10.0.0.2.
    pub(crate) fn add(&mut self, name: &str) -> HostId {
        self.all.push(Host { name: name.to_owned(), is_up: true });
        self.all.len() - 1
    }

    pub(crate) fn name(&self, host: HostId) -> &str {
        &self.all[host].name
    }

    pub(crate) fn find(&self, name: &str) -> Option<HostId> {
        self.all.iter().position(|host| host.name == name)
    }

    pub(crate) fn names(&self) -> String {
        self.all.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn ip(host: HostId) -> IpAddr {
        let number = u32::try_from(host + 1).unwrap_or(u32::MAX);
        Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)).saturating_add(number)).into()
    }

    pub(super) fn is_own(&self, host: HostId, ip: IpAddr) -> bool {
        ip.is_loopback() || ip == Hosts::ip(host)
    }

    /// Returns the host that has an address, as `from` sees it.
    pub(super) fn at(&self, from: HostId, ip: IpAddr) -> Option<HostId> {
        if ip.is_loopback() || ip.is_unspecified() {
            return Some(from);
        }
        (0..self.all.len()).find(|&host| Hosts::ip(host) == ip)
    }

    pub(crate) fn is_up(&self, host: HostId) -> bool {
        self.all[host].is_up
    }

    pub(super) fn set_up(&mut self, host: HostId, is_up: bool) {
        self.all[host].is_up = is_up;
    }

    pub(super) fn set_cut(&mut self, from: HostId, to: HostId, cut: bool) {
        if cut {
            self.cut.insert((from, to));
        } else {
            self.cut.remove(&(from, to));
        }
    }

    /// Returns true if nothing gets from one host to the other now.
    pub(super) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cut.contains(&(from, to)) || !self.all[to].is_up
    }

    pub(crate) fn set_link(&mut self, from: HostId, to: HostId, link: Link) {
        self.own_links.insert((from, to), link);
    }

    pub(super) fn link(&self, from: HostId, to: HostId) -> &Link {
        let usual = if from == to { &self.loopback } else { &self.link };
        self.own_links.get(&(from, to)).unwrap_or(usual)
    }

    /// Returns when the last of `bytes` has left a link on which they are sent now.
    pub(super) fn sent_at(&mut self, now: u64, from: HostId, to: HostId, bytes: usize) -> u64 {
        let bandwidth = self.link(from, to).bandwidth;
        let busy = self.busy_until.entry((from, to)).or_insert(0);
        let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(bandwidth);
        *busy = (*busy).max(now).saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX / 4));
        *busy
    }
}
