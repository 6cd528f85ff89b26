//! User code that panics wherever the cell calls it: the runner goes on, the handle reports the
//! panic, nothing is leaked.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use super::*;
use crate::loom_tests::support::{Bell, Home, poll_join};
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::primitive::{Arc, Tracked};

/// A payload of size zero: nothing is leaked when one is forgotten.
struct Harmless;

/// A payload whose own destructor panics.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        resume_unwind(Box::new(Harmless));
    }
}

/// Panics, without calling the hook.
fn raise_panic(panic_on_drop: bool) -> ! {
    if panic_on_drop { resume_unwind(Box::new(PanicsOnDrop)) } else { resume_unwind(Box::new(Harmless)) }
}

/// The user code that panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Panics {
    poll: bool,
    future: bool,
    output: bool,
    waker: bool,
    /// The payloads panic when they are dropped.
    panic_on_drop: bool,
}

/// The operations on the handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandleCase {
    /// Polled after the end.
    Kept,
    /// Polled before the end, and again after it.
    Joined,
    /// Dropped before the first poll.
    Dropped,
    /// Polled and dropped before the first poll of the task.
    JoinedAndDropped,
    /// Dropped after the end.
    DroppedLate,
    /// The task is aborted before its first poll.
    Aborted,
    /// The task is aborted when it is idle, after the handle has been polled.
    AbortedIdle,
}

const HANDLE_CASES: [HandleCase; 7] = [
    HandleCase::Kept,
    HandleCase::Joined,
    HandleCase::Dropped,
    HandleCase::JoinedAndDropped,
    HandleCase::DroppedLate,
    HandleCase::Aborted,
    HandleCase::AbortedIdle,
];

/// Polls, drops of the future, outputs created, drops of the output, calls of the joiner's waker.
#[derive(Debug, Default)]
struct CallCounts([AtomicUsize; 5]);

impl CallCounts {
    fn add(&self, at: usize) {
        self.0[at].fetch_add(1, Relaxed);
    }

    fn all(&self) -> [usize; 5] {
        [0, 1, 2, 3, 4].map(|at| self.0[at].load(Relaxed))
    }
}

/// Suspends once; if the flag is set, it wakes itself then.
struct PanickingFuture(Panics, Arc<CallCounts>, bool);
struct PanickingOutput(Panics, Arc<CallCounts>);
struct PanickingWaker(Panics, Arc<CallCounts>);

impl Future for PanickingFuture {
    type Output = PanickingOutput;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<PanickingOutput> {
        self.1.add(0);
        if self.1.all()[0] == 1 {
            if self.2 {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        if self.0.poll {
            raise_panic(self.0.panic_on_drop);
        }
        self.1.add(2);
        Poll::Ready(PanickingOutput(self.0, Arc::clone(&self.1)))
    }
}

impl Drop for PanickingFuture {
    fn drop(&mut self) {
        self.1.add(1);
        if self.0.future {
            raise_panic(self.0.panic_on_drop);
        }
    }
}

impl Drop for PanickingOutput {
    fn drop(&mut self) {
        self.1.add(3);
        if self.0.output {
            raise_panic(self.0.panic_on_drop);
        }
    }
}

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.1.add(4);
        if self.0.waker {
            raise_panic(self.0.panic_on_drop);
        }
    }
}

/// Drops a value of the test, and catches its panic.
fn drop_catching<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        std::mem::forget(payload);
    }
}

fn run_case(panics: Panics, handle_case: HandleCase) {
    let case = format!("{panics:?} {handle_case:?}");
    let alive = Tracked::live_count();
    let (home, call_counts) = (Home::new(), Arc::new(CallCounts::default()));
    let joiner = Waker::from(Arc::new(PanickingWaker(panics, Arc::clone(&call_counts))));
    let mut cx = Context::from_waker(&joiner);
    let mut handle =
        home.spawn(PanickingFuture(panics, Arc::clone(&call_counts), handle_case != HandleCase::AbortedIdle));
    let abort = handle.abort_handle();
    let polled = matches!(handle_case, HandleCase::Joined | HandleCase::JoinedAndDropped | HandleCase::AbortedIdle);
    if polled {
        assert!(Pin::new(&mut handle).poll(&mut cx).is_pending(), "{case}");
    }
    let mut handle = Some(handle);
    match handle_case {
        HandleCase::Dropped | HandleCase::JoinedAndDropped => handle = None,
        HandleCase::Aborted => abort.abort(),
        _ => {}
    }
    home.run_all();
    if handle_case == HandleCase::AbortedIdle {
        abort.abort();
        home.run_all();
    }
    assert!(abort.is_finished(), "{case}");

    let cancelled = matches!(handle_case, HandleCase::Aborted | HandleCase::AbortedIdle);
    let polls = if cancelled { usize::from(handle_case == HandleCase::AbortedIdle) } else { 2 };
    let made = usize::from(!cancelled && !panics.poll);
    let dropped_early = matches!(handle_case, HandleCase::Dropped | HandleCase::JoinedAndDropped);
    let called = usize::from(matches!(handle_case, HandleCase::Joined | HandleCase::AbortedIdle));
    let dropped = if dropped_early { made } else { 0 };
    assert_eq!(call_counts.all(), [polls, 1, made, dropped, called], "{case}");

    if let Some(mut handle) = handle {
        if handle_case == HandleCase::DroppedLate {
            drop(handle);
        } else {
            let Poll::Ready(result) = Pin::new(&mut handle).poll(&mut cx) else { panic!("pending: {case}") };
            let (panicked, is_cancelled) = match &result {
                Ok(_) => (false, false),
                Err(error) => (error.is_panic(), error.is_cancelled()),
            };
            let expects_panic = if cancelled { panics.future } else { panics.poll };
            assert_eq!((panicked, is_cancelled), (expects_panic, cancelled && !expects_panic), "{case}");
            drop_catching(result);
        }
    }
    assert_eq!(call_counts.all(), [polls, 1, made, made, called], "{case}");
    drop(abort);
    assert_eq!(Tracked::live_count(), alive, "{case}");
    assert!(home.is_empty(), "{case}");
    drop(joiner);
    assert_eq!(Arc::strong_count(&call_counts), 1, "{case}: a waker is left");
}

