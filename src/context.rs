//! What the current thread is to the runtime: a worker in its seat, a thread inside of a runtime,
//! or a stranger.

pub(crate) mod budget;
pub(crate) mod thread_role;
use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::task::Waker;

use crate::drain::gate::SpawnSource;
use crate::pool::local::Local;
use crate::pool::{self, Pool, Seat};
use crate::raw_task::{AbortHandle, Header, Id};
use crate::reactor::Reactor;
use crate::sync::Arc;
use crate::timer::TimerWheel;
use crate::util::scoped_cell::{ScopedSet, set_scoped};

/// A worker in its seat, as the code sees it that the worker's task calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seated<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) seat: &'a Seat,
    pub(crate) local: &'a Local,
}

std::thread_local! {
    /// The worker that runs on this thread; points into the frame of [`sit`].
    static SEATED: Cell<*const Seated<'static>> = const { Cell::new(ptr::null()) };
    /// This thread must not block: it polls futures.
    static POLLING: Cell<bool> = const { Cell::new(false) };
    /// This thread drives a current-thread runtime, or waits in line to: where it runs no task it
    /// polls the root, or calls wakers.
    static DRIVES: Cell<bool> = const { Cell::new(false) };
    /// The blocking job that runs here, and its pool, which is only to be compared.
    ///
    /// Invariant: as for `TASK`, until the job has returned.
    static JOB: Cell<Option<(*const Pool, NonNull<Header>)>> = const { Cell::new(None) };
    /// The worker that this thread is has stepped out of its seat, in this pool.
    static OUT_OF: Cell<Option<pool::Id>> = const { Cell::new(None) };
    /// The pools whose shutdown waits for this thread, the innermost first. The thread is one of
    /// the pool's own, or drives the pool.
    static MEMBER_OF: Cell<[Option<pool::Id>; NESTED]> = const { Cell::new([None; NESTED]) };
    /// The runtimes that this thread has entered, the innermost last.
    static ENTERED: RefCell<Entered> = const { RefCell::new(Entered { stack: Vec::new(), next: 0 }) };
}

std::thread_local! {
    /// The pool of the innermost stay, only to be compared; where it can be read in one
    /// instruction.
    static INNERMOST: Cell<*const Pool> = const { Cell::new(ptr::null()) };
}

/// How many nested pools a thread is marked as a member of. Beyond these, the shutdown of an outer
/// pool waits for this thread until its grace is over.
const NESTED: usize = 4;

/// The mark of a thread that the shutdown of a pool waits for.
pub(crate) type Member = ScopedSet<[Option<pool::Id>; NESTED]>;

struct Entered {
    stack: Vec<(u64, Arc<Pool>)>,
    next: u64,
}

impl Entered {
    fn show_innermost(&self) {
        INNERMOST.set(self.stack.last().map_or(ptr::null(), |(_, pool)| Arc::as_ptr(pool)));
    }
}

/// Runs `f` with this thread sitting in a seat.
pub(crate) fn run_in_seat<R>(seated: Seated<'_>, f: impl FnOnce() -> R) -> R {
    // The pointer is taken away again before `seated` goes, however `f` ends.
    let _restore = set_scoped(&SEATED, (&raw const seated).cast());
    f()
}

