//! TCP connections between hosts.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::peers::{MILLI, connect, echo_server, echo_sim, exchange};
use heist::net::{TcpListener, TcpSocket, TcpStream};
use heist::sim::{Link, Sim, for_each_seed};
use heist::time::{Duration, Instant, sleep};

#[test]
fn bytes_sent_to_a_host_come_back_and_runs_repeat() {
    for seed in 0..30 {
        let run = || {
            let mut sim = echo_sim(seed).link(Link::new().segments(1..=700).buffers(900..=3000));
            sim.run(async {
                let clients = (0..5_u8).map(|n| {
                    heist::spawn(async move {
                        let mut stream = connect("server:7").await;
                        let bytes = vec![n; 900];
                        for _ in 0..5 {
                            assert_eq!(exchange(&mut stream, &bytes).await.unwrap(), bytes);
                        }
                    })
                });
                for client in clients.collect::<Vec<_>>() {
                    client.await.unwrap();
                }
            });
            sim.trace_hash()
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

#[test]
fn addresses_of_both_ends_agree() {
    echo_sim(1).run(async {
        let listener = TcpListener::bind(("main", 0)).await.unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(local.ip().to_string(), "10.0.0.1");
        let client = TcpStream::connect(local).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        assert_eq!((client.local_addr().unwrap(), client.peer_addr().unwrap()), (peer, local));
        assert_eq!((accepted.local_addr().unwrap(), accepted.peer_addr().unwrap()), (local, peer));
        assert_eq!(connect("server:7").await.peer_addr().unwrap().to_string(), "10.0.0.2:7");
        let own = TcpStream::connect(("127.0.0.1", local.port())).await.unwrap_err();
        assert_eq!(own.kind(), ErrorKind::ConnectionRefused, "the listener has the other address");
    });
}

#[test]
fn connect_to_a_port_without_listener_is_refused() {
    Sim::new(1).run(async {
        let error = TcpStream::connect("127.0.0.1:9").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect("10.0.0.77:9").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostUnreachable);
        let error = TcpStream::connect("nobody:9").await.unwrap_err();
        assert!(error.to_string().contains("add it with `Sim::host`"), "{error}");
    });
}

#[test]
fn bind_to_a_taken_port_or_to_the_address_of_another_host_fails() {
    Sim::new(1).run(async {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        assert_eq!(TcpListener::bind("0.0.0.0:80").await.unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
        let _again = TcpListener::bind("0.0.0.0:80").await.unwrap();
        assert_eq!(TcpListener::bind("10.0.0.2:81").await.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("0.0.0.0:82".parse().unwrap()).unwrap();
        let listener = socket.listen(5).unwrap();
        assert_eq!(listener.local_addr().unwrap().port(), 82);
    });
}

/// Each direction of a connection ends by itself.
#[test]
fn half_closed_connection_still_carries_the_answer() {
    for_each_seed(30, |sim| {
        let mut sim = sim.link(Link::new().segments(1..=50)).host("server", || async {
            let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            stream.write_all(&all).await.unwrap();
        });
        sim.run(async {
            let mut stream = connect("server:7").await;
            let bytes: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, bytes);
            assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn writer_waits_when_the_peer_does_not_read() {
    Sim::new(1)
        .link(Link::new().buffers(1000..=1000))
        .host("server", || async {
            let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            sleep(Duration::from_secs(9)).await;
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all.len(), 1500);
            std::future::pending().await
        })
        .run(async {
            let mut stream = connect("server:7").await;
            let begun = Instant::now();
            assert_eq!(stream.write(&[1; 1500]).await.unwrap(), 1000);
            assert_eq!(stream.try_write(&[1; 500]).unwrap_err().kind(), ErrorKind::WouldBlock);
            stream.write_all(&[1; 500]).await.unwrap();
            assert!(begun.elapsed() >= Duration::from_secs(8));
            drop(stream);
            sleep(Duration::from_secs(1)).await;
        });
}

#[test]
fn peer_that_closes_with_unread_bytes_resets_the_connection() {
    Sim::new(1).run(async {
        let listener = TcpListener::bind("127.0.0.1:7").await.unwrap();
        let mut client = TcpStream::connect("127.0.0.1:7").await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(b"unread").await.unwrap();
        server.peek(&mut [0; 4]).await.unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0; 4]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

/// With a full backlog, attempts are repeated after one second, two, and so on.
#[test]
fn connect_to_a_full_backlog_waits_until_a_connection_is_accepted() {
    Sim::new(1)
        .host("server", || async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("0.0.0.0:7".parse().unwrap()).unwrap();
            let listener = socket.listen(2).unwrap();
            sleep(Duration::from_secs(10)).await;
            let mut kept = Vec::new();
            loop {
                kept.push(listener.accept().await.unwrap());
            }
        })
        .run(async {
            sleep(MILLI).await;
            let begun = Instant::now();
            let clients: Vec<_> = (0..4).map(|_| heist::spawn(TcpStream::connect("server:7"))).collect();
            let mut waited = Vec::new();
            for client in clients {
                client.await.unwrap().unwrap();
                waited.push(begun.elapsed().as_secs());
            }
            waited.sort_unstable();
            assert_eq!(waited.last(), Some(&15));
        });
}

#[test]
fn resets_of_a_link_end_some_connections() {
    let resets = AtomicU64::new(0);
    for_each_seed(40, |sim| {
        let mut sim = sim.link(Link::new().resets(0.02)).host("server", echo_server);
        let is_reset = sim.run(async {
            let mut stream = connect("server:7").await;
            for _ in 0..10 {
                if let Err(error) = exchange(&mut stream, b"hello").await {
                    let expected = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
                    assert!(expected.contains(&error.kind()), "{error}");
                    return true;
                }
            }
            false
        });
        resets.fetch_add(u64::from(is_reset), Ordering::Relaxed);
    });
    let resets = resets.into_inner();
    assert!((1..40).contains(&resets), "{resets}");
}

/// A link of 1 MB per second takes one second for 1 MB.
#[test]
fn bandwidth_of_a_link_bounds_the_throughput() {
    let mut sim = echo_sim(1).link(Link::new().bandwidth(1_000_000));
    sim.run(async {
        let mut stream = connect("server:7").await;
        let begun = Instant::now();
        for _ in 0..100 {
            exchange(&mut stream, &[1; 10_000]).await.unwrap();
        }
        let taken = begun.elapsed().as_secs_f64();
        assert!((1.0..3.0).contains(&taken), "{taken}");
    });
}

#[test]
fn reset_after_the_end_is_no_error_of_reads() {
    Sim::new(1).run(async {
        let listener = TcpListener::bind("127.0.0.1:7").await.unwrap();
        let mut client = TcpStream::connect("127.0.0.1:7").await.unwrap();
        drop(listener.accept().await.unwrap());
        sleep(MILLI).await;
        client.write_all(b"late").await.unwrap();
        sleep(MILLI).await;
        assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn bound_socket_keeps_its_port_until_it_is_dropped() {
    Sim::new(1).run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_ne!(port, 0);
        assert_eq!(TcpListener::bind(("0.0.0.0", port)).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(socket);
        TcpListener::bind(("0.0.0.0", port)).await.unwrap();
    });
}
