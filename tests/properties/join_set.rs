//! A `JoinSet` against a set of tasks, on a current-thread runtime.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use arbitrary::Arbitrary;
use futures::channel::oneshot;
use heist::runtime::Builder;
use heist::task::coop::unconstrained;
use heist::task::{AbortHandle, Id, JoinError, JoinSet, yield_now};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Work {
    /// Returns at its first poll.
    Return,
    /// Panics at its first poll.
    Panic,
    /// Waits until it is released, and returns.
    Wait,
    /// Waits until it is released, and panics.
    WaitAndPanic,
}

/// One call. A task that does not exist is one modulo their number.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Call {
    Spawn(Work),
    Release {
        task: u8,
    },
    Abort {
        task: u8,
    },
    AbortAll,
    /// Lets the tasks run until each that can end has ended.
    Run,
    TryJoinNext,
    /// Polls for the next, with one of two wakers.
    PollJoinNext {
        waker: bool,
    },
    /// Awaits the next. Left out if no task can end.
    JoinNext,
    DetachAll,
    Shutdown,
    /// Drops the set, and continues with a new one.
    DropSet,
}

/// A sequence of calls.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) struct Case {
    calls: Vec<Call>,
}

/// Counts the drops of a future or of an output.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts its wake-ups.
#[derive(Default)]
struct WakeCount(AtomicUsize);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Returned,
    Panicked,
    Cancelled,
}

/// A task as the model sees it.
struct Task {
    id: Id,
    work: Work,
    abort: AbortHandle,
    gate: Option<oneshot::Sender<()>>,
    is_aborted: bool,
    futures_dropped: Arc<AtomicUsize>,
    outputs_dropped: Arc<AtomicUsize>,
    end: Option<End>,
}

impl Task {
    /// Returns how the task ends when it runs next, if it does.
    fn next_end(&self) -> Option<End> {
        if self.end.is_some() {
            return None;
        }
        let is_released = self.gate.is_none();
        match self.work {
            _ if self.is_aborted => Some(End::Cancelled),
            Work::Return => Some(End::Returned),
            Work::Panic => Some(End::Panicked),
            Work::Wait => is_released.then_some(End::Returned),
            Work::WaitAndPanic => is_released.then_some(End::Panicked),
        }
    }
}

type Joined = Result<(Id, Counted), JoinError>;

struct Sets {
    set: JoinSet<Counted>,
    tasks: Vec<Task>,
    /// The tasks in the set.
    members: Vec<usize>,
    /// The members that have ended, by the runs in which they have: the order inside a run is open.
    ended: VecDeque<Vec<usize>>,
    wakers: [Arc<WakeCount>; 2],
    /// The waker that the set holds, and the number of wake-ups of both.
    waiting: Option<usize>,
    wakes: [usize; 2],
}

impl Sets {
    fn spawn(&mut self, work: Work) {
        let futures_dropped = Arc::<AtomicUsize>::default();
        let outputs_dropped = Arc::<AtomicUsize>::default();
        let (future, output) = (Counted(futures_dropped.clone()), Counted(outputs_dropped.clone()));
        let (gate, released) = oneshot::channel();
        let waits = matches!(work, Work::Wait | Work::WaitAndPanic);
        let abort = self.set.spawn(async move {
            let _future = future;
            if waits {
                let _ = released.await;
            }
            if matches!(work, Work::Panic | Work::WaitAndPanic) {
                // The output counts as dropped by the panic.
                std::panic::resume_unwind(Box::new("a planned panic"));
            }
            output
        });
        self.members.push(self.tasks.len());
        self.tasks.push(Task {
            id: abort.id(),
            work,
            abort,
            gate: waits.then_some(gate),
            is_aborted: false,
            futures_dropped,
            outputs_dropped,
            end: None,
        });
    }

    /// Lets all tasks run that can, and checks their ends.
    async fn run(&mut self) {
        let ends: Vec<_> = (0..self.tasks.len()).filter(|task| self.tasks[*task].next_end().is_some()).collect();
        let is_dropped = |task: &usize| self.tasks[*task].futures_dropped.load(Ordering::SeqCst) > 0;
        for _ in 0..10_000 {
            if ends.iter().all(is_dropped) {
                break;
            }
            yield_now().await;
        }
        // What may not happen has the time to happen.
        for _ in 0..4 {
            yield_now().await;
        }
        let mut batch = Vec::new();
        for task in ends {
            self.tasks[task].end = self.tasks[task].next_end();
            if self.members.contains(&task) {
                batch.push(task);
            }
        }
        if !batch.is_empty() {
            self.ended.push_back(batch);
            if let Some(waker) = self.waiting.take() {
                self.wakes[waker] += 1;
            }
        }
    }

