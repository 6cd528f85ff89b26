//! Threads for work that blocks: the pool behind `spawn_blocking`.
#![doc = include_str!("../docs/blocking.md")]

pub(crate) mod task;
use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use std::{fmt, io, ptr};

use slab::Slab;

use crate::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak, release_gone, thread, thread_local, wait_for};
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;

/// Work that may block. It is consumed exactly once, by `run` or by `cancel`, and never under a
/// lock of the pool.
pub(crate) trait Job: Send {
    /// Does the work and resolves whoever waits for it. A panic should be caught in here and
    /// reported there; one that gets out is contained and logged.
    fn run_job(self: Box<Self>);

    /// Gives the work up undone and resolves whoever waits for it as cancelled.
    fn cancel(self: Box<Self>);
}

/// User code that a thread calls when it starts or stops.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// How the pool gets a thread; the models and the tests have one that refuses.
pub(crate) type Start = fn(thread::Builder, Box<dyn FnOnce() + Send>) -> io::Result<thread::JoinHandle<()>>;

/// The runtime that the pool belongs to. The pool's hooks run inside of it. A job enters it by
/// itself.
pub(crate) trait Host: Send + Sync {
    /// Calls `f`, which is user code, inside of the runtime.
    fn run_in_runtime(self: Arc<Self>, f: &mut dyn FnMut());
}

/// What a pool is built with.
#[derive(Clone)]
pub(crate) struct Settings {
    /// How many threads take jobs at the same time; at least one.
    pub(crate) max_threads: usize,
    /// How long a thread without a job waits for one before it leaves.
    pub(crate) keep_alive: Duration,
    /// Names each new thread.
    pub(crate) thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    /// In bytes; what the platform gives if unset.
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_thread_start: Option<Hook>,
    pub(crate) on_thread_stop: Option<Hook>,
    pub(crate) start: Start,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_threads: 512,
            keep_alive: Duration::from_secs(10),
            thread_name: Arc::new(|| "heist-blocking".to_owned()),
            stack_size: None,
            on_thread_start: None,
            on_thread_stop: None,
            start: start_thread,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("max_threads", &self.max_threads)
            .field("keep_alive", &self.keep_alive)
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}

/// Asks the operating system for a thread.
fn start_thread(builder: thread::Builder, main: Box<dyn FnOnce() + Send>) -> io::Result<thread::JoinHandle<()>> {
    builder.spawn(main)
}

/// A job that the pool did not take, given back so that the caller can cancel it.
pub(crate) struct Refused {
    pub(crate) job: Box<dyn Job>,
    pub(crate) why: Refusal,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("why", &self.why).finish_non_exhaustive()
    }
}

/// Why a job was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The pool takes no further jobs.
    ShutDown,
    /// The pool has no thread, and the operating system gives it none.
    NoThread(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::ShutDown => write!(f, "the runtime is shutting down and takes no further blocking work"),
            Refusal::NoThread(error) => write!(
                f,
                "the blocking pool has no thread and could not start one ({error}); raise the limit on threads \
                 (`ulimit -u`, the container's pids limit), or ask for less with `max_blocking_threads` and \
                 `thread_stack_size`"
            ),
        }
    }
}

/// How many there are of each, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Threads that take jobs.
    pub(crate) threads: usize,
    /// Those of them that wait for one.
    pub(crate) idle: usize,
    /// Jobs that no thread has taken yet.
    pub(crate) queued: usize,
}

/// The queued jobs of a closed pool. Cancelling them runs user code.
#[must_use = "a job is never dropped silently"]
pub(crate) struct CancelledJobs(VecDeque<Box<dyn Job>>);

impl CancelledJobs {
    pub(crate) fn cancel(self) {
        for job in self.0 {
            catch_user_panic("cancelling a blocking job", || job.cancel());
        }
    }
}

/// A bounded set of threads that run jobs, grown when a job finds nobody waiting and shrunk when a
/// thread waited in vain.
pub(crate) struct BlockingPool {
    settings: Settings,
    /// Set once, before the first job. A pool in a test has no host.
    host: OnceLock<Weak<dyn Host>>,
    state: Mutex<PoolState>,
    /// Rung when a thread is gone.
    gone: Condvar,
}

/// Who is here and what is owed: all of the pool's state, under one lock.
struct PoolState {
    /// Oldest first. While there is anything in it, nobody waits.
    queue: VecDeque<Box<dyn Job>>,
    /// One for each thread that takes jobs.
    thread_slots: Slab<ThreadSlot>,
    /// The desks whose threads wait, the latest on top: it is warm, and those at the bottom get to
    /// leave.
    waiting: Vec<usize>,
    /// Threads that have given up their desk, but not yet run their last hook.
    leaving: usize,
    /// The threads that the closer joins. A thread that leaves joins those that are gone.
    threads: Vec<thread::JoinHandle<()>>,
    closed: bool,
    /// The operating system refused the last thread; said once, until it gives one again.
    spawn_failing: bool,
}

