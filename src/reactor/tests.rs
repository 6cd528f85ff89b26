//! The reactor turned by hand, with real sockets.

use std::future::Future;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use super::*;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::thread;

/// A waker that counts.
#[derive(Default)]
pub(super) struct Bell {
    rings: AtomicUsize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rings.fetch_add(1, Ordering::AcqRel);
    }
}

impl Bell {
    pub(super) fn rings(&self) -> usize {
        self.rings.load(Ordering::Acquire)
    }
}

fn reactor() -> Arc<Reactor> {
    Arc::new(Reactor::new(1, 64, 256).unwrap())
}

/// A registered stream and its peer, with the events of the registration already taken.
pub(super) fn pair(reactor: &Arc<Reactor>) -> (Registered<mio::net::TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = Registered::new(Arc::clone(reactor), mio::net::TcpStream::from_std(ours), Ready::EMPTY).unwrap();
    assert_eq!(turn_busy(reactor), 1, "it is writable");
    (ours, peer)
}

pub(super) fn turn_busy(reactor: &Reactor) -> usize {
    let mut wakes = WakeList::new();
    reactor.try_drive().unwrap().poll_busy(&mut wakes).unwrap()
}

fn rest(reactor: &Reactor, deadline: Option<Instant>) -> usize {
    let mut wakes = WakeList::new();
    reactor.try_drive().unwrap().rest(deadline, &mut wakes).unwrap()
}

pub(super) fn poll<F: Future + ?Sized>(future: Pin<&mut F>, bell: &Arc<Bell>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Arc::clone(bell).into()))
}

#[test]
fn the_chair_has_one_place() {
    let reactor = reactor();
    let turn = reactor.try_drive().unwrap();
    assert!(reactor.try_drive().is_none());
    drop(turn);
    assert!(reactor.try_drive().is_some());
}

#[test]
fn everybody_who_waits_is_handed_over_once_and_nobody_is_woken_in_the_chair() {
    let reactor = reactor();
    let (ours, mut peer) = pair(&reactor);
    let bell = Arc::new(Bell::default());
    let mut readers: Vec<_> = (0..100).map(|_| Box::pin(ours.source().ready(Interest::READABLE))).collect();
    for reader in &mut readers {
        assert!(poll(reader.as_mut(), &bell).is_pending());
        assert!(poll(reader.as_mut(), &bell).is_pending(), "again, with the waker that is there");
    }
    peer.write_all(b"x").unwrap();
    let mut wakes = WakeList::new();
    let mut turn = reactor.try_drive().unwrap();
    assert_eq!(turn.rest(None, &mut wakes).unwrap(), 1);
    assert_eq!((wakes.len(), bell.rings()), (100, 0));
    drop(turn);
    wakes.wake_all();
    assert_eq!(bell.rings(), 100);
    assert_eq!(ours.source().waker_count(), 0);
    for reader in &mut readers {
        assert!(poll(reader.as_mut(), &bell).is_ready());
    }
}

#[test]
fn a_reader_is_not_woken_by_room_to_write() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let bell = Arc::new(Bell::default());
    let mut reader = pin!(ours.source().ready(Interest::READABLE));
    assert!(poll(reader.as_mut(), &bell).is_pending());
    let mut wakes = WakeList::new();
    ours.source().set_ready(Ready::WRITABLE, &mut wakes);
    assert!(wakes.is_empty());
    ours.source().set_ready(Ready::READ_CLOSED, &mut wakes);
    assert_eq!(wakes.len(), 1);
}

