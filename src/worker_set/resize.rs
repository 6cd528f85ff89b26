use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::context::can_block::{Operation, Why, can_block};
use crate::context::thread_role::{self, ThreadRole};
use crate::pool::{self, Pool};
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
use crate::recorder::record::{Kind, Record};
use crate::util::wake_list::catch_user_panic;
use crate::worker_set::seat_state::WorkerMeta;
use crate::worker_set::{ResizeCompletion, ResizeError, Resized, WorkerSet};
use crate::worker_set::{ThreadHost, threads};
use crate::{context, shutdown};

/// A change of the number of workers that is under way. Returned by
/// [`Runtime::resize`](crate::runtime::Runtime::resize).
///
/// Await it, or [`wait`](Resize::wait) for it, to learn when it is done. Dropping it changes
/// nothing: the workers start and retire all the same.
#[derive(Debug)]
pub struct Resize {
    completion: Arc<ResizeCompletion>,
    /// The pool that is being resized.
    pool: pool::Id,
}

impl Resize {
    /// Blocks this thread until the resize is done. In async code, await the `Resize` instead.
    ///
    /// # Errors
    ///
    /// As the future: see [`ResizeError`].
    ///
    /// # Panics
    ///
    /// Where it might wait for itself:
    ///
    /// - While this thread polls a future: its worker might have to retire.
    /// - In a function of the [`Builder`](crate::runtime::Builder) that a resize waits for. These
    ///   are the functions that name threads, `on_thread_start` on a worker, and hooks on the
    ///   thread that follows the CPU quota.
    ///
    /// Polling the `Resize` there, in a `block_on`, panics too. Waiting is allowed in an
    /// `on_thread_stop` hook, and in an `after_resize` hook if its caller may wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    /// let resized = runtime.resize(2).wait()?;
    /// println!("{} → {} workers", resized.from, resized.to);
    /// assert_eq!(runtime.worker_threads(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn wait(self) -> Result<Resized, ResizeError> {
        self.refuse_blocking(Operation::Resize(self.pool));
        self.completion.wait()
    }

    /// Returns the outcome, if there is one. For a thread that does not wait.
    pub(crate) fn try_outcome(&mut self) -> Option<Result<Resized, ResizeError>> {
        match self.completion.poll(&Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    /// Panics if this thread might wait for itself. It also panics if the resize is done: a mistake
    /// that shows only now and then is worse.
    #[track_caller]
    fn refuse_blocking(&self, operation: Operation) {
        let Err(why) = can_block(operation) else { return };
        let place = match why {
            Why::Polling => {
                panic!(
                    "Resize::wait was called from inside of async code, where it would block the worker: `.await` the `Resize`, or wait \
                     inside of `spawn_blocking` or on a thread of its own"
                )
            }
            Why::BlockingSection => "inside of `block_in_place`: its worker might be the one that has to leave",
            Why::Role(ThreadRole::Starting) => {
                "inside of an `on_thread_start` hook: this worker might be the one that has to leave"
            }
            Why::Role(ThreadRole::Watching) => {
                "on the thread that follows the CPU quota: it would not watch the workers meanwhile"
            }
            Why::Role(_) | Why::Driving | Why::Member => {
                "inside of a resize (in a function that names threads, or in a waker): it could not begin before that has returned"
            }
        };
        panic!(
            "a `Resize` was waited for {place}; drop it, which changes nothing, or wait for it on a thread of its own"
        );
    }
}

impl Future for Resize {
    type Output = Result<Resized, ResizeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.completion.poll(cx);
        // A waker may poll at once, within the resize that has woken it. It may not poll a resize
        // that runs later.
        if outcome.is_pending() || thread_role::current() != Some(ThreadRole::Resizing) {
            self.refuse_blocking(Operation::ResizeFuture(self.pool));
        }
        outcome
    }
}

impl Drop for Resize {
    fn drop(&mut self) {
        self.completion.forget();
    }
}

/// Sets the number of workers.
pub(crate) fn resize(pool: &Arc<Pool>, workers: usize) -> Resize {
    let completion = Arc::new(ResizeCompletion::new());
    match refusal(pool, workers) {
        Some(error) => completion.complete(Err(error)),
        None => {
            context::run_in_runtime(pool, || {
                pool.worker_set.enqueue(workers, Arc::clone(&completion)).complete();
                pool.run_resizes();
            });
        }
    }
    Resize { completion, pool: pool.id }
}

/// Returns why the pool cannot have so many workers, if it cannot.
fn refusal(pool: &Pool, workers: usize) -> Option<ResizeError> {
    let most = pool.worker_set.max_workers();
    match workers {
        _ if pool.settings.current_thread => Some(ResizeError::CurrentThread),
        0 => Some(ResizeError::Zero),
        _ if workers > most => Some(ResizeError::AboveMaximum { asked: workers, most }),
        _ => ResizeError::in_phase(pool.phase.load()),
    }
}

impl Pool {
    /// Runs the queued requests, and the hooks for their changes. If another thread does so
    /// already, or this thread further up its stack, it is left to that one.
    pub(crate) fn run_resizes(self: &Arc<Pool>) {
        self.run_queued_requests();
        // Workers that have begun a section meanwhile have left their spares to this thread.
        self.adjust_spares();
    }

    /// Returns true if a request has run. The caller starts the spares that others have left to it.
    pub(super) fn run_queued_requests(self: &Arc<Pool>) -> bool {
        let ran_request = {
            let _role = thread_role::enter(ThreadRole::Resizing);
            self.worker_set.run_requests(self)
        };
        if ran_request {
            self.worker_set.run_resize_hooks(|resized: Resized| {
                self.record_here(|at| Record::pair(Kind::Resize, at, resized.from, resized.to));
                if let Some(hook) = &self.settings.after_resize {
                    hook(resized);
                }
            });
        }
        ran_request
    }
}

impl WorkerSet {
    /// Calls `hook` for all changes, in order, with no lock held. If another thread does so
    /// already, that thread calls it for all.
    pub(crate) fn run_resize_hooks(&self, hook: impl Fn(Resized)) {
        loop {
            let mut locked = self.locked.lock();
            if locked.running_hook {
                return;
            }
            let Some(resized) = locked.unreported.pop_front() else { return };
            locked.running_hook = true;
            drop(locked);
            catch_user_panic("an after_resize hook", || hook(resized));
            self.locked.lock().running_hook = false;
        }
    }
}

impl ThreadHost for Arc<Pool> {
    fn inc_live(&self) {
        self.live_threads.inc();
    }

    fn dec_live(&self) {
        shutdown::thread_exited(self);
    }

    fn start(&self, seat: usize, version: u64) -> io::Result<()> {
        self.init_seats(seat + 1);
        let mut name = "heist-worker".to_owned();
        catch_user_panic("a function that names threads", || {
            name = threads::name(self, WorkerMeta::new(seat, version))
        });
        threads::start_worker(self, seat, name)
    }

    fn wake_seats(&self, seats: &[usize]) {
        if seats.is_empty() {
            return;
        }
        // Ordering: Release — pairs with the Acquire in `Worker::work_step`: the seat states. A
        // worker that sees this tick checks its seat state.
        self.tick.fetch_add(1, Ordering::Release);
        for &seat in seats {
            self.unpark(seat);
        }
    }
}
