//! The halves of a stream, split, joined, shut down and dropped in any order, against what the peer
//! should see.

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use heist::net::{TcpStream, UnixStream, tcp, unix};
use heist::runtime::Builder;
use heist::task::coop::unconstrained;
use heist::time::timeout;

use crate::bytes::{Connection, Expected};

/// A wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The end with the halves, and its peer.
const OURS: usize = 0;
const PEER: usize = 1;

/// The most that is on its way from the peer.
const MOST: u64 = 16 * 1024;

/// One call.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Call {
    IntoSplit,
    /// Joins the halves, by the method of either.
    Reunite {
        by_read: bool,
    },
    /// Tries to join a half with the half of another stream.
    ReuniteWrong {
        by_read: bool,
        is_read_ours: bool,
    },
    /// Shuts the writing direction down, on the stream, or on a borrowed half of it.
    ShutDown {
        is_borrowed: bool,
    },
    DropRead,
    DropWrite,
    ForgetWrite,
    /// Drops the whole stream, in one case of 16.
    DropWhole {
        chance: u8,
    },
    Read {
        count: u16,
        is_borrowed: bool,
    },
    /// Begins to read, and drops the wait.
    CancelRead,
    Write {
        count: u16,
        is_borrowed: bool,
    },
    PeerRead {
        count: u16,
    },
    PeerWrite {
        count: u16,
    },
    /// Shuts the peer's writing direction down, in one case of 4.
    PeerShutDown {
        chance: u8,
    },
    /// Drops the peer, in one case of 16.
    DropPeer {
        chance: u8,
    },
}

/// A sequence of calls on a stream; one of eight is a TCP stream.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) struct Case {
    kind: u8,
    calls: Vec<Call>,
}

/// A stream of either kind, and its halves.
trait Stream: Sized {
    type Read;
    type Write;
    type Peer: Peer;

    fn connected() -> (Self, Self::Peer);
    fn into_split(self) -> (Self::Read, Self::Write);
    fn reunite(read: Self::Read, write: Self::Write, by_read: bool) -> Result<Self, (Self::Read, Self::Write)>;
    async fn read_whole(&mut self, buffer: &mut [u8], is_borrowed: bool) -> io::Result<usize>;
    async fn read_half(read: &mut Self::Read, buffer: &mut [u8]) -> io::Result<usize>;
    fn try_read_half(read: &Self::Read, buffer: &mut [u8]) -> io::Result<usize>;
    async fn write_whole(&mut self, bytes: &[u8], is_borrowed: bool) -> io::Result<usize>;
    async fn write_half(write: &mut Self::Write, bytes: &[u8]) -> io::Result<usize>;
    async fn shut_down_whole(&mut self, is_borrowed: bool) -> io::Result<()>;
    async fn shut_down_half(write: &mut Self::Write) -> io::Result<()>;
    fn forget(write: Self::Write);
}

/// The other end of a stream.
trait Peer {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn shut_down_write(&self) -> io::Result<()>;
}

