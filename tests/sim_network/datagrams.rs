//! UDP sockets between hosts.

use std::io::ErrorKind;

use crate::peers::MILLI;
use heist::net::{TcpListener, TcpStream, UdpSocket};
use heist::sim::{Link, Sim};
use heist::time::{Duration, sleep, timeout};

/// Sends 1,000 numbered datagrams over a link. Returns those that arrive, in their order.
fn datagrams_over(link: Link) -> Vec<u64> {
    let mut sim = Sim::new(7).link(link).host("sender", || async {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        socket.connect("main:5").await.unwrap();
        sleep(MILLI).await;
        for n in 0..1000_u64 {
            socket.send(&n.to_le_bytes()).await.unwrap();
            sleep(MILLI / 10).await;
        }
    });
    sim.run(async {
        let socket = UdpSocket::bind("0.0.0.0:5").await.unwrap();
        let mut arrived = Vec::new();
        let mut buf = [0; 8];
        while let Ok(received) = timeout(Duration::from_secs(1), socket.recv_from(&mut buf)).await {
            assert_eq!(received.unwrap().1.ip().to_string(), "10.0.0.2");
            arrived.push(u64::from_le_bytes(buf));
        }
        arrived
    })
}

#[test]
fn datagrams_are_lost_doubled_and_reordered_as_the_link_says() {
    let narrow = Link::new().latency(MILLI..=MILLI);
    assert_eq!(datagrams_over(narrow.clone()), (0..1000).collect::<Vec<_>>());
    let lost = 1000 - datagrams_over(narrow.clone().loss(0.1)).len();
    assert!((50..200).contains(&lost), "{lost}");
    let doubled = datagrams_over(narrow.duplication(0.1)).len() - 1000;
    assert!((50..200).contains(&doubled), "{doubled}");
    let mut reordered = datagrams_over(Link::new().latency(MILLI..=MILLI * 5));
    assert!(!reordered.is_sorted());
    reordered.sort_unstable();
    assert_eq!(reordered, (0..1000).collect::<Vec<_>>());
}

#[test]
fn connected_datagram_socket_is_told_that_its_peer_is_absent() {
    Sim::new(1).run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect("127.0.0.1:9").await.unwrap();
        socket.send(b"x").await.unwrap();
        assert_eq!(socket.recv(&mut [0; 4]).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn unspecified_target_is_the_host_itself() {
    Sim::new(1).run(async {
        let listener = TcpListener::bind("127.0.0.1:7").await.unwrap();
        let client = TcpStream::connect("0.0.0.0:7").await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), listener.local_addr().unwrap());
        let one = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let other = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        one.connect(other.local_addr().unwrap()).await.unwrap();
        one.send(b"ping").await.unwrap();
        let mut buf = [0; 4];
        let (_, from) = other.recv_from(&mut buf).await.unwrap();
        other.send_to(b"pong", from).await.unwrap();
        assert_eq!(one.recv(&mut buf).await.unwrap(), 4);
    });
}