#[test]
fn ten_thousand_cancelled_waits_leave_nobody_behind() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let bell = Arc::new(Bell::default());
    for _ in 0..10_000 {
        let mut reader = pin!(ours.source().ready(Interest::READABLE));
        assert!(poll(reader.as_mut(), &bell).is_pending());
    }
    assert_eq!(ours.source().waker_count(), 0);
    for _ in 0..10_000 {
        let waker = Arc::clone(&bell).into();
        assert!(ours.source().poll_ready(Direction::Read, &mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(ours.source().waker_count(), 1);
    assert_eq!(Arc::strong_count(&bell), 2, "one waker is kept, the others have been dropped");
}

#[test]
fn a_waiter_in_the_middle_can_leave() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let bells: Vec<_> = (0..3).map(|_| Arc::new(Bell::default())).collect();
    let mut readers: Vec<_> = (0..3).map(|_| Box::pin(ours.source().ready(Interest::READABLE))).collect();
    for (reader, bell) in readers.iter_mut().zip(&bells) {
        assert!(poll(reader.as_mut(), bell).is_pending());
    }
    drop(readers.remove(1));
    let mut wakes = WakeList::new();
    ours.source().set_ready(Ready::READABLE, &mut wakes);
    wakes.wake_all();
    assert_eq!(bells.iter().map(|bell| bell.rings()).collect::<Vec<_>>(), [1, 0, 1]);
}

#[test]
fn a_woken_waiter_who_finds_nothing_waits_again() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let bell = Arc::new(Bell::default());
    let mut reader = pin!(ours.source().ready(Interest::READABLE));
    for rings in 1..4 {
        assert!(poll(reader.as_mut(), &bell).is_pending());
        let mut wakes = WakeList::new();
        ours.source().set_ready(Ready::READABLE, &mut wakes);
        wakes.wake_all();
        assert_eq!(bell.rings(), rings);
        let taken = ours.source().try_io(Interest::READABLE, || Err::<Opaque<()>, _>(io::ErrorKind::WouldBlock.into()));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn an_event_without_readable_or_writable_ends_both_waits() {
    for event in [Ready::READ_CLOSED | Ready::WRITE_CLOSED, Ready::ERROR | Ready::READABLE | Ready::WRITABLE] {
        let reactor = reactor();
        let (ours, _peer) = pair(&reactor);
        ours.source().clear(Ready::WRITABLE, ours.source().now());
        let bell = Arc::new(Bell::default());
        let mut reader = pin!(ours.source().ready(Interest::READABLE));
        let mut writer = pin!(ours.source().ready(Interest::WRITABLE));
        assert!(poll(reader.as_mut(), &bell).is_pending());
        assert!(poll(writer.as_mut(), &bell).is_pending());
        let mut wakes = WakeList::new();
        ours.source().set_ready(event, &mut wakes);
        wakes.wake_all();
        assert_eq!(bell.rings(), 2);
        assert!(poll(reader, &bell).is_ready());
        assert!(poll(writer, &bell).is_ready());
    }
}

#[test]
fn an_event_of_a_dropped_resource_finds_nobody() {
    let reactor = reactor();
    let (ours, mut peer) = pair(&reactor);
    peer.write_all(b"x").unwrap();
    // The event is due, and the socket lives on under another number.
    let duplicate = socket2::SockRef::from(ours.io()).try_clone().unwrap();
    drop(ours);
    let (next, _next_peer) = pair(&reactor);
    peer.write_all(b"y").unwrap();
    assert_eq!(turn_busy(&reactor), 0);
    let idle = next.source().try_io(Interest::READABLE, || Ok(Opaque(())));
    assert_eq!(idle.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(duplicate);
    drop(next);
    assert_eq!(reactor.counts(), ReactorCounts { registered: 2, deregistered: 2, events: 2 });
    assert_eq!(reactor.sources(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_registration_that_fails_leaves_nothing() {
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
fn a_rest_with_a_deadline_is_never_early_and_does_not_spin() {
    let reactor = reactor();
    for left in [Duration::from_nanos(1), Duration::from_micros(50), Duration::from_micros(1_300)] {
        for _ in 0..20 {
            let deadline = Instant::now() + left;
            let mut rests = 0;
            while Instant::now() < deadline {
                assert_eq!(rest(&reactor, Some(deadline)), 0);
                rests += 1;
            }
            assert!(rests <= 1, "came back {rests} times before {left:?} were over");
        }
    }
    assert_eq!(rest(&reactor, Some(Instant::now() - Duration::from_nanos(1))), 0);
}

#[test]
fn an_event_ends_a_rest_with_a_deadline() {
    let reactor = reactor();
    let (_ours, mut peer) = pair(&reactor);
    peer.write_all(b"x").unwrap();
    assert_eq!(rest(&reactor, Some(Instant::now() + Duration::from_secs(86_400 * 365))), 1);
}

#[test]
fn an_interrupt_before_the_rest_is_kept() {
    let reactor = reactor();
    for _ in 0..3 {
        reactor.interrupt().unwrap();
        reactor.interrupt().unwrap();
        assert_eq!(rest(&reactor, None), 0);
    }
}

#[test]
fn an_interrupt_ends_a_rest() {
    let reactor = reactor();
    for _ in 0..100 {
        let other = Arc::clone(&reactor);
        let interrupter = thread::Builder::new().spawn(move || other.interrupt().unwrap()).unwrap();
        assert_eq!(rest(&reactor, None), 0);
        interrupter.join().unwrap();
    }
}

#[test]
fn after_the_close_every_operation_fails_each_time_and_who_waited_is_woken() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    let bell = Arc::new(Bell::default());
    let waker = Arc::clone(&bell).into();
    let cx = &mut Context::from_waker(&waker);
    let source = ours.source();
    let mut reader = Box::pin(source.ready(Interest::READABLE));
    assert!(poll(reader.as_mut(), &bell).is_pending());
    assert!(source.poll_ready(Direction::Read, cx).is_pending());
    let mut wakes = WakeList::new();
    reactor.close_reactor(&mut wakes);
    wakes.wake_all();
    assert_eq!(bell.rings(), 2);

    let shut_down = |error: io::Error| {
        assert_eq!(error.kind(), io::ErrorKind::Other);
        assert!(error.to_string().contains("has been shut down"), "{error}");
    };
    let failed = |result: Poll<io::Result<Snapshot>>| match result {
        Poll::Ready(Err(error)) => shut_down(error),
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        failed(poll(reader.as_mut(), &bell));
        failed(poll(pin!(source.ready(Interest::WRITABLE)), &bell));
        for direction in Direction::BOTH {
            failed(source.poll_ready(direction, cx));
            let io: Poll<io::Result<Opaque<()>>> = source.poll_io(direction, cx, || panic!("it is not tried"));
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

/// A waker whose wake turns the reactor, and registers and drops a socket there.
struct Meddler(Arc<Reactor>);

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        turn_busy(&self.0);
        let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        drop(Registered::new(Arc::clone(&self.0), listener, Ready::EMPTY).unwrap());
    }
}

#[test]
fn a_waker_may_use_the_reactor() {
    let reactor = reactor();
    let (ours, mut peer) = pair(&reactor);
    let waker = Arc::new(Meddler(Arc::clone(&reactor))).into();
    let mut reader = pin!(ours.source().ready(Interest::READABLE));
    assert!(reader.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    peer.write_all(b"x").unwrap();
    let mut wakes = WakeList::new();
    let found = reactor.try_drive().unwrap().rest(None, &mut wakes).unwrap();
    wakes.wake_all();
    assert_eq!((found, reactor.counts().registered), (1, 2));
}

#[test]
fn a_side_that_is_closed_and_yet_blocks_lets_the_others_go_first() {
    let reactor = reactor();
    let (ours, _peer) = pair(&reactor);
    ours.source().set_ready(Ready::READ_CLOSED, &mut WakeList::new());
    let bell = Arc::new(Bell::default());
    let waker = Arc::clone(&bell).into();
    let blocked = || Err::<Opaque<()>, _>(io::ErrorKind::WouldBlock.into());
    assert!(ours.source().poll_io(Direction::Read, &mut Context::from_waker(&waker), blocked).is_pending());
    assert_eq!(bell.rings(), 1);
    let mut read = pin!(ours.source().io(Interest::READABLE, blocked));
    assert!(poll(read.as_mut(), &bell).is_pending());
    assert_eq!(bell.rings(), 2);
}
