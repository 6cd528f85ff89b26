//! Connections over networks that are cut.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::peers::{MILLI, connect, echo_server, echo_sim, exchange};
use heist::net::{TcpListener, TcpStream, UdpSocket};
use heist::sim::{self, Faults, Link, Schedule, Sim, for_each_seed};
use heist::time::{Duration, Instant, sleep, timeout};

/// Bytes wait for the end of a partition, and no peer notices a short one.
#[test]
fn bytes_of_a_partition_arrive_after_it() {
    for_each_seed(30, |sim| {
        let mut sim = sim.host("server", echo_server);
        sim.run(async {
            let mut stream = connect("server:7").await;
            sim::partition("main", "server");
            let begun = Instant::now();
            let healer = heist::spawn(async {
                sleep(Duration::from_secs(60)).await;
                sim::heal("main", "server");
            });
            assert_eq!(exchange(&mut stream, b"hello").await.unwrap(), b"hello");
            assert!(begun.elapsed() >= Duration::from_secs(60));
            healer.await.unwrap();
        });
    });
}

#[test]
fn partition_that_lasts_ends_connections_with_an_error() {
    echo_sim(3).run(async {
        let mut stream = connect("server:7").await;
        sim::partition("main", "server");
        let begun = Instant::now();
        let error = TcpStream::connect("server:7").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 127);
        assert_eq!(exchange(&mut stream, b"x").await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn partition_of_one_way_lets_the_other_direction_through() {
    let received = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&received);
    let mut sim = Sim::new(4).host("server", move || {
        let counted = Arc::clone(&counted);
        async move {
            let socket = UdpSocket::bind("0.0.0.0:5").await.unwrap();
            let mut buf = [0; 10];
            loop {
                let (count, from) = socket.recv_from(&mut buf).await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                socket.send_to(&buf[..count], from).await.unwrap();
            }
        }
    });
    sim.run(async {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        sleep(MILLI).await;
        sim::partition_one_way("server", "main");
        socket.send_to(b"x", "server:5").await.unwrap();
        let mut buf = [0; 10];
        timeout(Duration::from_secs(1), socket.recv_from(&mut buf)).await.unwrap_err();
        sim::heal("server", "main");
        socket.send_to(b"y", "server:5").await.unwrap();
        assert_eq!(socket.recv_from(&mut buf).await.unwrap().0, 1);
    });
    assert_eq!(received.load(Ordering::Relaxed), 2);
}

/// Bytes that travel when a way is cut stay before those that are written later.
#[test]
fn bytes_keep_their_order_over_partitions() {
    for_each_seed(100, |sim| {
        let mut sim = sim.link(Link::new().segments(1..=3).latency(MILLI..=MILLI * 9)).host("server", || async {
            let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, (0..200).collect::<Vec<u8>>());
            stream.write_all(b"!").await.unwrap();
        });
        sim.run(async {
            let mut stream = TcpStream::connect("server:7").await.unwrap();
            let cuts = heist::spawn(async {
                for n in 0..10 {
                    sim::partition("main", "server");
                    sleep(MILLI * n).await;
                    sim::heal("main", "server");
                    sleep(MILLI).await;
                }
            });
            for byte in 0..200 {
                stream.write_all(&[byte]).await.unwrap();
                if byte % 5 == 0 {
                    sleep(MILLI / 2).await;
                }
            }
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut [0; 2]).await.unwrap(), 1);
            cuts.await.unwrap();
        });
    });
}

/// The client repeats its attempt while the answer is on its way. It gets one connection.
#[test]
fn repeated_attempt_makes_no_second_connection() {
    for_each_seed(20, |sim| {
        let accepted = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&accepted);
        let mut sim = sim.host("server", move || {
            let counted = Arc::clone(&counted);
            async move {
                let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    counted.fetch_add(1, Ordering::Relaxed);
                    let _ = stream.write_all(b"hello").await;
                }
            }
        });
        sim.run(async {
            sim::partition_one_way("server", "main");
            let healer = heist::spawn(async {
                sleep(Duration::from_secs(20)).await;
                sim::heal("server", "main");
            });
            let mut all = Vec::new();
            TcpStream::connect("server:7").await.unwrap().read_to_end(&mut all).await.unwrap();
            assert_eq!(all, b"hello");
            healer.await.unwrap();
        });
        assert_eq!(accepted.load(Ordering::Relaxed), 1);
    });
}

#[test]
#[should_panic(expected = "time limit")]
fn event_behind_the_time_limit_is_named_as_the_reason() {
    let mut sim = Sim::new(1).time_limit(Duration::from_secs(60)).host("server", echo_server);
    sim.run(async {
        sim::partition("main", "server");
        let _ = TcpStream::connect("server:7").await;
    });
}

/// The network keeps its promises in each order of the threads, and beside faults of the runtime.
#[test]
fn partitions_under_each_schedule_and_with_faults_lose_nothing() {
    let faults = Faults::none().delays(30).stalls(200).resizes(100).spurious_wake_ups(20);
    for schedule in [Schedule::Uniform, Schedule::Pct { depth: 3, steps: 2_000 }, Schedule::RoundRobin] {
        for_each_seed(60, |sim| {
            let mut sim = sim.schedule(schedule).faults(faults).host("server", echo_server);
            sim.run(async {
                let clients = (0..4_u8).map(|n| {
                    heist::spawn(async move {
                        let mut stream = connect("server:7").await;
                        for _ in 0..4 {
                            assert_eq!(exchange(&mut stream, &[n; 500]).await.unwrap(), [n; 500]);
                        }
                    })
                });
                let clients: Vec<_> = clients.collect();
                for _ in 0..5 {
                    sim::partition("main", "server");
                    sleep(MILLI).await;
                    sim::heal("main", "server");
                    sleep(MILLI).await;
                }
                for client in clients {
                    client.await.unwrap();
                }
            });
        });
    }
}
