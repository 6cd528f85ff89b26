//! Polls the root future of a `block_on`, and drives current-thread runtimes.

use std::future::Future;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::root_span;
use super::root_state::{ParkedOn, RootState};
use crate::context::budget;
use crate::context::can_block::{Operation, can_block};
use crate::drain::reaper;
use crate::park::Parker;
use crate::phase::Phase;
use crate::pool::Pool;
use crate::primitive::{Arc, preemption_point, real_now, record_event};
use crate::scheduler::worker::{Step, Worker};
use crate::task_alloc::CacheGuard;
use crate::{context, shutdown};

/// The waker of the root future of a `block_on`.
struct Root {
    word: RootState,
    parker: Arc<Parker>,
    pool: Arc<Pool>,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.word.wake() {
            ParkedOn::Seat => self.pool.unpark(0),
            ParkedOn::Own => {
                // No thread sleeps in the reactor on this parker.
                let _ = self.parker.unpark();
            }
        }
    }
}

/// What the caller of `block_on` guarantees about the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockOnMode {
    /// The runtime is not shut down, and this thread may run its tasks.
    Driving,
    /// The runtime is not shut down before the future is ready.
    Open,
    /// Nothing: the runtime may be shut down.
    Nothing,
}

/// Polls `future` on this thread until it is ready.
///
/// # Panics
///
/// Panics if this thread is already polling a future, and where `Runtime::block_on` or
/// `Handle::block_on` does.
#[track_caller]
pub(super) fn block_on<F: Future>(pool: &Arc<Pool>, future: F, mode: BlockOnMode) -> F::Output {
    assert!(
        can_block(Operation::Future).is_ok(),
        "`block_on` was called in async code, where it would block the worker; `.await` the future, or call `block_on` in \
         `spawn_blocking` or on another thread"
    );
    let root = Arc::new(Root { word: RootState::new(), parker: Arc::new(Parker::new()), pool: Arc::clone(pool) });
    let waker = Waker::from(Arc::clone(&root));
    let mut cx = Context::from_waker(&waker);
    let _entered = context::enter(Arc::clone(pool));
    // If a blocking job calls this, the root future is not that job.
    let _no_task = context::no_task();
    // Polls of the root do not share the budget of the calling poll.
    let _outside = budget::without_budget();
    let _drives = (mode == BlockOnMode::Driving).then(context::drives);
    let _queue = (mode == BlockOnMode::Driving).then(|| QueueGuard { root: &root });
    let mut shutdown_wait = ShutdownWait { pool, listens: None, deadline: None };
    // Declared last, so that its destructor runs first, inside of the runtime.
    let mut future = pin!(root_span::open(future, Location::caller()));
    loop {
        if mode == BlockOnMode::Driving {
            if let Some(output) = drive_seat(&root, future.as_mut(), &mut cx) {
                return output;
            }
            if pool.has_panicked() {
                panic_after_task(pool);
            }
        }
        preemption_point();
        if let Some(output) = poll_root(&root, future.as_mut(), &mut cx) {
            return output;
        }
        let limit = if mode == BlockOnMode::Nothing { shutdown_wait.limit(&waker) } else { None };
        root.parker.park([limit, keep_drain_deadline(pool)].into_iter().flatten().min());
        assert!(
            !shutdown_wait.has_passed() || root.word.has_wake(),
            "the runtime was shut down while `Handle::block_on` waited, and nothing has woken the future since; keep the \
             `Runtime` until `block_on` returns, or select on `Handle::draining`"
        );
    }
}

/// Does the work of the drain's deadline thread that is due, if the system has refused that thread.
/// Returns when more of it is due.
///
/// No thread may turn the wheel on whose timer the `Drain` relies, for example because each worker
/// is stuck.
fn keep_drain_deadline(pool: &Arc<Pool>) -> Option<Instant> {
    if pool.phase.load() == Phase::Running {
        return None;
    }
    reaper::ensure_deadline_thread(pool);
    reaper::next_due(pool)
}

/// Ends the runtime because a task has panicked, and panics.
///
/// The seat is free, or its driver ends its own `block_on` in the same way.
#[cold]
#[track_caller]
fn panic_after_task(pool: &Arc<Pool>) -> ! {
    shutdown::close_after_panic(pool);
    panic!(
        "a task has panicked, and the runtime was built to shut down then; see that panic's message, and \
         `Builder::unhandled_panic`"
    );
}

