//! A process that has no descriptor left.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;

use heist::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream, unix::pipe};
use heist::runtime::Builder;
use heist::signal::unix::{SignalKind, signal};
use heist::time::{Duration, sleep, timeout};

use super::injection::{ACCEPT, EPOLL_CREATE, EPOLL_WAIT, EVENTFD, PPOLL, SOCKET};
use super::kit::Count;
use super::{alone, assert_no_leak, builder, descriptors_now, runtime, sockets, threads_now};

/// The limit on the numbers of descriptors. No test has a higher one open.
const MOST: usize = 200;

fn limit_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place is valid for the call.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit.rlim_cur = MOST as libc::rlim_t;
    // SAFETY: the limit is valid for the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// Calls `f` while the process can open `room` more descriptors.
fn with_room_for<R>(room: usize, f: impl FnOnce() -> R) -> R {
    limit_descriptors();
    let mut fillers: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(fillers.len() > room && fillers.len() < MOST);
    fillers.truncate(fillers.len() - room);
    f()
}

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[test]
fn runtime_with_room_for_n_descriptors_is_an_error_or_serves() {
    alone("descriptors::runtime_with_room_for_n_descriptors_is_an_error_or_serves", || {
        let (threads, descriptors) = (threads_now(), descriptors_now());
        let mut errors = 0;
        for room in 0.. {
            match with_room_for(room, || builder(2).build()) {
                Ok(runtime) => {
                    assert_eq!(runtime.block_on(runtime.spawn(async { 7 })).unwrap(), 7);
                    assert_eq!(descriptors_now() - descriptors, room, "it has used the room");
                    break;
                }
                Err(error) => {
                    errors += 1;
                    let text = error.to_string();
                    assert!(text.contains("os error 24") && text.contains("ulimit -n"), "{text}");
                }
            }
            assert_no_leak(threads, descriptors);
        }
        // The poll and a duplicate of it, the event that ends a wait, and the watchdog's timer.
        assert_eq!(errors, 4);
        assert_no_leak(threads, descriptors);
    });
}

#[test]
fn runtime_with_each_refused_call_is_an_error_with_the_remedy() {
    alone("descriptors::runtime_with_each_refused_call_is_an_error_with_the_remedy", || {
        let (threads, descriptors) = (threads_now(), descriptors_now());
        let build = |shards| {
            let mut builder = builder(2);
            builder.reactor_shards(shards).build()
        };
        let mut errors = 0;
        for (call, errno) in [(&EPOLL_CREATE, libc::EMFILE), (&EPOLL_CREATE, libc::ENFILE), (&EVENTFD, libc::ENFILE)] {
            for nth in 0.. {
                call.fail(nth..nth + 1, errno);
                let built = build(3);
                if call.heal() == 0 {
                    drop(built.unwrap());
                    break;
                }
                let text = built.unwrap_err().to_string();
                assert!(text.contains(&format!("os error {errno}")) && text.contains("ulimit -n"), "{text}");
                errors += 1;
                assert_no_leak(threads, descriptors);
            }
        }
        assert_eq!(errors, 3 + 3 + 1);
        assert_no_leak(threads, descriptors);
    });
}

type Operation = (&'static str, fn() -> Pin<Box<dyn Future<Output = io::Result<()>>>>);

/// Each way to a new registered resource.
const OPERATIONS: [Operation; 8] = [
    ("TcpListener::bind", || Box::pin(async { TcpListener::bind("127.0.0.1:0").await.map(drop) })),
    ("UdpSocket::bind", || Box::pin(async { UdpSocket::bind("127.0.0.1:0").await.map(drop) })),
    ("TcpStream::connect", || {
        Box::pin(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            TcpStream::connect(listener.local_addr()?).await.map(drop)
        })
    }),
    ("UnixListener::bind", || {
        Box::pin(async {
            let folder = sockets::Folder::new("descriptors");
            UnixListener::bind(folder.path("socket")).map(drop)
        })
    }),
    ("UnixStream::pair", || Box::pin(async { UnixStream::pair().map(drop) })),
    ("pipe", || Box::pin(async { pipe::pipe().map(drop) })),
    ("signal", || Box::pin(async { signal(SignalKind::user_defined1()).map(drop) })),
    ("accept", || {
        Box::pin(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
            listener.accept().await.map(drop)
        })
    }),
];

