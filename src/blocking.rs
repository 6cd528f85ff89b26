//! The thread pool behind `spawn_blocking`: it runs each job, or cancels it, exactly once.
#![doc = include_str!("../docs/blocking.md")]

pub(crate) mod task;

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use std::{fmt, io, ptr};

use slab::Slab;

use crate::primitive::{
    Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak, preemption_point, real_now, release_gone, thread, thread_local,
    wait_for,
};
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;

/// Work that may block. It is consumed exactly once, by `run_job` or by `cancel`, and never under a
/// lock of the pool.
pub(crate) trait Job: Send {
    /// Does the work and resolves its handle. An implementation should catch a panic and resolve
    /// the handle with it. If a panic escapes, the pool catches and logs it.
    fn run_job(self: Box<Self>);

    /// Drops the work undone and resolves its handle as cancelled.
    fn cancel(self: Box<Self>);
}

/// User code that a thread calls when it starts or stops.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// Starts a thread. Models and tests use one that refuses.
pub(crate) type Start = fn(thread::Builder, Box<dyn FnOnce() + Send>) -> io::Result<thread::JoinHandle<()>>;

/// The runtime that the pool belongs to. The pool runs its hooks inside of the runtime. A job
/// enters the runtime by itself.
pub(crate) trait Host: Send + Sync {
    /// Calls `f`, which is user code, inside of the runtime.
    fn run_in_runtime(self: Arc<Self>, f: &mut dyn FnMut());
}

/// The settings of a pool.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The most threads that take jobs at the same time. At least one.
    pub(crate) max_threads: usize,
    /// How long a thread without a job waits for one before it exits.
    pub(crate) keep_alive: Duration,
    /// Returns the name of each new thread.
    pub(crate) thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    /// In bytes. The platform's default, if unset.
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

/// A job that the pool has refused. The caller has to cancel it.
pub(crate) struct Refused {
    pub(crate) job: Box<dyn Job>,
    pub(crate) why: Refusal,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("why", &self.why).finish_non_exhaustive()
    }
}

/// The reason why a job was refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The pool is closed.
    ShutDown,
    /// The pool has no thread, and the operating system has refused one.
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

/// The sizes of the pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Threads that take jobs.
    pub(crate) threads: usize,
    /// Threads of these that wait for a job.
    pub(crate) idle: usize,
    /// Jobs in the queue.
    pub(crate) queued: usize,
}

/// The queued jobs of a closed pool. Cancelling them runs user code, so no lock may be held then.
#[must_use = "a job is never dropped silently"]
pub(crate) struct CancelledJobs(VecDeque<Box<dyn Job>>);

impl CancelledJobs {
    pub(crate) fn cancel(self) {
        for job in self.0 {
            catch_user_panic("cancelling a blocking job", || job.cancel());
        }
    }
}

/// A bounded set of threads that run jobs. It grows when a job finds no thread waiting, and shrinks
/// when a thread's keep-alive ends.
pub(crate) struct BlockingPool {
    settings: Settings,
    /// Set once, before the first job. The pool of a unit test has none.
    host: OnceLock<Weak<dyn Host>>,
    state: Mutex<PoolState>,
    /// Notified when a thread has run its last hook.
    exited: Condvar,
}

/// All of the pool's state, under one lock.
struct PoolState {
    /// Oldest first.
    ///
    /// Invariant: if it is not empty, `waiting` is empty and there is a thread slot.
    queue: VecDeque<Box<dyn Job>>,
    /// One for each thread that takes jobs.
    thread_slots: Slab<ThreadSlot>,
    /// Slots of the threads that wait, the latest on top. Its thread has the warmest cache. The
    /// threads at the bottom get no jobs, so that their keep-alive ends.
    waiting: Vec<usize>,
    /// Threads that have removed their slot, but have not yet run their last hook.
    leaving: usize,
    /// The threads that [`BlockingPool::join`] joins. An exiting thread joins those that have
    /// exited.
    threads: Vec<thread::JoinHandle<()>>,
    closed: bool,
    /// The operating system has refused the last thread. This is logged once, and again only after
    /// a thread has started.
    spawn_failing: bool,
}

/// One thread's place in the pool state.
struct ThreadSlot {
    /// A job for this thread alone.
    assigned: Option<Box<dyn Job>>,
    /// Notified when a job is assigned, or when the pool closes.
    wakeup: Arc<Condvar>,
}

