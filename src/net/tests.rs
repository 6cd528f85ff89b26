//! Sockets on a reactor that the thread of the test drives.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::tcp::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
use super::*;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::reactor::{Interest, Reactor, Ready};
use crate::util::wake_list::WakeList;

/// A reactor, and a waker that counts and interrupts it.
pub(super) struct Rig {
    reactor: Arc<Reactor>,
    waker: Arc<CountingWaker>,
}

struct CountingWaker {
    wakes: AtomicUsize,
    reactor: Arc<Reactor>,
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::AcqRel);
        self.reactor.interrupt().unwrap();
    }
}

impl Rig {
    pub(super) fn new() -> Rig {
        let reactor = Arc::new(Reactor::new(1, 64, 256).unwrap());
        Rig { waker: Arc::new(CountingWaker { wakes: AtomicUsize::new(0), reactor: Arc::clone(&reactor) }), reactor }
    }

    fn waker(&self) -> Waker {
        Arc::clone(&self.waker).into()
    }

    fn poll<F: Future + ?Sized>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker()))
    }

    /// Drives the reactor until the future is done.
    pub(super) fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = self.poll(future.as_mut()) {
                return output;
            }
            let mut wakes = WakeList::new();
            self.reactor.try_drive().unwrap().poll_idle(None, &mut wakes).unwrap();
            wakes.wake_all();
        }
    }

    /// Delivers every event that is due, and returns their number.
    fn run_until_stalled(&self) -> usize {
        let mut events = 0;
        loop {
            let mut wakes = WakeList::new();
            let found = self.reactor.try_drive().unwrap().poll_busy(&mut wakes).unwrap();
            if found == 0 {
                return events;
            }
            events += found;
        }
    }

    fn listener(&self) -> TcpListener {
        TcpListener::bind_on(&self.reactor, (Ipv4Addr::LOCALHOST, 0).into()).unwrap()
    }

    /// Returns the two ends of a connection: the one that connected, and the accepted one.
    pub(super) fn pair(&self) -> (TcpStream, TcpStream) {
        let listener = self.listener();
        let address = listener.local_addr().unwrap();
        let client = self.run(TcpStream::connect_on(&self.reactor, address)).unwrap();
        let (server, from) = self.run(listener.accept()).unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        (client, server)
    }
}

/// Returns true if a read would be tried.
fn seems_readable(stream: &TcpStream) -> bool {
    stream.try_io(Interest::READABLE, || Ok(())).is_ok()
}

fn seems_writable(stream: &TcpStream) -> bool {
    stream.try_io(Interest::WRITABLE, || Ok(())).is_ok()
}

#[test]
fn stream_bytes_go_both_ways() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    for size in [1, 100, 70_000] {
        let sent: Vec<u8> = (0..size).map(|i| i as u8).collect();
        rig.run(client.write_all(&sent[..size.min(1000)])).unwrap();
        let mut got = vec![0; size.min(1000)];
        assert_eq!(rig.run(server.read_exact(&mut got)).unwrap(), got.len());
        assert_eq!(got, sent[..got.len()]);
        rig.run(server.write_all(&got)).unwrap();
        rig.run(client.read_exact(&mut got)).unwrap();
        assert_eq!(got, sent[..got.len()]);
    }
}

#[test]
fn stream_slices_are_read_and_written_in_turn() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    let many: Vec<IoSlice<'_>> = (0..100).map(|_| IoSlice::new(b"xy")).collect();
    assert_eq!(rig.run(client.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")])).unwrap(), 5);
    assert_eq!(rig.run(client.write_vectored(&many)).unwrap(), 200);
    assert!(seems_writable(&client));
    let (mut one, mut two) = ([0; 3], [0; 2]);
    let into = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
    assert_eq!(rig.run(server.read_vectored(into)).unwrap(), 5);
    assert_eq!((&one, &two), (b"abc", b"de"));
    assert_eq!(server.try_read(&mut [0; 300]).unwrap(), 200);
}

#[test]
fn stream_accepted_is_tried_before_any_event() {
    let rig = Rig::new();
    let listener = rig.listener();
    let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    io::Write::write_all(&mut client, b"early").unwrap();
    let (mut server, _) = rig.run(listener.accept()).unwrap();
    let mut buf = [0; 8];
    let read = rig.poll(pin!(server.read(&mut buf)));
    assert!(matches!(read, Poll::Ready(Ok(5))));
    assert!(matches!(rig.poll(pin!(server.write(b"reply"))), Poll::Ready(Ok(5))));
}

#[test]
fn stream_short_read_counts_as_would_block() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    rig.run(client.write_all(b"abc")).unwrap();
    rig.run(server.readable()).unwrap();
    rig.run_until_stalled();
    let mut buf = [0; 8];
    assert_eq!(rig.run(server.read(&mut buf)).unwrap(), 3);
    assert_eq!(seems_readable(&server), !crate::reactor::SHORT_IS_DRAINED);
    rig.run(client.write_all(b"defg")).unwrap();
    assert_eq!(rig.run(server.read(&mut buf[..2])).unwrap(), 2);
    assert!(seems_readable(&server), "a full read proves nothing");
    assert_eq!(rig.run(server.peek(&mut buf)).unwrap(), 2);
    assert!(seems_readable(&server), "a short peek has taken nothing");
    assert_eq!(rig.run(server.read(&mut buf)).unwrap(), 2);
}

