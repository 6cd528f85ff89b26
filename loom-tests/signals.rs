//! Listeners at one bell: a signal against those who wait, and against those who empty the pipe.
//! See docs/signals.md.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};

use crate::reactor::{Ready, Source, SourceTable};
use crate::signal::wait_for_change;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, model, thread};
use crate::util::wake_list::WakeList;

struct Rings(AtomicUsize);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A bell without a kernel: the pipe is a count of bytes.
struct Belfry {
    source: Arc<Source>,
    pipe: AtomicUsize,
    count: AtomicU64,
}

impl Belfry {
    fn new() -> Arc<Belfry> {
        let source = SourceTable::new().insert(Ready::EMPTY).expect("it is open");
        Arc::new(Belfry { source, pipe: AtomicUsize::new(0), count: AtomicU64::new(0) })
    }

    /// The handler, and then the event of its byte.
    fn signal(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.pipe.fetch_add(1, Ordering::AcqRel);
        let mut wakes = WakeList::new();
        self.source.set_ready(Ready::READABLE, &mut wakes);
        wakes.wake_all();
    }

    /// One look of a listener that has seen nothing yet. True if it has to be woken to see the
    /// signal.
    fn look(&self, wait: Pin<&mut impl Future<Output = Option<u64>>>, rings: &Arc<Rings>) -> bool {
        wait.poll(&mut Context::from_waker(&Waker::from(Arc::clone(rings)))).is_pending()
    }

    fn wait(&self) -> impl Future<Output = Option<u64>> {
        wait_for_change(
            || self.count.load(Ordering::Acquire),
            0,
            &self.source,
            || self.pipe.store(0, Ordering::Release),
        )
    }
}

fn listen(belfry: &Belfry) -> (bool, Arc<Rings>) {
    let rings = Arc::new(Rings(AtomicUsize::new(0)));
    let mut wait = pin!(belfry.wait());
    let asleep = belfry.look(wait.as_mut(), &rings);
    // A listener that is never woken keeps its place: it must not be dropped before the signal is
    // through.
    while asleep && rings.0.load(Ordering::Acquire) == 0 {
        thread::yield_now();
    }
    if asleep {
        // Woken: it sees the signal, unless the wake was an echo of another's.
        let Poll::Ready(heard) = wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("woken by the only signal, and did not see it");
        };
        assert_eq!(heard, Some(1));
    }
    (asleep, rings)
}

/// With one listener: it sees the signal at once, or sleeps and is woken. A lost one would be a
/// deadlock.
#[test]
fn a_signal_that_comes_while_a_listener_begins_to_wait_is_heard() {
    model(|| {
        let belfry = Belfry::new();
        let handler = {
            let belfry = Arc::clone(&belfry);
            thread::Builder::new().spawn(move || belfry.signal()).expect("a thread")
        };
        listen(&belfry);
        handler.join().expect("the handler");
        assert_eq!(belfry.source.waker_count(), 0);
    });
}

/// An older byte makes everybody look; whoever empties the pipe may take the fresh signal's byte
/// and readiness along.
#[test]
fn a_signal_whose_byte_another_listener_takes_is_heard() {
    model(|| {
        let belfry = Belfry::new();
        // The echo of a signal of another kind.
        belfry.pipe.store(1, Ordering::Release);
        belfry.source.set_ready(Ready::READABLE, &mut WakeList::new());
        let other = {
            let belfry = Arc::clone(&belfry);
            // Waits for another kind, which does not come: takes whatever byte there is, once.
            let empty = move || {
                let mut wait =
                    pin!(wait_for_change(|| 0, 0, &belfry.source, || belfry.pipe.store(0, Ordering::Release)));
                let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            };
            thread::Builder::new().spawn(empty).expect("a thread")
        };
        let handler = {
            let belfry = Arc::clone(&belfry);
            thread::Builder::new().spawn(move || belfry.signal()).expect("a thread")
        };
        listen(&belfry);
        other.join().expect("the other listener");
        handler.join().expect("the handler");
        // A byte that is left over is announced, so that somebody takes it before the pipe is full.
        assert!(belfry.pipe.load(Ordering::Acquire) == 0 || belfry.source.now().ready().is_readable());
    });
}
