//! More lanes and shards than a machine of this size would get: no task and no event is lost or
//! starved between them. Counts are exact.

#[path = "support/kit.rs"]
mod kit;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};
use kit::{Count, yield_now};

const CONNECTIONS: usize = 200;
const ROUNDS: usize = 20;

/// Without a watchdog: delivery must not depend on it.
fn runtime(workers: usize, lanes: usize, shards: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).queue_lanes(lanes).reactor_shards(shards);
    builder.watchdog(false).enable_all().build().unwrap()
}

/// Runs `test` with more workers than shards, fewer, and the same number; and where only the thread
/// of the root polls the reactor.
fn each(test: impl Fn(&Runtime)) {
    for (workers, lanes, shards) in [(2, 4, 4), (1, 4, 4), (4, 2, 2), (2, 3, 7)] {
        test(&runtime(workers, lanes, shards));
    }
    test(&Builder::new_current_thread().queue_lanes(4).reactor_shards(4).enable_all().build().unwrap());
}

async fn echo(mut stream: TcpStream, served: Count) {
    let mut bytes = [0; 16];
    while stream.read_exact(&mut bytes).await.is_ok() {
        served.add();
        stream.write_all(&bytes).await.unwrap();
    }
}

/// Returns the number of answers. Each of them is the right one.
async fn ask(address: std::net::SocketAddr, client: usize, pause: bool) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for round in 0..ROUNDS {
        let question = [client as u64, round as u64].map(u64::to_le_bytes);
        let question: &[u8; 16] = &std::array::from_fn(|i| question[i / 8][i % 8]);
        stream.write_all(question).await.unwrap();
        let mut answer = [0; 16];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, question, "client {client}, round {round}");
        if pause && round % 5 == 4 {
            heist::time::sleep(Duration::from_micros(300)).await;
        }
    }
    ROUNDS
}

async fn serve(pause: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, served) = (listener.local_addr().unwrap(), Count::new());
    let count = served.clone();
    let server = heist::spawn(async move {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let (stream, _) = listener.accept().await.unwrap();
            connections.push(heist::spawn(echo(stream, count.clone())));
        }
        for connection in connections {
            connection.await.unwrap();
        }
    });
    let clients: Vec<_> = (0..CONNECTIONS).map(|client| heist::spawn(ask(address, client, pause))).collect();
    let mut answers = 0;
    for client in clients {
        answers += client.await.unwrap();
    }
    server.await.unwrap();
    assert_eq!((answers, served.get()), (CONNECTIONS * ROUNDS, CONNECTIONS * ROUNDS));
}

#[test]
fn connections_on_several_shards_are_served() {
    each(|runtime| {
        runtime.block_on(serve(false));
        let metrics = runtime.metrics();
        // The listener, and both ends of each connection.
        assert_eq!(metrics.io_driver_fd_registered_count(), 1 + 2 * CONNECTIONS as u64);
        assert_eq!(metrics.io_driver_fd_registered_count(), metrics.io_driver_fd_deregistered_count());
    });
}

#[test]
fn shards_serve_timers_and_sockets_together() {
    each(|runtime| runtime.block_on(serve(true)));
}

/// A worker that always has a task to poll serves every shard, too. With one worker, no other
/// thread could.
#[test]
fn shards_are_served_by_busy_workers() {
    each(|runtime| {
        let stop = Arc::new(AtomicBool::new(false));
        let busy = |stop: Arc<AtomicBool>| async move {
            while !stop.load(Ordering::SeqCst) {
                yield_now().await;
            }
        };
        let tasks: Vec<_> = (0..8).map(|_| runtime.spawn(busy(Arc::clone(&stop)))).collect();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let served = Count::new();
        let count = served.clone();
        let server = runtime.spawn(async move {
            let mut connections = Vec::new();
            for _ in 0..16 {
                let (stream, _) = listener.accept().await.unwrap();
                connections.push(heist::spawn(echo(stream, count.clone())));
            }
            for connection in connections {
                connection.await.unwrap();
            }
        });
        let client = thread::spawn(move || {
            let mut streams: Vec<_> = (0..16).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
            for _ in 0..ROUNDS {
                // One after the other, so that the shard of this stream is served.
                for stream in &mut streams {
                    stream.write_all(&[7; 16]).unwrap();
                    stream.read_exact(&mut [0; 16]).unwrap();
                }
            }
        });
        runtime.block_on(server).unwrap();
        client.join().unwrap();
        assert_eq!(served.get(), 16 * ROUNDS);
        stop.store(true, Ordering::SeqCst);
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    });
}

