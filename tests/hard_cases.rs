//! Cases of `docs/promises.md` that no other test covers: readers beside a storm, futures that are
//! forgotten, the token of `thread::park`, a resize from a destructor.

use std::mem::forget;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use futures::StreamExt;
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Handle, Resize};
use heist::task;

#[path = "support/kit.rs"]
mod kit;
use kit::{Count, OnDrop, poll_once, workers, yield_now};

/// A wait that takes as long has hung.
const LONG: Duration = Duration::from_secs(3600);

/// Dumps, metrics and snapshots are read while tasks are spawned, aborted and end, and while
/// workers come and go. Each task in a dump has its own name and place.
#[test]
fn dumps_beside_a_storm_of_ends_show_live_tasks() {
    const TASKS: usize = 100;
    const MOST_ROUNDS: usize = 100_000;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .max_worker_threads(4)
        .flight_recorder(1 << 14)
        .enable_all()
        .build()
        .unwrap();
    runtime.handle().recorder().start();
    let (over, spawned, dropped) = (Arc::new(AtomicBool::new(false)), Count::new(), Count::new());
    let storms: Vec<_> = (0..3)
        .map(|_| {
            let (over, spawned, dropped) = (Arc::clone(&over), spawned.clone(), dropped.clone());
            runtime.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let number = spawned.add();
                    let on_drop = dropped.on_drop();
                    let body = async move {
                        let _on_drop = on_drop;
                        match number % 4 {
                            0 => yield_now().await,
                            1 => heist::time::sleep(Duration::from_micros(50)).await,
                            2 => heist::time::sleep(LONG).await,
                            _ => {}
                        }
                    };
                    let handle = task::Builder::new().name(&format!("storm-{number}")).spawn(body).unwrap();
                    yield_now().await;
                    if number % 4 == 2 {
                        handle.abort();
                    }
                    drop(handle);
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let handle = runtime.handle().clone();
            thread::spawn(move || {
                let mut seen = 0;
                let rounds = (0..MOST_ROUNDS).take_while(|_| {
                    seen += read_everything(&handle);
                    seen < TASKS
                });
                assert!(rounds.count() < MOST_ROUNDS, "the dumps showed {seen} tasks of the storm");
            })
        })
        .collect();
    for size in (0..20).map(|round| 1 + round % 4) {
        runtime.handle().resize(size).wait().unwrap();
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    over.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for storm in storms {
            storm.await.unwrap();
        }
    });
    drop(runtime);
    assert_eq!(spawned.get(), dropped.get());
}

/// Returns the number of tasks of the storm that the dump showed.
fn read_everything(handle: &Handle) -> usize {
    let dump = handle.dump();
    for task in &dump.tasks {
        assert!(task.location.file().ends_with("hard_cases.rs"), "{task:?}");
        assert!(task.name.as_ref().is_none_or(|name| name.starts_with("storm-")), "{task:?}");
    }
    let ids: Vec<_> = dump.tasks.iter().map(|task| task.id).collect();
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    assert!(handle.metrics().num_workers() >= 1);
    assert!(!handle.recorder().snapshot().as_bytes().is_empty());
    dump.tasks.iter().filter(|task| task.name.is_some()).count()
}

/// A future that waits may be forgotten in its box. Its memory stays, and so may its waker.
#[test]
fn operation_futures_forgotten_leave_the_socket_usable() {
    let runtime = workers(2);
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        for round in 0..3_u8 {
            // A socket counts as ready until an operation would block.
            assert_eq!(server.try_read(&mut byte).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            let mut readable = Box::pin(server.readable());
            assert!(poll_once(&mut readable).is_pending());
            forget(readable);
            let mut accept = Box::pin(listener.accept());
            assert!(poll_once(&mut accept).is_pending());
            forget(accept);
            let mut sleep = Box::pin(heist::time::sleep(Duration::from_millis(1)));
            assert!(poll_once(&mut sleep).is_pending());
            forget(sleep);
            forget(heist::spawn(async {}));
            client.write_all(&[round]).await.unwrap();
            server.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, [round]);
            heist::time::sleep(Duration::from_millis(2)).await;
        }
        let second = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), second.local_addr().unwrap());
    });
    drop(runtime);
}

/// Tasks use the token of `thread::park` of their worker's thread. The worker sleeps and wakes
/// nevertheless.
#[test]
fn user_code_that_parks_and_unparks_its_worker_loses_no_wake_up() {
    const ROUNDS: usize = 2_000;
    let runtime = workers(1);
    let (to_task, mut from_thread) = futures::channel::mpsc::unbounded::<usize>();
    let (to_thread, from_task) = mpsc::channel::<thread::Thread>();
    let task = runtime.spawn(async move {
        let mut received = 0;
        loop {
            thread::park_timeout(Duration::ZERO);
            thread::current().unpark();
            let Ok(()) = to_thread.send(thread::current()) else { return received };
            let Some(number) = from_thread.next().await else { return received };
            assert_eq!(number, received);
            received += 1;
        }
    });
    for number in 0..ROUNDS {
        let worker = from_task.recv_timeout(LONG).expect("the task sends its thread");
        if number % 2 == 0 {
            worker.unpark();
        }
        to_task.unbounded_send(number).expect("the task receives");
        worker.unpark();
    }
    drop((to_task, from_task));
    assert_eq!(runtime.block_on(task).unwrap(), ROUNDS);
}

/// Resizes from the destructor of a future that is aborted take effect, and report it.
#[test]
fn resize_from_a_destructor_takes_effect() {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_worker_threads(3).build().unwrap();
    let (sender, receiver) = mpsc::channel::<Resize>();
    for (from, to) in [(1, 3), (3, 2), (2, 1)] {
        let (handle, sender) = (runtime.handle().clone(), sender.clone());
        let on_drop = OnDrop::new(move || sender.send(handle.resize(to)).unwrap());
        let task = runtime.spawn(async move {
            let _on_drop = on_drop;
            std::future::pending::<()>().await;
        });
        task.abort();
        let resized = receiver.recv_timeout(LONG).expect("the destructor sends").wait().unwrap();
        assert_eq!((resized.from, resized.to), (from, to));
        assert_eq!(runtime.handle().worker_threads(), to);
    }
}

/// A program that replaces this process inherits no descriptor of a runtime.
#[cfg(target_os = "linux")]
#[test]
fn descriptors_of_a_runtime_are_closed_on_exec() {
    use heist::signal::unix::{SignalKind, signal};

    // The program that runs the tests may have left descriptors open.
    let before = open_descriptors();
    let runtime = workers(2);
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = listener.accept().await.unwrap();
        let udp = heist::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let unix = heist::net::UnixStream::pair().unwrap();
        let pipe = heist::net::unix::pipe::pipe().unwrap();
        let usr2 = signal(SignalKind::user_defined2()).unwrap();
        let mut found = 0;
        for fd in open_descriptors().into_iter().filter(|fd| !before.contains(fd)) {
            // SAFETY: the call reads the flags of a number, which may be closed by now.
            let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
            if flags >= 0 {
                found += 1;
                let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
                assert!(flags & libc::FD_CLOEXEC != 0, "descriptor {fd} ({}) is inherited", target.display());
            }
        }
        assert!(found >= 10, "only {found} descriptors were found");
        drop((client, server, udp, unix, pipe, usr2));
    });
}

#[cfg(target_os = "linux")]
fn open_descriptors() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}
