//! The worker threads: how they start, and what they do when they leave.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::context::thread_role::{self, ThreadRole};
use crate::pool::{Hook, Pool};
use crate::scheduler::worker::Worker;
use crate::sync::{Arc, thread};
use crate::task_alloc::CacheGuard;
use crate::util::wake_list::catch_user_panic;
use crate::watchdog::{PeriodicHook, Watchdog};
use crate::worker_set::RetireResult;
use crate::worker_set::completion::WorkerMeta;
use crate::{context, shutdown};

/// Starts a worker for each seat, and the watchdog, which does `chore` besides.
///
/// # Errors
///
/// What the operating system says if it refuses a thread; those that had been started have left
/// again.
pub(crate) fn start(pool: &Arc<Pool>, chore: PeriodicHook) -> io::Result<()> {
    // Naming is user code, which may panic: all of it before there is a thread to be left behind.
    let names: Vec<String> = (0..pool.settings.workers).map(|seat| name(pool, WorkerMeta::new(seat, 0))).collect();
    let started = start_all(pool, names, chore);
    if started.is_err() {
        shutdown::begin_shutdown(pool);
        let deadline = Instant::now().checked_add(pool.settings.shutdown_grace);
        if shutdown::finish_shutdown(pool, deadline) {
            join(pool, deadline);
        }
    }
    started
}

fn start_all(pool: &Arc<Pool>, names: Vec<String>, chore: PeriodicHook) -> io::Result<()> {
    for (seat, name) in names.into_iter().enumerate() {
        pool.live_threads.inc();
        start_worker(pool, seat, name).map_err(|error| {
            shutdown::thread_exited(pool);
            let thread = format!("worker thread {} of {}", seat + 1, pool.settings.workers);
            refused(&thread, &error)
        })?;
    }
    if pool.settings.watchdog {
        pool.live_threads.inc();
        let main = |pool: &Arc<Pool>| {
            let _role = thread_role::enter(ThreadRole::Watching);
            // For the hooks.
            let _entered = context::enter(Arc::clone(pool));
            Watchdog::new(Arc::clone(pool), chore).run();
        };
        start_one(pool, "heist-watchdog".to_owned(), main).map_err(|error| {
            shutdown::thread_exited(pool);
            refused("the thread that watches the workers", &error)
        })?;
    }
    Ok(())
}

/// Returns the error of `build`, with its remedy.
#[cold]
fn refused(thread: &str, error: &io::Error) -> io::Error {
    let text = format!(
        "the operating system refused {thread} ({error}); raise the limit on threads (`ulimit -u`, the container's pids limit), or ask for \
         less with `worker_threads` and `thread_stack_size`"
    );
    io::Error::new(error.kind(), text)
}

/// Starts the worker of one seat, which has been entered as present; so has the caller, unless
/// nobody can close the pool yet.
pub(crate) fn start_worker(pool: &Arc<Pool>, seat: usize, name: String) -> io::Result<()> {
    if let Some(error) = pool.settings.refuse_thread.as_ref().and_then(|refuse| refuse(seat)) {
        return Err(error);
    }
    start_one(pool, name, move |pool| worker_main(pool, seat))
}

/// What a worker's thread is called. User code.
pub(crate) fn name(pool: &Arc<Pool>, seat: WorkerMeta) -> String {
    context::run_in_runtime(pool, || match &pool.settings.worker_name {
        Some(name) => name(seat),
        None => (pool.settings.thread_name)(),
    })
}

/// Starts a thread that has been entered as present, as has the caller, unless nobody can close the
/// pool yet.
pub(crate) fn start_one(
    pool: &Arc<Pool>,
    name: String,
    main: impl FnOnce(&Arc<Pool>) + Send + 'static,
) -> io::Result<()> {
    let mut builder = thread::Builder::new().name(name.replace('\0', "?")); // the platform takes no zero byte
    if let Some(size) = pool.settings.stack_size {
        builder = builder.stack_size(size);
    }
    let present = Arc::clone(pool);
    let main = move || {
        let _member = context::member_of(present.id);
        // A panic here is a bug of ours, or of a hook. A pool that has silently lost a worker would
        // hang; it says so and ends.
        if catch_unwind(AssertUnwindSafe(|| main(&present))).is_err() {
            catch_user_panic("a tracing subscriber", || {
                tracing::error!(target: "heist::worker", "a worker thread panicked outside of any task; aborting");
            });
            std::process::abort();
        }
        shutdown::thread_exited(&present);
    };
    pool.live_threads.track(builder.spawn(main)?);
    Ok(())
}

/// Waits for threads that have left already to be gone, at most until `deadline`: what is left of
/// them is the destruction of their thread-locals, which is user code; and of a drain's deadline
/// thread, which sees the report, what that wakes.
pub(crate) fn join(pool: &Pool, deadline: Option<Instant>) {
    for thread in pool.live_threads.take_threads() {
        thread::join_until(thread, deadline);
    }
    if let Some(deadline_thread) = pool.drain_state.take_deadline_thread(deadline) {
        thread::join_until(deadline_thread, deadline);
    }
    pool.blocking.join(deadline);
}

/// The life of a worker thread.
fn worker_main(pool: &Arc<Pool>, seat: usize) {
    // For the hooks: at work the seat says where the thread is.
    let _entered = context::enter(Arc::clone(pool));
    run_hook(ThreadRole::Starting, &pool.settings.on_thread_start);
    let _cache = CacheGuard::open(&pool.depot);
    while let SeatExit::Again = run_seat(pool, seat) {}
    run_hook(ThreadRole::Stopping, &pool.settings.on_thread_stop);
}

/// What a thread does that has got up.
enum SeatExit {
    Again,
    Gone,
}

/// A worker's time in its seat.
fn run_seat(pool: &Arc<Pool>, number: usize) -> SeatExit {
    let seat = &pool.seats[number];
    // It is not there only if the pool is being closed, and the seat cleared.
    let Some(local) = seat.take_local() else { return SeatExit::Gone };
    seat.record_tid();
    pool.orphan_wheels.remove(number);
    pool.worker_set.activate_seat(number);
    pool.begin_watch();
    Worker::new(pool, seat, &local).run();
    if pool.is_open() {
        pool.retire_worker(seat, local);
        return match pool.worker_set.try_retire(number) {
            RetireResult::Again => SeatExit::Again,
            RetireResult::Gone(outcomes) => {
                outcomes.write();
                SeatExit::Gone
            }
        };
    }
    shutdown::clear_seat(pool, seat, &local);
    seat.return_local(local);
    let _ = shutdown::clear_free(pool);
    SeatExit::Gone
}

fn run_hook(role: ThreadRole, hook: &Option<Hook>) {
    if let Some(hook) = hook {
        let _role = thread_role::enter(role);
        hook();
    }
}