/// A thread's place in the pool.
struct ThreadSlot {
    /// A job given to this thread and to nobody else.
    assigned: Option<Box<dyn Job>>,
    /// Rung when there is a letter, or when the pool closes.
    wakeup: Arc<Condvar>,
}

thread_local! {
    /// The pool that this thread serves.
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no const block")]
    static SERVES: Cell<*const BlockingPool> = Cell::new(ptr::null());
}

impl BlockingPool {
    /// A pool without threads; they come with the jobs.
    pub(crate) fn new(settings: Settings) -> Arc<BlockingPool> {
        debug_assert!(settings.max_threads > 0, "a pool that may have no thread runs nothing");
        let state = PoolState {
            queue: VecDeque::new(),
            thread_slots: Slab::new(),
            waiting: Vec::new(),
            leaving: 0,
            threads: Vec::new(),
            closed: false,
            spawn_failing: false,
        };
        Arc::new(BlockingPool { settings, host: OnceLock::new(), state: Mutex::new(state), gone: Condvar::new() })
    }

    /// Sets the runtime that the pool belongs to.
    pub(crate) fn set_host(&self, host: Weak<dyn Host>) {
        let unset = self.host.set(host).is_ok();
        debug_assert!(unset, "a pool belongs to one runtime");
    }

    fn upgrade_host(&self) -> Option<Arc<dyn Host>> {
        self.host.get().and_then(Weak::upgrade)
    }

    /// Has `job` run by a thread that waits, by a new one, or, at the cap, by the first to come
    /// free.
    ///
    /// An accepted job is run, or returned by [`close`](Self::begin_shutdown) to be cancelled. One that is
    /// refused comes back in the error: the caller has to cancel it.
    pub(crate) fn submit(self: &Arc<Self>, job: Box<dyn Job>) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if self.wants_thread(&state) {
            drop(state); // naming a thread is user code
            let builder = self.thread_builder();
            state = self.state.lock();
            if self.wants_thread(&state) {
                return self.spawn_thread(state, builder, job);
            }
        }
        if state.closed {
            return Err(Refused { job, why: Refusal::ShutDown });
        }
        match state.waiting.pop() {
            Some(thread_slot) => {
                let wakeup = state.assign(thread_slot, job);
                drop(state);
                wakeup.notify_one();
            }
            None => state.queue.push_back(job),
        }
        Ok(())
    }

    /// Takes no further jobs, and ends the threads as they finish. Does not wait. Returns the jobs
    /// that no thread has begun.
    pub(crate) fn begin_shutdown(&self) -> CancelledJobs {
        let mut state = self.state.lock();
        state.closed = true;
        let given_up = std::mem::take(&mut state.queue);
        for &thread_slot in &state.waiting {
            state.thread_slots[thread_slot].wakeup.notify_one();
        }
        CancelledJobs(given_up)
    }

    /// Cancels the jobs that nobody has begun; further ones are taken. One at a time: what waits
    /// behind a destructor that does not return is there for the others.
    pub(crate) fn cancel_queued(&self) {
        while let Some(job) = self.take_queued() {
            catch_user_panic("cancelling a blocking job", || job.cancel());
        }
    }

    fn take_queued(&self) -> Option<Box<dyn Job>> {
        self.state.lock().queue.pop_front()
    }

    /// Waits until every thread has left, or until `deadline`. Returns whether all have left.
    /// [`BlockingPool::join`] follows.
    ///
    /// A thread of this very pool does not wait for itself.
    pub(crate) fn wait_for_threads(&self, deadline: Option<Instant>) -> bool {
        let waiter = usize::from(SERVES.try_with(Cell::get).is_ok_and(|pool| ptr::eq(pool, self)));
        let mut state = self.state.lock();
        wait_for(&self.gone, &mut state, deadline, |state| state.threads() <= waiter)
    }

    /// Joins the threads that have left, at most until `deadline`. What remains of such a thread is
    /// the destruction of its thread-locals, which is user code. A thread of this very pool does
    /// not wait for itself.
    pub(crate) fn join(&self, deadline: Option<Instant>) {
        let threads = std::mem::take(&mut self.state.lock().threads);
        for thread in threads {
            thread::join_until(thread, deadline);
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state.lock();
        Counts { threads: state.thread_slots.len(), idle: state.waiting.len(), queued: state.queue.len() }
    }

    fn wants_thread(&self, state: &PoolState) -> bool {
        !state.closed && state.waiting.is_empty() && state.thread_slots.len() < self.settings.max_threads
    }

    fn thread_builder(&self) -> thread::Builder {
        let mut name = "heist-blocking".to_owned();
        call_inside(self.upgrade_host(), "naming a blocking thread", &mut || name = (self.settings.thread_name)());
        let builder = named_thread(&name);
        match self.settings.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }

    /// Gives the oldest job to a new thread, which is made under the lock: so no thread is ever
    /// counted that does not exist.
    fn spawn_thread(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, PoolState>,
        builder: thread::Builder,
        job: Box<dyn Job>,
    ) -> Result<(), Refused> {
        state.queue.push_back(job);
        let assigned = state.queue.pop_front();
        let wakeup = Arc::new(Condvar::new());
        let thread_slot = state.thread_slots.insert(ThreadSlot { assigned: assigned, wakeup: Arc::clone(&wakeup) });
        let pool = Arc::clone(self);
        let error = match (self.settings.start)(builder, Box::new(move || pool.thread_main(thread_slot, &wakeup))) {
            Ok(started) => {
                state.spawn_failing = false;
                state.threads.push(started);
                return Ok(());
            }
            Err(error) => error,
        };
        let assigned = state.thread_slots.remove(thread_slot).assigned.expect("nobody was there to take the letter");
        state.queue.push_front(assigned);
        if state.thread_slots.is_empty() {
            let job = state.queue.pop_back().expect("the job is in the queue");
            return Err(Refused { job, why: Refusal::NoThread(error) });
        }
        let news = !std::mem::replace(&mut state.spawn_failing, true);
        let threads = state.thread_slots.len();
        drop(state);
        if news {
            catch_user_panic("a tracing subscriber", || {
                tracing::warn!(target: "heist::blocking", threads, %error, "no further thread for blocking work; jobs queue");
            });
        }
        Ok(())
    }

    /// What a thread does from its first to its last line.
    fn thread_main(self: Arc<Self>, thread_slot: usize, wakeup: &Condvar) {
        SERVES.with(|serves| serves.set(Arc::as_ptr(&self)));
        // The thread has a job already, and the job keeps the runtime. So the host is there for the
        // whole life of the thread.
        let host = self.upgrade_host();
        call_hook(&host, &self.settings.on_thread_start);
        while let Some(job) = self.next(thread_slot, wakeup) {
            catch_user_panic("a blocking job", || job.run_job());
        }
        call_hook(&host, &self.settings.on_thread_stop);
        drop(host);
        // What remains is the destruction of the thread's locals. If that drops a runtime, the drop
        // waits for all other threads.
        SERVES.with(|serves| serves.set(ptr::null()));
        let mut state = self.state.lock();
        state.leaving -= 1;
        release_gone(&mut state.threads);
        self.gone.notify_all();
    }

    /// The next job of the thread at `desk`, waited for as long as patience lasts; `None` means
    /// that the desk is given up.
    fn next(&self, thread_slot: usize, wakeup: &Condvar) -> Option<Box<dyn Job>> {
        let mut state = self.state.lock();
        if let Some(job) = state.take_assigned(thread_slot).or_else(|| state.queue.pop_front()) {
            return Some(job);
        }
        if state.closed {
            state.retire_slot(thread_slot);
            return None;
        }
        state.waiting.push(thread_slot);
        let patience = Instant::now().checked_add(self.settings.keep_alive);
        loop {
            let timed_out = match patience {
                Some(end) => wakeup.wait_until(&mut state, end).timed_out(),
                None => {
                    wakeup.wait(&mut state);
                    false
                }
            };
            // The letter first: how the wait ended says nothing about whether there is one.
            if let Some(job) = state.take_assigned(thread_slot) {
                return Some(job);
            }
            if timed_out || state.closed {
                state.retire_slot(thread_slot);
                return None;
            }
        }
    }
}

