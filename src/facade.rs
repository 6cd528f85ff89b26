//! What the crate `tokio` over heist needs beyond the public API (feature `facade`). It is for
//! `cargo heist-tokio` alone, and may change at any time.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};
use std::{fmt, io};

use crate::context;
use crate::context::budget;
use crate::context::can_block::{self, Operation};
pub use crate::context::messages::{Messages, set_messages};
use crate::io::{Interest, Ready};
use crate::primitive::{Arc, Condvar, Mutex, MutexGuard, wait_for};
use crate::raw_task::{
    self, Header, JoinHandle, Origin, Outcome, OwnedTasks, RunResult, Runnable, Schedule, SpawnMeta,
};
use crate::reactor::{Direction, Reactor, Snapshot, Source};
use crate::runtime::{Handle, Id};
use crate::util::wake_list::{drop_contained, wake_catch_panic};

/// The registration of an I/O resource that its owner keeps. The owner deregisters the resource
/// before it closes it.
#[derive(Debug)]
pub struct Registration {
    reactor: Arc<Reactor>,
    shard: usize,
    source: Arc<Source>,
}

/// The readiness of a resource at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ReadyEvent {
    snapshot: Snapshot,
}

impl ReadyEvent {
    /// Returns what the resource is ready for.
    pub fn ready(self) -> Ready {
        self.snapshot.ready()
    }
}

impl Registration {
    /// Registers `io` with the runtime of `handle`.
    ///
    /// # Errors
    ///
    /// If the operating system refuses the registration, or the runtime has been shut down.
    ///
    /// # Panics
    ///
    /// If the runtime was built without I/O.
    #[track_caller]
    pub fn new(handle: &Handle, io: &mut impl mio::event::Source) -> io::Result<Registration> {
        let reactor = handle.reactor();
        let shard = reactor.next_shard();
        let source = reactor.register(shard, io, Ready::EMPTY)?;
        Ok(Registration { reactor, shard, source })
    }

    /// Deregisters `io`.
    ///
    /// # Errors
    ///
    /// If the operating system does not know the resource.
    pub fn deregister(&self, io: &mut impl mio::event::Source) -> io::Result<()> {
        self.reactor.deregister(self.shard, io, &self.source)
    }

    /// Waits until reading makes sense. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<ReadyEvent>> {
        self.source.poll_ready(Direction::Read, cx).map_ok(|snapshot| ReadyEvent { snapshot })
    }

    /// Waits until writing makes sense. Only the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<ReadyEvent>> {
        self.source.poll_ready(Direction::Write, cx).map_ok(|snapshot| ReadyEvent { snapshot })
    }

    /// Waits until anything of `interest` is ready. Any number of tasks may wait. Spends no budget.
    ///
    /// # Errors
    ///
    /// If the runtime has been shut down.
    pub async fn readiness(&self, interest: Interest) -> io::Result<ReadyEvent> {
        let mut ready = pin!(self.source.ready(interest));
        let snapshot = poll_fn(|cx| with_unlimited_budget(|| ready.as_mut().poll(cx))).await?;
        Ok(ReadyEvent { snapshot })
    }

    /// Returns the present readiness. After a shutdown, it is that of the last event.
    pub fn ready_event(&self) -> ReadyEvent {
        ReadyEvent { snapshot: self.source.snapshot() }
    }

    /// Clears `drained`, because an operation that began after `event` would have blocked.
    pub fn clear_readiness(&self, event: ReadyEvent, drained: Ready) {
        self.source.clear(drained, event.snapshot);
    }

    /// Adds `ready` to the readiness, without an event.
    pub fn assume_ready(&self, ready: Ready) {
        self.source.assume_ready(ready);
    }

    /// Drops the wakers of tasks that wait in the slots of the directions.
    pub fn clear_wakers(&self) {
        self.source.clear_slots();
    }
}

/// Returns true if this thread may wait for a future: it polls none.
pub fn can_block() -> bool {
    can_block::can_block(Operation::Future).is_ok()
}

