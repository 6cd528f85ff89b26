//! Addresses, and the names that stand for them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::task;

/// Something that stands for socket addresses.
///
/// It is implemented for the address types of std, for pairs of an address or a host name and a port, for strings such as
/// `"127.0.0.1:80"` and `"localhost:80"`, and for slices of addresses. What parses as an address is taken as it is; names
/// are resolved by the operating system, which may take a while and happens on a thread of the blocking pool.
///
/// The trait is sealed.
pub trait ToSocketAddrs: sealed::Meaning {}

mod sealed {
    /// What an argument stands for.
    #[derive(Debug)]
    pub enum Meant {
        /// Addresses that are known.
        Addresses(Vec<std::net::SocketAddr>),
        /// A name that has to be resolved.
        Name(String, u16),
        /// Nothing that makes sense; why.
        Nothing(&'static str),
    }

    /// The sealed part of [`super::ToSocketAddrs`].
    pub trait Meaning {
        /// What this stands for.
        fn meant(&self) -> Meant;
    }
}
use sealed::{Meaning, Meant};

/// The socket addresses that `host` stands for.
///
/// # Errors
///
/// If `host` makes no sense, or is a name that cannot be resolved.
///
/// # Panics
///
/// Outside of a runtime, if there is a name to be resolved.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// heist::runtime::Runtime::new()?.block_on(async {
///     let mut addresses = heist::net::lookup_host("127.0.0.1:80").await?;
///     assert_eq!(addresses.next(), Some(([127, 0, 0, 1], 80).into()));
///     Ok(())
/// })
/// # }
/// ```
pub async fn lookup_host<T: ToSocketAddrs>(host: T) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(addresses(host).await?.into_iter())
}

/// All that `host` stands for; at least one.
pub(super) async fn addresses(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let addresses = match host.meant() {
        Meant::Addresses(addresses) => addresses,
        Meant::Name(name, port) => resolve(name, port).await?,
        Meant::Nothing(why) => return Err(io::Error::new(io::ErrorKind::InvalidInput, why)),
    };
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no socket address to use"));
    }
    Ok(addresses)
}

/// Tries what `host` stands for, address by address, until one works; else answers with the last one's error.
pub(super) async fn first<T>(
    host: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut result = Err(io::ErrorKind::InvalidInput.into());
    for addr in addresses(host).await? {
        result = attempt(addr);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Asks the operating system for a name, on a thread that may block.
async fn resolve(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let ask = move || std::net::ToSocketAddrs::to_socket_addrs(&(name, port)).map(Iterator::collect);
    task::spawn_blocking(ask).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A name, or an address in writing.
fn host(name: &str, port: u16) -> Meant {
    match name.parse::<IpAddr>() {
        Ok(ip) => Meant::Addresses(vec![SocketAddr::new(ip, port)]),
        Err(_) => Meant::Name(name.to_owned(), port),
    }
}

impl Meaning for str {
    fn meant(&self) -> Meant {
        if let Ok(address) = self.parse() {
            return Meant::Addresses(vec![address]);
        }
        let Some((name, port)) = self.rsplit_once(':') else {
            return Meant::Nothing("a socket address needs a port: \"host:port\"");
        };
        match port.parse() {
            Ok(port) => host(name, port),
            Err(_) => Meant::Nothing("the port of a socket address is a number below 65536: \"host:port\""),
        }
    }
}

impl Meaning for String {
    fn meant(&self) -> Meant {
        self.as_str().meant()
    }
}

impl Meaning for SocketAddr {
    fn meant(&self) -> Meant {
        Meant::Addresses(vec![*self])
    }
}

impl Meaning for SocketAddrV4 {
    fn meant(&self) -> Meant {
        SocketAddr::V4(*self).meant()
    }
}

impl Meaning for SocketAddrV6 {
    fn meant(&self) -> Meant {
        SocketAddr::V6(*self).meant()
    }
}

impl Meaning for (IpAddr, u16) {
    fn meant(&self) -> Meant {
        SocketAddr::from(*self).meant()
    }
}

impl Meaning for (Ipv4Addr, u16) {
    fn meant(&self) -> Meant {
        SocketAddr::from(*self).meant()
    }
}

impl Meaning for (Ipv6Addr, u16) {
    fn meant(&self) -> Meant {
        SocketAddr::from(*self).meant()
    }
}

impl Meaning for (&str, u16) {
    fn meant(&self) -> Meant {
        host(self.0, self.1)
    }
}

impl Meaning for (String, u16) {
    fn meant(&self) -> Meant {
        host(&self.0, self.1)
    }
}

impl Meaning for [SocketAddr] {
    fn meant(&self) -> Meant {
        Meant::Addresses(self.to_vec())
    }
}

impl<T: Meaning + ?Sized> Meaning for &T {
    fn meant(&self) -> Meant {
        (**self).meant()
    }
}

impl ToSocketAddrs for str {}
impl ToSocketAddrs for String {}
impl ToSocketAddrs for SocketAddr {}
impl ToSocketAddrs for SocketAddrV4 {}
impl ToSocketAddrs for SocketAddrV6 {}
impl ToSocketAddrs for (IpAddr, u16) {}
impl ToSocketAddrs for (Ipv4Addr, u16) {}
impl ToSocketAddrs for (Ipv6Addr, u16) {}
impl ToSocketAddrs for (&str, u16) {}
impl ToSocketAddrs for (String, u16) {}
impl ToSocketAddrs for [SocketAddr] {}
impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    fn known(what: impl ToSocketAddrs) -> Vec<String> {
        match what.meant() {
            Meant::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_parses_needs_no_resolution() {
        assert_eq!(known("127.0.0.1:80"), ["127.0.0.1:80"]);
        assert_eq!(known("[::1]:80"), ["[::1]:80"]);
        assert_eq!(known(("::1", 80)), ["[::1]:80"]);
        assert_eq!(known((String::from("10.0.0.1"), 1)), ["10.0.0.1:1"]);
        assert_eq!(known((Ipv4Addr::LOCALHOST, 7)), ["127.0.0.1:7"]);
        let two: [SocketAddr; 2] = [([1, 2, 3, 4], 5).into(), ([6, 7, 8, 9], 10).into()];
        assert_eq!(known(&two[..]), ["1.2.3.4:5", "6.7.8.9:10"]);
    }

    #[test]
    fn names_are_left_to_the_resolver() {
        assert!(matches!("localhost:80".meant(), Meant::Name(name, 80) if name == "localhost"));
        assert!(matches!(("localhost", 80).meant(), Meant::Name(name, 80) if name == "localhost"));
    }

    #[test]
    fn nonsense_names_its_remedy() {
        for nonsense in ["localhost", "localhost:http", "localhost:65536", ""] {
            assert!(matches!(nonsense.meant(), Meant::Nothing(why) if why.contains("host:port")), "{nonsense}");
        }
    }
}
