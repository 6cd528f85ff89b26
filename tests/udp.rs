//! UDP sockets: messages, peers, peeking, options.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use heist::io::Interest;
use heist::net::UdpSocket;
use kit::{current_thread, each, panic_text, yield_now};
use sockets::{once, udp_pair};

/// The error of a `send` on a socket that has no peer.
#[cfg(unix)]
const HAS_NO_PEER: i32 = libc::EDESTADDRREQ;
/// `WSAENOTCONN`.
#[cfg(windows)]
const HAS_NO_PEER: i32 = 10057;

#[test]
fn udp_messages_keep_their_borders_and_their_senders() {
    each(|runtime| {
        runtime.block_on(async {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = server.local_addr().unwrap();
            let (one, two) =
                (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
            let mut buf = [0; 64];
            for (socket, text) in [(&one, "first"), (&two, ""), (&one, "the third")] {
                assert_eq!(socket.send_to(text.as_bytes(), address).await.unwrap(), text.len());
                let (count, from) = server.recv_from(&mut buf).await.unwrap();
                assert_eq!((&buf[..count], from), (text.as_bytes(), socket.local_addr().unwrap()));
            }
        });
    });
}

#[test]
fn udp_message_that_does_not_fit_is_cut_and_the_next_is_whole() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        one.send(b"longer than four").await.unwrap();
        one.send(b"next").await.unwrap();
        let mut buf = [0; 4];
        assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"long");
        assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"next");
    });
}

#[test]
fn udp_fresh_socket_sends_before_any_event() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        assert_eq!(one.try_send(b"x").unwrap(), 1);
        assert_eq!(one.try_send_to(b"y", two.local_addr().unwrap()).unwrap(), 1);
        assert_eq!(two.recv(&mut [0; 4]).await.unwrap(), 1);
    });
}

#[test]
fn udp_peek_does_not_consume_the_message() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        let from = one.local_addr().unwrap();
        let mut buf = [0; 16];
        assert_eq!(two.try_peek(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(two.try_peek_sender().unwrap_err().kind(), ErrorKind::WouldBlock);
        one.send(b"here").await.unwrap();
        assert_eq!(two.peek(&mut buf).await.unwrap(), 4);
        assert_eq!(two.peek_from(&mut buf).await.unwrap(), (4, from));
        assert_eq!(two.peek_sender().await.unwrap(), from);
        assert_eq!(poll_fn(|cx| two.poll_peek(cx, &mut buf)).await.unwrap(), 4);
        assert_eq!(poll_fn(|cx| two.poll_peek_from(cx, &mut buf)).await.unwrap(), (4, from));
        assert_eq!(poll_fn(|cx| two.poll_peek_sender(cx)).await.unwrap(), from);
        assert_eq!(two.try_peek(&mut buf).unwrap(), 4);
        assert_eq!(two.try_peek_from(&mut buf).unwrap(), (4, from));
        assert_eq!(two.try_peek_sender().unwrap(), from);
        assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(two.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn udp_poll_and_try_methods_carry_messages() {
    each(|runtime| {
        runtime.block_on(async {
            let (one, two) = udp_pair().await;
            let to = two.local_addr().unwrap();
            let mut buf = [0; 16];
            poll_fn(|cx| one.poll_send_ready(cx)).await.unwrap();
            assert_eq!(poll_fn(|cx| one.poll_send(cx, b"a")).await.unwrap(), 1);
            assert_eq!(poll_fn(|cx| one.poll_send_to(cx, b"bc", to)).await.unwrap(), 2);
            poll_fn(|cx| two.poll_recv_ready(cx)).await.unwrap();
            assert_eq!(poll_fn(|cx| two.poll_recv(cx, &mut buf)).await.unwrap(), 1);
            assert_eq!(poll_fn(|cx| two.poll_recv_from(cx, &mut buf)).await.unwrap(), (2, one.local_addr().unwrap()));
            assert_eq!(one.try_send(b"def").unwrap(), 3);
            two.readable().await.unwrap();
            let count = loop {
                // The readiness may come from the messages before.
                match two.try_recv_from(&mut buf) {
                    Ok((count, from)) => break (count, from),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                two.readable().await.unwrap();
            };
            assert_eq!(count, (3, one.local_addr().unwrap()));
        });
    });
}

#[test]
fn udp_connected_socket_receives_from_its_peer_only() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        assert_eq!(one.peer_addr().unwrap(), two.local_addr().unwrap());
        let third = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        third.send_to(b"third", two.local_addr().unwrap()).await.unwrap();
        one.send(b"peer").await.unwrap();
        let mut buf = [0; 16];
        assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(third.send(b"x").await.unwrap_err().raw_os_error(), Some(HAS_NO_PEER));
    });
}

/// The next operation gives the error that a peer reports. The error does not end the socket.
#[test]
fn udp_refusal_is_reported_once() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        let address = two.local_addr().unwrap();
        drop(two);
        one.send(b"to no socket").await.unwrap();
        assert_eq!(one.recv(&mut [0; 4]).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let two = UdpSocket::bind(address).await.unwrap();
        one.send(b"again").await.unwrap();
        assert_eq!(two.recv(&mut [0; 16]).await.unwrap(), 5);
        two.send_to(b"back", one.local_addr().unwrap()).await.unwrap();
        assert_eq!(one.recv(&mut [0; 16]).await.unwrap(), 4);
    });
}

