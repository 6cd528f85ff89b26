//! The resolution of addresses against the standard library's.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};

use arbitrary::Arbitrary;
use heist::net::lookup_host;
use heist::runtime::{Builder, Runtime};

/// A part of a text: mostly what belongs into an address.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Part {
    Number(u16),
    Hex(u16),
    V4([u8; 4]),
    V6([u16; 8]),
    /// One of the characters between the numbers.
    Mark(u8),
    Port(u32),
    /// A host that resolves by itself.
    Host(u8),
    Char(char),
}

const MARKS: [&str; 16] = [":", ".", "[", "]", "::", "%", "]:", "/", "-", "+", " ", "0x", "\0", "%1]:", "::ffff:", "0"];

/// Names that a resolver knows without a network. The others have a NUL, which no name may have.
const HOSTS: [&str; 8] = ["localhost", "127.1", "0x7f.1", "2130706433", "a\0b", "\0", "::1%lo", "1.2.3"];

impl Part {
    fn text(&self) -> String {
        match self {
            Part::Number(number) => number.to_string(),
            Part::Hex(number) => format!("{number:x}"),
            Part::V4(bytes) => Ipv4Addr::from(*bytes).to_string(),
            Part::V6(words) => Ipv6Addr::from(*words).to_string(),
            Part::Mark(mark) => MARKS[usize::from(*mark) % MARKS.len()].to_owned(),
            Part::Port(port) => format!(":{}", port % 70_000),
            Part::Host(host) => HOSTS[usize::from(*host) % HOSTS.len()].to_owned(),
            Part::Char(char) => char.to_string(),
        }
    }
}

/// What is resolved.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Case {
    Text(Vec<Part>),
    /// An address in brackets or not, with a scope or not, and a port.
    Full {
        address: [u16; 8],
        brackets: bool,
        scope: Option<u32>,
        port: u32,
    },
    TextAndPort(Vec<Part>, u16),
    V4([u8; 4], u16),
    V6 {
        address: [u16; 8],
        port: u16,
        flow: u32,
        scope: u32,
    },
    Many(Vec<([u8; 4], u16)>),
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
}

fn by_heist(host: impl heist::net::ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    RUNTIME.with(|runtime| runtime.block_on(async { lookup_host(host).await.map(Iterator::collect) }))
}

/// Checks that both resolve to the same, or to errors of the same kind.
#[track_caller]
fn check<H: heist::net::ToSocketAddrs + ToSocketAddrs + Debug>(host: H) {
    let described = format!("{host:?}");
    let expected = host.to_socket_addrs().map(|found| found.collect::<Vec<_>>());
    check_against(&described, by_heist(host), expected);
}

#[track_caller]
fn check_against(host: &str, found: io::Result<Vec<SocketAddr>>, expected: io::Result<Vec<SocketAddr>>) {
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{host}"),
        (Err(found), Err(expected)) => assert_eq!(found.kind(), expected.kind(), "{host}: {found} and {expected}"),
        (found, expected) => panic!("{host}: {found:?}, and not {expected:?}"),
    }
}

/// Returns whether the name can be resolved without a network.
fn is_local(name: &str) -> bool {
    HOSTS.contains(&name) || name.contains('\0') || name.parse::<IpAddr>().is_ok()
}

/// Makes a text local that has a name and a port. All other texts are local.
fn local_text(text: String) -> String {
    match text.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() && !is_local(name) && text.parse::<SocketAddr>().is_err() => {
            format!("\0{text}")
        }
        _ => text,
    }
}

fn text_of(parts: &[Part]) -> String {
    parts.iter().map(Part::text).collect()
}

/// Resolves the address in each form that it has.
pub(crate) fn run(case: &Case) {
    match case {
        Case::Text(parts) => {
            let text = local_text(text_of(parts));
            check(text.as_str());
            check(text);
        }
        Case::Full { address, brackets, scope, port } => {
            let mut text = Ipv6Addr::from(*address).to_string();
            scope.iter().for_each(|scope| text.push_str(&format!("%{scope}")));
            let text =
                if *brackets { format!("[{text}]:{}", port % 70_000) } else { format!("{text}:{}", port % 70_000) };
            check(local_text(text));
        }
        Case::TextAndPort(parts, port) => {
            let mut text = text_of(parts);
            if !is_local(&text) {
                text.push('\0');
            }
            check((text.as_str(), *port));
            check((text, *port));
        }
        Case::V4(address, port) => {
            let address = Ipv4Addr::from(*address);
            check((address, *port));
            check((IpAddr::V4(address), *port));
            check(SocketAddrV4::new(address, *port));
            check(SocketAddr::from((address, *port)));
            check(SocketAddr::from((address, *port)).to_string());
        }
        Case::V6 { address, port, flow, scope } => {
            let address = Ipv6Addr::from(*address);
            check((address, *port));
            check((IpAddr::V6(address), *port));
            check(SocketAddrV6::new(address, *port, *flow, *scope));
            check(SocketAddr::V6(SocketAddrV6::new(address, *port, *flow, *scope)));
            check(SocketAddrV6::new(address, *port, 0, *scope).to_string());
        }
        Case::Many(addresses) => {
            let all: Vec<SocketAddr> = addresses.iter().map(|(ip, port)| (Ipv4Addr::from(*ip), *port).into()).collect();
            // The standard library returns no address here, and heist an error.
            let none = io::ErrorKind::InvalidInput.into();
            let expected = if all.is_empty() { Err(none) } else { Ok(all.clone()) };
            check_against(&format!("{all:?}"), by_heist(&all[..]), expected);
        }
    }
}
