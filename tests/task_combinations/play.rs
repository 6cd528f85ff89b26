//! Plays one case, and compares the counts with the model.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use heist::runtime::{Runtime, RuntimeFlavor, TaskGroup};
use heist::task::{AbortHandle, JoinError, JoinHandle};

use super::case::{Abort, Case, Ending, Expected, Handle, Kept, Outcome, Polls};
use super::kit::{Count, Door, yield_now};

/// What happens in one case.
#[derive(Clone, Default)]
struct Counts {
    polls: Count,
    futures_dropped: Count,
    outputs: Count,
    outputs_dropped: Count,
}

/// The sums of the futures and outputs that were made, and of those that were dropped.
#[derive(Default)]
pub(crate) struct Totals(RefCell<Vec<(Counts, usize)>>);

impl Totals {
    /// Asserts that nothing was dropped again after its case.
    pub(crate) fn check(&self, cases: usize) {
        assert_eq!(self.0.borrow().len(), cases);
        for (counts, outputs) in self.0.borrow().iter() {
            assert_eq!((counts.futures_dropped.get(), counts.outputs_dropped.get()), (1, *outputs));
        }
    }
}

struct Output {
    dropped: Count,
    panics: bool,
}

impl Drop for Output {
    fn drop(&mut self) {
        self.dropped.add();
        if self.panics {
            panic!("in the destructor of an output (planned)");
        }
    }
}

/// What the test and the future share.
#[derive(Default)]
struct Shared {
    waker: Mutex<Option<Waker>>,
    abort: Mutex<Option<AbortHandle>>,
    /// The abort handle is there.
    spawned: Door,
    polled: Door,
}

struct Scripted {
    case: Case,
    counts: Counts,
    shared: Arc<Shared>,
}

impl Future for Scripted {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        if self.counts.polls.add() == 1 {
            if self.case.abort == Abort::InTheFirstPoll {
                self.shared.spawned.wait();
                self.shared.abort.lock().unwrap().take().expect("the test has stored it").abort();
            }
            if self.case.kept == Kept::Waker || self.case.comes_to_rest() {
                *self.shared.waker.lock().unwrap() = Some(cx.waker().clone());
            }
            let is_last = match self.case.polls {
                Polls::Ready => true,
                Polls::WakesItself => {
                    cx.waker().wake_by_ref();
                    false
                }
                Polls::WakesItselfByClone => {
                    let owned = cx.waker().clone();
                    owned.wake();
                    false
                }
                Polls::Woken | Polls::WokenTwice | Polls::Idle => false,
            };
            self.shared.polled.open();
            if !is_last {
                return Poll::Pending;
            }
        }
        if self.case.panic.in_last_poll() {
            panic!("in a poll (planned)");
        }
        self.counts.outputs.add();
        Poll::Ready(Output { dropped: self.counts.outputs_dropped.clone(), panics: self.case.panic.in_output_drop() })
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.counts.futures_dropped.add();
        if self.case.panic.in_future_drop() {
            panic!("in the destructor of a future (planned)");
        }
    }
}

/// A joiner's waker that counts its wakes. Its own count of references tells how many are kept.
#[derive(Default)]
struct Joiner(Count);

impl Wake for Joiner {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

/// Lets a runtime make progress until something has happened.
fn run_until(runtime: &Runtime, happened: impl Fn() -> bool) {
    while !happened() {
        runtime.block_on(yield_now());
        if runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            std::thread::yield_now();
        }
    }
}

/// A task in the middle of its case.
struct Play<'a> {
    case: &'a Case,
    counts: Counts,
    shared: Arc<Shared>,
    handle: Option<JoinHandle<Output>>,
    abort: AbortHandle,
    joiner: Arc<Joiner>,
}

