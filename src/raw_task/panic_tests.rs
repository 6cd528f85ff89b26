//! User code that panics wherever the cell calls it: the runner goes on, the handle hears of it,
//! nothing is leaked.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use super::*;
use crate::loom_tests::support::{Bell, Home, poll_join};
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Arc, Tracked};

/// A payload. It has no size: nothing is leaked when one is forgotten.
struct Harmless;

/// A payload whose own destructor panics.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        resume_unwind(Box::new(Harmless));
    }
}

/// Panics, without calling the hook.
fn burst(grenade: bool) -> ! {
    if grenade { resume_unwind(Box::new(Grenade)) } else { resume_unwind(Box::new(Harmless)) }
}

/// Where user code panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bombs {
    poll: bool,
    future: bool,
    output: bool,
    waker: bool,
    /// The payloads are grenades.
    grenades: bool,
}

/// What is done to the handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Asked after the end.
    Kept,
    /// Asked before the end, and again after it.
    Joined,
    /// Gone before the first poll.
    Dropped,
    /// Gone before the first poll, after it had been asked.
    JoinedAndDropped,
    /// Gone after the end.
    DroppedLate,
    /// The task is aborted before its first poll.
    Aborted,
    /// The task is aborted when it is idle, by a handle that has been asked.
    AbortedIdle,
}

const FATES: [Fate; 7] = [
    Fate::Kept,
    Fate::Joined,
    Fate::Dropped,
    Fate::JoinedAndDropped,
    Fate::DroppedLate,
    Fate::Aborted,
    Fate::AbortedIdle,
];

/// Polls, drops of the future, outputs made, drops of the output, calls of the joiner's waker.
#[derive(Debug, Default)]
struct Tally([AtomicUsize; 5]);

impl Tally {
    fn add(&self, at: usize) {
        self.0[at].fetch_add(1, Relaxed);
    }

    fn all(&self) -> [usize; 5] {
        [0, 1, 2, 3, 4].map(|at| self.0[at].load(Relaxed))
    }
}

/// Suspends once; the flag says that it wakes itself then.
struct Mined(Bombs, Arc<Tally>, bool);
struct MinedOutput(Bombs, Arc<Tally>);
struct MinedWaker(Bombs, Arc<Tally>);

impl Future for Mined {
    type Output = MinedOutput;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<MinedOutput> {
        self.1.add(0);
        if self.1.all()[0] == 1 {
            if self.2 {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        if self.0.poll {
            burst(self.0.grenades);
        }
        self.1.add(2);
        Poll::Ready(MinedOutput(self.0, Arc::clone(&self.1)))
    }
}

impl Drop for Mined {
    fn drop(&mut self) {
        self.1.add(1);
        if self.0.future {
            burst(self.0.grenades);
        }
    }
}

impl Drop for MinedOutput {
    fn drop(&mut self) {
        self.1.add(3);
        if self.0.output {
            burst(self.0.grenades);
        }
    }
}

impl Wake for MinedWaker {
    fn wake(self: Arc<Self>) {
        self.1.add(4);
        if self.0.waker {
            burst(self.0.grenades);
        }
    }
}

/// Drops something of the test's own, panic or not.
fn defuse<T>(bomb: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(bomb))) {
        std::mem::forget(payload);
    }
}

