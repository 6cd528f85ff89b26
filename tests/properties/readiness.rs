//! The readiness of a source, and its waiters, against a model.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use arbitrary::Arbitrary;
use heist::internals::readiness::{SeenReady, TestSource, TestWait};
use heist::io::{Interest, Ready};

/// The number of waits in the list.
const WAITS: usize = 6;

/// One call. Sets of readiness and of interest are bits.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Call {
    Event {
        ready: u8,
    },
    /// Takes the snapshot that a later clear compares with.
    Snapshot {
        is_write: bool,
    },
    Clear {
        drained: u8,
    },
    /// Does an operation that would block, or not.
    TryIo {
        interest: u8,
        blocks: bool,
    },
    /// Polls the slot of a direction, with one of two wakers.
    PollSlot {
        is_write: bool,
        waker: bool,
    },
    /// Begins a wait, in place of the one that is there.
    Wait {
        wait: u8,
        interest: u8,
    },
    /// Polls a wait, with one of two wakers.
    PollWait {
        wait: u8,
        waker: bool,
    },
    DropWait {
        wait: u8,
    },
    /// Closes the source, in one case of 32: nothing much can follow.
    Close {
        chance: u8,
    },
}

/// A sequence of calls.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) struct Case {
    presumed: u8,
    calls: Vec<Call>,
}

const BITS: [Ready; 6] =
    [Ready::READABLE, Ready::WRITABLE, Ready::READ_CLOSED, Ready::WRITE_CLOSED, Ready::ERROR, Ready::PRIORITY];
const LASTING: u8 = 1 << 2 | 1 << 3;
const OUTBOUND: u8 = 1 << 1 | 1 << 3;

fn ready_of(bits: u8) -> Ready {
    (0..6).filter(|bit| bits & 1 << bit != 0).fold(Ready::EMPTY, |ready, bit| ready | BITS[bit])
}

fn bits_of(ready: Ready) -> u8 {
    (0..6).filter(|bit| ready & BITS[*bit] != Ready::EMPTY).fold(0, |bits, bit| bits | 1 << bit)
}

/// Returns the interest of these bits, which are not all clear, and the readiness that it meets.
fn interest_of(bits: u8) -> (Interest, u8) {
    let all = [(Interest::READABLE, 1 | 1 << 2), (Interest::WRITABLE, OUTBOUND), (Interest::ERROR, 1 << 4)];
    let chosen = (0..3).filter(|bit| bits & 1 << bit != 0).map(|bit| all[bit]);
    chosen.reduce(|one, two| (one.0 | two.0, one.1 | two.1)).unwrap_or(all[usize::from(bits) / 8 % 3])
}

/// Counts its wake-ups.
#[derive(Default)]
struct WakeCount(AtomicUsize);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A place where a waker waits: two wakers, the one that is stored, and its expected wake-ups.
#[derive(Default)]
struct Place {
    mask: u8,
    wakers: [Arc<WakeCount>; 2],
    stored: Option<usize>,
    wakes: [usize; 2],
}

impl Place {
    fn waker(&self, waker: usize) -> Waker {
        Waker::from(Arc::clone(&self.wakers[waker]))
    }

    fn expect_wake(&mut self, ready: u8) {
        if self.mask & ready != 0 {
            self.stored.take().into_iter().for_each(|waker| self.wakes[waker] += 1);
        }
    }

    fn check(&self, name: &str) {
        let wakes = [0, 1].map(|waker: usize| self.wakers[waker].0.load(Ordering::SeqCst));
        assert_eq!(wakes, self.wakes, "wake-ups of {name}");
        let stored = [0, 1].map(|waker: usize| Arc::strong_count(&self.wakers[waker]) - 1);
        let expected = [0, 1].map(|waker| usize::from(self.stored == Some(waker)));
        assert_eq!(stored, expected, "wakers stored for {name}");
    }
}

struct Model {
    ready: u8,
    ticks: [u64; 2],
    is_closed: bool,
    slots: [Place; 2],
    waits: [Place; WAITS],
    seen: Option<(SeenReady, [u64; 2])>,
}

impl Model {
    fn places(&mut self) -> impl Iterator<Item = &mut Place> {
        self.slots.iter_mut().chain(&mut self.waits)
    }

    /// Checks the result of a poll, and returns the snapshot.
    fn check_poll(&self, polled: Poll<io::Result<SeenReady>>, mask: u8) -> Option<SeenReady> {
        match polled {
            Poll::Ready(Ok(seen)) => {
                assert!(!self.is_closed && self.ready & mask != 0, "a wait has ended, and nothing is ready");
                assert_eq!(bits_of(seen.ready()), self.ready);
                Some(seen)
            }
            Poll::Ready(Err(_)) => {
                assert!(self.is_closed, "an open source has given an error");
                None
            }
            Poll::Pending => {
                assert!(!self.is_closed && self.ready & mask == 0, "a wait goes on, and it is over");
                None
            }
        }
    }