    /// Checks an output that the set has returned.
    fn check_joined(&mut self, joined: Joined) {
        let batch = self.ended.front_mut().expect("a task was joined, but none has ended");
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let place = batch.iter().position(|task| self.tasks[*task].id == id);
        let task = batch.remove(place.expect("a task was joined before those that ended earlier"));
        if batch.is_empty() {
            self.ended.pop_front();
        }
        self.members.retain(|member| *member != task);
        let end = match &joined {
            Ok(_) => End::Returned,
            Err(error) if error.is_panic() => End::Panicked,
            Err(error) => {
                assert!(error.is_cancelled());
                End::Cancelled
            }
        };
        let task = &self.tasks[task];
        assert_eq!(Some(end), task.end, "{:?}", task.work);
        let dropped = usize::from(end != End::Returned);
        assert_eq!(task.outputs_dropped.load(Ordering::SeqCst), dropped, "outputs dropped before the join");
        drop(joined);
        assert_eq!(task.outputs_dropped.load(Ordering::SeqCst), 1, "outputs dropped after the join");
    }

    fn poll_join_next(&mut self, waker: usize) {
        let counted = Waker::from(Arc::clone(&self.wakers[waker]));
        let polled = self.set.poll_join_next_with_id(&mut Context::from_waker(&counted));
        match polled {
            Poll::Ready(Some(joined)) => self.check_joined(joined),
            Poll::Ready(None) => assert!(self.members.is_empty(), "the set is not empty"),
            Poll::Pending => {
                assert!(self.ended.is_empty(), "a task has ended, and the set waits");
                assert!(!self.members.is_empty(), "the set is empty, and waits");
                self.waiting = Some(waker);
            }
        }
    }

    fn abort(&mut self, task: usize) {
        self.tasks[task].is_aborted |= self.tasks[task].end.is_none();
    }

    /// Continues with an empty set.
    fn forget_members(&mut self) {
        self.members.clear();
        self.ended.clear();
        self.waiting = None;
    }

    async fn make_call(&mut self, call: Call) {
        let count = self.tasks.len().max(1);
        let index = |task: u8| usize::from(task) % count;
        match call {
            Call::Spawn(work) => self.spawn(work),
            Call::Release { task } => {
                if let Some(gate) = self.tasks.get_mut(index(task)).and_then(|task| task.gate.take()) {
                    let _ = gate.send(());
                }
            }
            Call::Abort { task } if !self.tasks.is_empty() => {
                self.tasks[index(task)].abort.abort();
                self.abort(index(task));
            }
            Call::Abort { .. } => {}
            Call::AbortAll => {
                self.set.abort_all();
                self.members.clone().into_iter().for_each(|task| self.abort(task));
            }
            Call::Run => self.run().await,
            Call::TryJoinNext => match self.set.try_join_next_with_id() {
                Some(joined) => self.check_joined(joined),
                None => assert!(self.ended.is_empty(), "a task has ended, and is not joined"),
            },
            Call::PollJoinNext { waker } => self.poll_join_next(usize::from(waker)),
            Call::JoinNext => {
                self.run().await;
                if !self.ended.is_empty() || self.members.is_empty() {
                    match self.set.join_next_with_id().await {
                        Some(joined) => self.check_joined(joined),
                        None => assert!(self.members.is_empty()),
                    }
                }
            }
            Call::DetachAll => {
                self.set.detach_all();
                self.forget_members();
            }
            Call::Shutdown => {
                self.members.clone().into_iter().for_each(|task| self.abort(task));
                self.set.shutdown().await;
                assert!(self.set.is_empty());
                // While it waits, all other tasks run, too.
                self.forget_members();
                self.run().await;
            }
            Call::DropSet => {
                self.members.clone().into_iter().for_each(|task| self.abort(task));
                self.set = JoinSet::new();
                self.forget_members();
            }
        }
    }

    fn check(&self) {
        assert_eq!((self.set.len(), self.set.is_empty()), (self.members.len(), self.members.is_empty()));
        let wakes = [0, 1].map(|waker: usize| self.wakers[waker].0.load(Ordering::SeqCst));
        assert_eq!(wakes, self.wakes, "wake-ups of the joiner");
        for task in &self.tasks {
            let dropped = task.futures_dropped.load(Ordering::SeqCst);
            assert!(dropped <= 1, "a future was dropped {dropped} times");
            if task.end.is_some() {
                assert_eq!(dropped, 1, "a task that has ended has no future: {:?}", task.work);
            } else if task.next_end().is_none() {
                assert_eq!(dropped, 0, "a task that cannot end has its future: {:?}", task.work);
            }
        }
    }
}

/// Makes the calls, and compares each with the model.
pub(crate) fn run(case: &Case) {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let drops: Rc<Cell<Vec<[Arc<AtomicUsize>; 2]>>> = Rc::default();
    let kept = Rc::clone(&drops);
    runtime.block_on(unconstrained(async {
        let mut sets = Sets {
            set: JoinSet::new(),
            tasks: Vec::new(),
            members: Vec::new(),
            ended: VecDeque::new(),
            wakers: Default::default(),
            waiting: None,
            wakes: [0; 2],
        };
        for call in &case.calls {
            sets.make_call(*call).await;
            sets.check();
        }
        kept.set(
            sets.tasks.iter().map(|task| [&task.futures_dropped, &task.outputs_dropped].map(Arc::clone)).collect(),
        );
    }));
    drop(runtime);
    for counts in drops.take() {
        assert_eq!(counts.map(|count| count.load(Ordering::SeqCst)), [1, 1], "futures and outputs dropped at the end");
    }
}
