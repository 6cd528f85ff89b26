//! Polling a future on the thread that waits for it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::root_state::{ParkedOn, RootState};
use crate::context::budget;
use crate::park::Parker;
use crate::pool::Pool;
use crate::scheduler::worker::{Step, Worker};
use crate::sync::Arc;
use crate::task_alloc::CacheGuard;
use crate::{context, shutdown};

/// What wakes the root future of a `block_on`.
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
                // Nobody sleeps in the reactor on this parker.
                let _ = self.parker.unpark();
            }
        }
    }
}

/// What is sure about the runtime while a `block_on` lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockOnMode {
    /// It is not shut down, and this thread may run its tasks.
    Driving,
    /// It is not shut down, or the future is ready at the latest when it is.
    Open,
    /// Nothing.
    Nothing,
}

/// Polls `future` until it is ready.
#[track_caller]
pub(super) fn block_on<F: Future>(pool: &Arc<Pool>, future: F, keep: BlockOnMode) -> F::Output {
    assert!(
        !context::is_polling(),
        "block_on was called from inside of async code, where it would block the worker: `.await` the future, or call \
         block_on inside of `spawn_blocking` or on a thread of its own"
    );
    let root = Arc::new(Root { word: RootState::new(), parker: Arc::new(Parker::new()), pool: Arc::clone(pool) });
    let waker = Waker::from(Arc::clone(&root));
    let mut cx = Context::from_waker(&waker);
    let _entered = context::enter(Arc::clone(pool));
    // The root is not the job in which this may be called.
    let _no_task = context::no_task();
    // Nor do its polls share the budget of whoever calls this.
    let _outside = budget::without_budget();
    let _drives = (keep == BlockOnMode::Driving).then(context::drives);
    let _line = (keep == BlockOnMode::Driving).then(|| QueueGuard { root: &root });
    let mut end = ShutdownWait { pool, listens: None, deadline: None };
    // Declared last: its destructor runs first, inside of the runtime.
    let mut future = pin!(future);
    loop {
        if keep == BlockOnMode::Driving {
            if let Some(output) = drive_seat(&root, future.as_mut(), &mut cx) {
                return output;
            }
            if pool.has_panicked() {
                give_up(pool);
            }
        }
        if let Some(output) = poll_root(&root, future.as_mut(), &mut cx) {
            return output;
        }
        root.parker.park(if keep == BlockOnMode::Nothing { end.limit(&waker) } else { None });
        assert!(
            !end.has_come() || root.word.has_wake(),
            "the runtime was shut down while `Handle::block_on` waited, and nothing has woken its future since; keep the \
             `Runtime` until `block_on` returns, or select on `Handle::draining`"
        );
    }
}

/// A task has panicked, and the runtime is to end for it. The seat is free, or others give it up,
/// too.
#[cold]
#[track_caller]
fn give_up(pool: &Arc<Pool>) -> ! {
    shutdown::close_after_panic(pool);
    panic!(
        "a task has panicked, and the runtime was built to shut down then: see `Builder::unhandled_panic`, and the panic's own message"
    );
}

/// The end of a runtime that somebody waits in without keeping it.
struct ShutdownWait<'a> {
    pool: &'a Pool,
    listens: Option<usize>,
    deadline: Option<Instant>,
}

impl ShutdownWait<'_> {
    /// How long to wait for a wake: the grace, once the runtime is closed; that of which the future
    /// knows has been told by then.
    fn limit(&mut self, waker: &Waker) -> Option<Instant> {
        let closing = &self.pool.drain_state.closing;
        let open = if self.listens.is_none() { closing.register(&mut self.listens, waker) } else { !closing.is_over() };
        if !open && self.deadline.is_none() {
            self.deadline = Instant::now().checked_add(self.pool.settings.shutdown_grace);
        }
        self.deadline
    }

    fn has_come(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl Drop for ShutdownWait<'_> {
    fn drop(&mut self) {
        self.pool.drain_state.closing.deregister(&mut self.listens);
    }
}

/// Polls the future if it has been woken.
fn poll_root<F: Future>(root: &Root, future: Pin<&mut F>, cx: &mut Context<'_>) -> Option<F::Output> {
    if !root.word.take_wake() {
        return None;
    }
    let _polling = context::polling();
    let _root = budget::root();
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

/// Runs the current-thread runtime until the future is ready. Answers nothing if another thread
/// sits in its seat; it will call.
fn drive_seat<F: Future>(root: &Root, future: Pin<&mut F>, cx: &mut Context<'_>) -> Option<F::Output> {
    let seat = &root.pool.seats[0];
    let _presence = shutdown::LiveThreadGuard::for_driver(&root.pool)?;
    let local = root.pool.block_on_queue.acquire_or_enqueue(&root.parker, || seat.take_local())?;
    let driver = SeatGuard { root, local: Some(local) };
    let _cache = CacheGuard::open(&root.pool.depot);
    root.word.sit_down();
    let worker = Worker::new(&root.pool, seat, driver.local.as_deref().expect("the lease has just been taken"));
    worker.run_in_seat(|| drive_to_the_end(root, &worker, future, cx))
}

fn drive_to_the_end<F: Future>(
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
            if let Some(output) = poll_root(root, future.as_mut(), cx) {
                return Some(output);
            }
            worker.count_root();
            if root.word.has_wake() {
                worker.root_has_yielded();
            }
        }
        match worker.step() {
            Step::WouldPark if !root.word.has_wake() => worker.park(),
            Step::WouldPark => worker.abandon_idle(),
            // The runtime is being shut down, by a handle's owner elsewhere; the root future still
            // has to be waited for.
            Step::Exited => return None,
            _ => {}
        }
    }
}

/// A place in the line of those who would drive. Leaves it however the wait ends, and calls the
/// next: the call may have come to us, who need it no longer.
struct QueueGuard<'a> {
    root: &'a Root,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        self.root.pool.block_on_queue.quit(&self.root.parker);
    }
}

/// Gives the seat back and passes it on, however the drive ends. It is dropped before the driver's
/// [`LiveThreadGuard`](shutdown::LiveThreadGuard) ends.
struct SeatGuard<'a> {
    root: &'a Root,
    local: Option<Box<crate::pool::local::Local>>,
}

impl Drop for SeatGuard<'_> {
    fn drop(&mut self) {
        self.root.word.get_up();
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
