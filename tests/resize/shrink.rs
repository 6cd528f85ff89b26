//! Workers retire, and the others take over.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use heist::net::{TcpListener, TcpStream};

use super::kit::{Count, Door, yield_now};
use super::{all_at_once, builder, one_each, parts, until, workers};

/// After `resize` has returned, a retiring worker begins at most one more poll. Once the resize is
/// done, polls happen one at a time.
#[test]
fn saturated_runtime_shrinks_at_the_next_poll() {
    #[derive(Default)]
    struct Scene {
        running: AtomicUsize,
        polls: AtomicUsize,
        most: AtomicUsize,
        asked: AtomicBool,
        after: Mutex<BTreeMap<String, usize>>,
        end: AtomicBool,
    }
    for _ in 0..10 {
        let runtime = builder(8).thread_name_with(|at| format!("seat {}", at.index)).build().unwrap();
        let scene = Arc::new(Scene::default());
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let scene = Arc::clone(&scene);
                runtime.spawn(async move {
                    while !scene.end.load(Ordering::SeqCst) {
                        let running = scene.running.fetch_add(1, Ordering::SeqCst) + 1;
                        scene.most.fetch_max(running, Ordering::SeqCst);
                        scene.polls.fetch_add(1, Ordering::SeqCst);
                        if scene.asked.load(Ordering::SeqCst) {
                            let name = thread::current().name().unwrap().to_owned();
                            *scene.after.lock().unwrap().entry(name).or_default() += 1;
                        }
                        scene.running.fetch_sub(1, Ordering::SeqCst);
                        yield_now().await;
                    }
                })
            })
            .collect();
        until(|| scene.polls.load(Ordering::SeqCst) > 1_000);
        let resize = runtime.resize(1);
        scene.asked.store(true, Ordering::SeqCst);
        assert_eq!(parts(resize.wait().unwrap()), (8, 1, 1));
        assert_eq!(runtime.worker_threads(), 1);
        let one = scene.after.lock().unwrap().clone();
        assert!(one.iter().all(|(name, polls)| name == "seat 0" || *polls <= 1), "{one:?}");
        // A poll under way may have counted one of a retiring worker, and not stored the maximum
        // yet.
        let so_far = scene.polls.load(Ordering::SeqCst);
        until(|| scene.polls.load(Ordering::SeqCst) > so_far + 1);
        scene.most.store(0, Ordering::SeqCst);
        let so_far = scene.polls.load(Ordering::SeqCst);
        until(|| scene.polls.load(Ordering::SeqCst) > so_far + 1_000);
        assert_eq!(scene.most.load(Ordering::SeqCst), 1);
        scene.end.store(true, Ordering::SeqCst);
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
}

/// Tasks in the ring and the LIFO slot of a retiring worker are polled by others.
#[test]
fn retiring_worker_hands_off_tasks_behind_its_poll() {
    for _ in 0..100 {
        let runtime = workers(2);
        let run = Count::new();
        let (resize, go) = (Door::new(), Door::new());
        let tasks = one_each(&runtime, 2, |_| {
            let (run, resize, go) = (run.clone(), resize.clone(), go.clone());
            async move {
                for _ in 0..10 {
                    let run = run.clone();
                    heist::spawn(async move { run.add() });
                }
                resize.open();
                go.wait();
            }
        });
        resize.wait();
        let resize = runtime.resize(1);
        go.open();
        resize.wait().unwrap();
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        runtime.block_on(async {
            while run.get() < 20 {
                yield_now().await;
            }
        });
    }
}

#[test]
fn parked_runtime_is_resized_down() {
    let (started, stopped) = (Count::new(), Count::new());
    let (start, stop) = (started.clone(), stopped.clone());
    let runtime =
        builder(8).on_thread_start(move || _ = start.add()).on_thread_stop(move || _ = stop.add()).build().unwrap();
    all_at_once(&runtime, 8);
    for (size, version) in [(5, 1), (2, 2), (1, 3)] {
        assert_eq!(runtime.resize(size).wait().unwrap().version, version);
        assert_eq!(runtime.worker_threads(), size);
        all_at_once(&runtime, size);
    }
    until(|| stopped.get() == 7);
    assert_eq!(started.get(), 8);
    drop(runtime);
    assert_eq!((started.get(), stopped.get()), (8, 8));
}

/// One of the sleeping workers has the shard driver, and retires in many of the rounds. The bytes
/// of a foreign client still arrive.
#[test]
fn reactor_is_polled_after_its_driver_has_retired() {
    let runtime = workers(4);
    let (mut client, echo) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().await.unwrap().0)
    });
    let echo = runtime.spawn(serve(echo));
    for round in 0..500_u16 {
        let (most, least) = [(4, 2), (2, 1), (4, 1), (16, 3)][usize::from(round) % 4];
        runtime.resize(most).wait().unwrap();
        if round % 3 == 0 {
            all_at_once(&runtime, most);
        }
        runtime.resize(least).wait().unwrap();
        client.write_all(&round.to_le_bytes()).unwrap();
        let mut answer = [0; 2];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, round.to_le_bytes());
    }
    drop(client);
    assert_eq!(runtime.block_on(echo).unwrap(), 1_000);
}

/// Sends back what arrives. Returns the number of bytes.
async fn serve(mut stream: TcpStream) -> usize {
    let mut buffer = [0; 64];
    let mut all = 0;
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return all,
            n => {
                stream.write_all(&buffer[..n]).await.unwrap();
                all += n;
            }
        }
    }
}

#[test]
fn sockets_are_served_at_all_sizes() {
    let runtime = workers(1);
    let end = Arc::new(AtomicBool::new(false));
    let trips = Count::new();
    let clients = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut clients = Vec::new();
        for client in 0..16_u32 {
            let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            heist::spawn(serve(listener.accept().await.unwrap().0));
            let (end, trips) = (Arc::clone(&end), trips.clone());
            clients.push(heist::spawn(async move {
                let mut trip = client;
                while !end.load(Ordering::SeqCst) {
                    stream.write_all(&trip.to_le_bytes()).await.unwrap();
                    let mut answer = [0; 4];
                    stream.read_exact(&mut answer).await.unwrap();
                    assert_eq!(answer, trip.to_le_bytes());
                    trip = trip.wrapping_add(7);
                    trips.add();
                }
            }));
        }
        clients
    });
    for _ in 0..20 {
        for size in [16, 1, 5, 2, 1] {
            let before = trips.get();
            runtime.resize(size).wait().unwrap();
            until(|| trips.get() > before + 32);
        }
    }
    end.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| runtime.block_on(client).unwrap());
}