thread_local! {
    /// The pool to which this thread belongs.
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no const block")]
    static POOL_OF_THREAD: Cell<*const BlockingPool> = Cell::new(ptr::null());
}

impl BlockingPool {
    /// Returns a pool without threads. They are started for jobs.
    pub(crate) fn new(settings: Settings) -> Arc<BlockingPool> {
        debug_assert!(settings.max_threads > 0, "a pool needs at least one thread");
        let state = PoolState {
            queue: VecDeque::new(),
            thread_slots: Slab::new(),
            waiting: Vec::new(),
            leaving: 0,
            threads: Vec::new(),
            closed: false,
            spawn_failing: false,
        };
        Arc::new(BlockingPool { settings, host: OnceLock::new(), state: Mutex::new(state), exited: Condvar::new() })
    }

    /// Sets the runtime that the pool belongs to.
    pub(crate) fn set_host(&self, host: Weak<dyn Host>) {
        let unset = self.host.set(host).is_ok();
        debug_assert!(unset, "a pool belongs to one runtime");
    }

    fn upgrade_host(&self) -> Option<Arc<dyn Host>> {
        self.host.get().and_then(Weak::upgrade)
    }

    /// Gives `job` to a waiting thread, to a new thread, or, at the cap, to the queue.
    ///
    /// An accepted job is run, or returned by [`begin_shutdown`](Self::begin_shutdown).
    ///
    /// # Errors
    ///
    /// The job, if it is refused. The caller has to cancel it.
    pub(crate) fn submit(self: &Arc<Self>, job: Box<dyn Job>) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if self.wants_thread(&state) {
            // Naming a thread is user code.
            drop(state);
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

    /// Refuses further jobs, and makes each thread exit after its job. Does not wait. Returns the
    /// queued jobs.
    pub(crate) fn begin_shutdown(&self) -> CancelledJobs {
        let mut state = self.state.lock();
        state.closed = true;
        let queued = std::mem::take(&mut state.queue);
        for &thread_slot in &state.waiting {
            state.thread_slots[thread_slot].wakeup.notify_one();
        }
        CancelledJobs(queued)
    }

    /// Cancels the queued jobs. The pool stays open. It takes one job at a time: if a destructor
    /// does not return, the threads can still take the jobs behind it.
    pub(crate) fn cancel_queued(&self) {
        while let Some(job) = self.take_queued() {
            catch_user_panic("cancelling a blocking job", || job.cancel());
        }
    }

    fn take_queued(&self) -> Option<Box<dyn Job>> {
        self.state.lock().queue.pop_front()
    }

    /// Waits until every thread has run its last hook, or until `deadline`. Returns whether all
    /// have. [`BlockingPool::join`] follows.
    ///
    /// A thread of this pool does not wait for itself.
    pub(crate) fn wait_for_threads(&self, deadline: Option<Instant>) -> bool {
        let own = usize::from(POOL_OF_THREAD.try_with(Cell::get).is_ok_and(|pool| ptr::eq(pool, self)));
        let mut state = self.state.lock();
        wait_for(&self.exited, &mut state, deadline, |state| state.threads() <= own)
    }

    /// Joins the threads that have run their last hook, at most until `deadline`. Such a thread
    /// only has to destroy its thread-locals, which is user code. A thread of this pool does not
    /// wait for itself.
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
        call_in_runtime(self.upgrade_host(), "naming a blocking thread", &mut || name = (self.settings.thread_name)());
        let builder = named_thread(&name);
        match self.settings.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }

    /// Starts a thread for the oldest job. The thread is started under the lock, so that every slot
    /// belongs to a thread that exists.
    fn spawn_thread(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, PoolState>,
        builder: thread::Builder,
        job: Box<dyn Job>,
    ) -> Result<(), Refused> {
        state.queue.push_back(job);
        let assigned = state.queue.pop_front();
        let wakeup = Arc::new(Condvar::new());
        let thread_slot = state.thread_slots.insert(ThreadSlot { assigned, wakeup: Arc::clone(&wakeup) });
        let pool = Arc::clone(self);
        let error = match (self.settings.start)(builder, Box::new(move || pool.thread_main(thread_slot, &wakeup))) {
            Ok(started) => {
                state.spawn_failing = false;
                state.threads.push(started);
                return Ok(());
            }
            Err(error) => error,
        };
        let assigned = state.thread_slots.remove(thread_slot).assigned.expect("no thread was there to take the job");
        state.queue.push_front(assigned);
        if state.thread_slots.is_empty() {
            let job = state.queue.pop_back().expect("the job is in the queue");
            return Err(Refused { job, why: Refusal::NoThread(error) });
        }
        let first_refusal = !std::mem::replace(&mut state.spawn_failing, true);
        let threads = state.thread_slots.len();
        drop(state);
        if first_refusal {
            catch_user_panic("a tracing subscriber", || {
                tracing::warn!(target: "heist::blocking", threads, %error, "could not start a thread for blocking work; jobs wait for the existing threads");
            });
        }
        Ok(())
    }

    /// The main function of a thread.
    fn thread_main(self: Arc<Self>, thread_slot: usize, wakeup: &Condvar) {
        POOL_OF_THREAD.with(|pool| pool.set(Arc::as_ptr(&self)));
        // The thread has a job already, and the job keeps the runtime. So the host lives as long as
        // the thread.
        let host = self.upgrade_host();
        call_hook(&host, &self.settings.on_thread_start);
        while let Some(job) = self.next_job(thread_slot, wakeup) {
            preemption_point();
            catch_user_panic("a blocking job", || job.run_job());
            preemption_point();
        }
        call_hook(&host, &self.settings.on_thread_stop);
        drop(host);
        // Only the destruction of the thread-locals remains. If it drops the runtime, the drop
        // waits for all other threads.
        POOL_OF_THREAD.with(|pool| pool.set(ptr::null()));
        let mut state = self.state.lock();
        state.leaving -= 1;
        release_gone(&mut state.threads);
        self.exited.notify_all();
    }

    /// Returns the next job for the thread of `thread_slot`, and waits for it until the keep-alive
    /// ends. `None` means that the slot has been removed.
    fn next_job(&self, thread_slot: usize, wakeup: &Condvar) -> Option<Box<dyn Job>> {
        let mut state = self.state.lock();
        if let Some(job) = state.take_assigned(thread_slot).or_else(|| state.queue.pop_front()) {
            return Some(job);
        }
        if state.closed {
            state.retire_slot(thread_slot);
            return None;
        }
        state.waiting.push(thread_slot);
        let keep_alive_end = real_now().checked_add(self.settings.keep_alive);
        loop {
            let timed_out = match keep_alive_end {
                Some(end) => wakeup.wait_until(&mut state, end).timed_out(),
                None => {
                    wakeup.wait(&mut state);
                    false
                }
            };
            // The assigned job first: there may be one, however the wait has ended.
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
        call_in_runtime(host.clone(), "a hook of a blocking thread", &mut || hook());
    }
}

/// Calls user code inside of the runtime, or directly if the pool has no host.
fn call_in_runtime(host: Option<Arc<dyn Host>>, what: &str, call: &mut dyn FnMut()) {
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
    /// Assigns `job` to the slot, which the caller has just popped from `waiting`. Returns the
    /// condition variable to notify.
    fn assign(&mut self, thread_slot: usize, job: Box<dyn Job>) -> Arc<Condvar> {
        let thread_slot = &mut self.thread_slots[thread_slot];
        debug_assert!(thread_slot.assigned.is_none(), "a thread with an assigned job does not wait");
        thread_slot.assigned = Some(job);
        Arc::clone(&thread_slot.wakeup)
    }

    fn take_assigned(&mut self, thread_slot: usize) -> Option<Box<dyn Job>> {
        self.thread_slots[thread_slot].assigned.take()
    }

    /// Removes the slot of a thread that takes no further job. From here on it does not count
    /// against the cap.
    fn retire_slot(&mut self, thread_slot: usize) {
        let removed = self.thread_slots.remove(thread_slot);
        debug_assert!(removed.assigned.is_none(), "the slot of an exiting thread has a job");
        if let Some(position) = self.waiting.iter().rposition(|&waiting| waiting == thread_slot) {
            self.waiting.remove(position);
        }
        self.leaving += 1;
    }

    /// Returns how many threads have not run their last hook.
    fn threads(&self) -> usize {
        self.thread_slots.len() + self.leaving
    }
}

#[cfg(test)]
mod tests;