fn play(bombs: Bombs, fate: Fate) {
    let case = format!("{bombs:?} {fate:?}");
    let alive = Tracked::live_count();
    let (home, tally) = (Home::new(), Arc::new(Tally::default()));
    let joiner = Waker::from(Arc::new(MinedWaker(bombs, Arc::clone(&tally))));
    let mut cx = Context::from_waker(&joiner);
    let mut handle = home.spawn(Mined(bombs, Arc::clone(&tally), fate != Fate::AbortedIdle));
    let abort = handle.abort_handle();
    let asked = matches!(fate, Fate::Joined | Fate::JoinedAndDropped | Fate::AbortedIdle);
    if asked {
        assert!(Pin::new(&mut handle).poll(&mut cx).is_pending(), "{case}");
    }
    let mut handle = Some(handle);
    match fate {
        Fate::Dropped | Fate::JoinedAndDropped => handle = None,
        Fate::Aborted => abort.abort(),
        _ => {}
    }
    home.run_all();
    if fate == Fate::AbortedIdle {
        abort.abort();
        home.run_all();
    }
    assert!(abort.is_finished(), "{case}");

    let cancelled = matches!(fate, Fate::Aborted | Fate::AbortedIdle);
    let polls = if cancelled { usize::from(fate == Fate::AbortedIdle) } else { 2 };
    let made = usize::from(!cancelled && !bombs.poll);
    let left = matches!(fate, Fate::Dropped | Fate::JoinedAndDropped);
    let called = usize::from(matches!(fate, Fate::Joined | Fate::AbortedIdle));
    let dropped = if left { made } else { 0 };
    assert_eq!(tally.all(), [polls, 1, made, dropped, called], "{case}");

    if let Some(mut handle) = handle {
        if fate == Fate::DroppedLate {
            drop(handle);
        } else {
            let Poll::Ready(result) = Pin::new(&mut handle).poll(&mut cx) else { panic!("pending: {case}") };
            let (panicked, gone) = match &result {
                Ok(_) => (false, false),
                Err(error) => (error.is_panic(), error.is_cancelled()),
            };
            let burst = if cancelled { bombs.future } else { bombs.poll };
            assert_eq!((panicked, gone), (burst, cancelled && !burst), "{case}");
            defuse(result);
        }
    }
    assert_eq!(tally.all(), [polls, 1, made, made, called], "{case}");
    drop(abort);
    assert_eq!(Tracked::live_count(), alive, "{case}");
    assert!(home.is_deserted(), "{case}");
    drop(joiner);
    assert_eq!(Arc::strong_count(&tally), 1, "{case}: a waker is left");
}

#[test]
fn a_panic_stays_with_its_task_in_every_combination() {
    for bits in 0..32 {
        let bit = |at: u32| bits >> at & 1 == 1;
        let bombs = Bombs { poll: bit(0), future: bit(1), output: bit(2), waker: bit(3), grenades: bit(4) };
        for fate in FATES {
            play(bombs, fate);
        }
    }
}

/// A waker whose clone panics when it is told to, and whose destructor does.
struct Fragile {
    clone: bool,
    drop: bool,
    alive: AtomicUsize,
}

static FRAGILE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let fragile = fragile(data);
        if fragile.clone {
            burst(true);
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
        burst(true);
    }
}

impl Fragile {
    fn new(clone: bool, drop: bool) -> Self {
        Fragile { clone, drop, alive: AtomicUsize::new(1) }
    }

    fn waker(&self) -> Waker {
        // SAFETY: the table keeps the contract, apart from its panics.
        unsafe { Waker::from_raw(RawWaker::new((&raw const *self).cast(), &FRAGILE)) }
    }
}

fn pending() -> impl Future<Output = ()> + Send + 'static {
    std::future::pending()
}

#[test]
fn a_waker_that_cannot_be_cloned_leaves_no_other_behind() {
    let (home, bell, fragile) = (Home::new(), Bell::new(), Fragile::new(true, false));
    let mut handle = home.spawn(pending());
    assert!(poll_join(&mut handle, &bell).is_pending());
    let waker = fragile.waker();
    let refused = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut handle).poll(&mut Context::from_waker(&waker))));
    std::mem::forget(refused.expect_err("the clone panics"));
    // An abort handle keeps the cell, but nothing in it.
    let abort = handle.abort_handle();
    drop(handle);
    assert!(bell.is_alone(), "the joiner's waker stays in a slot that nobody empties");
    drop(waker);
    abort.abort();
    home.run_all();
}

#[test]
fn a_waker_that_cannot_be_dropped_does_not_keep_the_handle_from_leaving() {
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
    defuse(waker);
}

#[test]
fn a_replaced_waker_that_cannot_be_dropped_has_been_replaced() {
    let (home, bell, fragile) = (Home::new(), Bell::new(), Fragile::new(false, true));
    let mut handle = home.spawn(std::future::ready(7));
    let waker = fragile.waker();
    assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    let replaced = catch_unwind(AssertUnwindSafe(|| poll_join(&mut handle, &bell)));
    std::mem::forget(replaced.expect_err("the old waker's destructor panics"));
    home.run_all();
    assert_eq!((bell.rings(), fragile.alive.load(Relaxed)), (1, 1));
    assert!(matches!(poll_join(&mut handle, &bell), Poll::Ready(Ok(7))));
    defuse(waker);
}