fn call_hook(host: &Option<Arc<dyn Host>>, hook: &Option<Hook>) {
    if let Some(hook) = hook {
        call_inside(host.clone(), "a hook of a blocking thread", &mut || hook());
    }
}

/// Calls user code inside of the runtime, or directly if the pool has no host.
fn call_inside(host: Option<Arc<dyn Host>>, what: &str, call: &mut dyn FnMut()) {
    catch_user_panic(what, || match host {
        Some(host) => host.run_in_runtime(call),
        None => call(),
    });
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl PoolState {
    /// Gives `job` to the thread at `desk`, which its caller has just taken off `waiting`; returns
    /// the bell to ring.
    fn assign(&mut self, thread_slot: usize, job: Box<dyn Job>) -> Arc<Condvar> {
        let thread_slot = &mut self.thread_slots[thread_slot];
        debug_assert!(thread_slot.assigned.is_none(), "a thread with a letter does not wait");
        thread_slot.assigned = Some(job);
        Arc::clone(&thread_slot.wakeup)
    }

    fn take_assigned(&mut self, thread_slot: usize) -> Option<Box<dyn Job>> {
        self.thread_slots[thread_slot].assigned.take()
    }

    /// The thread takes no further job: from here on it counts for nobody who looks for one.
    fn retire_slot(&mut self, thread_slot: usize) {
        let desk_was = self.thread_slots.remove(thread_slot);
        debug_assert!(desk_was.assigned.is_none(), "a thread left with a job in hand");
        if let Some(place) = self.waiting.iter().rposition(|&waiting| waiting == thread_slot) {
            self.waiting.remove(place);
        }
        self.leaving += 1;
    }

    fn threads(&self) -> usize {
        self.thread_slots.len() + self.leaving
    }
}

#[cfg(test)]
mod tests;
