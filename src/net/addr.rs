//! Socket addresses, and the resolution of host names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::primitive::resolve_simulated;
use crate::task;

/// A value that converts to socket addresses.
///
/// The trait is implemented for:
///
/// * the address types of std, and slices of addresses;
/// * pairs of an address or a host name, and a port;
/// * strings such as `"127.0.0.1:80"` and `"localhost:80"`.
///
/// Text that parses as an address is used as it is. The operating system resolves names, which may
/// take a while. It happens on a thread of the blocking pool.
///
/// The trait is sealed.
pub trait ToSocketAddrs: sealed::ToAddressSource {}

mod sealed {
    /// The addresses or the name that an argument holds.
    #[derive(Debug)]
    pub enum AddressSource {
        /// Addresses, which need no resolution.
        Addresses(Vec<std::net::SocketAddr>),
        /// A host name that has to be resolved, and a port.
        Name(String, u16),
        /// Neither; the text of the error.
        Invalid(&'static str),
    }

    /// The sealed part of [`super::ToSocketAddrs`].
    pub trait ToAddressSource {
        /// Returns the addresses or the name.
        fn address_source(&self) -> AddressSource;
    }
}
use sealed::{AddressSource, ToAddressSource};

/// Returns the socket addresses of `host`.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if `host` is no address and no name with a port.
/// Otherwise, if `host` is a name that cannot be resolved.
///
/// # Panics
///
/// If `host` is a name that has to be resolved, and this thread is not inside of a runtime.
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

/// Returns all addresses of `host`: at least one.
pub(super) async fn addresses(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let addresses = match host.address_source() {
        AddressSource::Addresses(addresses) => addresses,
        AddressSource::Name(name, port) => resolve(name, port).await?,
        AddressSource::Invalid(text) => return Err(io::Error::new(io::ErrorKind::InvalidInput, text)),
    };
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no socket address to use"));
    }
    Ok(addresses)
}

/// Calls `attempt` with one address of `host` after the other, until it succeeds. If none succeeds,
/// returns the last error.
pub(super) async fn try_each_address<T>(
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

/// Resolves a name, on a thread of the blocking pool.
async fn resolve(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Some(addresses) = resolve_simulated(&name, port) {
        return addresses;
    }
    let lookup = move || std::net::ToSocketAddrs::to_socket_addrs(&(name, port)).map(Iterator::collect);
    task::spawn_blocking(lookup).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Returns the address that `name` spells, or the name.
fn parse_host(name: &str, port: u16) -> AddressSource {
    match name.parse::<IpAddr>() {
        Ok(ip) => AddressSource::Addresses(vec![SocketAddr::new(ip, port)]),
        Err(_) => AddressSource::Name(name.to_owned(), port),
    }
}

impl ToAddressSource for str {
    fn address_source(&self) -> AddressSource {
        if let Ok(address) = self.parse() {
            return AddressSource::Addresses(vec![address]);
        }
        let Some((name, port)) = self.rsplit_once(':') else {
            return AddressSource::Invalid("a socket address needs a port: \"host:port\"");
        };
        match port.parse() {
            Ok(port) => parse_host(name, port),
            Err(_) => AddressSource::Invalid("the port of a socket address is a number below 65536: \"host:port\""),
        }
    }
}

impl ToAddressSource for String {
    fn address_source(&self) -> AddressSource {
        self.as_str().address_source()
    }
}

impl ToAddressSource for SocketAddr {
    fn address_source(&self) -> AddressSource {
        AddressSource::Addresses(vec![*self])
    }
}

impl ToAddressSource for SocketAddrV4 {
    fn address_source(&self) -> AddressSource {
        SocketAddr::V4(*self).address_source()
    }
}

impl ToAddressSource for SocketAddrV6 {
    fn address_source(&self) -> AddressSource {
        SocketAddr::V6(*self).address_source()
    }
}

impl ToAddressSource for (IpAddr, u16) {
    fn address_source(&self) -> AddressSource {
        SocketAddr::from(*self).address_source()
    }
}

impl ToAddressSource for (Ipv4Addr, u16) {
    fn address_source(&self) -> AddressSource {
        SocketAddr::from(*self).address_source()
    }
}

impl ToAddressSource for (Ipv6Addr, u16) {
    fn address_source(&self) -> AddressSource {
        SocketAddr::from(*self).address_source()
    }
}

impl ToAddressSource for (&str, u16) {
    fn address_source(&self) -> AddressSource {
        parse_host(self.0, self.1)
    }
}

impl ToAddressSource for (String, u16) {
    fn address_source(&self) -> AddressSource {
        parse_host(&self.0, self.1)
    }
}

impl ToAddressSource for [SocketAddr] {
    fn address_source(&self) -> AddressSource {
        AddressSource::Addresses(self.to_vec())
    }
}

impl<T: ToAddressSource + ?Sized> ToAddressSource for &T {
    fn address_source(&self) -> AddressSource {
        (**self).address_source()
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

    fn known_addresses(host: impl ToSocketAddrs) -> Vec<String> {
        match host.address_source() {
            AddressSource::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn address_that_parses_needs_no_resolution() {
        assert_eq!(known_addresses("127.0.0.1:80"), ["127.0.0.1:80"]);
        assert_eq!(known_addresses("[::1]:80"), ["[::1]:80"]);
        assert_eq!(known_addresses(("::1", 80)), ["[::1]:80"]);
        assert_eq!(known_addresses((String::from("10.0.0.1"), 1)), ["10.0.0.1:1"]);
        assert_eq!(known_addresses((Ipv4Addr::LOCALHOST, 7)), ["127.0.0.1:7"]);
        let two: [SocketAddr; 2] = [([1, 2, 3, 4], 5).into(), ([6, 7, 8, 9], 10).into()];
        assert_eq!(known_addresses(&two[..]), ["1.2.3.4:5", "6.7.8.9:10"]);
    }

    #[test]
    fn host_name_needs_resolution() {
        assert!(matches!("localhost:80".address_source(), AddressSource::Name(name, 80) if name == "localhost"));
        assert!(matches!(("localhost", 80).address_source(), AddressSource::Name(name, 80) if name == "localhost"));
    }

    #[test]
    fn address_without_a_port_gives_an_error_with_a_remedy() {
        for text in ["localhost", "localhost:http", "localhost:65536", ""] {
            assert!(
                matches!(text.address_source(), AddressSource::Invalid(error) if error.contains("host:port")),
                "{text}"
            );
        }
    }
}
