//! The main paths, end to end.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};

fn with_each_flavour(test: impl Fn(&Runtime)) {
    test(&Builder::new_current_thread().enable_all().build().unwrap());
    for workers in [1, 2, 4] {
        test(&Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap());
    }
}

#[test]
fn spawned_task_gives_its_output() {
    with_each_flavour(|runtime| assert_eq!(runtime.block_on(async { heist::spawn(async { 42 }).await.unwrap() }), 42));
}

#[test]
fn tasks_by_ten_thousand_all_run() {
    with_each_flavour(|runtime| {
        let count = Arc::new(AtomicUsize::new(0));
        let all = Arc::clone(&count);
        runtime.block_on(async move {
            heist::spawn(async move {
                let handles: Vec<_> = (0..10_000)
                    .map(|_| {
                        let count = Arc::clone(&count);
                        heist::spawn(async move {
                            heist::task::yield_now().await;
                            count.fetch_add(1, Ordering::Relaxed);
                        })
                    })
                    .collect();
                for handle in handles {
                    handle.await.unwrap();
                }
            })
            .await
            .unwrap();
        });
        assert_eq!(all.load(Ordering::Relaxed), 10_000);
    });
}

#[test]
fn sleeps_are_never_early() {
    with_each_flavour(|runtime| {
        runtime.block_on(async {
            for micros in [0, 100, 1_000, 5_000] {
                let start = Instant::now();
                heist::time::sleep(Duration::from_micros(micros)).await;
                assert!(start.elapsed() >= Duration::from_micros(micros));
                let inside = heist::spawn(async move {
                    let start = Instant::now();
                    heist::time::sleep(Duration::from_micros(micros)).await;
                    start.elapsed()
                });
                assert!(inside.await.unwrap() >= Duration::from_micros(micros));
            }
        });
    });
}

#[test]
fn echo_server_returns_each_message() {
    with_each_flavour(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = heist::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 1024];
                loop {
                    let n = stream.read(&mut buffer).await.unwrap();
                    if n == 0 {
                        return;
                    }
                    stream.write_all(&buffer[..n]).await.unwrap();
                }
            });
            let mut client = TcpStream::connect(address).await.unwrap();
            for round in 0..1_000_u32 {
                client.write_all(&round.to_le_bytes()).await.unwrap();
                let mut echo = [0; 4];
                let mut got = 0;
                while got < 4 {
                    got += client.read(&mut echo[got..]).await.unwrap();
                }
                assert_eq!(u32::from_le_bytes(echo), round);
            }
            drop(client);
            server.await.unwrap();
        });
    });
}

#[test]
fn spawning_from_outside_a_parked_runtime_loses_no_wake_up() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for n in 0..20_000 {
        assert_eq!(runtime.block_on(runtime.spawn(async move { n })).unwrap(), n);
    }
}