/// Calls `f` with the worker that this thread is, if it is one.
#[inline]
pub(crate) fn seated<R>(f: impl FnOnce(Option<&Seated<'_>>) -> R) -> R {
    let seated = SEATED.get();
    // SAFETY: `sit` has put the pointer there and takes it away before what it points to goes; `f`
    // gets it no longer than for its own run, which ends before `sit`'s does.
    f(unsafe { seated.as_ref() })
}

/// Calls `f` with this thread being no worker, and polling nothing: `f` may block. If it is a
/// worker that polls a task, `f` gets its seat, to step out of it for its own length. In a hook, a
/// waker or a destructor on a worker's thread nobody else can be let in: there nothing changes.
pub(crate) fn exit_worker<R>(f: impl FnOnce(Option<&Seated<'_>>) -> R) -> R {
    let (seated, task) = (SEATED.get(), task());
    if !seated.is_null() && task.is_none() {
        return f(None);
    }
    let _polling = set_scoped(&POLLING, false);
    let _unlimited = budget::unlimited();
    // SAFETY: as in `seated`.
    let (Some(seated), Some(task)) = (unsafe { seated.as_ref() }, task) else { return f(None) };
    // SAFETY: its cell is alive, see `set_task`. What the task spawns meanwhile is spawned by the
    // runtime's own.
    let _job = job(seated.pool, unsafe { task.as_ref() });
    let _out = set_scoped(&OUT_OF, Some(seated.pool.id));
    let _seated = set_scoped(&SEATED, ptr::null());
    f(Some(seated))
}

/// Whether this thread is a worker of that pool that has stepped out of its seat.
pub(crate) fn is_blocking_in(pool: pool::Id) -> bool {
    OUT_OF.get() == Some(pool)
}

/// Marks this thread as one that the shutdown of `pool` waits for, until the returned guard is
/// dropped.
pub(crate) fn member_of(pool: pool::Id) -> Member {
    let [first, second, third, _] = MEMBER_OF.get();
    set_scoped(&MEMBER_OF, [Some(pool), first, second, third])
}

/// Returns whether the shutdown of `pool` waits for this thread. Such a thread must not wait for
/// that shutdown.
pub(crate) fn is_member_of(pool: pool::Id) -> bool {
    MEMBER_OF.get().contains(&Some(pool))
}

/// Marks this thread as polling futures, for as long as the answer lives.
pub(crate) fn polling() -> impl Drop {
    set_scoped(&POLLING, true)
}

/// Whether this thread is polling a future.
pub(crate) fn is_polling() -> bool {
    POLLING.get()
}

/// Names the task, or job, that is about to be polled, and answers the one that was. The caller
/// names that again when the poll is over.
///
/// As long as code runs that can ask for it, this thread holds its `Runnable`, and so its cell
/// lives: until the poll has returned.
#[inline]
pub(crate) fn set_task(task: Option<NonNull<Header>>) -> Option<NonNull<Header>> {
    budget::set_current(task.map(NonNull::cast)).map(NonNull::cast)
}

/// The task, or job, that is being polled on this thread.
fn task() -> Option<NonNull<Header>> {
    budget::current().map(NonNull::cast)
}

/// Has the task that is being polled on this thread polled again, behind the others, if `waker` is
/// its own.
#[inline]
pub(crate) fn poll_again(waker: &Waker) -> bool {
    // SAFETY: we are called in the poll, or in the end, of that task, see `set_task`.
    task().is_some_and(|task| unsafe { Header::mark_yielded(task, waker) })
}

/// Returns the id of the task that is being polled on this thread, or whose future or output is
/// being dropped.
pub(crate) fn task_id() -> Option<Id> {
    // SAFETY: its cell is alive, see `set_task`.
    Id::ending().or_else(|| task().map(|task| unsafe { task.as_ref() }.id()))
}

/// The task of `pool` that is being polled on this thread, or its job that runs here; also if what
/// is polled is the root of a `block_on` in that job.
pub(crate) fn task_of(pool: &Pool) -> Option<AbortHandle> {
    let task = task();
    let job = job_of(pool);
    // A job may drive another runtime: then the task is that one's.
    let here = seated(|seated| seated.map_or(job.is_some(), |seated| ptr::eq(Arc::as_ptr(seated.pool), pool)));
    let waits = if task.is_some() { task.filter(|_| here) } else { job };
    // SAFETY: its cell is alive, see `set_task` and `JOB`.
    waits.map(|task| unsafe { AbortHandle::from_header(task) })
}

/// Marks this thread as driving a current-thread runtime, for as long as the answer lives.
pub(crate) fn drives() -> impl Drop {
    set_scoped(&DRIVES, true)
}

/// Whether it is.
pub(crate) fn is_driving() -> bool {
    DRIVES.get()
}

/// Marks this thread as being in no task, for as long as the answer lives.
pub(crate) fn no_task() -> impl Drop {
    Outer(set_task(None))
}

/// The task around a wait, which is named again when the wait is over.
struct Outer(Option<NonNull<Header>>);

impl Drop for Outer {
    fn drop(&mut self) {
        set_task(self.0);
    }
}

/// Marks this thread as running a blocking job of `pool`, for as long as the answer lives.
pub(crate) fn job(pool: &Pool, job: &Header) -> impl Drop + use<> {
    set_scoped(&JOB, Some((ptr::from_ref(pool), job.into())))
}

fn job_of(pool: &Pool) -> Option<NonNull<Header>> {
    let (of, job) = JOB.try_with(Cell::get).ok().flatten()?;
    ptr::eq(of, pool).then_some(job)
}

/// What this thread is to `pool` when it spawns.
pub(crate) fn spawn_source(pool: &Pool) -> SpawnSource {
    let works = seated(|seated| {
        seated.is_some_and(|seated| {
            let root = DRIVES.get() && task().is_none() && !seated.local.is_batching();
            ptr::eq(Arc::as_ptr(seated.pool), pool) && !root
        })
    });
    if works || job_of(pool).is_some() { SpawnSource::Internal } else { SpawnSource::External }
}

/// A stay inside of a runtime. Its end removes this stay, whatever has been entered since.
#[derive(Debug)]
pub(crate) struct EnterToken {
    /// `None` if it has ended, or if the thread's locals were gone when it began.
    number: Option<u64>,
}

/// Enters a runtime. In the destructors of thread-locals it may have no effect: see
/// [`is_destroyed`].
pub(crate) fn enter(pool: Arc<Pool>) -> EnterToken {
    let number = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let number = entered.next;
        entered.next += 1;
        entered.stack.push((number, pool));
        entered.show_innermost();
        number
    });
    EnterToken { number: number.ok() }
}