#[test]
fn operation_with_room_for_n_descriptors_is_an_error_or_succeeds() {
    alone("descriptors::operation_with_room_for_n_descriptors_is_an_error_or_succeeds", || {
        // Without a watchdog, which opens files of /proc for a moment.
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        // The pipe of the signals stays open.
        runtime.block_on(async { drop(signal(SignalKind::user_defined2()).unwrap()) });
        let descriptors = descriptors_now();
        let mut errors = 0;
        for (name, operation) in OPERATIONS {
            for room in 0.. {
                match with_room_for(room, || runtime.block_on(operation())) {
                    Ok(()) => break,
                    Err(error) => {
                        assert!(is_exhaustion(&error), "{name} with room for {room}: {error}");
                        errors += 1;
                    }
                }
                assert_eq!(descriptors_now(), descriptors, "{name} with room for {room}");
            }
        }
        assert!(errors >= 10, "{errors}");
        assert_eq!(descriptors_now(), descriptors);
    });
}

/// The accept loop of a server. An error of the process is followed by a pause, as documented.
#[test]
fn accept_without_descriptors_returns_errors_and_goes_on_afterwards() {
    alone("descriptors::accept_without_descriptors_returns_errors_and_goes_on_afterwards", || {
        const FAILURES: usize = 20;
        for (errno, workers) in [(libc::EMFILE, 1), (libc::ENFILE, 2)] {
            let runtime = runtime(workers);
            let errors = Count::new();
            let seen = errors.clone();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                ACCEPT.fail(0..FAILURES, errno);
                let server = heist::spawn(async move {
                    for accepted in 0..3 {
                        let mut stream = loop {
                            match listener.accept().await {
                                Ok((stream, _)) => break stream,
                                Err(error) => {
                                    assert_eq!(error.raw_os_error(), Some(errno));
                                    seen.add();
                                    sleep(Duration::from_millis(1)).await;
                                }
                            }
                        };
                        stream.write_all(&[accepted]).await.unwrap();
                    }
                });
                // Another task is served meanwhile.
                let other =
                    heist::spawn(async { timeout(Duration::from_millis(3), std::future::pending::<()>()).await });
                for expected in 0..3 {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let mut byte = [9];
                    stream.read_exact(&mut byte).await.unwrap();
                    assert_eq!(byte, [expected]);
                }
                assert!(other.await.unwrap().is_err());
                server.await.unwrap();
            });
            assert_eq!((errors.get(), ACCEPT.heal()), (FAILURES, FAILURES));
        }
    });
}

/// One waiter that accepts, and never retries: the error is one, and no worker spins on it.
#[test]
fn accept_error_leaves_no_worker_spinning() {
    alone("descriptors::accept_error_leaves_no_worker_spinning", || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            ACCEPT.fail(0..1, libc::EMFILE);
            assert_eq!(listener.accept().await.unwrap_err().raw_os_error(), Some(libc::EMFILE));
            let polls = EPOLL_WAIT.calls() + PPOLL.calls();
            sleep(Duration::from_millis(200)).await;
            // Before a sleep, the worker polls for up to 50 µs.
            let polls = EPOLL_WAIT.calls() + PPOLL.calls() - polls;
            assert!(polls < 10_000, "{polls} polls in one sleep");
            // The connection is still there.
            listener.accept().await.unwrap();
        });
        assert_eq!(ACCEPT.heal(), 1);
    });
}

#[test]
fn socket_call_that_is_refused_is_the_error_of_the_operation() {
    alone("descriptors::socket_call_that_is_refused_is_the_error_of_the_operation", || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let descriptors = descriptors_now();
        runtime.block_on(async {
            for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
                SOCKET.fail(0..usize::MAX, errno);
                let errors = [
                    TcpListener::bind("127.0.0.1:0").await.unwrap_err(),
                    TcpStream::connect("127.0.0.1:1").await.unwrap_err(),
                    UdpSocket::bind("127.0.0.1:0").await.unwrap_err(),
                    UnixStream::connect("/nowhere").await.unwrap_err(),
                ];
                assert_eq!(SOCKET.heal(), 4);
                assert!(errors.iter().all(|error| error.raw_os_error() == Some(errno)), "{errors:?}");
            }
        });
        assert_eq!(descriptors_now(), descriptors);
    });
}