#[test]
fn panic_stays_with_its_task_in_every_combination() {
    for bits in 0..32 {
        let bit = |at: u32| bits >> at & 1 == 1;
        let panics = Panics { poll: bit(0), future: bit(1), output: bit(2), waker: bit(3), panic_on_drop: bit(4) };
        for handle_case in HANDLE_CASES {
            run_case(panics, handle_case);
        }
    }
}

/// A waker whose clone or destructor panics, as configured.
struct Fragile {
    clone: bool,
    drop: bool,
    alive: AtomicUsize,
}

static FRAGILE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let fragile = fragile(data);
        if fragile.clone {
            raise_panic(true);
        }
        fragile.alive.fetch_add(1, Relaxed);
        RawWaker::new(data, &FRAGILE)
    },
    drop_fragile,
    |_| (),
    drop_fragile,
);

fn fragile<'a>(data: *const ()) -> &'a Fragile {
    // SAFETY: the data of these wakers is a `Fragile` of the test's frame, which outlives them.
    unsafe { &*data.cast::<Fragile>() }
}

fn drop_fragile(data: *const ()) {
    let fragile = fragile(data);
    fragile.alive.fetch_sub(1, Relaxed);
    if fragile.drop {
        raise_panic(true);
    }
}

impl Fragile {
    fn new(clone: bool, drop: bool) -> Self {
        Fragile { clone, drop, alive: AtomicUsize::new(1) }
    }

    fn waker(&self) -> Waker {
        // SAFETY: the table fulfils the contract of `RawWaker`, apart from its panics.
        unsafe { Waker::from_raw(RawWaker::new((&raw const *self).cast(), &FRAGILE)) }
    }
}

fn pending() -> impl Future<Output = ()> + Send + 'static {
    std::future::pending()
}

#[test]
fn waker_whose_clone_panics_leaves_no_old_waker() {
    let (home, bell, fragile) = (Home::new(), Bell::new(), Fragile::new(true, false));
    let mut handle = home.spawn(pending());
    assert!(poll_join(&mut handle, &bell).is_pending());
    let waker = fragile.waker();
    let refused = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut handle).poll(&mut Context::from_waker(&waker))));
    std::mem::forget(refused.expect_err("the clone panics"));
    // An abort handle keeps the cell, but nothing in it.
    let abort = handle.abort_handle();
    drop(handle);
    assert!(bell.is_alone(), "the joiner's waker stays in a slot that is never emptied");
    drop(waker);
    abort.abort();
    home.run_all();
}

#[test]
fn waker_whose_drop_panics_does_not_block_the_drop_of_the_handle() {
    let alive = Tracked::live_count();
    let (home, fragile) = (Home::new(), Fragile::new(false, true));
    let mut handle = home.spawn(pending());
    let waker = fragile.waker();
    assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(fragile.alive.load(Relaxed), 2);
    drop(handle);
    assert_eq!(fragile.alive.load(Relaxed), 1);
    home.run_all();
    drop(home.owned_tasks().cancel_all());
    assert_eq!(Tracked::live_count(), alive);
    drop_catching(waker);
}

#[test]
fn replaced_waker_whose_drop_panics_has_been_replaced() {
    let (home, bell, fragile) = (Home::new(), Bell::new(), Fragile::new(false, true));
    let mut handle = home.spawn(std::future::ready(7));
    let waker = fragile.waker();
    assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    let replaced = catch_unwind(AssertUnwindSafe(|| poll_join(&mut handle, &bell)));
    std::mem::forget(replaced.expect_err("the old waker's destructor panics"));
    home.run_all();
    assert_eq!((bell.rings(), fragile.alive.load(Relaxed)), (1, 1));
    assert!(matches!(poll_join(&mut handle, &bell), Poll::Ready(Ok(7))));
    drop_catching(waker);
}