impl<'a> Play<'a> {
    /// Spawns the task. The handle is dropped, polled, or aborts, if that comes first.
    fn spawn(case: &'a Case, runtime: &Runtime, group: &TaskGroup) -> Play<'a> {
        let (counts, shared) = (Counts::default(), Arc::new(Shared::default()));
        let future = Scripted { case: *case, counts: counts.clone(), shared: Arc::clone(&shared) };
        let handle = if case.in_group { group.spawn(future) } else { runtime.spawn(future) };
        let abort = handle.abort_handle();
        *shared.abort.lock().unwrap() = (case.abort == Abort::InTheFirstPoll).then(|| abort.clone());
        shared.spawned.open();
        let mut play = Play { case, counts, shared, handle: Some(handle), abort, joiner: Arc::default() };
        if case.abort == Abort::BeforeTheFirstPoll {
            play.abort_now();
        }
        match case.handle {
            Handle::DroppedAtOnce => play.handle = None,
            Handle::PolledAndJoined if !case.comes_to_rest() => play.poll_handle(),
            _ => {}
        }
        play
    }

    /// Aborts by the join handle, or by the abort handle if there is no other.
    fn abort_now(&self) {
        match &self.handle {
            Some(handle) => handle.abort(),
            None => self.abort.abort(),
        }
    }

    fn poll_handle(&mut self) {
        let waker = Waker::from(Arc::clone(&self.joiner));
        let handle = self.handle.as_mut().expect("a handle");
        assert!(Pin::new(handle).poll(&mut Context::from_waker(&waker)).is_pending(), "{:?}", self.case);
        drop(waker);
        assert_eq!(Arc::strong_count(&self.joiner), 2, "{:?}: the handle keeps one waker", self.case);
    }

    /// Does what comes while the task is idle.
    fn act_while_idle(&mut self, runtime: &Runtime) {
        if !self.case.comes_to_rest() {
            return;
        }
        run_until(runtime, || self.shared.polled.is_open());
        match self.case.handle {
            Handle::DroppedWhileIdle => self.handle = None,
            Handle::PolledAndDropped => {
                self.poll_handle();
                self.handle = None;
                assert_eq!(Arc::strong_count(&self.joiner), 1, "{:?}: the waker is dropped", self.case);
            }
            Handle::PolledAndJoined => self.poll_handle(),
            Handle::Joined | Handle::DroppedAtOnce | Handle::DroppedAfterTheEnd => {}
        }
        if self.case.ending == Ending::WhileIdle {
            return;
        }
        if self.case.abort == Abort::WhileIdle {
            return self.abort_now();
        }
        let stored = self.shared.waker.lock().unwrap();
        let waker = stored.as_ref().expect("the first poll has stored it");
        waker.wake_by_ref();
        if self.case.polls == Polls::WokenTwice {
            // It finds a task that is queued, polled or ended. None of these is polled once more.
            let owned = waker.clone();
            owned.wake();
        }
    }

    /// Returns whether the task has ended, with its future, its unwanted output and the waker of
    /// its joiner.
    fn has_ended(&self) -> bool {
        let wanted = self.handle.is_some();
        let dropped = wanted || self.counts.outputs.get() == self.counts.outputs_dropped.get();
        let woken = Arc::strong_count(&self.joiner) == 1;
        self.abort.is_finished() && self.counts.futures_dropped.get() == 1 && dropped && woken
    }

    /// Joins or drops the handle of the task, which has ended, and compares the counts.
    fn check(mut self, totals: &Totals) {
        let case = self.case;
        let Expected { polls, outputs, outcome } = case.expected();
        if case.abort == Abort::AfterTheEnd {
            self.abort_now();
        }
        match (case.handle, self.handle.take()) {
            (Handle::Joined | Handle::PolledAndJoined, Some(handle)) => {
                let seen = join(handle);
                assert_eq!(seen, outcome, "{case:?}");
            }
            (Handle::DroppedAfterTheEnd, Some(handle)) => drop(handle),
            (_, handle) => assert!(handle.is_none(), "{case:?}"),
        }
        let wakes = usize::from(case.handle == Handle::PolledAndJoined);
        assert_eq!(self.joiner.0.get(), wakes, "{case:?}: wakes of the joiner");
        assert_eq!(Arc::strong_count(&self.joiner), 1, "{case:?}: wakers of the joiner");
        match case.kept {
            Kept::Nothing => {}
            Kept::Waker => self.shared.waker.lock().unwrap().take().expect("the first poll has stored it").wake(),
            Kept::AbortHandle => self.abort.clone().abort(),
        }
        let counts = &self.counts;
        let seen =
            [counts.polls.get(), counts.futures_dropped.get(), counts.outputs.get(), counts.outputs_dropped.get()];
        assert_eq!(seen, [polls, 1, outputs, outputs], "{case:?}: polls, futures dropped, outputs, outputs dropped");
        assert!(self.abort.is_finished(), "{case:?}");
        totals.0.borrow_mut().push((self.counts, outputs));
    }
}

/// Returns how the handle resolves. An output whose destructor panics does so here.
fn join(handle: JoinHandle<Output>) -> Outcome {
    match super::kit::join(handle) {
        Ok(output) => {
            std::mem::forget(catch_unwind(AssertUnwindSafe(|| drop(output))));
            Outcome::Output
        }
        Err(error) => outcome_of(&error),
    }
}

fn outcome_of(error: &JoinError) -> Outcome {
    if error.is_cancelled() { Outcome::Cancelled } else { Outcome::Panicked }
}

/// Plays a case on a runtime that lives on.
pub(crate) fn play(case: &Case, runtime: &Runtime, group: &TaskGroup, totals: &Totals) {
    let mut play = Play::spawn(case, runtime, group);
    play.act_while_idle(runtime);
    run_until(runtime, || play.has_ended());
    play.check(totals);
}

/// Plays a case whose runtime ends.
pub(crate) fn play_to_the_end(case: &Case, runtime: Runtime, group: &TaskGroup, totals: &Totals) {
    let mut play = Play::spawn(case, &runtime, group);
    play.act_while_idle(&runtime);
    if case.ending == Ending::AfterTheEnd {
        run_until(&runtime, || play.has_ended());
    }
    drop(runtime);
    assert!(play.has_ended(), "{case:?}: the runtime has ended");
    play.check(totals);
}
