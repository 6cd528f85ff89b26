//! Tests of the reactor with real sockets, polled by the test itself.

use std::future::Future;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use super::*;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::thread;

/// A waker that counts its wake-ups.
#[derive(Default)]
pub(super) struct CountingWaker {
    wakes: AtomicUsize,
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::AcqRel);
    }
}

impl CountingWaker {
    pub(super) fn count(&self) -> usize {
        self.wakes.load(Ordering::Acquire)
    }
}

fn reactor() -> Arc<Reactor> {
    Arc::new(Reactor::new(1, 64, 256).unwrap())
}

/// Returns a registered stream and its peer. The events of the registration are already taken.
pub(super) fn pair(reactor: &Arc<Reactor>) -> (Registered<mio::net::TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = Registered::new(Arc::clone(reactor), mio::net::TcpStream::from_std(ours), Ready::EMPTY).unwrap();
    assert_eq!(poll_busy(reactor), 1, "the new stream is writable");
    (ours, peer)
}

pub(super) fn poll_busy(reactor: &Reactor) -> usize {
    let mut wakes = WakeList::new();
    reactor.try_drive().unwrap().poll_busy(&mut wakes).unwrap()
}

fn poll_idle(reactor: &Reactor, deadline: Option<Instant>) -> usize {
    let mut wakes = WakeList::new();
    reactor.try_drive().unwrap().poll_idle(deadline, &mut wakes).unwrap()
}

pub(super) fn poll<F: Future + ?Sized>(future: Pin<&mut F>, counter: &Arc<CountingWaker>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Arc::clone(counter).into()))
}

#[test]
fn shard_driver_taken_is_refused_to_a_second_caller() {
    let reactor = reactor();
    let driver = reactor.try_drive().unwrap();
    assert!(reactor.try_drive().is_none());
    drop(driver);
    assert!(reactor.try_drive().is_some());
}

#[test]
fn event_collects_each_waker_once_and_wakes_none_under_the_driver() {
    let reactor = reactor();
    let (ours, mut peer) = pair(&reactor);
    let counter = Arc::new(CountingWaker::default());
    let mut readers: Vec<_> = (0..100).map(|_| Box::pin(ours.source().ready(Interest::READABLE))).collect();
    for reader in &mut readers {
        assert!(poll(reader.as_mut(), &counter).is_pending());
        assert!(poll(reader.as_mut(), &counter).is_pending(), "again, with the waker that is stored");
    }
    peer.write_all(b"x").unwrap();
    let mut wakes = WakeList::new();
    let mut driver = reactor.try_drive().unwrap();
    assert_eq!(driver.poll_idle(None, &mut wakes).unwrap(), 1);
    assert_eq!((wakes.len(), counter.count()), (100, 0));
    drop(driver);
    wakes.wake_all();
    assert_eq!(counter.count(), 100);
    assert_eq!(ours.source().waker_count(), 0);
    for reader in &mut readers {
        assert!(poll(reader.as_mut(), &counter).is_ready());
    }
}

#[test]
fn reader_is_woken_by_read_closed_and_not_by_writable() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let counter = Arc::new(CountingWaker::default());
    let mut reader = pin!(ours.source().ready(Interest::READABLE));
    assert!(poll(reader.as_mut(), &counter).is_pending());
    let mut wakes = WakeList::new();
    ours.source().set_ready(Ready::WRITABLE, &mut wakes);
    assert!(wakes.is_empty());
    ours.source().set_ready(Ready::READ_CLOSED, &mut wakes);
    assert_eq!(wakes.len(), 1);
}