/// Threads without a seat, each with a lane of its own, spawn and wake. Every task is polled.
#[test]
fn tasks_of_foreign_threads_in_any_lane_are_polled() {
    const EACH: usize = 500;
    each(|runtime| {
        let ran = Count::new();
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let (handle, ran) = (runtime.handle().clone(), ran.clone());
                thread::spawn(move || {
                    let spawn = |_| {
                        let ran = ran.clone();
                        handle.spawn(async move {
                            yield_now().await;
                            ran.add();
                        })
                    };
                    (0..EACH).map(spawn).collect::<Vec<_>>()
                })
            })
            .collect();
        for thread in threads {
            for task in thread.join().unwrap() {
                runtime.block_on(task).unwrap();
            }
        }
        assert_eq!((ran.get(), runtime.metrics().global_queue_depth()), (6 * EACH, 0));
    });
}

/// One spawn at a time into a runtime that sleeps. Whichever lane the task is in, the final check
/// or the wake-up finds it.
#[test]
fn task_alone_in_any_lane_is_found() {
    each(|runtime| {
        for _ in 0..16 {
            let handle = runtime.handle().clone();
            // A new thread has a new stripe, and so another lane.
            let task = thread::spawn(move || handle.spawn(async { 7 })).join().unwrap();
            assert_eq!(runtime.block_on(task).unwrap(), 7);
        }
    });
}

/// The shutdown drops the tasks of all lanes, and those that are spawned meanwhile. None remains.
#[test]
fn lanes_are_empty_after_shutdown() {
    const EACH: usize = 300;
    for workers in [1, 2] {
        let runtime = runtime(workers, 4, 4);
        let (made, gone) = (Count::new(), Count::new());
        let door = kit::Door::new();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (handle, made, gone, door) = (runtime.handle().clone(), made.clone(), gone.clone(), door.clone());
                thread::spawn(move || {
                    for spawned in 0..EACH {
                        made.add();
                        let kept = gone.on_drop();
                        drop(handle.spawn(async move {
                            let _kept = kept;
                            std::future::pending::<()>().await;
                        }));
                        if spawned == EACH / 2 {
                            door.open();
                        }
                    }
                })
            })
            .collect();
        door.wait();
        drop(runtime);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((made.get(), gone.get()), (4 * EACH, 4 * EACH));
    }
}

/// Every waiter at a socket of any shard gets an error.
#[test]
fn sockets_of_every_shard_fail_after_shutdown() {
    let runtime = runtime(2, 4, 4);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let streams: Vec<_> = (0..8)
        .map(|_| {
            runtime.block_on(async {
                let stream = TcpStream::connect(address).await.unwrap();
                (stream, listener.accept().await.unwrap())
            })
        })
        .collect();
    let waiting = thread::spawn(move || {
        for (mut stream, _peer) in streams {
            let error = futures::executor::block_on(stream.read(&mut [0])).unwrap_err();
            assert!(error.to_string().contains("shut down"), "{error}");
        }
    });
    drop(runtime);
    waiting.join().unwrap();
}

#[test]
fn builder_without_lanes_or_shards_panics() {
    for text in [
        kit::panic_text(|| drop(Builder::new_multi_thread().queue_lanes(0).clone())),
        kit::panic_text(|| drop(Builder::new_multi_thread().reactor_shards(0).clone())),
    ] {
        assert!(text.contains("at least one"), "{text}");
    }
}