#[test]
fn stream_end_behind_a_short_read_is_read() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    rig.run(client.write_all(b"abc")).unwrap();
    drop(client);
    // One event reports the data and the end. No other event will come.
    rig.run(server.ready(Interest::READABLE)).unwrap();
    rig.run_until_stalled();
    let mut buf = [0; 8];
    for expected in [3, 0, 0] {
        assert!(matches!(rig.poll(pin!(server.read(&mut buf))), Poll::Ready(Ok(count)) if count == expected));
    }
    assert!(rig.run(server.ready(Interest::READABLE)).unwrap().is_read_closed());
}

#[test]
fn stream_half_closed_carries_the_other_direction_without_events() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    rig.run(client.write_all(b"last words")).unwrap();
    rig.run(client.shutdown()).unwrap();
    let mut all = Vec::new();
    assert_eq!(rig.run(server.read_to_end(&mut all)).unwrap(), 10);
    assert_eq!(all, b"last words");
    rig.run_until_stalled();
    // Fill the other direction, so that a writer has to wait there.
    let block = vec![7; 1 << 20];
    let mut sent = 0;
    while let Ok(count) = server.try_write(&block) {
        sent += count;
    }
    let mut writer = Box::pin(server.writable());
    assert!(rig.poll(writer.as_mut()).is_pending(), "RDHUP is not HUP");
    rig.run_until_stalled();
    assert_eq!(rig.run_until_stalled(), 0);
    drop(writer);
    let mut got = 0;
    while got < sent {
        got += rig.run(client.read(&mut vec![0; 1 << 20])).unwrap();
    }
    rig.run(server.writable()).unwrap();
    assert_eq!(rig.run(client.write(b"x")).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn stream_writer_waits_for_room() {
    let rig = Rig::new();
    let (mut client, server) = rig.pair();
    let block: Vec<u8> = (0..8 << 20).map(|i| i as u8).collect();
    let mut read = Vec::new();
    {
        let mut writing = pin!(client.write_all(&block));
        assert!(rig.poll(writing.as_mut()).is_pending());
        let mut buf = vec![0; 1 << 16];
        let mut done = false;
        rig.run(poll_fn(|cx| {
            if !done && writing.as_mut().poll(cx).is_ready() {
                done = true;
            }
            while let Poll::Ready(count) = server.registered().poll_read(cx, &mut buf) {
                read.extend_from_slice(&buf[..count.unwrap()]);
            }
            if done && read.len() == block.len() { Poll::Ready(()) } else { Poll::Pending }
        }));
    }
    assert!(read == block);
}

#[test]
fn stream_reset_is_an_error_for_both_directions() {
    let rig = Rig::new();
    let (client, mut server) = rig.pair();
    let mut buf = [0; 1];
    assert!(rig.poll(pin!(server.read(&mut buf))).is_pending());
    client.set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(rig.run(server.read(&mut buf)).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let ready = rig.run(server.ready(Interest::READABLE | Interest::WRITABLE)).unwrap();
    assert!(ready.is_read_closed() && ready.is_write_closed(), "{ready:?}");
    assert_eq!(rig.run(server.write(b"x")).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(rig.run(server.read(&mut buf)).unwrap(), 0);
}

#[test]
fn tcp_connect_refused_is_an_error() {
    let rig = Rig::new();
    let unused = rig.listener().local_addr().unwrap();
    let error = rig.run(TcpStream::connect_on(&rig.reactor, unused)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn stream_read_that_stops_before_urgent_data_loses_nothing() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    rig.run(client.write_all(b"abc")).unwrap();
    socket2::SockRef::from(client.registered().io()).send_out_of_band(b"!").unwrap();
    rig.run(client.write_all(b"def")).unwrap();
    assert!(rig.run(server.ready(Interest::PRIORITY)).unwrap().is_priority());
    rig.run_until_stalled();
    // No event comes any more; the kernel stops at the urgent byte though there is more behind it.
    let mut buf = [0; 16];
    assert!(matches!(rig.poll(pin!(server.read(&mut buf))), Poll::Ready(Ok(3))));
    assert!(matches!(rig.poll(pin!(server.read(&mut buf))), Poll::Ready(Ok(3))));
    assert_eq!(&buf[..3], b"def");
}

#[test]
fn listener_wakes_all_accepting_tasks_and_one_gets_the_connection() {
    let rig = Rig::new();
    let listener = rig.listener();
    let mut accepting: Vec<_> = (0..10).map(|_| Box::pin(listener.accept())).collect();
    for accept in &mut accepting {
        assert!(rig.poll(accept.as_mut()).is_pending());
    }
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    rig.run(poll_fn(|cx| listener.poll_accept(cx).map(drop)));
    assert_eq!(rig.waker.wakes.load(Ordering::Acquire), 11, "the ten, and the task that polled");
    for accept in &mut accepting {
        assert!(rig.poll(accept.as_mut()).is_pending());
    }
}

#[test]
fn stream_cancelled_reads_leave_no_waiter_behind() {
    let rig = Rig::new();
    let (_client, mut server) = rig.pair();
    let mut buf = [0; 1];
    assert_eq!(server.try_read(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    for _ in 0..10_000 {
        assert!(rig.poll(pin!(server.read(&mut buf))).is_pending());
        assert!(rig.poll(pin!(server.readable())).is_pending());
        assert!(rig.poll(pin!(server.peek(&mut buf))).is_pending());
    }
    assert_eq!(server.registered().source().waker_count(), 1, "the waker slot of the reader keeps its last waker");
}

#[test]
fn halves_of_a_borrowed_stream_work_at_the_same_time() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    let (mut read, mut write) = client.split();
    let mut buf = [0; 3];
    {
        let mut reading = pin!(read.read_exact(&mut buf));
        assert!(rig.poll(reading.as_mut()).is_pending());
        rig.run(write.write_all(b"ask")).unwrap();
        let mut asked = [0; 3];
        rig.run(server.read_exact(&mut asked)).unwrap();
        rig.run(server.write_all(&asked)).unwrap();
        rig.run(reading).unwrap();
    }
    assert_eq!(&buf, b"ask");
    assert_eq!(read.peer_addr().unwrap(), write.as_ref().peer_addr().unwrap());
}

#[test]
fn owned_write_half_drop_ends_the_stream_for_the_peer() {
    let rig = Rig::new();
    let (client, mut server) = rig.pair();
    let (mut read, write) = client.into_split();
    drop(write);
    assert_eq!(rig.run(server.read(&mut [0; 1])).unwrap(), 0);
    rig.run(server.write_all(b"still")).unwrap();
    assert_eq!(rig.run(read.read(&mut [0; 8])).unwrap(), 5);
}

#[test]
fn halves_reunited_or_forgotten_do_not_end_the_stream() {
    let rig = Rig::new();
    let ((client, mut server), (other, _other_server)) = (rig.pair(), rig.pair());
    let ((read, write), (other_read, other_write)) = (client.into_split(), other.into_split());
    let ReuniteError(read, other_write) = read.reunite(other_write).unwrap_err();
    let mut client = read.reunite(write).unwrap();
    drop(other_write.reunite(other_read).unwrap());
    rig.run(client.write_all(b"x")).unwrap();
    assert_eq!(rig.run(server.read(&mut [0; 8])).unwrap(), 1);
    assert!(rig.poll(pin!(server.read(&mut [0; 8]))).is_pending());
    let (read, write) = client.into_split();
    write.forget();
    assert!(rig.poll(pin!(server.read(&mut [0; 8]))).is_pending());
    drop(read);
    assert_eq!(rig.run(server.read(&mut [0; 8])).unwrap(), 0);
}

#[test]
fn sockets_of_a_closed_reactor_give_an_error_each_time() {
    let rig = Rig::new();
    let listener = rig.listener();
    let (mut client, mut server) = rig.pair();
    rig.run(client.write_all(b"data that is there")).unwrap();
    rig.run(server.readable()).unwrap();
    let mut wakes = WakeList::new();
    rig.reactor.close_reactor(&mut wakes);
    wakes.wake_all();
    let mut buf = [0; 4];
    for _ in 0..2 {
        let errors: Vec<io::Error> = vec![
            rig.run(server.read(&mut buf)).unwrap_err(),
            rig.run(server.read_exact(&mut buf)).unwrap_err(),
            rig.run(server.read_to_end(&mut Vec::new())).unwrap_err(),
            rig.run(server.peek(&mut buf)).unwrap_err(),
            rig.run(server.readable()).unwrap_err(),
            rig.run(server.writable()).unwrap_err(),
            rig.run(server.write(b"x")).unwrap_err(),
            rig.run(server.write_all(b"x")).unwrap_err(),
            server.try_read(&mut buf).unwrap_err(),
            server.try_write(b"x").unwrap_err(),
            rig.run(listener.accept()).unwrap_err(),
            rig.run(TcpStream::connect_on(&rig.reactor, listener.local_addr().unwrap())).unwrap_err(),
            TcpListener::bind_on(&rig.reactor, (Ipv4Addr::LOCALHOST, 0).into()).unwrap_err(),
        ];
        for (which, error) in errors.iter().enumerate() {
            assert!(error.to_string().contains("has been shut down"), "{which}: {error}");
        }
    }
}

#[test]
fn stream_goes_to_std_and_comes_back() {
    let rig = Rig::new();
    let (client, mut server) = rig.pair();
    let before = rig.reactor.counts();
    let client = client.into_std().unwrap();
    assert_eq!(rig.reactor.counts().deregistered, before.deregistered + 1);
    let mio = crate::primitive::sockets::TcpStream::from_std(client);
    let mut client = TcpStream::register_on(&rig.reactor, mio, Ready::EMPTY).unwrap();
    rig.run(client.write_all(b"back")).unwrap();
    assert_eq!(rig.run(server.read(&mut [0; 8])).unwrap(), 4);
}

#[test]
fn socket_options_are_kept() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    client.set_nodelay(true).unwrap();
    client.set_ttl(42).unwrap();
    client.set_linger(Some(Duration::from_secs(3))).unwrap();
    assert!(client.nodelay().unwrap());
    assert_eq!(client.ttl().unwrap(), 42);
    assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(3)));
    client.set_linger(None).unwrap();
    assert_eq!(client.linger().unwrap(), None);
    assert!(client.take_error().unwrap().is_none());
    assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
    let listener = rig.listener();
    listener.set_ttl(43).unwrap();
    assert_eq!(listener.ttl().unwrap(), 43);
}

#[test]
fn host_name_is_resolved_on_another_thread() {
    let runtime = crate::runtime::Runtime::new().unwrap();
    let found: Vec<SocketAddr> = runtime.block_on(lookup_host("localhost:80")).unwrap().collect();
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{found:?}");
    assert!(!found.is_empty());
}

#[test]
fn lookup_of_no_address_gives_an_error() {
    let rig = Rig::new();
    let none: &[SocketAddr] = &[];
    assert_eq!(rig.run(lookup_host(none)).map(drop).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(rig.run(lookup_host("nowhere")).map(drop).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn async_io_is_tried_until_it_does_not_block() {
    let rig = Rig::new();
    let (mut client, server) = rig.pair();
    let mut tries = 0;
    let mut buf = [0; 4];
    {
        let mut reading = pin!(server.async_io(Interest::READABLE, || {
            tries += 1;
            io::Read::read(&mut server.registered().io(), &mut buf)
        }));
        assert!(rig.poll(reading.as_mut()).is_pending());
        rig.run(client.write_all(b"own")).unwrap();
        assert_eq!(rig.run(reading).unwrap(), 3);
    }
    assert!(tries >= 2, "once too early, once in time: {tries}");
}

#[test]
fn types_and_futures_have_their_auto_traits() {
    use std::panic::{RefUnwindSafe, UnwindSafe};
    fn is<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + std::fmt::Debug + 'static>() {}
    fn sends<T: Send>(_: T) {}
    is::<TcpListener>();
    is::<TcpStream>();
    is::<OwnedReadHalf>();
    is::<OwnedWriteHalf>();
    is::<ReuniteError>();
    is::<crate::net::TcpSocket>();
    is::<crate::net::UdpSocket>();
    let rig = Rig::new();
    let (mut client, _server) = rig.pair();
    sends(client.readable());
    sends(client.peek(&mut []));
    sends(client.read(&mut []));
    sends(client.write_all(&[]));
    sends(rig.listener().accept());
    sends(TcpStream::connect("localhost:80"));
}

#[test]
fn shutdown_of_a_lost_connection_is_ok_and_any_other_error_is_reported() {
    use io::ErrorKind::{NotConnected, PermissionDenied};

    let shutdown = |error: Option<io::ErrorKind>| {
        mio_socket::shutdown_write(|how| {
            assert_eq!(how, std::net::Shutdown::Write);
            error.map_or(Ok(()), |error| Err(error.into()))
        })
    };
    assert_eq!(shutdown(None).map_err(|error| error.kind()), Ok(()));
    assert_eq!(shutdown(Some(NotConnected)).map_err(|error| error.kind()), Ok(()));
    assert_eq!(shutdown(Some(PermissionDenied)).map_err(|error| error.kind()), Err(PermissionDenied));
}
