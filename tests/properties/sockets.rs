//! An `AsyncFd` at one end of a socket pair, against byte counts.

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use arbitrary::Arbitrary;
use heist::io::unix::AsyncFd;
use heist::io::{Interest, Ready};
use heist::runtime::Builder;
use heist::task::coop::unconstrained;
use heist::task::yield_now;
use heist::time::timeout;

use crate::bytes::{Connection, Expected};

/// A wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The end with the `AsyncFd`, and its peer.
const OURS: usize = 0;
const PEER: usize = 1;

/// How an operation is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Way {
    /// Without a wait, so it may find that no event has been reported yet.
    TryIo,
    Guard,
    GuardMut,
    AsyncIo,
    AsyncIoMut,
    /// By `poll_read_ready` or `poll_write_ready`.
    Poll,
}

/// One call.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Call {
    Read {
        way: Way,
        count: u16,
    },
    ReadAll {
        way: Way,
    },
    Write {
        way: Way,
        count: u16,
    },
    /// Writes until the socket is full.
    Fill {
        count: u16,
    },
    /// Begins a wait, and drops it.
    CancelWait {
        is_write: bool,
    },
    PeerRead {
        count: u16,
    },
    PeerReadAll,
    PeerWrite {
        count: u16,
    },
    /// Shuts a direction down, in one case of 4.
    ShutDown {
        is_peer: bool,
        is_write: bool,
        chance: u8,
    },
    /// Drops the peer, in one case of 16.
    DropPeer {
        chance: u8,
    },
    /// Lets the runtime poll the reactor.
    Yield,
    /// Registers the socket once more, after it has been taken out, or for one direction only.
    Register {
        interest: u8,
    },
    /// Drops the `AsyncFd`, in one case of 16, which ends the sequence.
    Drop {
        chance: u8,
    },
}

/// A sequence of calls.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) struct Case {
    calls: Vec<Call>,
}

struct Pair {
    fd: Option<AsyncFd<UnixStream>>,
    peer: Option<UnixStream>,
    interest: Interest,
    model: Connection,
}

/// Polls a future once.
async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} has not come: a lost event"))
}

impl Pair {
    fn new() -> Pair {
        let (ours, peer) = UnixStream::pair().expect("a socket pair");
        ours.set_nonblocking(true).expect("a socket");
        peer.set_nonblocking(true).expect("a socket");
        let interest = Interest::READABLE | Interest::WRITABLE;
        Pair {
            fd: Some(AsyncFd::new(ours).expect("a registration")),
            peer: Some(peer),
            interest,
            model: Connection::default(),
        }
    }

    fn fd(&mut self) -> &mut AsyncFd<UnixStream> {
        self.fd.as_mut().expect("the descriptor is registered")
    }

    /// Does `operation` once the descriptor is ready.
    async fn io(
        &mut self,
        way: Way,
        interest: Interest,
        mut operation: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let fd = self.fd();
        let would_block = || io::ErrorKind::WouldBlock.into();
        match way {
            Way::TryIo => fd.try_io(interest, operation),
            Way::Guard => {
                let mut guard = in_time("readiness", fd.ready(interest)).await?;
                assert!(guard.ready() & ready_of(interest) != Ready::EMPTY);
                guard.try_io(|fd| operation(fd.get_ref())).unwrap_or_else(|_| Err(would_block()))
            }
            Way::GuardMut => {
                let mut guard = in_time("readiness", fd.ready_mut(interest)).await?;
                guard.try_io(|fd| operation(fd.get_ref())).unwrap_or_else(|_| Err(would_block()))
            }
            Way::AsyncIo => in_time("the result", fd.async_io(interest, operation)).await,
            Way::AsyncIoMut => in_time("the result", fd.async_io_mut(interest, |fd| operation(fd))).await,
            Way::Poll => {
                let wait = poll_fn(|cx| {
                    if interest == Interest::READABLE { fd.poll_read_ready(cx) } else { fd.poll_write_ready(cx) }
                });
                let mut guard = in_time("readiness", wait).await?;
                guard.try_io(|fd| operation(fd.get_ref())).unwrap_or_else(|_| Err(would_block()))
            }
        }
    }

    /// Checks that a wait for readiness ends, or goes on if nothing is there. Readiness may be
    /// reported too much, but then an operation clears it.
    async fn check_waits(&mut self, interest: Interest, mut operation: impl FnMut(&UnixStream) -> io::Result<usize>) {
        for _ in 0..4 {
            let fd = self.fd();
            let Poll::Ready(guard) = poll_once(fd.ready(interest)).await else { return };
            let done = guard.expect("an open reactor").try_io(|fd| operation(fd.get_ref()));
            assert!(done.is_err(), "an operation that should block gave {done:?}");
            yield_now().await;
        }
        panic!("readiness is reported again and again, but nothing is there");
    }

    /// Reads once. Returns true if something came.
    async fn read(&mut self, way: Way, count: usize) -> bool {
        if !self.interest.is_readable() {
            return false;
        }
        let mut buffer = vec![0; count.max(1)];
        if self.model.expected_read(OURS) == Expected::Nothing {
            self.check_waits(Interest::READABLE, |mut socket| socket.read(&mut buffer)).await;
            return false;
        }
        // A first attempt may find an event that is out of date, or none yet.
        for _ in 0..4 {
            let result = self.io(way, Interest::READABLE, |mut socket| socket.read(&mut buffer)).await;
            if self.model.check_read(OURS, &buffer, &result, true) {
                return matches!(result, Ok(1..));
            }
            if way == Way::TryIo {
                return false;
            }
        }
        panic!("a read has found nothing, but there is {:?}", self.model.expected_read(OURS));
    }