/// Implements the traits for streams of one kind: they have the same methods, but no common trait.
macro_rules! stream {
    ($stream:ty, $halves:ident, $peer:ty, $pair:expr) => {
        impl Peer for $peer {
            fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                let mut socket = self;
                Read::read(&mut socket, buffer)
            }

            fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                let mut socket = self;
                Write::write(&mut socket, bytes)
            }

            fn shut_down_write(&self) -> io::Result<()> {
                self.shutdown(std::net::Shutdown::Write)
            }
        }

        impl Stream for $stream {
            type Read = $halves::OwnedReadHalf;
            type Write = $halves::OwnedWriteHalf;
            type Peer = $peer;

            fn connected() -> (Self, Self::Peer) {
                let (ours, peer) = $pair;
                ours.set_nonblocking(true).expect("a socket");
                peer.set_nonblocking(true).expect("a socket");
                (Self::from_std(ours).expect("a registration"), peer)
            }

            fn into_split(self) -> (Self::Read, Self::Write) {
                self.into_split()
            }

            fn reunite(read: Self::Read, write: Self::Write, by_read: bool) -> Result<Self, (Self::Read, Self::Write)> {
                let joined = if by_read { read.reunite(write) } else { write.reunite(read) };
                joined.map_err(|error| (error.0, error.1))
            }

            async fn read_whole(&mut self, buffer: &mut [u8], is_borrowed: bool) -> io::Result<usize> {
                if is_borrowed { self.split().0.read(buffer).await } else { self.read(buffer).await }
            }

            async fn read_half(read: &mut Self::Read, buffer: &mut [u8]) -> io::Result<usize> {
                read.read(buffer).await
            }

            fn try_read_half(read: &Self::Read, buffer: &mut [u8]) -> io::Result<usize> {
                read.try_read(buffer)
            }

            async fn write_whole(&mut self, bytes: &[u8], is_borrowed: bool) -> io::Result<usize> {
                if is_borrowed { self.split().1.write(bytes).await } else { self.write(bytes).await }
            }

            async fn write_half(write: &mut Self::Write, bytes: &[u8]) -> io::Result<usize> {
                write.write(bytes).await
            }

            async fn shut_down_whole(&mut self, is_borrowed: bool) -> io::Result<()> {
                if is_borrowed { self.split().1.shutdown().await } else { self.shutdown().await }
            }

            async fn shut_down_half(write: &mut Self::Write) -> io::Result<()> {
                write.shutdown().await
            }

            fn forget(write: Self::Write) {
                write.forget();
            }
        }
    };
}

stream!(
    UnixStream,
    unix,
    std::os::unix::net::UnixStream,
    std::os::unix::net::UnixStream::pair().expect("a socket pair")
);
stream!(TcpStream, tcp, std::net::TcpStream, {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let ours = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    (ours, listener.accept().expect("a connection").0)
});

/// Where the stream is.
enum Place<S: Stream> {
    Whole(S),
    Halves(Option<S::Read>, Option<S::Write>),
}

struct Split<S: Stream> {
    place: Place<S>,
    peer: Option<S::Peer>,
    model: Connection,
    writes: u32,
    /// Set for TCP: an end that goes with unread bytes resets the connection. A write to an end
    /// that has gone is not refused at once.
    resets: bool,
}

async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} has not ended: a lost event"))
}

impl<S: Stream> Split<S> {
    /// Reads at this end. A closed reading half reads nothing.
    async fn read(&mut self, count: usize, is_borrowed: bool) -> bool {
        let mut buffer = vec![0; count.max(1)];
        if self.model.expected_read(OURS) == Expected::Nothing {
            self.cancel_read().await;
            return false;
        }
        let result = match &mut self.place {
            Place::Whole(stream) => in_time("a read", stream.read_whole(&mut buffer, is_borrowed)).await,
            Place::Halves(Some(read), _) => in_time("a read", S::read_half(read, &mut buffer)).await,
            Place::Halves(None, _) => return false,
        };
        assert!(self.model.check_read(OURS, &buffer, &result, !self.resets), "a read has returned: {result:?}");
        matches!(result, Ok(1..))
    }

