//! Descriptors that are closed while they are registered, and whose numbers are used again.

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use heist::io::unix::AsyncFd;
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};
use heist::time::{Duration, sleep};

use super::injection::{EPOLL_WAIT, PPOLL};
use super::kit::{Count, yield_now};
use super::{alone, descriptors_now, sockets};

/// A number of a descriptor, which is closed elsewhere.
struct Number(RawFd);

impl AsRawFd for Number {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    let (one, two) = StdStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    two.set_nonblocking(true).unwrap();
    (one.into(), two.into())
}

fn close_number(fd: RawFd) {
    // SAFETY: the call takes any number. The callers own these.
    assert_eq!(unsafe { libc::close(fd) }, 0);
}

fn write_byte(fd: &OwnedFd) {
    // SAFETY: the byte is valid for the call.
    assert_eq!(unsafe { libc::write(fd.as_raw_fd(), b"x".as_ptr().cast(), 1) }, 1);
}

/// Returns a runtime without a watchdog, whose files could get a number that a test expects.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Counts the polls of a future.
struct Counted<F>(Pin<Box<F>>, Count);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.add();
        self.0.as_mut().poll(cx)
    }
}

/// Returns how often the kernel was polled during a sleep.
async fn polls_during_sleep() -> usize {
    let polls = EPOLL_WAIT.calls() + PPOLL.calls();
    sleep(Duration::from_millis(50)).await;
    EPOLL_WAIT.calls() + PPOLL.calls() - polls
}

/// The kernel keeps a registration as long as a duplicate of the descriptor is open. Its events
/// carry the key of the first registration, and wake no task of the second.
#[test]
fn events_of_a_closed_descriptor_wake_no_task_of_its_successor() {
    alone("closed_descriptors::events_of_a_closed_descriptor_wake_no_task_of_its_successor", || {
        let runtime = runtime();
        runtime
            .block_on(runtime.spawn(async {
                let (first, first_peer) = pair();
                let duplicate = first.try_clone().unwrap();
                let number = first.into_raw_fd();
                let stale = AsyncFd::new(Number(number)).unwrap();
                close_number(number);
                let (second, second_peer) = pair();
                let second = if second.as_raw_fd() == number { second } else { panic!("the number is used again") };
                let successor = AsyncFd::new(second).unwrap();
                let polls = Count::new();
                let mut waits = pin!(Counted(Box::pin(successor.readable()), polls.clone()));
                assert!(sockets::once(waits.as_mut()).await.is_pending());
                // Events for the first one, by its duplicate.
                for _ in 0..100 {
                    write_byte(&first_peer);
                    yield_now().await;
                }
                let mut guard = stale.readable().await.unwrap();
                guard.clear_ready();
                drop(guard);
                assert!(sockets::once(waits.as_mut()).await.is_pending());
                assert_eq!(polls.get(), 2, "only by this test");
                assert!(polls_during_sleep().await < 10_000);
                write_byte(&second_peer);
                drop(waits.await.unwrap());
                drop(duplicate);
            }))
            .unwrap();
    });
}

/// A descriptor is closed, and its `AsyncFd` is dropped afterwards. The table of the reactor loses
/// the entry, and the number can be registered again.
#[test]
fn drop_after_the_close_frees_the_number_for_another_registration() {
    alone("closed_descriptors::drop_after_the_close_frees_the_number_for_another_registration", || {
        let runtime = runtime();
        runtime
            .block_on(runtime.spawn(async {
                let descriptors = descriptors_now();
                for _ in 0..1_000 {
                    let (first, peer) = pair();
                    let number = first.into_raw_fd();
                    let stale = AsyncFd::new(Number(number)).unwrap();
                    close_number(number);
                    drop(stale);
                    let (second, second_peer) = pair();
                    assert_eq!(second.as_raw_fd(), number);
                    let second = AsyncFd::new(second).unwrap();
                    write_byte(&second_peer);
                    drop(second.readable().await.unwrap());
                    drop((peer, second_peer));
                }
                assert_eq!(descriptors_now(), descriptors);
            }))
            .unwrap();
        let metrics = runtime.metrics();
        assert_eq!(metrics.io_driver_fd_registered_count(), metrics.io_driver_fd_deregistered_count());
    });
}

/// The socket of another part of the program has the number now. The operations of the `AsyncFd`
/// are given an error by the kernel, and no wait spins.
#[test]
fn operation_on_a_closed_descriptor_is_an_error() {
    alone("closed_descriptors::operation_on_a_closed_descriptor_is_an_error", || {
        let runtime = runtime();
        runtime.block_on(async {
            let (first, peer) = pair();
            let number = first.into_raw_fd();
            let stale = AsyncFd::new(Number(number)).unwrap();
            write_byte(&peer);
            drop(stale.readable().await.unwrap());
            close_number(number);
            let mut guard = stale.readable().await.unwrap();
            let result = guard.try_io(|fd| {
                let mut byte = 0_u8;
                // SAFETY: the byte is valid for the call.
                match unsafe { libc::read(fd.as_raw_fd(), (&raw mut byte).cast(), 1) } {
                    -1 => Err(io::Error::last_os_error()),
                    count => Ok(count),
                }
            });
            assert_eq!(result.unwrap().unwrap_err().raw_os_error(), Some(libc::EBADF));
            drop(guard);
            assert!(polls_during_sleep().await < 10_000);
            drop(stale);
            // The reactor is unharmed.
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (client, server) =
                futures::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
            drop((client.unwrap(), server.unwrap()));
        });
    });
}

/// Sockets share their state with duplicates, which may outlive them. Later events find no source.
#[test]
fn events_of_a_duplicate_after_the_drop_are_ignored() {
    alone("closed_descriptors::events_of_a_duplicate_after_the_drop_are_ignored", || {
        let runtime = runtime();
        runtime
            .block_on(runtime.spawn(async {
                for _ in 0..200 {
                    let (mut one, two) = sockets::tcp_pair().await;
                    // SAFETY: the socket is open.
                    let duplicate = unsafe { libc::dup(two.as_raw_fd()) };
                    assert!(duplicate >= 0);
                    // SAFETY: the call has returned a new descriptor.
                    let duplicate = unsafe { OwnedFd::from_raw_fd(duplicate) };
                    drop(two);
                    one.write_all(b"abc").await.unwrap();
                    yield_now().await;
                    drop(duplicate);
                    // The other side learns of the close from the last duplicate only.
                    assert!(matches!(one.read(&mut [0]).await, Ok(0) | Err(_)));
                }
                assert!(polls_during_sleep().await < 10_000);
            }))
            .unwrap();
        let metrics = runtime.metrics();
        assert_eq!(metrics.io_driver_fd_registered_count(), metrics.io_driver_fd_deregistered_count());
    });
}
