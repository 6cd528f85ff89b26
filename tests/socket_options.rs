//! Each option of each type of socket has the value that the operating system has.
#![cfg(target_os = "linux")]

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use heist::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use kit::current_thread;
use socket2::SockRef;

/// Sets an option to each value, and compares it with what the operating system has.
macro_rules! keeps {
    ($socket:expr, $set:ident, $get:ident, $of_system:ident, $values:expr) => {
        for value in $values {
            $socket.$set(value).unwrap();
            let (ours, of_system) = ($socket.$get().unwrap(), SockRef::from(&$socket).$of_system().unwrap());
            assert_eq!((ours, of_system), (value, value), stringify!($set));
        }
    };
}

/// Sets a buffer's size. Linux doubles it.
macro_rules! keeps_size {
    ($socket:expr, $set:ident, $get:ident, $of_system:ident) => {
        for size in [20_000, 40_000] {
            $socket.$set(size).unwrap();
            let (ours, of_system) = ($socket.$get().unwrap(), SockRef::from(&$socket).$of_system().unwrap());
            assert_eq!((ours, of_system), (2 * size, 2 * size as usize), stringify!($set));
        }
    };
}

/// Returns a linger time of whole seconds.
const fn secs(secs: u64) -> Option<Duration> {
    Some(Duration::from_secs(secs))
}

#[test]
fn tcp_socket_options_are_those_of_the_system() {
    current_thread().block_on(async {
        for socket in [TcpSocket::new_v4().unwrap(), TcpSocket::new_v6().unwrap()] {
            keeps!(socket, set_keepalive, keepalive, keepalive, [true, false]);
            keeps!(socket, set_reuseaddr, reuseaddr, reuse_address, [true, false]);
            keeps!(socket, set_reuseport, reuseport, reuse_port, [true, false]);
            keeps!(socket, set_nodelay, nodelay, tcp_nodelay, [true, false]);
            keeps!(socket, set_linger, linger, linger, [secs(3), None, secs(0), None]);
            keeps_size!(socket, set_send_buffer_size, send_buffer_size, send_buffer_size);
            keeps_size!(socket, set_recv_buffer_size, recv_buffer_size, recv_buffer_size);
            socket.set_linger(Some(Duration::from_nanos(1))).unwrap();
            assert_eq!(socket.linger().unwrap(), secs(1), "a fraction of a second is rounded up");
            socket.set_zero_linger().unwrap();
            assert_eq!(socket.linger().unwrap(), secs(0));
            assert!(socket.take_error().unwrap().is_none());
        }
        let (v4, v6) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v6().unwrap());
        keeps!(v4, set_tos_v4, tos_v4, tos_v4, [0x10, 0]);
        keeps!(v6, set_tclass_v6, tclass_v6, tclass_v6, [0x20, 0]);
        assert_eq!(v6.set_tclass_v6(256).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn tcp_stream_options_are_those_of_the_system() {
    current_thread().block_on(async {
        let (stream, _peer) = sockets::tcp_pair().await;
        keeps!(stream, set_ttl, ttl, ttl_v4, [42, 64]);
        keeps!(stream, set_nodelay, nodelay, tcp_nodelay, [true, false]);
        keeps!(stream, set_linger, linger, linger, [secs(3), None, secs(0), None]);
        keeps!(stream, set_quickack, quickack, tcp_quickack, [false, true, false]);
        stream.set_zero_linger().unwrap();
        assert_eq!(stream.linger().unwrap(), secs(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        keeps!(listener, set_ttl, ttl, ttl_v4, [42, 64]);
    });
}

#[test]
fn udp_options_are_those_of_the_system() {
    current_thread().block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        keeps!(socket, set_ttl, ttl, ttl_v4, [42, 64]);
        keeps!(socket, set_broadcast, broadcast, broadcast, [true, false]);
        keeps!(socket, set_multicast_loop_v4, multicast_loop_v4, multicast_loop_v4, [false, true]);
        keeps!(socket, set_multicast_ttl_v4, multicast_ttl_v4, multicast_ttl_v4, [3, 1]);
        keeps!(socket, set_tos_v4, tos_v4, tos_v4, [0x10, 0]);
        let socket = UdpSocket::bind("[::1]:0").await.unwrap();
        keeps!(socket, set_multicast_loop_v6, multicast_loop_v6, multicast_loop_v6, [false, true]);
        keeps!(socket, set_tclass_v6, tclass_v6, tclass_v6, [0x20, 0]);
    });
}

/// A member twice is an error of the system, and so is a group that the socket has left.
#[test]
fn udp_group_is_joined_once_and_left_once() {
    current_thread().block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (group, interface) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::LOCALHOST);
        socket.join_multicast_v4(group, interface).unwrap();
        assert_eq!(socket.join_multicast_v4(group, interface).unwrap_err().kind(), ErrorKind::AddrInUse);
        socket.leave_multicast_v4(group, interface).unwrap();
        assert_eq!(socket.leave_multicast_v4(group, interface).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let socket = UdpSocket::bind("[::1]:0").await.unwrap();
        let (group, loopback) = ("ff02::7".parse::<Ipv6Addr>().unwrap(), 1);
        socket.join_multicast_v6(&group, loopback).unwrap();
        assert_eq!(socket.join_multicast_v6(&group, loopback).unwrap_err().kind(), ErrorKind::AddrInUse);
        socket.leave_multicast_v6(&group, loopback).unwrap();
        assert_eq!(socket.leave_multicast_v6(&group, loopback).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn device_of_a_socket_is_that_of_the_system() {
    current_thread().block_on(async {
        let (tcp, udp) = (TcpSocket::new_v4().unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        assert_eq!((tcp.device().unwrap(), udp.device().unwrap()), (None, None));
        for (ours, of_system) in [
            (tcp.bind_device(Some(b"absent")), SockRef::from(&tcp).bind_device(Some(b"absent"))),
            (udp.bind_device(Some(b"absent")), SockRef::from(&udp).bind_device(Some(b"absent"))),
        ] {
            assert_eq!(ours.unwrap_err().raw_os_error(), of_system.unwrap_err().raw_os_error());
        }
        // Since version 5.7, Linux lets any process bind a socket that has no device yet.
        SockRef::from(&tcp).bind_device(Some(b"lo")).unwrap();
        SockRef::from(&udp).bind_device(Some(b"lo")).unwrap();
        assert_eq!((tcp.device().unwrap(), udp.device().unwrap()), (Some(b"lo".to_vec()), Some(b"lo".to_vec())));
    });
}

#[test]
fn error_of_a_socket_is_taken_once() {
    current_thread().block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let reset = || {
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            (&client).write_all(b"unread").unwrap();
            SockRef::from(&server).set_linger(secs(0)).unwrap();
            drop(server);
            client.set_nonblocking(true).unwrap();
            client
        };
        let socket = TcpSocket::from_std_stream(reset());
        assert_eq!(socket.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionReset);
        assert!(socket.take_error().unwrap().is_none());
        let stream = TcpStream::from_std(reset()).unwrap();
        assert_eq!(stream.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionReset);
        assert!(stream.take_error().unwrap().is_none());
        assert_eq!(stream.into_std().unwrap().read(&mut [0; 1]).unwrap(), 0);
    });
}
