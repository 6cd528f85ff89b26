//! Simulations of several hosts: TCP and UDP over a network in memory, with partitions and crashes.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heist::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use heist::sim::{self, Link, Sim, for_each_seed};
use heist::time::{Duration, Instant, sleep, timeout};

const MILLI: Duration = Duration::from_millis(1);

/// Echoes what each connection sends, until it ends.
async fn echo_server() {
    let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(heist::spawn(async move {
            let mut buf = [0; 1000];
            while let Ok(count @ 1..) = stream.read(&mut buf).await {
                if stream.write_all(&buf[..count]).await.is_err() {
                    break;
                }
            }
        }));
    }
}

/// Connects, and repeats a refused attempt: the server may not listen yet.
async fn connect(addr: &str) -> TcpStream {
    loop {
        match TcpStream::connect(addr).await {
            Ok(stream) => return stream,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}"),
        }
    }
}

/// Sends `bytes`, and reads as many.
async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn echo_sim(seed: u64) -> Sim {
    Sim::new(seed).workers(2).time_limit(Duration::from_secs(4000)).host("server", echo_server)
}

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

/// After a restart the host knows none of its connections, and resets them.
#[test]
fn crashed_host_resets_old_connections_after_its_restart() {
    for_each_seed(50, |sim| {
        let starts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&starts);
        let mut sim = sim.host("server", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            echo_server()
        });
        sim.run(async {
            let mut stream = connect("server:7").await;
            exchange(&mut stream, b"before").await.unwrap();
            sim::crash("server");
            assert!(timeout(Duration::from_secs(5), exchange(&mut stream, b"lost")).await.is_err());
            sim::restart("server");
            let error = exchange(&mut stream, b"reset").await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
            let mut stream = connect("server:7").await;
            assert_eq!(exchange(&mut stream, b"again").await.unwrap(), b"again");
        });
        assert_eq!(starts.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn crash_drops_the_futures_of_the_host() {
    struct CountsDrop(Arc<AtomicU64>);
    impl Drop for CountsDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&drops);
    let mut sim = Sim::new(1).host("server", move || {
        let counter = Arc::clone(&counter);
        async move {
            for _ in 0..10 {
                let on_drop = CountsDrop(Arc::clone(&counter));
                drop(heist::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(on_drop);
                }));
            }
            std::future::pending().await
        }
    });
    let seen = Arc::clone(&drops);
    sim.run(async move {
        sleep(MILLI).await;
        sim::crash("server");
        sleep(MILLI * 5).await;
        assert_eq!(seen.load(Ordering::Relaxed), 10);
        sim::restart("server");
        sleep(MILLI).await;
    });
    assert_eq!(drops.load(Ordering::Relaxed), 20);
}

#[test]
#[should_panic(expected = "from the server")]
fn panic_of_a_host_ends_the_simulation() {
    let mut sim = Sim::new(1).host("server", || async { panic!("from the server") });
    sim.run(std::future::pending::<()>());
}

#[test]
#[should_panic(expected = "the simulation has no host \"server\", only main: add it with `Sim::host`")]
fn crash_of_an_unknown_host_names_the_hosts() {
    Sim::new(1).run(async { sim::crash("server") });
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

/// hyper's server and client, on sockets of the simulation.
#[test]
fn http_server_of_hyper_answers_its_client() {
    use http_body_util::{BodyExt, Empty};
    use hyper::body::{Bytes, Incoming};
    use hyper::{Request, Response};

    for_each_seed(20, |sim| {
        let mut sim = sim.link(Link::new().segments(1..=30)).host("server", || async {
            let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let hello = hyper::service::service_fn(|request: Request<Incoming>| async move {
                    sleep(MILLI).await;
                    Ok::<_, std::convert::Infallible>(Response::new(format!("hello, {}", request.uri())))
                });
                let http = hyper::server::conn::http1::Builder::new();
                drop(heist::spawn(http.serve_connection(stream, hello)));
            }
        });
        sim.run(async {
            let stream = connect("server:80").await;
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            let connection = heist::spawn(connection);
            for n in 0..5 {
                let request = Request::builder().uri(format!("/{n}")).header("host", "server");
                let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, format!("hello, /{n}"));
            }
            drop(sender);
            connection.await.unwrap().unwrap();
        });
    });
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

