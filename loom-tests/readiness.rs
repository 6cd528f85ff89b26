//! Models of a source: events against operations, waits, cancellations and the close. See
//! docs/reactor.md.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};

use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, model, thread};
use crate::reactor::{Direction, Interest, Opaque, Readiness, Ready, ReadyFuture, Source, SourceTable};
use crate::util::wake_list::WakeList;

/// A waker that counts its wake-ups.
struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl CountingWaker {
    fn new() -> Arc<CountingWaker> {
        Arc::new(CountingWaker(AtomicUsize::new(0)))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().spawn(run).expect("a thread")
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>, counter: &Arc<CountingWaker>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(counter))))
}

/// Does what the kernel does: a byte arrives, and then an event reports it.
fn receive(source: &Source, pipe: &AtomicUsize) {
    pipe.fetch_add(1, Ordering::AcqRel);
    let mut wakes = WakeList::new();
    source.set_ready(Ready::READABLE, &mut wakes);
    wakes.wake_all();
}

/// Does what an operation does: takes a byte, or would block.
fn read(pipe: &AtomicUsize) -> io::Result<Opaque<()>> {
    match pipe.fetch_update(Ordering::AcqRel, Ordering::Acquire, |bytes| bytes.checked_sub(1)) {
        Ok(_) => Ok(Opaque(())),
        Err(_) => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn source(presumed: Ready) -> Arc<Source> {
    SourceTable::new().insert(presumed).expect("the table is open")
}

#[test]
fn event_between_eagain_and_clear_is_kept() {
    model(|| {
        let (source, pipe) = (source(Ready::READABLE), Arc::new(AtomicUsize::new(0)));
        let kernel = {
            let (source, pipe) = (Arc::clone(&source), Arc::clone(&pipe));
            spawn(move || receive(&source, &pipe))
        };
        let first = source.try_io(Interest::READABLE, || read(&pipe));
        kernel.join().expect("the kernel");
        // If the byte has not been read, the next read must be tried.
        if first.is_err() {
            assert!(source.try_io(Interest::READABLE, || read(&pipe)).is_ok());
        }
    });
}

#[test]
fn events_between_eagain_and_clear_are_both_kept() {
    model(|| {
        let (source, pipe) = (source(Ready::READABLE), Arc::new(AtomicUsize::new(0)));
        let kernel = {
            let (source, pipe) = (Arc::clone(&source), Arc::clone(&pipe));
            spawn(move || {
                receive(&source, &pipe);
                receive(&source, &pipe);
            })
        };
        let mut bytes = 0;
        for _ in 0..2 {
            bytes += usize::from(source.try_io(Interest::READABLE, || read(&pipe)).is_ok());
        }
        kernel.join().expect("the kernel");
        while bytes < 2 {
            source.try_io(Interest::READABLE, || read(&pipe)).expect("a byte is left, and no other thread reads");
            bytes += 1;
        }
    });
}

#[test]
fn directions_are_set_and_cleared_independently() {
    model(|| {
        let word = Arc::new(Readiness::new(Ready::READABLE | Ready::WRITABLE));
        let seen = word.load();
        let writer = {
            let word = Arc::clone(&word);
            spawn(move || {
                word.clear(Direction::Write.mask(), word.load());
                word.set(Ready::WRITABLE);
            })
        };
        word.clear(Direction::Read.mask(), seen);
        writer.join().expect("the writer");
        assert_eq!(word.load().ready(), Ready::WRITABLE);
    });
}

#[test]
fn waiting_future_is_woken_by_the_event() {
    model(|| {
        let (source, counter) = (source(Ready::EMPTY), CountingWaker::new());
        let kernel = {
            let source = Arc::clone(&source);
            spawn(move || receive(&source, &AtomicUsize::new(0)))
        };
        let mut waiting = pin!(source.ready(Interest::READABLE));
        let at_once = poll(waiting.as_mut(), &counter).is_ready();
        kernel.join().expect("the kernel");
        assert_eq!(at_once, counter.count() == 0, "either the poll saw the event, or its waker was woken");
        assert!(poll(waiting.as_mut(), &counter).is_ready());
        assert_eq!(source.waker_count(), 0);
    });
}

#[test]
fn waker_in_the_slot_is_woken_by_the_event() {
    model(|| {
        let (source, counter) = (source(Ready::EMPTY), CountingWaker::new());
        let kernel = {
            let source = Arc::clone(&source);
            spawn(move || receive(&source, &AtomicUsize::new(0)))
        };
        let waker = Waker::from(Arc::clone(&counter));
        let at_once = source.poll_ready(Direction::Read, &mut Context::from_waker(&waker)).is_ready();
        kernel.join().expect("the kernel");
        assert_eq!(at_once, counter.count() == 0, "either the poll saw the event, or its waker was woken");
        assert_eq!(source.waker_count(), 0);
    });
}

#[test]
fn latest_waker_of_a_future_is_the_one_that_is_woken() {
    model(|| {
        let (source, former, latest) = (source(Ready::EMPTY), CountingWaker::new(), CountingWaker::new());
        let mut waiting: Pin<Box<ReadyFuture<'_>>> = Box::pin(source.ready(Interest::READABLE));
        assert!(poll(waiting.as_mut(), &former).is_pending());
        let kernel = {
            let source = Arc::clone(&source);
            spawn(move || receive(&source, &AtomicUsize::new(0)))
        };
        let at_once = poll(waiting.as_mut(), &latest).is_ready();
        kernel.join().expect("the kernel");
        if !at_once {
            assert_eq!((former.count(), latest.count()), (0, 1));
        }
        drop(waiting);
        assert_eq!(source.waker_count(), 0);
    });
}

#[test]
fn wait_cancelled_during_the_event_leaves_no_waker_behind() {
    model(|| {
        let (source, stays, goes) = (source(Ready::EMPTY), CountingWaker::new(), CountingWaker::new());
        let mut staying = Box::pin(source.ready(Interest::READABLE));
        let mut going = Box::pin(source.ready(Interest::READABLE));
        assert!(poll(going.as_mut(), &goes).is_pending());
        assert!(poll(staying.as_mut(), &stays).is_pending());
        let kernel = {
            let source = Arc::clone(&source);
            spawn(move || receive(&source, &AtomicUsize::new(0)))
        };
        drop(going);
        kernel.join().expect("the kernel");
        assert_eq!(stays.count(), 1);
        assert!(goes.count() <= 1);
        assert_eq!(source.waker_count(), 0);
        assert_eq!(Arc::strong_count(&goes), 1, "the waker was dropped");
        drop(staying);
    });
}

#[test]
fn insert_during_the_close_is_refused_or_woken() {
    model(|| {
        let (sources, counter) = (Arc::new(SourceTable::new()), CountingWaker::new());
        let closer = {
            let sources = Arc::clone(&sources);
            spawn(move || {
                let mut wakes = WakeList::new();
                sources.close_all_sources(&mut wakes);
                wakes.wake_all();
            })
        };
        if let Ok(source) = sources.insert(Ready::EMPTY) {
            let waker = Waker::from(Arc::clone(&counter));
            let cx = &mut Context::from_waker(&waker);
            let at_once = source.poll_ready(Direction::Read, cx).is_ready();
            closer.join().expect("the closer");
            assert_eq!(at_once, counter.count() == 0);
            for _ in 0..2 {
                assert!(matches!(source.poll_ready(Direction::Read, cx), Poll::Ready(Err(_))));
            }
        } else {
            closer.join().expect("the closer");
        }
        assert!(sources.insert(Ready::EMPTY).is_err());
    });
}

#[test]
fn clear_during_the_close_does_not_undo_it() {
    model(|| {
        let source = source(Ready::READABLE);
        let closer = {
            let source = Arc::clone(&source);
            spawn(move || source.close_source(&mut WakeList::new()))
        };
        let _ = source.try_io(Interest::READABLE, || Err::<Opaque<()>, _>(io::ErrorKind::WouldBlock.into()));
        closer.join().expect("the closer");
        let error = source.try_io(Interest::READABLE, || Ok(Opaque(()))).expect_err("the source is closed").to_string();
        assert!(error.contains("shut down"), "{error}");
    });
}

/// An operation that sees an event also sees what its sender wrote before, without any other order.
#[test]
fn event_publishes_what_came_before_it() {
    model(|| {
        let source = source(Ready::EMPTY);
        let written = Arc::new(AtomicUsize::new(0));
        let reader = {
            let (source, written) = (Arc::clone(&source), Arc::clone(&written));
            spawn(move || {
                // Reads the readiness without a lock.
                let seen = source.try_io(Interest::READABLE, || Ok(Opaque(written.load(Ordering::Relaxed))));
                let is_whole = seen.map_or(true, |Opaque(written)| written == 1);
                assert!(is_whole, "the event was seen without what came before it");
            })
        };
        // Ordering: Relaxed — published by `Readiness::set`.
        written.store(1, Ordering::Relaxed);
        source.set_ready(Ready::READABLE, &mut WakeList::new());
        reader.join().expect("the reader");
    });
}

/// close × cancel: the closer does not access a waiter that is dropped, and each waker goes.
#[test]
fn wait_cancelled_during_the_close_leaves_no_waker_behind() {
    model(|| {
        let (sources, stays, goes) = (Arc::new(SourceTable::new()), CountingWaker::new(), CountingWaker::new());
        let source = sources.insert(Ready::EMPTY).expect("the table is open");
        let mut staying = Box::pin(source.ready(Interest::READABLE));
        let mut going = Box::pin(source.ready(Interest::READABLE));
        assert!(poll(going.as_mut(), &goes).is_pending());
        assert!(poll(staying.as_mut(), &stays).is_pending());
        let closer = spawn(move || {
            let mut wakes = WakeList::new();
            sources.close_all_sources(&mut wakes);
            wakes.wake_all();
        });
        drop(going);
        closer.join().expect("the closer");
        assert_eq!(stays.count(), 1);
        assert!(goes.count() <= 1);
        assert_eq!(source.waker_count(), 0);
        assert_eq!(Arc::strong_count(&goes), 1, "the waker was dropped");
        assert!(matches!(poll(staying.as_mut(), &stays), Poll::Ready(Err(_))));
    });
}