/// The wait of a `Handle::block_on` for a wake after the runtime has been shut down.
struct ShutdownWait<'a> {
    pool: &'a Pool,
    listens: Option<usize>,
    deadline: Option<Instant>,
}

impl ShutdownWait<'_> {
    /// Returns until when to wait for a wake, if there is a limit. After the shutdown, the limit is
    /// the grace period: by then, every resource of the runtime has woken its waiters.
    fn limit(&mut self, waker: &Waker) -> Option<Instant> {
        let closing = &self.pool.drain_state.closing;
        let open = if self.listens.is_none() { closing.register(&mut self.listens, waker) } else { !closing.is_over() };
        if !open && self.deadline.is_none() {
            self.deadline = real_now().checked_add(self.pool.settings.shutdown_grace);
        }
        self.deadline
    }

    fn has_passed(&self) -> bool {
        self.deadline.is_some_and(|deadline| real_now() >= deadline)
    }
}

impl Drop for ShutdownWait<'_> {
    fn drop(&mut self) {
        self.pool.drain_state.closing.deregister(&mut self.listens);
    }
}

/// Polls the future if it has been woken. Returns its output if it is ready.
fn poll_root<F: Future>(root: &Root, future: Pin<&mut F>, cx: &mut Context<'_>) -> Option<F::Output> {
    if !root.word.take_wake() {
        return None;
    }
    let _polling = context::polling();
    let _root = budget::root();
    record_event(|| "polls the future of `block_on`".to_owned());
    match future.poll(cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => {
            if budget::was_denied() {
                root.pool.count_forced_root();
            }
            None
        }
    }
}

/// Drives the current-thread runtime until the future is ready.
///
/// Returns `None` if another thread occupies the seat. That thread unparks this one when it gives
/// the seat back. Also returns `None` if the runtime ends.
fn drive_seat<F: Future>(root: &Root, future: Pin<&mut F>, cx: &mut Context<'_>) -> Option<F::Output> {
    let seat = &root.pool.seats[0];
    let _presence = shutdown::LiveThreadGuard::for_driver(&root.pool)?;
    let local = root.pool.block_on_queue.acquire_or_enqueue(&root.parker, || seat.take_local())?;
    let driver = SeatGuard { root, local: Some(local) };
    let _cache = CacheGuard::open(&root.pool.depot);
    root.word.begin_drive();
    let worker = Worker::new(&root.pool, seat, driver.local.as_deref().expect("the local slot has just been taken"));
    worker.run_in_seat(|| drive_until_ready(root, &worker, future, cx))
}

fn drive_until_ready<F: Future>(
    root: &Root,
    worker: &Worker<'_>,
    mut future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Option<F::Output> {
    let _polling = context::polling();
    loop {
        if root.pool.has_panicked() {
            return None;
        }
        if root.word.has_wake() {
            let poll = |future| poll_root(root, future, cx);
            if let Some(output) = worker.poll_recorded_root(future.as_mut(), poll) {
                return Some(output);
            }
            worker.count_root();
            if root.word.has_wake() {
                worker.root_has_yielded();
            }
        }
        preemption_point();
        match worker.step() {
            Step::WouldPark if !root.word.has_wake() => worker.park(),
            Step::WouldPark => worker.abandon_idle(),
            // Another thread shuts the runtime down. The root future still has to become ready.
            Step::Exited => return None,
            _ => {}
        }
    }
}

/// Removes the thread from the queue of waiting drivers, however its wait ends.
///
/// It then unparks the next waiting driver: an earlier unpark may have gone to this thread, which
/// needs it no more.
struct QueueGuard<'a> {
    root: &'a Root,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        self.root.pool.block_on_queue.quit(&self.root.parker);
    }
}

/// Gives the seat back, and unparks the next waiting driver, however the drive ends.
///
/// It is dropped before the driver's [`LiveThreadGuard`](shutdown::LiveThreadGuard) ends.
struct SeatGuard<'a> {
    root: &'a Root,
    local: Option<Box<crate::pool::local::Local>>,
}

impl Drop for SeatGuard<'_> {
    fn drop(&mut self) {
        self.root.word.end_drive();
        let local = self.local.take();
        self.root
            .pool
            .block_on_queue
            .release(|| local.into_iter().for_each(|local| self.root.pool.seats[0].return_local(local)));
        if self.root.pool.is_local() && !self.root.pool.is_open() {
            shutdown::clear_driven(&self.root.pool);
        }
    }
}