/// Nine workers have a reactor of two shards.
#[test]
fn sockets_of_a_second_shard_are_served() {
    let run = || {
        let mut sim = echo_sim(5).workers(9);
        sim.run(async {
            let clients = (0..20_u8).map(|n| {
                heist::spawn(async move {
                    let mut stream = connect("server:7").await;
                    assert_eq!(exchange(&mut stream, &[n; 100]).await.unwrap(), [n; 100]);
                })
            });
            for client in clients.collect::<Vec<_>>() {
                client.await.unwrap();
            }
        });
        assert!(sim.elapsed() < Duration::from_secs(1), "{:?}", sim.elapsed());
        (sim.trace_hash(), sim.steps())
    };
    let (hash, steps) = run();
    assert_eq!(run(), (hash, steps));
    assert!(steps < 10_000, "{steps}");
}

#[test]
#[should_panic(expected = "after the answer")]
fn panic_of_a_host_after_the_end_of_the_first_is_reported() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("after the answer");
            }
        }
    }
    let mut sim = Sim::new(1).host("server", || async {
        let _guard = PanicsOnDrop;
        std::future::pending().await
    });
    sim.run(async {});
}

/// A crash in the middle of a poll makes the next operation fail. That is not a fault of the host.
#[test]
fn panic_that_a_crash_has_caused_is_ignored() {
    for_each_seed(50, |sim| {
        let mut sim = sim.host("server", || async {
            let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            sim::compute(MILLI * 5);
            stream.write_all(b"hello").await.unwrap();
            std::future::pending().await
        });
        sim.run(async {
            let _stream = TcpStream::connect("server:7").await.unwrap();
            sleep(MILLI).await;
            sim::crash("server");
            sleep(MILLI * 20).await;
        });
    });
}

#[test]
fn crashed_host_sends_nothing_more() {
    for_each_seed(50, |sim| {
        let mut sim = sim.host("server", || async {
            loop {
                let socket = UdpSocket::bind("0.0.0.0:0").await;
                let sent = async { socket?.send_to(b"x", "main:5").await };
                sim::compute(MILLI / 10);
                let _ = sent.await;
                heist::task::yield_now().await;
            }
        });
        sim.run(async {
            let socket = UdpSocket::bind("0.0.0.0:5").await.unwrap();
            socket.recv_from(&mut [0; 4]).await.unwrap();
            sim::crash("server");
            sleep(MILLI).await;
            while socket.try_recv_from(&mut [0; 4]).is_ok() {}
            assert!(timeout(MILLI * 100, socket.recv_from(&mut [0; 4])).await.is_err());
        });
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

/// A socket that outlives its simulation is closed, and acts on no other.
#[test]
fn socket_of_another_simulation_gives_an_error() {
    let listener = Sim::new(1).run(async { TcpListener::bind("127.0.0.1:7").await.unwrap() });
    Sim::new(2).run(async move {
        let own = TcpListener::bind("127.0.0.1:8").await.unwrap();
        assert!(listener.local_addr().unwrap_err().to_string().contains("outside of the simulation"));
        drop(listener);
        TcpStream::connect("127.0.0.1:8").await.unwrap();
        own.accept().await.unwrap();
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

/// A server that is restarted while its answer travels makes a new connection.
#[test]
fn connect_over_a_restart_succeeds() {
    for_each_seed(20, |sim| {
        let mut sim = sim.host("server", echo_server);
        sim.run(async {
            sim::partition_one_way("server", "main");
            let events = heist::spawn(async {
                sleep(Duration::from_secs(5)).await;
                sim::restart("server");
                sim::heal("server", "main");
            });
            let mut stream = connect("server:7").await;
            assert_eq!(exchange(&mut stream, b"hello").await.unwrap(), b"hello");
            events.await.unwrap();
        });
    });
}

#[test]
fn crash_of_a_host_before_its_start_does_not_stop_the_others() {
    for_each_seed(50, |sim| {
        let mut sim = sim.host("first", || async { sim::crash("second") }).host("second", || async {});
        sim.run(async { sim::restart("second") });
    });
}

/// The panic comes before the crash, while the runtime of the host shuts down.
#[test]
#[should_panic(expected = "a real fault")]
fn panic_before_a_crash_is_reported() {
    let mut sim = Sim::new(1).host("server", || async {
        drop(heist::task::spawn_blocking(|| sim::compute(Duration::from_secs(1))));
        heist::task::yield_now().await;
        panic!("a real fault");
    });
    sim.run(async {
        sleep(MILLI * 100).await;
        sim::crash("server");
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
