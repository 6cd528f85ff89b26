//! Each method of each type of datagram socket moves messages, and waits if it has to.
#![cfg(unix)]

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;

use heist::io::Interest;
use heist::net::{UdpSocket, UnixDatagram};
use kit::{current_thread, each};
use sockets::{once, udp_pair, waits_after_would_block};

/// A message by each way to send, and each way to receive. The two sockets are connected.
macro_rules! moves_messages {
    ($one:expr, $two:expr) => {{
        let mut buf = [0; 8];
        // Nothing is there. A `WouldBlock` ends the readiness of a fresh socket.
        let would_block = || $two.try_recv(&mut [0; 8]);
        waits_after_would_block("readable", would_block, || $two.readable()).await;
        waits_after_would_block("ready", || $two.try_recv_from(&mut [0; 8]), || $two.ready(Interest::READABLE)).await;
        waits_after_would_block("poll", would_block, || poll_fn(|cx| $two.poll_recv_ready(cx))).await;
        assert!(once(pin!($two.recv(&mut buf))).await.is_pending(), "recv");
        assert!(once(pin!($two.recv_from(&mut buf))).await.is_pending(), "recv_from");
        $one.writable().await.unwrap();
        poll_fn(|cx| $one.poll_send_ready(cx)).await.unwrap();
        assert!($one.ready(Interest::WRITABLE).await.unwrap().is_writable());
        assert_eq!($one.send(b"a").await.unwrap(), 1);
        assert_eq!(poll_fn(|cx| $one.poll_send(cx, b"bc")).await.unwrap(), 2);
        assert_eq!($one.try_send(b"def").unwrap(), 3);
        for length in 4..=6 {
            assert_eq!($one.send(&b"ghijkl"[..length]).await.unwrap(), length);
        }
        $two.readable().await.unwrap();
        poll_fn(|cx| $two.poll_recv_ready(cx)).await.unwrap();
        assert!($two.ready(Interest::READABLE).await.unwrap().is_readable());
        let mut got = Vec::new();
        let count = $two.recv(&mut buf).await.unwrap();
        got.push(buf[..count].to_vec());
        let count = $two.try_recv(&mut buf).unwrap();
        got.push(buf[..count].to_vec());
        let count = poll_fn(|cx| $two.poll_recv(cx, &mut buf)).await.unwrap();
        got.push(buf[..count].to_vec());
        let (count, _) = $two.recv_from(&mut buf).await.unwrap();
        got.push(buf[..count].to_vec());
        let (count, _) = $two.try_recv_from(&mut buf).unwrap();
        got.push(buf[..count].to_vec());
        let (count, _) = poll_fn(|cx| $two.poll_recv_from(cx, &mut buf)).await.unwrap();
        got.push(buf[..count].to_vec());
        assert_eq!(got, ["a", "bc", "def", "ghij", "ghijk", "ghijkl"].map(|text| text.as_bytes().to_vec()));
        assert_eq!($two.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    }};
}

#[test]
fn udp_socket_moves_messages_by_each_method() {
    each(|runtime| {
        runtime.block_on(async {
            let (one, two) = udp_pair().await;
            moves_messages!(one, two);
            let (from, to) = (one.local_addr().unwrap(), two.local_addr().unwrap());
            assert_eq!(one.try_send_to(b"xyz", to).unwrap(), 3);
            assert_eq!(one.send_to(b"xy", to).await.unwrap(), 2);
            assert_eq!(poll_fn(|cx| one.poll_send_to(cx, b"x", to)).await.unwrap(), 1);
            let mut buf = [0; 8];
            two.readable().await.unwrap();
            assert_eq!(two.try_peek(&mut buf).unwrap(), 3);
            assert_eq!(two.peek(&mut buf).await.unwrap(), 3);
            assert_eq!(poll_fn(|cx| two.poll_peek(cx, &mut buf)).await.unwrap(), 3);
            assert_eq!(two.try_peek_from(&mut buf).unwrap(), (3, from));
            assert_eq!(two.peek_from(&mut buf).await.unwrap(), (3, from));
            assert_eq!(poll_fn(|cx| two.poll_peek_from(cx, &mut buf)).await.unwrap(), (3, from));
            assert_eq!(two.try_peek_sender().unwrap(), from);
            assert_eq!(two.peek_sender().await.unwrap(), from);
            assert_eq!(poll_fn(|cx| two.poll_peek_sender(cx)).await.unwrap(), from);
            for expected in [3, 2, 1] {
                assert_eq!(two.recv_from(&mut buf).await.unwrap(), (expected, from));
            }
            assert_eq!(two.try_peek(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(once(pin!(two.peek(&mut buf))).await.is_pending());
            assert!(once(pin!(two.peek_from(&mut buf))).await.is_pending());
            assert!(once(pin!(two.peek_sender())).await.is_pending());
        });
    });
}

#[test]
fn udp_message_to_several_addresses_goes_to_the_first() {
    current_thread().block_on(async {
        let (one, two) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let both = [one.local_addr().unwrap(), two.local_addr().unwrap()];
        assert_eq!(sender.send_to(b"first", &both[..]).await.unwrap(), 5);
        assert_eq!(one.recv(&mut [0; 8]).await.unwrap(), 5);
        assert_eq!(two.try_recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let error = sender.send_to(b"none", &both[..0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    });
}

#[test]
fn unix_datagram_moves_messages_by_each_method() {
    each(|runtime| {
        runtime.block_on(async {
            let (one, two) = UnixDatagram::pair().unwrap();
            moves_messages!(one, two);
            // The queue of the receiver is full.
            let mut sent = 0;
            while one.try_send(b"x").is_ok() {
                sent += 1;
            }
            let would_block = || one.try_send(b"x");
            waits_after_would_block("writable", would_block, || one.writable()).await;
            waits_after_would_block("ready", would_block, || one.ready(Interest::WRITABLE)).await;
            waits_after_would_block("poll", would_block, || poll_fn(|cx| one.poll_send_ready(cx))).await;
            assert!(once(pin!(poll_fn(|cx| one.poll_send(cx, b"x")))).await.is_pending(), "poll_send");
            let mut sending = pin!(one.send(b"x"));
            assert!(once(sending.as_mut()).await.is_pending(), "send");
            for _ in 0..sent {
                assert_eq!(two.recv(&mut [0; 4]).await.unwrap(), 1);
            }
            assert_eq!(sending.await.unwrap(), 1);
            assert_eq!(two.recv(&mut [0; 4]).await.unwrap(), 1);
        });
    });
}

/// A message that no socket receives is reported by the operating system at the sender, once.
#[test]
fn udp_error_of_an_earlier_message_is_taken_once() {
    current_thread().block_on(async {
        let (one, two) = udp_pair().await;
        drop(two);
        assert_eq!(one.send(b"lost").await.unwrap(), 4);
        while one.take_error().unwrap().map(|error| error.kind()) != Some(ErrorKind::ConnectionRefused) {
            heist::task::yield_now().await;
        }
        assert!(one.take_error().unwrap().is_none());
    });
}

#[test]
fn socket_without_a_peer_has_none_to_send_to() {
    current_thread().block_on(async {
        let unix = UnixDatagram::unbound().unwrap();
        assert_eq!(unix.send(b"lost").await.unwrap_err().kind(), ErrorKind::NotConnected);
        let unbound = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(unbound.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}