    /// Writes once. Returns false if the socket is full.
    async fn write(&mut self, way: Way, count: usize) -> bool {
        if !self.interest.is_writable() {
            return false;
        }
        let bytes = self.model.next_bytes(OURS, count.max(1));
        // With bytes on their way, the socket may be full. The kernel reports no event for a full
        // socket whose peer refuses more.
        let may_block = self.model.on_their_way(PEER) > 0;
        let way = if may_block { Way::TryIo } else { way };
        for _ in 0..4 {
            let result = self.io(way, Interest::WRITABLE, |mut socket| socket.write(&bytes)).await;
            if self.model.check_write(OURS, bytes.len(), &result) {
                return result.is_ok();
            }
            if way == Way::TryIo {
                return false;
            }
        }
        panic!("a write has found no room in an empty socket");
    }

    /// Checks that a full socket does not stay ready.
    async fn check_full(&mut self) {
        if self.model.on_their_way(PEER) == 0 || self.model.is_write_refused(OURS) || !self.interest.is_writable() {
            return;
        }
        for _ in 0..4 {
            if poll_once(self.fd().writable()).await.is_pending() || self.write(Way::TryIo, 1).await {
                return;
            }
            yield_now().await;
        }
        panic!("a full socket stays ready");
    }

    fn peer_read(&mut self, count: usize) -> bool {
        let Some(mut peer) = self.peer.as_ref() else { return false };
        let mut buffer = vec![0; count.max(1)];
        let expected = self.model.expected_read(PEER);
        let result = peer.read(&mut buffer);
        let has_read = self.model.check_read(PEER, &buffer, &result, true);
        assert_eq!(has_read, expected != Expected::Nothing, "the peer reads {result:?}, and not {expected:?}");
        matches!(result, Ok(1..))
    }

    fn peer_write(&mut self, count: usize) {
        let Some(mut peer) = self.peer.as_ref() else { return };
        let bytes = self.model.next_bytes(PEER, count.max(1));
        let result = peer.write(&bytes);
        if !self.model.check_write(PEER, bytes.len(), &result) {
            assert!(self.model.on_their_way(OURS) > 0, "an empty socket is full");
        }
    }

    fn shut_down(&mut self, is_peer: bool, is_write: bool) {
        let how = if is_write { Shutdown::Write } else { Shutdown::Read };
        let end = usize::from(is_peer);
        let socket = if is_peer { self.peer.as_ref() } else { self.fd.as_ref().map(AsyncFd::get_ref) };
        let Some(socket) = socket else { return };
        // The other end may have gone.
        if socket.shutdown(how).is_ok() {
            let end = &mut self.model.0[end];
            end.is_write_shut |= is_write;
            end.is_read_shut |= !is_write;
        }
    }

    fn register(&mut self, interest: u8) {
        let inner = self.fd.take().expect("the descriptor is registered").into_inner();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.interest = [both, both, Interest::READABLE, Interest::WRITABLE][usize::from(interest) % 4];
        self.fd = Some(AsyncFd::with_interest(inner, self.interest).expect("a registration"));
    }

    /// Returns false at the end.
    async fn make_call(&mut self, call: Call) -> bool {
        match call {
            Call::Read { way, count } => drop(self.read(way, usize::from(count)).await),
            Call::ReadAll { way } => while self.read(way, 4096).await {},
            Call::Write { way, count } => drop(self.write(way, usize::from(count)).await),
            Call::Fill { count } => {
                let count = usize::from(count).max(256);
                while self.write(Way::Guard, count).await {}
                self.check_full().await;
            }
            Call::CancelWait { is_write } => {
                let interest = if is_write { Interest::WRITABLE } else { Interest::READABLE };
                drop(poll_once(self.fd().ready(interest)).await);
            }
            Call::PeerRead { count } => drop(self.peer_read(usize::from(count))),
            Call::PeerReadAll => while self.peer_read(1 << 16) {},
            Call::PeerWrite { count } => self.peer_write(usize::from(count)),
            Call::ShutDown { chance, .. } if chance % 4 > 0 => {}
            Call::DropPeer { chance } | Call::Drop { chance } if chance % 16 > 0 => {}
            Call::ShutDown { is_peer, is_write, .. } => self.shut_down(is_peer, is_write),
            Call::DropPeer { .. } => {
                self.peer = None;
                self.model.0[PEER].is_gone = true;
            }
            Call::Yield => yield_now().await,
            Call::Register { interest } => self.register(interest),
            Call::Drop { .. } => {
                self.fd = None;
                self.model.0[OURS].is_gone = true;
                return false;
            }
        }
        true
    }
}

fn ready_of(interest: Interest) -> Ready {
    if interest == Interest::READABLE {
        Ready::READABLE | Ready::READ_CLOSED
    } else {
        Ready::WRITABLE | Ready::WRITE_CLOSED
    }
}

/// Makes the calls, and compares each with the model.
pub(crate) fn run(case: &Case) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(unconstrained(async {
        let mut pair = Pair::new();
        for call in &case.calls {
            if !pair.make_call(*call).await {
                break;
            }
        }
        // All that has been sent arrives.
        while pair.peer_read(1 << 16) {}
        if pair.fd.is_some() {
            while pair.read(Way::Guard, 1 << 16).await {}
        }
    }));
}