    /// Polls a read that has to wait.
    async fn cancel_read(&mut self) {
        if self.model.expected_read(OURS) != Expected::Nothing {
            return;
        }
        let mut buffer = [0; 8];
        let polled = match &mut self.place {
            Place::Whole(stream) => {
                let mut read = pin!(stream.read_whole(&mut buffer, false));
                poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await
            }
            Place::Halves(Some(read), _) => {
                let tried = S::try_read_half(read, &mut buffer);
                assert!(tried.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
                let mut read = pin!(S::read_half(read, &mut buffer));
                poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await
            }
            Place::Halves(None, _) => return,
        };
        assert!(polled.is_pending(), "a read of nothing gave {polled:?}");
    }

    async fn write(&mut self, count: usize, is_borrowed: bool) {
        let bytes = self.model.next_bytes(OURS, (count % 512).max(1));
        if self.resets && self.model.0[PEER].is_gone {
            return;
        }
        // Many small writes fill a socket.
        self.writes += 1;
        if self.writes % 64 == 0 {
            while self.peer_read(1 << 16) {}
        }
        let result = match &mut self.place {
            Place::Whole(stream) => in_time("a write", stream.write_whole(&bytes, is_borrowed)).await,
            Place::Halves(_, Some(write)) => in_time("a write", S::write_half(write, &bytes)).await,
            Place::Halves(_, None) => return,
        };
        assert!(self.model.check_write(OURS, bytes.len(), &result), "a write has returned: {result:?}");
    }

    /// Reads at the peer. Waits for what has to come.
    fn peer_read(&mut self, count: usize) -> bool {
        let Some(peer) = &self.peer else { return false };
        let mut buffer = vec![0; count.max(1)];
        let end = Instant::now() + PATIENCE;
        let mut result = peer.read(&mut buffer);
        let is_blocked =
            |result: &io::Result<usize>| result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        let expected = self.model.expected_read(PEER);
        while is_blocked(&result) && expected != Expected::Nothing && Instant::now() < end {
            thread::yield_now();
            result = peer.read(&mut buffer);
        }
        let has_read = self.model.check_read(PEER, &buffer, &result, !self.resets);
        assert_eq!(has_read, expected != Expected::Nothing, "the peer reads {result:?}, and not {expected:?}");
        matches!(result, Ok(1..))
    }

    fn peer_write(&mut self, count: usize) {
        let Some(peer) = &self.peer else { return };
        if self.model.on_their_way(OURS) > MOST || (self.resets && self.model.0[OURS].is_gone) {
            return;
        }
        let bytes = self.model.next_bytes(PEER, (count % 512).max(1));
        let result = peer.write(&bytes);
        // Many small writes fill a socket.
        if !self.model.check_write(PEER, bytes.len(), &result) {
            assert!(self.model.on_their_way(OURS) > 0, "an empty socket is full");
        }
    }

    /// Notes that the writing direction is shut down, or that all of this end has gone.
    fn note_dropped(&mut self, shuts_down: bool) {
        let ours = &mut self.model.0[OURS];
        ours.is_write_shut |= shuts_down;
        ours.is_gone = matches!(self.place, Place::Halves(None, None));
    }

    async fn shut_down(&mut self, is_borrowed: bool) {
        let is_first = !self.model.0[OURS].is_write_shut && !self.model.0[PEER].is_gone;
        let done = match &mut self.place {
            Place::Whole(stream) => in_time("a shutdown", stream.shut_down_whole(is_borrowed)).await,
            Place::Halves(_, Some(write)) => in_time("a shutdown", S::shut_down_half(write)).await,
            Place::Halves(_, None) => return,
        };
        assert!(done.is_ok() || !is_first, "{done:?}");
        self.model.0[OURS].is_write_shut = true;
    }

    /// Tries to join halves of two streams, which gives both back.
    fn reunite_wrong(&mut self, by_read: bool, is_read_ours: bool) {
        let Place::Halves(read, write) = &mut self.place else { return };
        let (other, other_peer) = S::connected();
        let (other_read, other_write) = other.into_split();
        let mut byte = [0];
        if is_read_ours {
            let Some(ours) = read.take() else { return };
            let (ours, other_write) = S::reunite(ours, other_write, by_read).err().expect("halves of two streams");
            *read = Some(ours);
            assert!(other_peer.read(&mut byte).is_err(), "the half that came back has been shut down");
            drop(other_write);
        } else {
            let Some(ours) = write.take() else { return };
            let (other_read, ours) = S::reunite(other_read, ours, by_read).err().expect("halves of two streams");
            *write = Some(ours);
            drop((other_read, other_write));
        }
    }

    /// Returns false at the end.
    async fn make_call(&mut self, call: Call) -> bool {
        let gone = Place::Halves(None, None);
        match call {
            Call::IntoSplit => match std::mem::replace(&mut self.place, gone) {
                Place::Whole(stream) => {
                    let (read, write) = stream.into_split();
                    self.place = Place::Halves(Some(read), Some(write));
                }
                other => self.place = other,
            },
            Call::Reunite { by_read } => match std::mem::replace(&mut self.place, gone) {
                Place::Halves(Some(read), Some(write)) => {
                    self.place = Place::Whole(S::reunite(read, write, by_read).ok().expect("halves of one stream"));
                }
                other => self.place = other,
            },
            Call::ReuniteWrong { by_read, is_read_ours } => self.reunite_wrong(by_read, is_read_ours),
            Call::ShutDown { is_borrowed } => self.shut_down(is_borrowed).await,
            Call::DropRead => {
                if let Place::Halves(read @ Some(_), _) = &mut self.place {
                    *read = None;
                    self.note_dropped(false);
                }
            }
            Call::DropWrite => {
                if let Place::Halves(_, write @ Some(_)) = &mut self.place {
                    *write = None;
                    self.note_dropped(true);
                }
            }
            Call::ForgetWrite => {
                if let Place::Halves(_, write @ Some(_)) = &mut self.place {
                    S::forget(write.take().expect("the half is there"));
                    self.note_dropped(false);
                }
            }
            Call::DropWhole { chance } | Call::DropPeer { chance } if chance % 16 > 0 => {}
            Call::PeerShutDown { chance } if chance % 4 > 0 => {}
            Call::DropWhole { .. } => {
                if matches!(self.place, Place::Whole(_)) {
                    self.place = gone;
                    self.note_dropped(true);
                }
            }
            Call::Read { count, is_borrowed } => drop(self.read(usize::from(count), is_borrowed).await),
            Call::CancelRead => self.cancel_read().await,
            Call::Write { count, is_borrowed } => self.write(usize::from(count), is_borrowed).await,
            Call::PeerRead { count } => drop(self.peer_read(usize::from(count))),
            Call::PeerWrite { count } => self.peer_write(usize::from(count)),
            Call::PeerShutDown { .. } => {
                if let Some(peer) = &self.peer {
                    // This end may have gone.
                    self.model.0[PEER].is_write_shut |= peer.shut_down_write().is_ok();
                }
            }
            Call::DropPeer { .. } => {
                self.peer = None;
                self.model.0[PEER].is_gone = true;
            }
        }
        // A reset may lose bytes.
        let unread = (0..2).any(|end| self.model.0[end].is_gone && self.model.on_their_way(end) > 0);
        !(self.resets && unread)
    }
}

async fn run_on<S: Stream>(calls: &[Call], resets: bool) {
    let (stream, peer) = S::connected();
    let mut split =
        Split { place: Place::Whole(stream), peer: Some(peer), model: Connection::default(), writes: 0, resets };
    for call in calls {
        if !split.make_call(*call).await {
            return;
        }
    }
    // All that has been sent arrives, and the peer sees the end after the last half has gone.
    while split.peer_read(1 << 16) {}
    while split.read(1 << 16, false).await {}
    let unread = split.model.on_their_way(OURS) > 0;
    split.place = Place::Halves(None, None);
    split.note_dropped(false);
    if !(resets && unread) {
        split.peer_read(1);
    }
}

/// Makes the calls, and compares what each end sees with the model.
pub(crate) fn run(case: &Case) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(unconstrained(async {
        if case.kind % 8 == 0 {
            run_on::<TcpStream>(&case.calls, true).await;
        } else {
            run_on::<UnixStream>(&case.calls, false).await;
        }
    }));
}