/// Checks that the runtime of `handle` was built with I/O.
///
/// # Panics
///
/// If it was not.
#[track_caller]
pub fn assert_io(handle: &Handle) {
    let _ = handle.reactor();
}

/// Returns true if this thread is in a runtime that has not been shut down.
pub fn is_runtime_open() -> bool {
    context::pool().is_some_and(|pool| pool.is_open())
}

/// Returns true if this thread is in a `LocalRuntime`.
pub fn is_local_runtime() -> bool {
    context::pool().is_some_and(|pool| pool.is_local())
}

/// Returns an id that no runtime has.
pub fn new_runtime_id() -> Id {
    Id::next()
}

/// Returns true if an operation would find budget. Otherwise the task is woken, and has to return
/// `Pending`.
pub fn has_budget(cx: &Context<'_>) -> bool {
    budget::may_proceed(cx)
}

/// Runs `poll` with a full budget.
pub fn with_budget<R>(poll: impl FnOnce() -> R) -> R {
    let _budget = budget::root();
    poll()
}

/// Runs `poll` without a limit on its operations.
pub fn with_unlimited_budget<R>(poll: impl FnOnce() -> R) -> R {
    let _budget = budget::unlimited();
    poll()
}

/// Tasks whose futures stay on one thread, the one that made this. Another future polls them.
///
/// If this is dropped, its tasks end as cancelled.
pub struct LocalTasks {
    /// Invariant: it came from a box, and is freed by the drop of this value alone.
    home: NonNull<LocalHome>,
    /// The futures are used and dropped on one thread.
    _not_send: PhantomData<*const ()>,
}

/// The home of such tasks. Wakers reach it from any thread.
struct LocalHome {
    /// Shared, so that a thread which queues a task can keep it: the home may be gone by then.
    queue: Arc<LocalQueue>,
    /// Every task is linked here from its spawn to its end.
    owned: OwnedTasks,
}

struct LocalQueue {
    state: Mutex<LocalState>,
    /// Notified when a task is queued while the tasks are being cancelled.
    queued: Condvar,
}

struct LocalState {
    tasks: VecDeque<Runnable>,
    /// Woken by the next task that is queued.
    waker: Option<Waker>,
    /// The number of calls that poll tasks now, one inside of the other.
    polls: usize,
    /// A task that is spawned ends as cancelled.
    closed: bool,
    /// The tasks are being cancelled.
    closing: bool,
}

// SAFETY: the home is boxed, so it does not move. `LocalTasks::drop` frees it once every task has
// ended. A thread that wakes a task has its `Runnable` until it has queued it, so the task has not
// ended before. `schedule` does not use the home afterwards. No `&mut` to it is formed.
unsafe impl Schedule for LocalHome {
    fn schedule(&self, runnable: Runnable) {
        let shared = Arc::clone(&self.queue);
        let mut queue = shared.lock();
        queue.tasks.push_back(runnable);
        // While the tasks are polled, there is none.
        let waker = queue.waker.take();
        if queue.closing {
            shared.queued.notify_one();
        }
        drop(queue);
        waker.into_iter().for_each(wake_catch_panic);
    }

    fn owned_tasks(&self) -> &OwnedTasks {
        &self.owned
    }

    fn record_outcome(&self, _: &Header, _: Outcome, _: bool) {}
}

impl LocalQueue {
    fn lock(&self) -> MutexGuard<'_, LocalState> {
        self.state.lock()
    }
}

impl Default for LocalTasks {
    fn default() -> LocalTasks {
        LocalTasks::new()
    }
}

impl LocalTasks {
    /// The number of tasks that are polled before the future that polls them yields.
    const BATCH: usize = 61;

    /// Returns an empty set.
    pub fn new() -> LocalTasks {
        let state = LocalState { tasks: VecDeque::new(), waker: None, polls: 0, closed: false, closing: false };
        let queue = Arc::new(LocalQueue { state: Mutex::new(state), queued: Condvar::new() });
        let home = Box::new(LocalHome { queue, owned: OwnedTasks::new() });
        LocalTasks { home: NonNull::from(Box::leak(home)), _not_send: PhantomData }
    }

