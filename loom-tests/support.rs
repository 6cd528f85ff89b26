//! Shared parts of the models: a home without a worker, futures that count, a waker that counts, a
//! oneshot.
//!
//! The counts are in words that loom does not see: they order nothing.

pub(crate) mod wheel_owner;

use std::collections::VecDeque;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::statics::AtomicUsize;
use crate::primitive::{Arc, Mutex, UnsafeCell, thread};
use crate::raw_task::{
    self, Header, Id, JoinError, JoinHandle, Outcome, OwnedTasks, RunResult, Runnable, Schedule, TaskInfo,
};

/// A home with a queue that any thread may run.
#[derive(Debug)]
pub(crate) struct Home {
    queue: Mutex<VecDeque<Runnable>>,
    live: OwnedTasks,
    scheduled: AtomicUsize,
}

// SAFETY: every thread of a model holds the home in an `Arc`, which does not move it, until it is
// done with the tasks.
unsafe impl Schedule for Home {
    fn schedule(&self, runnable: Runnable) {
        self.scheduled.fetch_add(1, Ordering::Relaxed);
        self.queue.lock().push_back(runnable);
    }

    fn owned_tasks(&self) -> &OwnedTasks {
        &self.live
    }

    fn record_outcome(&self, _: &Header, _: Outcome, _: bool) {}
}

impl Home {
    pub(crate) fn new() -> Arc<Home> {
        Arc::new(Home { queue: Mutex::new(VecDeque::new()), live: OwnedTasks::new(), scheduled: AtomicUsize::new(0) })
    }

    #[track_caller]
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let (runnable, handle) = raw_task::spawn::<F, Home>(future, Location::caller().into());
        self.queue.lock().push_back(runnable);
        handle
    }

    /// Runs queued tasks until none is left.
    pub(crate) fn run_all(&self) {
        while let Some(runnable) = self.next() {
            if let RunResult::Again(runnable) = runnable.run(self) {
                self.queue.lock().push_back(runnable);
            }
        }
    }

    /// Creates a task that is linked here from the beginning.
    #[track_caller]
    pub(crate) fn spawn_linked<F>(&self, future: F) -> (JoinHandle<F::Output>, Runnable)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let (runnable, handle) = raw_task::spawn::<F, Home>(future, Location::caller().into());
        runnable.link_into(self);
        (handle, runnable)
    }

    /// Queues a task that has been woken while it was polled.
    pub(crate) fn queue_again(&self, runnable: Runnable) {
        self.queue.lock().push_back(runnable);
    }

    /// Aborts the tasks that are linked or queued here, as the abort of a group does.
    pub(crate) fn abort_tasks(&self) {
        for runnable in self.live.cancel_all_of(|_| true) {
            self.queue.lock().push_back(runnable);
        }
        self.queue.lock().iter().for_each(|runnable| runnable.header().cancel_queued());
    }

    /// Returns the tasks that are linked here.
    pub(crate) fn linked_tasks(&self) -> Vec<TaskInfo> {
        self.live.all()
    }

    /// Takes the oldest queued task.
    pub(crate) fn next(&self) -> Option<Runnable> {
        self.queue.lock().pop_front()
    }

    /// Returns how often a waker has queued a task here.
    pub(crate) fn scheduled(&self) -> usize {
        self.scheduled.load(Ordering::Relaxed)
    }

    /// Returns true if no task is queued, and none is linked.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.lock().is_empty() && self.live.is_empty()
    }
}

/// Counts of one task.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    polls: AtomicUsize,
    futures: AtomicUsize,
    outputs: AtomicUsize,
}

impl Counts {
    pub(crate) fn new() -> Arc<Counts> {
        Arc::new(Counts::default())
    }

    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }

    /// Returns the number of drops of the future.
    pub(crate) fn futures(&self) -> usize {
        self.futures.load(Ordering::Relaxed)
    }

    /// Returns the number of drops of the output.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs.load(Ordering::Relaxed)
    }
}

/// A future that counts its polls and drops. `poll` returns true if it is ready.
pub(crate) struct Counted<P> {
    pub(crate) counts: Arc<Counts>,
    pub(crate) poll: P,
}

/// An output that counts its drops.
#[derive(Debug)]
pub(crate) struct Output(pub(crate) Arc<Counts>);

impl<P> Unpin for Counted<P> {}

impl<P: FnMut(&Waker) -> bool> Future for Counted<P> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        self.counts.polls.fetch_add(1, Ordering::Relaxed);
        let ready = (self.poll)(cx.waker());
        if ready { Poll::Ready(Output(Arc::clone(&self.counts))) } else { Poll::Pending }
    }
}

