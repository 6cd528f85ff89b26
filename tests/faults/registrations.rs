//! Registrations that the kernel refuses: `epoll_ctl` fails at each of its calls.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdStream;

use heist::io::unix::AsyncFd;
use heist::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram};
use heist::runtime::Runtime;
use heist::time::{Duration, sleep};

use super::injection::{EPOLL_CTL, EPOLL_WAIT};
use super::{alone, assert_no_leak, builder, descriptors_now, kit, runtime, threads_now};

/// Opens sockets of several kinds, exchanges bytes over them, and closes them.
async fn exchange() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let echo = async {
        let (mut stream, _) = listener.accept().await?;
        let mut buf = [0; 3];
        stream.read_exact(&mut buf).await?;
        stream.write_all(&buf).await
    };
    let client = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"abc").await?;
        let mut buf = [0; 3];
        stream.read_exact(&mut buf).await?;
        assert_eq!(&buf, b"abc");
        io::Result::Ok(())
    };
    futures::try_join!(echo, client)?;
    let (one, two) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    one.send_to(b"d", two.local_addr()?).await?;
    assert_eq!(two.recv(&mut [0; 8]).await?, 1);
    let (one, two) = UnixDatagram::pair()?;
    one.send(b"e").await?;
    assert_eq!(two.recv(&mut [0; 8]).await?, 1);
    Ok(())
}

/// If one side of a connection fails, the other side would wait for it. So both end with the first
/// error, which drops the sockets.
#[test]
fn exchange_with_each_registration_refused_is_an_error_without_a_leak() {
    alone("registrations::exchange_with_each_registration_refused_is_an_error_without_a_leak", || {
        for errno in [libc::ENOSPC, libc::ENOMEM] {
            let runtime = runtime(2);
            let before = (threads_now(), descriptors_now());
            let mut errors = 0;
            for nth in 0.. {
                EPOLL_CTL.fail(nth..nth + 1, errno);
                let result = runtime.block_on(runtime.spawn(exchange())).unwrap();
                let refused = EPOLL_CTL.heal();
                match result {
                    Ok(()) if refused == 0 => break,
                    // The removal of a registration may fail: the socket is closed all the same.
                    Ok(()) => {}
                    Err(error) => {
                        assert_eq!((refused, error.raw_os_error()), (1, Some(errno)), "{error}");
                        errors += 1;
                    }
                }
                assert_no_leak(before.0, before.1);
                let metrics = runtime.metrics();
                let [registered, deregistered] =
                    [metrics.io_driver_fd_registered_count(), metrics.io_driver_fd_deregistered_count()];
                assert_eq!(registered, deregistered, "after the refusal of call {nth}");
            }
            // The listener, both ends of the connection, and four datagram sockets.
            assert_eq!(errors, 7);
            runtime.block_on(exchange()).unwrap();
        }
    });
}

#[test]
fn runtime_with_each_registration_refused_is_an_error() {
    alone("registrations::runtime_with_each_registration_refused_is_an_error", || {
        let before = (threads_now(), descriptors_now());
        let mut errors = 0;
        for nth in 0.. {
            EPOLL_CTL.fail(nth..nth + 1, libc::ENOSPC);
            let built = builder(2).build();
            if EPOLL_CTL.heal() == 0 {
                drop(built.unwrap());
                break;
            }
            let text = built.unwrap_err().to_string();
            assert!(text.contains("os error 28") && text.contains("max_user_watches"), "{text}");
            errors += 1;
            assert_no_leak(before.0, before.1);
        }
        assert_eq!(errors, 1);
    });
}

/// The descriptor comes back with the error, and is neither closed nor registered.
#[test]
fn async_fd_that_is_refused_gives_the_descriptor_back() {
    alone("registrations::async_fd_that_is_refused_gives_the_descriptor_back", || {
        let runtime = runtime(1);
        runtime.block_on(async {
            let (mut one, two) = StdStream::pair().unwrap();
            two.set_nonblocking(true).unwrap();
            let number = two.as_raw_fd();
            EPOLL_CTL.fail(0..1, libc::ENOSPC);
            let error = AsyncFd::try_new(two).unwrap_err();
            assert_eq!(EPOLL_CTL.heal(), 1);
            let (two, error) = error.into_parts();
            assert_eq!((two.as_raw_fd(), error.raw_os_error()), (number, Some(libc::ENOSPC)));
            // It can be registered later.
            let two = AsyncFd::new(two).unwrap();
            one.write_all(b"x").unwrap();
            let mut guard = two.readable().await.unwrap();
            let mut byte = [0];
            assert_eq!(guard.try_io(|two| two.get_ref().read(&mut byte)).unwrap().unwrap(), 1);
        });
    });
}

/// Runs tasks while the kernel refuses to report events. Returns how many polls of the kernel
/// failed meanwhile.
fn tasks_without_events(runtime: &Runtime, errno: i32) -> usize {
    EPOLL_WAIT.fail(0..20, errno);
    for _ in 0..50 {
        let tasks: Vec<_> = (0..10).map(|_| runtime.spawn(kit::yield_now())).collect();
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
    // The sockets work again as soon as the kernel does.
    runtime.block_on(exchange()).unwrap();
    EPOLL_WAIT.heal()
}

/// As if a program had closed the reactor's descriptor. Tasks and timers go on.
#[test]
fn epoll_wait_that_fails_for_good_leaves_no_worker_spinning() {
    alone("registrations::epoll_wait_that_fails_for_good_leaves_no_worker_spinning", || {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            EPOLL_WAIT.fail(0..usize::MAX, libc::EBADF);
            for _ in 0..20 {
                let sleeper = async { sleep(Duration::from_millis(10)).await };
                runtime.block_on(runtime.spawn(sleeper)).unwrap();
            }
            let polls = EPOLL_WAIT.heal();
            assert!((1..2_000).contains(&polls), "{polls} polls");
            runtime.block_on(exchange()).unwrap();
        }
    });
}

#[test]
fn epoll_wait_that_fails_loses_no_task_and_no_event() {
    alone("registrations::epoll_wait_that_fails_loses_no_task_and_no_event", || {
        for workers in [1, 2, 4] {
            let runtime = runtime(workers);
            for errno in [libc::EINTR, libc::ENOMEM] {
                assert!(tasks_without_events(&runtime, errno) > 0);
            }
        }
    });
}
