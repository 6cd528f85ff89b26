//! Worker threads: how they start, and what they do when they exit.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::context::thread_role::{self, ThreadRole};
use crate::pool::local::Local;
use crate::pool::{Hook, Pool, Seat, WakeHelper};
use crate::primitive::{Arc, real_now, thread};
use crate::queue::{Chain, LifoSlot, Owner, take_all};
use crate::scheduler::worker::Worker;
use crate::task_alloc::CacheGuard;
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;
use crate::watchdog::{PeriodicHook, Watchdog};
use crate::worker_set::RetireResult;
use crate::worker_set::seat_state::WorkerMeta;
use crate::{context, shutdown};

/// Starts a worker for each seat, and the watchdog, which calls `periodic_hook` at its scans.
///
/// # Errors
///
/// If the operating system refuses a thread. The threads that were started have exited by then.
pub(crate) fn start(pool: &Arc<Pool>, periodic_hook: PeriodicHook) -> io::Result<()> {
    // Naming functions are user code, which may panic. All of them run before a thread is started.
    let names: Vec<String> = (0..pool.settings.workers).map(|seat| name(pool, WorkerMeta::new(seat, 0))).collect();
    let started = start_all(pool, names, periodic_hook);
    if started.is_err() {
        shutdown::begin_shutdown(pool);
        let deadline = real_now().checked_add(pool.settings.shutdown_grace);
        if shutdown::finish_shutdown(pool, deadline) {
            join(pool, deadline);
        }
    }
    started
}

fn start_all(pool: &Arc<Pool>, names: Vec<String>, periodic_hook: PeriodicHook) -> io::Result<()> {
    for (seat, name) in names.into_iter().enumerate() {
        pool.live_threads.inc();
        start_worker(pool, seat, name).map_err(|error| {
            shutdown::thread_exited(pool);
            let thread = format!("worker thread {} of {}", seat + 1, pool.settings.workers);
            with_remedy(&thread, &error)
        })?;
    }
    if pool.settings.watchdog {
        pool.live_threads.inc();
        let main = |pool: &Arc<Pool>| {
            let _role = thread_role::enter(ThreadRole::Watching);
            // For the hooks.
            let _entered = context::enter(Arc::clone(pool));
            Watchdog::new(Arc::clone(pool), periodic_hook).run();
        };
        start_one(pool, "heist-watchdog".to_owned(), main).map_err(|error| {
            shutdown::thread_exited(pool);
            with_remedy("the watchdog thread", &error)
        })?;
    }
    Ok(())
}

/// Returns `error` with its remedy.
#[cold]
fn with_remedy(thread: &str, error: &io::Error) -> io::Error {
    let text = format!(
        "the operating system refused {thread} ({error}); raise the limit on threads (`ulimit -u`, the container's pids limit), or ask for \
         less with `worker_threads` and `thread_stack_size`"
    );
    io::Error::new(error.kind(), text)
}

/// Starts the worker of one seat. The caller has counted the thread as live. The caller
/// counts as live, too, unless the pool cannot be closed yet.
pub(crate) fn start_worker(pool: &Arc<Pool>, seat: usize, name: String) -> io::Result<()> {
    if let Some(error) = pool.settings.refuse_thread.as_ref().and_then(|refuse| refuse(seat)) {
        return Err(error);
    }
    start_one(pool, name, move |pool| worker_main(pool, seat))
}

/// Returns the name of a worker's thread. Runs user code.
pub(crate) fn name(pool: &Arc<Pool>, seat: WorkerMeta) -> String {
    context::run_in_runtime(pool, || match &pool.settings.worker_name {
        Some(name) => name(seat),
        None => (pool.settings.thread_name)(),
    })
}

/// Starts a thread. The caller has counted it as live. It counts as live itself, unless the pool
/// cannot be closed yet.
pub(crate) fn start_one(
    pool: &Arc<Pool>,
    name: String,
    main: impl FnOnce(&Arc<Pool>) + Send + 'static,
) -> io::Result<()> {
    let mut builder = named_thread(&name);
    if let Some(size) = pool.settings.stack_size {
        builder = builder.stack_size(size);
    }
    let live_pool = Arc::clone(pool);
    let main = move || {
        let _member = context::member_of(live_pool.id);
        // A panic here is a bug of heist, or of a hook. A pool that has silently lost a worker
        // would hang, so the process logs the panic and aborts.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| main(&live_pool))) {
            // Its destructor may panic, and would end this thread before the abort.
            std::mem::forget(payload);
            catch_user_panic("a tracing subscriber", || {
                tracing::error!(target: "heist::worker", "a worker thread panicked outside of any task; aborting");
            });
            std::process::abort();
        }
        shutdown::thread_exited(&live_pool);
    };
    pool.live_threads.track(builder.spawn(main)?);
    Ok(())
}

/// Waits for threads that have exited to end, at most until `deadline`. They still run the
/// destructors of their thread-locals, which are user code. A drain's deadline thread still wakes
/// the tasks that wait for the report.
pub(crate) fn join(pool: &Pool, deadline: Option<Instant>) {
    for thread in pool.live_threads.take_threads() {
        thread::join_until(thread, deadline);
    }
    if let Some(deadline_thread) = pool.drain_state.take_deadline_thread(deadline) {
        thread::join_until(deadline_thread, deadline);
    }
    pool.blocking.join(deadline);
}

