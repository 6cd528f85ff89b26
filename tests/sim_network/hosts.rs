//! Hosts that crash, panic and start again, and what runs on them.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::peers::{MILLI, connect, echo_server, echo_sim, exchange};
use heist::net::{TcpListener, TcpStream, UdpSocket};
use heist::sim::{self, Link, Sim, for_each_seed};
use heist::time::{Duration, sleep, timeout};

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