    fn clear(&mut self, drained: u8, ticks: [u64; 2]) {
        for (direction, mask) in [!OUTBOUND, OUTBOUND].into_iter().enumerate() {
            if self.ticks[direction] == ticks[direction] {
                self.ready &= !(drained & mask & !LASTING);
            }
        }
    }

    fn event(&mut self, ready: u8) {
        self.ready |= ready;
        self.ticks[0] += u64::from(ready & !OUTBOUND != 0);
        self.ticks[1] += u64::from(ready & OUTBOUND != 0);
        self.places().for_each(|place| place.expect_wake(ready));
    }

    fn try_io(&mut self, source: &TestSource, interest: u8, blocks: bool) {
        let (interest, mask) = interest_of(interest);
        let mut done = 0;
        let result = source.try_io(interest, || {
            done += 1;
            if blocks { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if self.is_closed {
            assert!(result.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) && done == 0);
        } else if self.ready & mask == 0 {
            assert!(result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) && done == 0);
        } else {
            assert_eq!((result.is_err(), done), (blocks, 1));
            if blocks {
                self.clear(mask, self.ticks);
            }
        }
    }
}

fn make_call<'a>(call: Call, source: &'a TestSource, model: &mut Model, waits: &mut [Option<TestWait<'a>>]) {
    match call {
        Call::Event { ready } => {
            source.set_ready(ready_of(ready));
            model.event(ready & 0x3f);
        }
        Call::Snapshot { is_write } => {
            let mask = if is_write { OUTBOUND } else { 1 | 1 << 2 };
            let polled = source.poll_ready(is_write, &mut Context::from_waker(Waker::noop()));
            // A poll that waits replaces the waker of the slot.
            if polled.is_pending() {
                model.slots[usize::from(is_write)].stored = None;
            }
            if let Some(seen) = model.check_poll(polled, mask) {
                model.seen = Some((seen, model.ticks));
            }
        }
        Call::Clear { drained } => {
            if let Some((seen, ticks)) = model.seen {
                source.clear(ready_of(drained), seen);
                model.clear(drained, ticks);
            }
        }
        Call::TryIo { interest, blocks } => model.try_io(source, interest, blocks),
        Call::PollSlot { is_write, waker } => {
            let (slot, waker) = (usize::from(is_write), usize::from(waker));
            let polled = source.poll_ready(is_write, &mut Context::from_waker(&model.slots[slot].waker(waker)));
            if polled.is_pending() {
                model.slots[slot].stored = Some(waker);
            }
            model.check_poll(polled, model.slots[slot].mask);
        }
        Call::Wait { wait, interest } => {
            let (wait, (interest, mask)) = (usize::from(wait) % WAITS, interest_of(interest));
            waits[wait] = Some(source.ready(interest));
            (model.waits[wait].mask, model.waits[wait].stored) = (mask, None);
        }
        Call::PollWait { wait, waker } => {
            let (wait, waker) = (usize::from(wait) % WAITS, usize::from(waker));
            let Some(future) = &mut waits[wait] else { return };
            let waker_of_poll = model.waits[wait].waker(waker);
            let polled = Pin::new(future).poll(&mut Context::from_waker(&waker_of_poll));
            if polled.is_pending() {
                model.waits[wait].stored = Some(waker);
            }
            model.check_poll(polled, model.waits[wait].mask);
        }
        Call::DropWait { wait } => {
            let wait = usize::from(wait) % WAITS;
            waits[wait] = None;
            model.waits[wait].stored = None;
        }
        Call::Close { chance } if chance % 32 > 0 => {}
        Call::Close { .. } => {
            source.close_source();
            model.is_closed = true;
            model.places().for_each(|place| place.expect_wake(0x3f));
        }
    }
}

/// Makes the calls, and compares each with the model.
pub(crate) fn run(case: &Case) {
    let source = TestSource::new(ready_of(case.presumed));
    let mut model = Model {
        ready: case.presumed & 0x3f,
        ticks: [0; 2],
        is_closed: false,
        slots: [1 | 1 << 2, OUTBOUND].map(|mask| Place { mask, ..Place::default() }),
        waits: Default::default(),
        seen: None,
    };
    let mut waits: [Option<TestWait<'_>>; WAITS] = Default::default();
    for next in &case.calls {
        make_call(*next, &source, &mut model, &mut waits);
        model.slots.iter().for_each(|slot| slot.check("a slot"));
        model.waits.iter().for_each(|wait| wait.check("a wait"));
    }
    waits.fill_with(|| None);
    model.waits.iter_mut().for_each(|wait| wait.stored = None);
    model.waits.iter().for_each(|wait| wait.check("a wait at the end"));
}