impl<P> Drop for Counted<P> {
    fn drop(&mut self) {
        self.counts.futures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.outputs.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns a task that has been polled once and is idle, and a waker for it. A later poll ends it
/// if `ready` returns true.
#[track_caller]
pub(crate) fn idle_task(
    home: &Home,
    counts: &Arc<Counts>,
    mut ready: impl FnMut() -> bool + Send + 'static,
) -> (JoinHandle<Output>, Waker) {
    let left = Arc::new(Mutex::new(None));
    let place = Arc::clone(&left);
    let mut first = true;
    let poll = move |waker: &Waker| {
        if std::mem::take(&mut first) {
            *place.lock() = Some(waker.clone());
            return false;
        }
        ready()
    };
    let handle = home.spawn(Counted { counts: Arc::clone(counts), poll });
    home.run_all();
    let waker = left.lock().take().expect("the first poll leaves a waker");
    (handle, waker)
}

/// A joiner's waker that counts its wakes.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Bell {
    pub(crate) fn new() -> Arc<Bell> {
        Arc::new(Bell::default())
    }

    pub(crate) fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }

    /// Returns true if no waker of this bell is left anywhere.
    pub(crate) fn is_alone(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls a handle with the waker of `bell`.
pub(crate) fn poll_join<T>(handle: &mut JoinHandle<T>, bell: &Arc<Bell>) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(&bell.waker()))
}

/// One value, sent once. The value itself is a plain cell, so loom detects a read that is too
/// early.
#[derive(Debug)]
pub(crate) struct Oneshot {
    value: UnsafeCell<usize>,
    sent: AtomicBool,
    receiver: Mutex<Option<Waker>>,
}

// SAFETY: the value is written before `sent` is set, and read after `sent` has been seen.
unsafe impl Send for Oneshot {}
// SAFETY: as above.
unsafe impl Sync for Oneshot {}

impl Oneshot {
    pub(crate) fn new() -> Arc<Oneshot> {
        Arc::new(Oneshot { value: UnsafeCell::new(0), sent: AtomicBool::new(false), receiver: Mutex::new(None) })
    }

    pub(crate) fn send(&self, value: usize) {
        // SAFETY: no thread reads before `sent` is set, and no other thread writes.
        self.value.with_mut(|place| unsafe { *place = value });
        // Ordering: Release — pairs with the Acquire in `Oneshot::get`: publishes the value.
        self.sent.store(true, Ordering::Release);
        let receiver = self.receiver.lock().take();
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    fn get(&self) -> Option<usize> {
        // Ordering: Acquire — pairs with the Release in `Oneshot::send`.
        // SAFETY: the value has been sent, and is not written again.
        self.sent.load(Ordering::Acquire).then(|| self.value.with(|place| unsafe { *place }))
    }
}

/// The receiving end of a oneshot.
#[derive(Debug)]
pub(crate) struct Receive(pub(crate) Arc<Oneshot>);

impl Future for Receive {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(value) = self.0.get() {
            return Poll::Ready(value);
        }
        let waker = cx.waker().clone();
        let old = self.0.receiver.lock().replace(waker);
        drop(old);
        // The value may have been sent before the waker was stored.
        self.0.get().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Starts a thread of a model.
pub(crate) fn start<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().spawn(run).expect("a thread")
}

/// Creates queued tasks that are never polled, for queues to pass on.
pub(crate) fn parcels(count: usize) -> Vec<Runnable> {
    let parcel = || {
        let (runnable, handle) = raw_task::spawn::<_, Home>(std::future::pending::<()>(), Location::caller().into());
        drop(handle);
        // The link belongs to the holder of the Runnable. By this write and the one in
        // `TakenTasks`, loom detects a second holder.
        runnable.set_queue_next(None);
        runnable
    };
    std::iter::repeat_with(parcel).take(count).collect()
}

/// Runnables that have been taken out of a queue.
#[derive(Debug, Default)]
pub(crate) struct TakenTasks(Vec<Runnable>);

impl TakenTasks {
    pub(crate) fn new() -> TakenTasks {
        TakenTasks::default()
    }

    pub(crate) fn take(&mut self, runnable: Runnable) {
        runnable.set_queue_next(None);
        self.0.push(runnable);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn merge(&mut self, other: TakenTasks) {
        self.0.extend(other.0);
    }
}

impl Extend<Runnable> for TakenTasks {
    fn extend<I: IntoIterator<Item = Runnable>>(&mut self, parcels: I) {
        parcels.into_iter().for_each(|parcel| self.take(parcel));
    }
}

/// The ids of the queued tasks.
pub(crate) struct TaskLog(Vec<Id>);

impl TaskLog {
    pub(crate) fn of(parcels: &[Runnable]) -> TaskLog {
        let mut ids: Vec<Id> = parcels.iter().map(|parcel| parcel.header().id()).collect();
        ids.sort();
        TaskLog(ids)
    }

    /// Adds further tasks.
    pub(crate) fn extend(&mut self, parcels: &[Runnable]) {
        self.0.extend(parcels.iter().map(|parcel| parcel.header().id()));
        self.0.sort();
    }

    /// Asserts that each task was taken once, and that no other was.
    #[track_caller]
    pub(crate) fn assert_taken_once(self, tasks: TakenTasks) {
        let mut taken: Vec<Id> = tasks.0.iter().map(|parcel| parcel.header().id()).collect();
        taken.sort();
        if taken != self.0 {
            // A Runnable that was taken twice must not be dropped twice.
            std::mem::forget(tasks);
            panic!("queued {:?}, taken {taken:?}", self.0);
        }
    }
}
