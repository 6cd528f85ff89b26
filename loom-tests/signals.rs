//! Models of listeners at one signal pipe: a signal races with a wait, and with a listener that
//! reads the pipe. See `docs/signals.md`.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};

use crate::primitive::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::primitive::{Arc, model, thread};
use crate::reactor::{Ready, Source, SourceTable};
use crate::signal::wait_for_change;
use crate::util::wake_list::WakeList;

/// A waker that counts its wakes.
struct WakeCount(AtomicUsize);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A signal pipe without a kernel: the pipe is a count of bytes.
struct ModelPipe {
    source: Arc<Source>,
    bytes: AtomicUsize,
    count: AtomicU64,
}

impl ModelPipe {
    fn new() -> Arc<ModelPipe> {
        let source = SourceTable::new().insert(Ready::EMPTY).expect("it is open");
        Arc::new(ModelPipe { source, bytes: AtomicUsize::new(0), count: AtomicU64::new(0) })
    }

    /// Runs the signal handler, then delivers the event of its byte.
    fn signal(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.bytes.fetch_add(1, Ordering::AcqRel);
        let mut wake_list = WakeList::new();
        self.source.set_ready(Ready::READABLE, &mut wake_list);
        wake_list.wake_all();
    }

    /// Polls a listener that has observed nothing yet. Returns true if it has to be woken to
    /// observe the signal.
    fn poll_pending(&self, wait: Pin<&mut impl Future<Output = Option<u64>>>, wakes: &Arc<WakeCount>) -> bool {
        wait.poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes)))).is_pending()
    }

    fn wait(&self) -> impl Future<Output = Option<u64>> {
        wait_for_change(
            || self.count.load(Ordering::Acquire),
            0,
            &self.source,
            || self.bytes.store(0, Ordering::Release),
        )
    }
}

fn listen(pipe: &ModelPipe) -> (bool, Arc<WakeCount>) {
    let wakes = Arc::new(WakeCount(AtomicUsize::new(0)));
    let mut wait = pin!(pipe.wait());
    let asleep = pipe.poll_pending(wait.as_mut(), &wakes);
    // A listener that is never woken keeps its registration: it must not be dropped before the
    // signal is delivered.
    while asleep && wakes.0.load(Ordering::Acquire) == 0 {
        thread::yield_now();
    }
    if asleep {
        // The only signal has woken the listener, so the listener observes it.
        let Poll::Ready(observed) = wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("woken by the only signal without observing it");
        };
        assert_eq!(observed, Some(1));
    }
    (asleep, wakes)
}

/// signal × one listener begins to wait: it observes the signal at once, or sleeps and is woken. A
/// lost signal would be a deadlock.
#[test]
fn signal_during_wait_registration_is_observed() {
    model(|| {
        let pipe = ModelPipe::new();
        let handler = {
            let pipe = Arc::clone(&pipe);
            thread::Builder::new().spawn(move || pipe.signal()).expect("a thread")
        };
        listen(&pipe);
        handler.join().expect("the handler");
        assert_eq!(pipe.source.waker_count(), 0);
    });
}

/// signal × wait × another listener reads the pipe. An older byte makes every listener check. The
/// one that empties the pipe may take the new signal's byte and readiness with it.
#[test]
fn signal_whose_byte_another_listener_reads_is_observed() {
    model(|| {
        let pipe = ModelPipe::new();
        // The byte of a signal of another kind.
        pipe.bytes.store(1, Ordering::Release);
        pipe.source.set_ready(Ready::READABLE, &mut WakeList::new());
        let other = {
            let pipe = Arc::clone(&pipe);
            // Waits for another kind, which does not come, and reads whatever bytes there are,
            // once.
            let read_pipe = move || {
                let mut wait = pin!(wait_for_change(|| 0, 0, &pipe.source, || pipe.bytes.store(0, Ordering::Release)));
                let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            };
            thread::Builder::new().spawn(read_pipe).expect("a thread")
        };
        let handler = {
            let pipe = Arc::clone(&pipe);
            thread::Builder::new().spawn(move || pipe.signal()).expect("a thread")
        };
        listen(&pipe);
        other.join().expect("the other listener");
        handler.join().expect("the handler");
        // A byte that is left over is readable, so that a listener reads it before the pipe is
        // full.
        assert!(pipe.bytes.load(Ordering::Acquire) == 0 || pipe.source.now().ready().is_readable());
    });
}