/// The main function of a worker thread.
fn worker_main(pool: &Arc<Pool>, seat: usize) {
    // For the hooks. While the worker runs, its seat says which runtime the thread is in.
    let _entered = context::enter(Arc::clone(pool));
    run_hook(ThreadRole::Starting, &pool.settings.on_thread_start);
    let _cache = CacheGuard::open(&pool.depot);
    while let SeatExit::WantedAgain = run_seat(pool, seat) {}
    run_hook(ThreadRole::Stopping, &pool.settings.on_thread_stop);
}

/// What a thread does after it has stopped working in its seat.
enum SeatExit {
    WantedAgain,
    Vacated,
}

/// Works in a seat until the pool closes or the seat is not wanted.
fn run_seat(pool: &Arc<Pool>, index: usize) -> SeatExit {
    let seat = &pool.seats[index];
    // The local slot is missing only if the pool is closing, and another thread clears the seat.
    let Some(local) = seat.take_local() else { return SeatExit::Vacated };
    seat.record_tid();
    pool.orphan_wheels.remove(index);
    pool.worker_set.activate_seat(index);
    pool.begin_watch();
    Worker::new(pool, seat, &local).run();
    while pool.is_open() && pool.worker_set.is_wanted(index) {
        rest(pool, seat, &local);
        Worker::new(pool, seat, &local).run();
    }
    if pool.is_open() {
        pool.retire_worker(seat, local);
        return match pool.worker_set.try_retire(index) {
            RetireResult::WantedAgain => SeatExit::WantedAgain,
            RetireResult::Vacated(completions) => {
                completions.complete();
                SeatExit::Vacated
            }
        };
    }
    shutdown::clear_seat(pool, seat, &local);
    seat.return_local(local);
    let _ = shutdown::clear_free(pool);
    SeatExit::Vacated
}

/// Hands off everything in the seat, and sleeps until its worker may work again. It may at once, if
/// all workers were needed meanwhile. See [the page](crate::worker_set::effective_workers).
#[cold]
fn rest(pool: &Arc<Pool>, seat: &Seat, local: &Local) {
    // As in the worker's loop, the hooks may not block.
    let _polling = context::polling();
    pool.hand_over(seat, local);
    call_hook(&pool.settings.on_thread_park);
    pool.worker_set.begin_rest(seat.index);
    while pool.has_to_rest(seat.index) {
        seat.parker.park(None);
    }
    pool.orphan_wheels.remove(seat.index);
    pool.worker_set.end_rest(seat.index);
    pool.begin_watch();
    call_hook(&pool.settings.on_thread_unpark);
}

fn run_hook(role: ThreadRole, hook: &Option<Hook>) {
    if hook.is_some() {
        let _role = thread_role::enter(role);
        call_hook(hook);
    }
}

fn call_hook(hook: &Option<Hook>) {
    if let Some(hook) = hook {
        hook();
    }
}

/// The receivers of a hand-off. The models have others.
pub(crate) trait HandOff {
    /// Takes the tasks, the next to be polled first.
    fn take_tasks(&self, tasks: Chain);
    /// Takes the timers of the seat.
    fn take_wheel(&self);
    /// Makes the full handshake of the idle protocol. It passes on what others relied on the worker
    /// for: a granted wake-up, a search, the reactor's shard driver.
    fn notify(&self);
}

/// Hands off everything in a seat. Called by its worker, which counts neither as a searcher nor as
/// a sleeper, and pushes nothing there afterwards.
pub(crate) fn hand_off(lifo: &LifoSlot, ring: &Owner, hand_off: &impl HandOff) {
    let tasks = take_all(lifo, ring);
    if !tasks.is_empty() {
        hand_off.take_tasks(tasks);
    }
    hand_off.take_wheel();
    // Also if nothing was handed off.
    hand_off.notify();
}

/// The rest of the pool.
struct PoolHandOff<'a> {
    pool: &'a Pool,
    seat: &'a Seat,
}

impl HandOff for PoolHandOff<'_> {
    fn take_tasks(&self, tasks: Chain) {
        self.pool.publish(tasks, WakeHelper::Later);
    }

    fn take_wheel(&self) {
        self.pool.adopt_timers(self.seat);
    }

    fn notify(&self) {
        self.pool.notify();
    }
}

impl Pool {
    /// Returns true if the worker of `seat` has to rest. No worker rests when the pool closes.
    fn has_to_rest(&self, seat: usize) -> bool {
        self.is_open() && self.worker_set.has_to_rest(seat)
    }

    /// Hands off the tasks and timers of a seat whose worker will not poll for a while.
    pub(crate) fn hand_over(&self, seat: &Seat, local: &Local) {
        hand_off(&seat.lifo, &local.ring, &PoolHandOff { pool: self, seat });
    }

    /// Vacates a seat: hands off everything in it, and returns the local slot for the next worker.
    #[cold]
    pub(crate) fn retire_worker(&self, seat: &Seat, local: Box<Local>) {
        self.worker_set.deactivate_seat(seat.index);
        self.hand_over(seat, &local);
        seat.return_local(local);
    }
}