/// Runs user code of `pool` inside of that runtime: `Handle::current()` returns its handle,
/// whatever this thread is inside of otherwise.
///
/// All user code that a runtime calls by itself, destructors included, goes through here, or runs
/// under a [`EnterToken`] that begins with the thread. See [the
/// page](crate::shutdown#user-code-runs-inside-of-its-own-runtime).
#[inline]
pub(crate) fn run_in_runtime<R>(pool: &Arc<Pool>, f: impl FnOnce() -> R) -> R {
    let _entered = (!ptr::eq(INNERMOST.get(), Arc::as_ptr(pool))).then(|| enter(Arc::clone(pool)));
    f()
}

/// Returns a guard that drops `value` inside of `pool` when it is dropped.
pub(crate) fn drop_in_runtime<T>(pool: &Arc<Pool>, value: T) -> impl Drop + use<'_, T> {
    struct Inside<'a, T>(&'a Arc<Pool>, Option<T>);
    impl<T> Drop for Inside<'_, T> {
        fn drop(&mut self) {
            run_in_runtime(self.0, || drop(self.1.take()));
        }
    }
    Inside(pool, Some(value))
}

impl EnterToken {
    /// Ends the stay. Returns false if another one has begun since and has not ended.
    pub(crate) fn exit(&mut self) -> bool {
        let Some(number) = self.number.take() else { return true };
        // If the thread's locals are gone there is nothing to end. The pool is dropped outside of
        // the borrow.
        let ended = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let at = entered.stack.iter().rposition(|(other, _)| *other == number)?;
            let innermost = at + 1 == entered.stack.len();
            let pool = entered.stack.remove(at);
            entered.show_innermost();
            Some((innermost, pool))
        });
        ended.ok().flatten().is_none_or(|(innermost, _pool)| innermost)
    }
}

impl Drop for EnterToken {
    fn drop(&mut self) {
        self.exit();
    }
}

/// Whether what this thread does now belongs to `pool`, for which it works: it has not entered
/// another runtime since.
#[inline]
pub(crate) fn is_inside(pool: &Pool) -> bool {
    let innermost = INNERMOST.get();
    innermost.is_null() || ptr::eq(innermost, pool)
}

/// The runtime that this thread is inside of: the one it entered last, else the one it works for.
pub(crate) fn pool() -> Option<Arc<Pool>> {
    let entered = ENTERED.try_with(|entered| Some(Arc::clone(&entered.borrow().stack.last()?.1)));
    entered.ok().flatten().or_else(|| seated(|seated| seated.map(|seated| Arc::clone(seated.pool))))
}

/// Whether this thread ends, and does not know any more what it has entered.
pub(crate) fn is_destroyed() -> bool {
    ENTERED.try_with(|_| ()).is_err()
}

/// The message for a thread outside of a runtime.
pub(crate) const NO_RUNTIME: &str = "no heist runtime is running on this thread; call this in a task or inside of \
                                     `Runtime::block_on`, or enter a runtime first with `Runtime::enter` or `Handle::enter`";

/// The reactor of the runtime that this thread is inside of.
///
/// # Panics
///
/// If there is no runtime, or it has no I/O.
#[track_caller]
pub(crate) fn reactor() -> Arc<Reactor> {
    let pool = pool().expect(NO_RUNTIME);
    assert!(
        pool.settings.io,
        "this runtime was built without I/O: call `enable_io` or `enable_all` on its `runtime::Builder`"
    );
    Arc::clone(&pool.reactor)
}

/// The remedy in the panic of a timer that is made in a runtime without timers.
pub(crate) const NO_TIMERS: &str =
    "this runtime was built without timers: call `enable_time` or `enable_all` on its `runtime::Builder`";

/// The wheel on which this thread files its timers: its seat's, or the shared wheel's.
///
/// # Panics
///
/// If there is no runtime, or it has no timers.
#[track_caller]
pub(crate) fn wheel() -> Arc<TimerWheel> {
    let own = seated(|seated| {
        let seated = seated?;
        (seated.pool.settings.time && is_inside(seated.pool)).then(|| Arc::clone(&seated.seat.wheel))
    });
    match own {
        Some(wheel) => wheel,
        None => shared_wheel(),
    }
}

#[track_caller]
fn shared_wheel() -> Arc<TimerWheel> {
    let pool = pool().expect(NO_RUNTIME);
    assert!(pool.settings.time, "{NO_TIMERS}");
    Arc::clone(&pool.shared_wheel)
}