#[test]
fn cancelled_waits_leave_no_waker_behind() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let counter = Arc::new(CountingWaker::default());
    for _ in 0..10_000 {
        let mut reader = pin!(ours.source().ready(Interest::READABLE));
        assert!(poll(reader.as_mut(), &counter).is_pending());
    }
    assert_eq!(ours.source().waker_count(), 0);
    for _ in 0..10_000 {
        let waker = Arc::clone(&counter).into();
        assert!(ours.source().poll_ready(Direction::Read, &mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(ours.source().waker_count(), 1);
    assert_eq!(Arc::strong_count(&counter), 2, "one waker is stored, and the others have been dropped");
}

#[test]
fn waiter_dropped_in_the_middle_of_the_list_is_not_woken() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let counters: Vec<_> = (0..3).map(|_| Arc::new(CountingWaker::default())).collect();
    let mut readers: Vec<_> = (0..3).map(|_| Box::pin(ours.source().ready(Interest::READABLE))).collect();
    for (reader, counter) in readers.iter_mut().zip(&counters) {
        assert!(poll(reader.as_mut(), counter).is_pending());
    }
    drop(readers.remove(1));
    let mut wakes = WakeList::new();
    ours.source().set_ready(Ready::READABLE, &mut wakes);
    wakes.wake_all();
    assert_eq!(counters.iter().map(|counter| counter.count()).collect::<Vec<_>>(), [1, 0, 1]);
}

#[test]
fn woken_waiter_that_would_block_waits_again() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let counter = Arc::new(CountingWaker::default());
    let mut reader = pin!(ours.source().ready(Interest::READABLE));
    for count in 1..4 {
        assert!(poll(reader.as_mut(), &counter).is_pending());
        let mut wakes = WakeList::new();
        ours.source().set_ready(Ready::READABLE, &mut wakes);
        wakes.wake_all();
        assert_eq!(counter.count(), count);
        let taken = ours.source().try_io(Interest::READABLE, || Err::<Opaque<()>, _>(io::ErrorKind::WouldBlock.into()));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn event_of_both_directions_ends_both_waits() {
    for event in [Ready::READ_CLOSED | Ready::WRITE_CLOSED, Ready::ERROR | Ready::READABLE | Ready::WRITABLE] {
        let reactor = reactor();
        let (ours, _peer) = pair(&reactor);
        ours.source().clear(Ready::WRITABLE, ours.source().now());
        let counter = Arc::new(CountingWaker::default());
        let mut reader = pin!(ours.source().ready(Interest::READABLE));
        let mut writer = pin!(ours.source().ready(Interest::WRITABLE));
        assert!(poll(reader.as_mut(), &counter).is_pending());
        assert!(poll(writer.as_mut(), &counter).is_pending());
        let mut wakes = WakeList::new();
        ours.source().set_ready(event, &mut wakes);
        wakes.wake_all();
        assert_eq!(counter.count(), 2);
        assert!(poll(reader, &counter).is_ready());
        assert!(poll(writer, &counter).is_ready());
    }
}

#[test]
fn event_of_a_dropped_resource_is_ignored() {
    let reactor = reactor();
    let (ours, mut peer) = pair(&reactor);
    peer.write_all(b"x").unwrap();
    // The event is pending, and a duplicate keeps the socket open.
    let duplicate = socket2::SockRef::from(ours.io()).try_clone().unwrap();
    drop(ours);
    let (next, _next_peer) = pair(&reactor);
    peer.write_all(b"y").unwrap();
    assert_eq!(poll_busy(&reactor), 0);
    let idle = next.source().try_io(Interest::READABLE, || Ok(Opaque(())));
    assert_eq!(idle.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(duplicate);
    drop(next);
    assert_eq!(reactor.counts(), ReactorCounts { registered: 2, deregistered: 2, events: 2 });
    assert_eq!(reactor.sources(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn failed_registration_leaves_no_source() {
    use std::os::fd::AsRawFd;
    let reactor = reactor();
    let file = std::fs::File::open("Cargo.toml").unwrap();
    for _ in 0..100 {
        let error = reactor.register(0, &mut mio::unix::SourceFd(&file.as_raw_fd()), Ready::EMPTY).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
    assert_eq!(reactor.sources(), 0);
    assert_eq!(reactor.counts(), ReactorCounts::default());
}

#[test]
fn wait_with_a_deadline_is_never_early_and_does_not_spin() {
    let reactor = reactor();
    for left in [Duration::from_nanos(1), Duration::from_micros(50), Duration::from_micros(1_300)] {
        for _ in 0..20 {
            let deadline = Instant::now() + left;
            let mut waits = 0;
            while Instant::now() < deadline {
                assert_eq!(poll_idle(&reactor, Some(deadline)), 0);
                waits += 1;
            }
            assert!(waits <= 1, "{waits} waits ended before {left:?} were over");
        }
    }
    assert_eq!(poll_idle(&reactor, Some(Instant::now() - Duration::from_nanos(1))), 0);
}

#[test]
fn event_ends_a_wait_with_a_deadline() {
    let reactor = reactor();
    let (_ours, mut peer) = pair(&reactor);
    peer.write_all(b"x").unwrap();
    assert_eq!(poll_idle(&reactor, Some(Instant::now() + Duration::from_secs(86_400 * 365))), 1);
}

#[test]
fn interrupt_before_the_wait_ends_the_wait() {
    let reactor = reactor();
    for _ in 0..3 {
        reactor.interrupt().unwrap();
        reactor.interrupt().unwrap();
        assert_eq!(poll_idle(&reactor, None), 0);
    }
}

#[test]
fn interrupt_during_the_wait_ends_the_wait() {
    let reactor = reactor();
    for _ in 0..100 {
        let other = Arc::clone(&reactor);
        let interrupter = thread::Builder::new().spawn(move || other.interrupt().unwrap()).unwrap();
        assert_eq!(poll_idle(&reactor, None), 0);
        interrupter.join().unwrap();
    }
}

#[test]
fn closed_reactor_wakes_the_waiters_and_fails_every_operation() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let counter = Arc::new(CountingWaker::default());
    let waker = Arc::clone(&counter).into();
    let cx = &mut Context::from_waker(&waker);
    let source = ours.source();
    let mut reader = Box::pin(source.ready(Interest::READABLE));
    assert!(poll(reader.as_mut(), &counter).is_pending());
    assert!(source.poll_ready(Direction::Read, cx).is_pending());
    let mut wakes = WakeList::new();
    reactor.close_reactor(&mut wakes);
    wakes.wake_all();
    assert_eq!(counter.count(), 2);

    let shut_down = |error: io::Error| {
        assert_eq!(error.kind(), io::ErrorKind::Other);
        assert!(error.to_string().contains("has been shut down"), "{error}");
    };
    let failed = |result: Poll<io::Result<Snapshot>>| match result {
        Poll::Ready(Err(error)) => shut_down(error),
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        failed(poll(reader.as_mut(), &counter));
        failed(poll(pin!(source.ready(Interest::WRITABLE)), &counter));
        for direction in Direction::BOTH {
            failed(source.poll_ready(direction, cx));
            let io: Poll<io::Result<Opaque<()>>> =
                source.poll_io(direction, cx, || panic!("a closed source tries no operation"));
            failed(io.map_ok(|_| source.now()));
        }
        shut_down(source.try_io(Interest::WRITABLE, || Ok(Opaque(()))).unwrap_err());
        source.clear(Ready::ALL, source.now());
        source.set_ready(Ready::ALL, &mut WakeList::new());
        reactor.close_reactor(&mut WakeList::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        shut_down(reactor.register(0, &mut mio::net::TcpListener::from_std(listener), Ready::EMPTY).unwrap_err());
    }
    drop(reader);
    drop(ours);
    assert_eq!(reactor.sources(), 0);
}

/// A waker whose wake polls the reactor, and registers and drops a socket there.
struct ReentrantWaker(Arc<Reactor>);

impl Wake for ReentrantWaker {
    fn wake(self: Arc<Self>) {
        poll_busy(&self.0);
        let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        drop(Registered::new(Arc::clone(&self.0), listener, Ready::EMPTY).unwrap());
    }
}

#[test]
fn waker_that_uses_the_reactor_finds_no_lock_held() {
    let reactor = reactor();
    let (ours, mut peer) = pair(&reactor);
    let waker = Arc::new(ReentrantWaker(Arc::clone(&reactor))).into();
    let mut reader = pin!(ours.source().ready(Interest::READABLE));
    assert!(reader.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    peer.write_all(b"x").unwrap();
    let mut wakes = WakeList::new();
    let found = reactor.try_drive().unwrap().poll_idle(None, &mut wakes).unwrap();
    wakes.wake_all();
    assert_eq!((found, reactor.counts().registered), (1, 2));
}

#[test]
fn closed_side_that_would_block_yields_to_other_tasks() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    ours.source().set_ready(Ready::READ_CLOSED, &mut WakeList::new());
    let counter = Arc::new(CountingWaker::default());
    let waker = Arc::clone(&counter).into();
    let blocked = || Err::<Opaque<()>, _>(io::ErrorKind::WouldBlock.into());
    assert!(ours.source().poll_io(Direction::Read, &mut Context::from_waker(&waker), blocked).is_pending());
    assert_eq!(counter.count(), 1);
    let mut read = pin!(ours.source().io(Interest::READABLE, blocked));
    assert!(poll(read.as_mut(), &counter).is_pending());
    assert_eq!(counter.count(), 2);
}