#[test]
fn udp_message_goes_to_one_of_the_waiting_tasks() {
    each(|runtime| {
        runtime.block_on(async {
            let (one, two) = udp_pair().await;
            let two = Arc::new(two);
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let two = Arc::clone(&two);
                    heist::spawn(async move {
                        let mut byte = [0; 1];
                        two.recv(&mut byte).await.unwrap();
                        byte[0]
                    })
                })
                .collect();
            for number in 0..8 {
                one.send(&[number]).await.unwrap();
            }
            let mut got: Vec<u8> = futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect();
            got.sort_unstable();
            assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 7]);
        });
    });
}

#[test]
fn udp_receive_cancelled_has_taken_nothing() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        let mut buf = [0; 16];
        {
            let mut receive = pin!(two.recv(&mut buf));
            assert!(once(receive.as_mut()).await.is_pending());
            one.send(b"kept").await.unwrap();
            // Woken, but not polled again.
            for _ in 0..3 {
                yield_now().await;
            }
        }
        assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
    });
}

#[test]
fn udp_try_io_and_async_io_receive() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        let receive = || socket2::SockRef::from(&two).recv(&mut [std::mem::MaybeUninit::uninit(); 8]);
        assert_eq!(two.try_io(Interest::READABLE, receive).unwrap_err().kind(), ErrorKind::WouldBlock);
        let ready = one.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        assert!(ready.is_writable() && !ready.is_readable(), "{ready:?}");
        one.send(b"own").await.unwrap();
        assert_eq!(two.async_io(Interest::READABLE, receive).await.unwrap(), 3);
    });
}

#[test]
fn udp_options_are_kept() {
    current_thread().block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_ttl(42).unwrap();
        socket.set_multicast_loop_v4(false).unwrap();
        socket.set_multicast_ttl_v4(3).unwrap();
        assert!(socket.broadcast().unwrap() && !socket.multicast_loop_v4().unwrap());
        assert_eq!((socket.ttl().unwrap(), socket.multicast_ttl_v4().unwrap()), (42, 3));
        assert!(socket.take_error().unwrap().is_none());
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.device().unwrap(), None);
        let group = Ipv4Addr::new(239, 1, 2, 3);
        assert_eq!(
            socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap_err().kind(),
            ErrorKind::AddrNotAvailable
        );
        socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
    });
}

#[test]
fn udp_multicast_reaches_a_member() {
    current_thread().block_on(async {
        let group = Ipv4Addr::new(239, 255, 7, 7);
        let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        member.join_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket2::SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        sender.set_multicast_loop_v4(true).unwrap();
        sender.send_to(b"to all", (group, member.local_addr().unwrap().port())).await.unwrap();
        let (count, from) = member.recv_from(&mut [0; 16]).await.unwrap();
        assert_eq!((count, from), (6, sender.local_addr().unwrap()));
    });
}

#[test]
fn udp_ipv6_options_are_kept() {
    current_thread().block_on(async {
        let Ok(socket) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await else {
            eprintln!("skipped: this machine has no IPv6");
            return;
        };
        socket.set_multicast_loop_v6(false).unwrap();
        assert!(!socket.multicast_loop_v6().unwrap());
        #[cfg(target_os = "linux")]
        {
            socket.set_tclass_v6(0x20).unwrap();
            assert_eq!(socket.tclass_v6().unwrap(), 0x20);
        }
    });
}

#[test]
fn udp_socket_goes_to_std_and_comes_back() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        let one = one.into_std().unwrap();
        assert_eq!(one.recv(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock, "it stays non-blocking");
        let one = UdpSocket::try_from(one).unwrap();
        one.send(b"back").await.unwrap();
        assert_eq!(two.recv(&mut [0; 8]).await.unwrap(), 4);
    });
}

#[test]
fn udp_std_socket_in_blocking_mode_is_refused() {
    current_thread().block_on(async {
        let blocking = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = UdpSocket::from_std(blocking).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("set_nonblocking(true)"), "{error}");
    });
}

#[test]
fn udp_bind_takes_the_first_address_that_works() {
    current_thread().block_on(async {
        let elsewhere: SocketAddr = "192.0.2.1:0".parse().unwrap();
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = UdpSocket::bind(&[elsewhere, local][..]).await.unwrap();
        assert_eq!(socket.local_addr().unwrap().ip(), local.ip());
        assert_eq!(UdpSocket::bind(elsewhere).await.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let none: &[SocketAddr] = &[];
        assert_eq!(socket.connect(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn udp_bind_outside_of_a_runtime_panics() {
    let text = panic_text(|| futures::executor::block_on(UdpSocket::bind("127.0.0.1:0")));
    assert!(text.contains("no heist runtime is running on this thread"), "{text}");
}