    fn home(&self) -> &LocalHome {
        // SAFETY: by the field's invariant, the home lives as long as this value.
        unsafe { self.home.as_ref() }
    }

    /// Spawns a task. If the set is closed, the task ends as cancelled.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let spawn_meta = SpawnMeta::from(Location::caller()).with_origin(Origin::local::<F>());
        // SAFETY: this value stays on the thread that made it, and only its methods run, cancel or
        // drop the `Runnable`s of its tasks.
        let (runnable, handle) = unsafe { raw_task::spawn_local::<F, LocalHome>(future, spawn_meta) };
        if self.home().queue.lock().closed {
            runnable.cancel(&|_, _| {});
        } else {
            runnable.link_into(self.home());
            self.home().schedule(runnable);
        }
        handle
    }

    /// Polls tasks that are ready. Returns true if there are no tasks. Otherwise the task of `cx`
    /// is woken when a task is ready.
    pub fn poll_tasks(&self, cx: &mut Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let mut queue = self.home().queue.lock();
        queue.polls += 1;
        let old = queue.waker.take();
        drop(queue);
        drop_contained(old);
        for _ in 0..LocalTasks::BATCH {
            let Some(runnable) = self.home().queue.lock().tasks.pop_front() else { break };
            let outer = budget::set_current(Some(NonNull::from(runnable.header()).cast()));
            let own_budget = budget::without_budget();
            let result = runnable.run(self.home());
            drop(own_budget);
            budget::set_current(outer);
            if let RunResult::Again(runnable) = result {
                self.home().queue.lock().tasks.push_back(runnable);
            }
        }
        // Under one lock: a task that is queued before it is seen here, and a later one finds the
        // waker.
        let mut queue = self.home().queue.lock();
        queue.polls -= 1;
        let (has_more, old) = (!queue.tasks.is_empty(), queue.waker.replace(waker));
        drop(queue);
        drop_contained(old);
        if has_more {
            cx.waker().wake_by_ref();
        }
        self.home().owned.is_empty()
    }

    /// Closes the set, and ends all tasks as cancelled. None of its tasks may call this.
    ///
    /// # Panics
    ///
    /// If a task of the set is being polled.
    pub fn cancel_and_close(&self) {
        let polls = self.home().queue.lock().polls;
        assert!(polls == 0, "a task of a local set closed the set; drop the set outside of its tasks");
        self.end_tasks();
    }

    /// Ends all tasks as cancelled. A destructor of a future that calls this leaves it to the call
    /// that runs already.
    fn end_tasks(&self) {
        let mut queue = self.home().queue.lock();
        queue.closed = true;
        if std::mem::replace(&mut queue.closing, true) {
            return;
        }
        drop(queue);
        loop {
            for runnable in self.home().owned.cancel_all() {
                runnable.cancel(&|_, _| {});
            }
            let queued = std::mem::take(&mut self.home().queue.lock().tasks);
            queued.into_iter().for_each(|runnable| runnable.cancel(&|_, _| {}));
            if self.home().owned.is_empty() {
                break;
            }
            // Another thread wakes a task, and has it in hand. It queues the task next.
            let queue = &self.home().queue;
            wait_for(&queue.queued, &mut queue.lock(), None, |state| !state.tasks.is_empty());
        }
        self.home().queue.lock().closing = false;
    }
}

impl Drop for LocalTasks {
    fn drop(&mut self) {
        self.end_tasks();
        let waker = self.home().queue.lock().waker.take();
        drop_contained(waker);
        // SAFETY: it came from a box. All tasks have ended, so no task has it as its home.
        drop(unsafe { Box::from_raw(self.home.as_ptr()) });
    }
}

impl fmt::Debug for LocalTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTasks").finish_non_exhaustive()
    }
}
