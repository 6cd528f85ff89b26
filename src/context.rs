//! The current thread's relation to runtimes: which seat it occupies, which runtimes it has
//! entered, which task or job it runs.
//!
//! All user code of a runtime is called inside of it:
#![doc = include_str!("../docs/user-code.md")]

pub(crate) mod budget;
pub(crate) mod can_block;
pub(crate) mod messages;
pub(crate) mod thread_role;

use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::task::Waker;

use crate::drain::gate::SpawnSource;
use crate::group::Group;
use crate::pool::local::Local;
use crate::pool::{self, Pool, Seat};
use crate::primitive::Arc;
use crate::raw_task::{AbortHandle, Header, Id, Route};
use crate::reactor::Reactor;
use crate::timer::TimerWheel;
use crate::util::scoped_cell::{ScopedSet, set_scoped};

/// The worker on this thread, for code that the worker's task calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seated<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) seat: &'a Seat,
    pub(crate) local: &'a Local,
}

std::thread_local! {
    /// The worker that runs on this thread.
    ///
    /// Invariant: null, or points into the frame of [`run_in_seat`], which resets it.
    static SEATED: Cell<*const Seated<'static>> = const { Cell::new(ptr::null()) };
    /// This thread polls futures, so it must not block.
    static POLLING: Cell<bool> = const { Cell::new(false) };
    /// This thread drives a current-thread runtime, or waits to do so. While it runs no task, it
    /// polls the root or calls wakers.
    static DRIVING: Cell<bool> = const { Cell::new(false) };
    /// The blocking job that runs here, and its pool. The pool's pointer is only compared.
    ///
    /// Invariant: the job's header is alive until the job has returned, as for [`set_task`].
    static JOB: Cell<Option<(*const Pool, NonNull<Header>)>> = const { Cell::new(None) };
    /// The pool in which this thread is a worker in a blocking section.
    static BLOCKING_IN: Cell<Option<pool::Id>> = const { Cell::new(None) };
    /// The pools whose shutdown waits for this thread, the innermost first. The thread belongs to
    /// the pool, or drives it.
    static MEMBER_OF: Cell<[Option<pool::Id>; NESTED]> = const { Cell::new([None; NESTED]) };
    /// The runtimes that this thread has entered, the innermost last.
    static ENTERED: RefCell<Entered> = const { RefCell::new(Entered { stack: Vec::new(), next: 0, grouped_at: None }) };
}

std::thread_local! {
    /// The pool that was entered last. It can be read in one instruction, and is only compared.
    static INNERMOST: Cell<*const Pool> = const { Cell::new(ptr::null()) };
}

std::thread_local! {
    /// The group of the innermost scope.
    static SCOPE: RefCell<Option<Arc<Group>>> = const { RefCell::new(None) };
}

/// The most nested pools of which a thread is marked as a member. Beyond these, the shutdown of an
/// outer pool waits for this thread until its grace period ends.
const NESTED: usize = 4;

/// The mark of a thread that the shutdown of a pool waits for.
pub(crate) type Member = ScopedSet<[Option<pool::Id>; NESTED]>;

struct Entered {
    stack: Vec<(u64, Arc<Pool>)>,
    next: u64,
    /// The height of the stack at which spawned tasks belong to a group.
    grouped_at: Option<usize>,
}

impl Entered {
    fn publish_innermost(&self) {
        INNERMOST.set(match self.stack.last() {
            _ if self.grouped_at.is_some_and(|height| self.is_unchanged_since(height)) => GROUPED,
            Some((_, pool)) => Arc::as_ptr(pool),
            None => ptr::null(),
        });
    }
}

impl Entered {
    /// Returns true if this thread is inside of the runtime that it was inside of at that height.
    fn is_unchanged_since(&self, height: usize) -> bool {
        let Some(entered) = self.stack.get(height..) else { return false };
        let outer = height.checked_sub(1).and_then(|last| self.stack.get(last));
        entered.iter().all(|(_, pool)| outer.is_some_and(|(_, outer)| Arc::ptr_eq(pool, outer)))
    }
}

/// Stands for the innermost pool while spawned tasks belong to a group. It is the address of no
/// pool. So only a spawn that does not find its pool at once asks for the group.
const GROUPED: *const Pool = ptr::without_provenance(1);

/// Marks that what this thread spawns belongs to a group, until the returned guard is dropped. A
/// runtime that is entered meanwhile ends the mark as long as it is entered.
fn mark_grouped() -> impl Drop {
    let set = |height: Option<usize>| {
        let replaced = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let height = height.or(Some(entered.stack.len()));
            let replaced = std::mem::replace(&mut entered.grouped_at, height);
            entered.publish_innermost();
            replaced
        });
        replaced.ok().flatten()
    };
    RestoreGrouped(set(None))
}

/// Restores the mark of [`mark_grouped`].
struct RestoreGrouped(Option<usize>);

impl Drop for RestoreGrouped {
    fn drop(&mut self) {
        // If the thread-locals have been destroyed, there is nothing to restore.
        let _ = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            entered.grouped_at = self.0;
            entered.publish_innermost();
        });
    }
}

/// Runs `f` inside of a scope of `group`: what this thread spawns meanwhile belongs to the group.
pub(crate) fn run_in_scope<R>(group: &Arc<Group>, f: impl FnOnce() -> R) -> R {
    let replaced = SCOPE.try_with(|scope| scope.replace(Some(Arc::clone(group))));
    let _scope = RestoreScope(replaced.ok().flatten());
    let _grouped = mark_grouped();
    f()
}

/// Runs `f`, which polls tasks of a group. The scope of code further up the stack does not apply to
/// them.
pub(crate) fn run_in_slice<R>(f: impl FnOnce() -> R) -> R {
    let replaced = SCOPE.try_with(|scope| scope.replace(None));
    let _scope = RestoreScope(replaced.ok().flatten());
    let _grouped = mark_grouped();
    f()
}

/// Restores the scope around a [`run_in_scope`].
struct RestoreScope(Option<Arc<Group>>);

impl Drop for RestoreScope {
    fn drop(&mut self) {
        let ended = SCOPE.try_with(|scope| scope.replace(self.0.take()));
        drop(ended);
    }
}

/// Returns the group in which this thread spawns tasks: that of the innermost scope, or else that
/// of the task that is being polled.
pub(crate) fn group() -> Option<Arc<Group>> {
    if INNERMOST.get() != GROUPED {
        return None;
    }
    let scope = SCOPE.try_with(|scope| scope.borrow().clone()).ok().flatten();
    scope.or_else(|| task_group()?.into_any().downcast().ok())
}

/// Returns the group of the task that is being polled on this thread, or of the job that runs here.
pub(crate) fn task_group() -> Option<Arc<dyn Route>> {
    // A `block_on` within a job does not hide the job.
    let task = task().or_else(|| JOB.try_with(Cell::get).ok().flatten().map(|(_, job)| job))?;
    // SAFETY: the task's cell is alive, see `set_task` and `JOB`.
    unsafe { task.as_ref() }.group().map(Arc::clone)
}

/// Runs `f` with this thread occupying a seat.
pub(crate) fn run_in_seat<R>(seated: Seated<'_>, f: impl FnOnce() -> R) -> R {
    // The pointer is reset before `seated` is dropped, also if `f` panics.
    let _restore = set_scoped(&SEATED, (&raw const seated).cast());
    f()
}

/// Calls `f` with the worker of this thread, if there is one.
#[inline]
pub(crate) fn seated<R>(f: impl FnOnce(Option<&Seated<'_>>) -> R) -> R {
    let seated = SEATED.get();
    // SAFETY: by the invariant of `SEATED`, the pointer is null or valid until `run_in_seat`
    // returns. `f` borrows the target only for its own run, which ends before that.
    f(unsafe { seated.as_ref() })
}

/// The seat of this thread, whose worker is inside of no other runtime and of no group.
#[derive(Clone, Copy)]
pub(crate) struct SeatHere(NonNull<Seated<'static>>);

impl SeatHere {
    /// # Safety
    ///
    /// This thread has not left the seat since [`seat_here`] has returned this.
    #[inline]
    pub(crate) unsafe fn seated<'a>(self) -> &'a Seated<'a> {
        // SAFETY: by the invariant of `SEATED`, the pointer is valid until the thread leaves the
        // seat.
        unsafe { self.0.cast().as_ref() }
    }
}

/// Returns the seat of this thread, if it is a worker that has entered no other runtime since, and
/// is inside of no group.
#[inline]
pub(crate) fn seat_here() -> Option<SeatHere> {
    let here = NonNull::new(SEATED.get().cast_mut())?;
    // SAFETY: as in `seated`.
    is_inside(unsafe { here.as_ref() }.pool).then_some(SeatHere(here))
}

/// Calls `f`, which may block, with this thread being no worker and polling nothing.
///
/// If the thread is a worker that polls a task, `f` gets its seat, to begin a blocking section for
/// its own length. In a hook, a waker or a destructor on a worker's thread, the seat cannot be
/// handed off. There nothing changes, and `f` gets `None`.
pub(crate) fn exit_worker<R>(f: impl FnOnce(Option<&Seated<'_>>) -> R) -> R {
    let (seated, task) = (SEATED.get(), task());
    if !seated.is_null() && task.is_none() {
        return f(None);
    }
    let _polling = set_scoped(&POLLING, false);
    let _unlimited = budget::unlimited();
    // SAFETY: as in `seated`.
    let (Some(seated), Some(task)) = (unsafe { seated.as_ref() }, task) else { return f(None) };
    // What the task spawns meanwhile counts as spawned by the runtime's own.
    // SAFETY: the task's cell is alive, see `set_task`.
    let _job = job(seated.pool, unsafe { task.as_ref() });
    let _out = set_scoped(&BLOCKING_IN, Some(seated.pool.id));
    let _seated = set_scoped(&SEATED, ptr::null());
    f(Some(seated))
}

/// Returns true if this thread is a worker of that pool in a blocking section.
fn is_blocking_in(pool: pool::Id) -> bool {
    BLOCKING_IN.get() == Some(pool)
}

/// Marks this thread as one that the shutdown of `pool` waits for, until the returned guard is
/// dropped.
pub(crate) fn member_of(pool: pool::Id) -> Member {
    let [first, second, third, _] = MEMBER_OF.get();
    set_scoped(&MEMBER_OF, [Some(pool), first, second, third])
}

/// Returns whether the shutdown of `pool` waits for this thread. Such a thread must not wait for
/// that shutdown.
fn is_member_of(pool: pool::Id) -> bool {
    MEMBER_OF.get().contains(&Some(pool))
}

/// Marks this thread as polling futures, until the returned guard is dropped.
pub(crate) fn polling() -> impl Drop {
    set_scoped(&POLLING, true)
}

/// Returns true if this thread polls a future.
fn is_polling() -> bool {
    POLLING.get()
}

/// Sets the task, or job, that is about to be polled, and returns the previous one. The caller sets
/// the previous one again after the poll.
///
/// Until the poll has returned, this thread holds the task's `Runnable`. So the task's cell is
/// alive while code runs that can read this.
#[inline]
pub(crate) fn set_task(task: Option<NonNull<Header>>) -> Option<NonNull<Header>> {
    budget::set_current(task.map(NonNull::cast)).map(NonNull::cast)
}

/// Returns the task, or job, that is being polled on this thread.
fn task() -> Option<NonNull<Header>> {
    budget::current().map(NonNull::cast)
}

/// Marks the task that is being polled on this thread as yielded, if `waker` is its own: it is
/// polled again, behind the other tasks. Returns true if it is marked.
#[inline]
pub(crate) fn poll_again(waker: &Waker) -> bool {
    // SAFETY: this is called during the poll, or the drop, of that task, so its cell is alive: see
    // `set_task`.
    task().is_some_and(|task| unsafe { Header::mark_yielded(task, waker) })
}

/// Returns the id of the task that is being polled on this thread, or whose future or output is
/// being dropped.
pub(crate) fn task_id() -> Option<Id> {
    // SAFETY: the task's cell is alive, see `set_task`.
    Id::ending().or_else(|| task().map(|task| unsafe { task.as_ref() }.id()))
}

/// Returns the task of `pool` that is being polled on this thread, or the job of `pool` that runs
/// here. A `block_on` within the job does not hide it.
pub(crate) fn task_of(pool: &Pool) -> Option<AbortHandle> {
    let task = task();
    let job = job_of(pool);
    // A job may drive another runtime. Then the task belongs to that runtime.
    let here = seated(|seated| seated.map_or(job.is_some(), |seated| ptr::eq(Arc::as_ptr(seated.pool), pool)));
    let current = if task.is_some() { task.filter(|_| here) } else { job };
    // SAFETY: the task's cell is alive, see `set_task` and `JOB`.
    current.map(|task| unsafe { AbortHandle::from_header(task) })
}

/// Marks this thread as driving a current-thread runtime, until the returned guard is dropped.
pub(crate) fn drives() -> impl Drop {
    set_scoped(&DRIVING, true)
}

/// Returns true if this thread drives a current-thread runtime, or waits to do so.
fn is_driving() -> bool {
    DRIVING.get()
}

/// Marks this thread as polling no task, until the returned guard is dropped.
pub(crate) fn no_task() -> impl Drop {
    RestoreTask(set_task(None))
}

/// Restores the task around a wait on drop.
struct RestoreTask(Option<NonNull<Header>>);

impl Drop for RestoreTask {
    fn drop(&mut self) {
        set_task(self.0);
    }
}

/// Marks this thread as running a blocking job of `pool`, until the returned guard is dropped.
pub(crate) fn job(pool: &Pool, job: &Header) -> impl Drop + use<> {
    set_scoped(&JOB, Some((ptr::from_ref(pool), job.into())))
}

fn job_of(pool: &Pool) -> Option<NonNull<Header>> {
    let (of, job) = JOB.try_with(Cell::get).ok().flatten()?;
    ptr::eq(of, pool).then_some(job)
}

/// Returns whether a spawn by this thread is internal or external to `pool`.
pub(crate) fn spawn_source(pool: &Pool) -> SpawnSource {
    let works = seated(|seated| {
        seated.is_some_and(|seated| {
            let root = DRIVING.get() && task().is_none() && !seated.local.is_batching();
            ptr::eq(Arc::as_ptr(seated.pool), pool) && !root
        })
    });
    if works || job_of(pool).is_some() { SpawnSource::Internal } else { SpawnSource::External }
}

/// The token of one entered runtime. Its drop exits that runtime, whatever has been entered since.
#[derive(Debug)]
pub(crate) struct EnterToken {
    /// `None` after the exit, or if the thread-locals had been destroyed at the entry.
    number: Option<u64>,
}

/// Enters a runtime. In the destructors of thread-locals this may have no effect: see
/// [`is_destroyed`].
pub(crate) fn enter(pool: Arc<Pool>) -> EnterToken {
    let number = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let number = entered.next;
        entered.next += 1;
        entered.stack.push((number, pool));
        entered.publish_innermost();
        number
    });
    EnterToken { number: number.ok() }
}

/// Runs user code of `pool` inside of that runtime: `Handle::current()` returns its handle,
/// whatever else this thread has entered.
///
/// A runtime calls all user code, destructors included, through this function, or under an
/// [`EnterToken`] that exists since the thread's start. See
/// [the page](crate::shutdown#user-code-and-its-runtime).
#[inline]
pub(crate) fn run_in_runtime<R>(pool: &Arc<Pool>, f: impl FnOnce() -> R) -> R {
    let _entered = (!ptr::eq(INNERMOST.get(), Arc::as_ptr(pool))).then(|| enter(Arc::clone(pool)));
    f()
}

/// Returns a guard whose drop drops `value` inside of `pool`.
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
    /// Exits the runtime. Returns false if another runtime has been entered since and not exited.
    pub(crate) fn exit(&mut self) -> bool {
        let Some(number) = self.number.take() else { return true };
        // If the thread-locals have been destroyed, there is nothing to exit. The pool is dropped
        // outside of the borrow.
        let exited = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let position = entered.stack.iter().rposition(|(other, _)| *other == number)?;
            let innermost = position + 1 == entered.stack.len();
            let pool = entered.stack.remove(position);
            // The mark stays on the same entries.
            entered.grouped_at = entered.grouped_at.map(|height| height - usize::from(position < height));
            entered.publish_innermost();
            Some((innermost, pool))
        });
        exited.ok().flatten().is_none_or(|(innermost, _pool)| innermost)
    }
}

impl Drop for EnterToken {
    fn drop(&mut self) {
        self.exit();
    }
}

/// Returns true if this thread, a worker of `pool`, has not entered another runtime since.
#[inline]
pub(crate) fn is_inside(pool: &Pool) -> bool {
    let innermost = INNERMOST.get();
    innermost.is_null() || ptr::eq(innermost, pool)
}

/// Returns the runtime that this thread is inside of: the one that it entered last, else the one
/// whose worker it is.
pub(crate) fn pool() -> Option<Arc<Pool>> {
    let entered = ENTERED.try_with(|entered| Some(Arc::clone(&entered.borrow().stack.last()?.1)));
    entered.ok().flatten().or_else(|| seated(|seated| seated.map(|seated| Arc::clone(seated.pool))))
}

/// Returns true if this thread is exiting and the record of entered runtimes has been destroyed.
pub(crate) fn is_destroyed() -> bool {
    ENTERED.try_with(|_| ()).is_err()
}

/// Returns the reactor of the runtime that this thread is inside of.
///
/// # Panics
///
/// If there is no runtime, or it has no I/O.
#[track_caller]
pub(crate) fn reactor() -> Arc<Reactor> {
    let Some(pool) = pool() else { panic!("{}", messages::no_runtime()) };
    reactor_of(&pool)
}

/// Returns the reactor of a pool.
///
/// # Panics
///
/// If the pool has no I/O.
#[track_caller]
pub(crate) fn reactor_of(pool: &Pool) -> Arc<Reactor> {
    assert!(
        pool.settings.io,
        "this runtime was built without I/O: call `enable_io` or `enable_all` on its `runtime::Builder`"
    );
    Arc::clone(&pool.reactor)
}

/// The panic message for a timer in a runtime without timers.
pub(crate) const NO_TIMERS: &str =
    "this runtime was built without timers: call `enable_time` or `enable_all` on its `runtime::Builder`";

/// As [`is_inside`], also if what this thread spawns belongs to a group.
pub(crate) fn is_inside_or_grouped(pool: &Pool) -> bool {
    let is_last = || {
        let last = ENTERED.try_with(|entered| entered.borrow().stack.last().map(|(_, last)| Arc::as_ptr(last)));
        last.ok().flatten().is_none_or(|last| ptr::eq(last, pool))
    };
    is_inside(pool) || (INNERMOST.get() == GROUPED && is_last())
}

/// Returns the wheel for this thread's timers: its seat's, or the shared wheel.
///
/// # Panics
///
/// If there is no runtime, or it has no timers.
#[track_caller]
pub(crate) fn wheel() -> Arc<TimerWheel> {
    let own = seated(|seated| {
        let seated = seated?;
        (seated.pool.settings.time && is_inside_or_grouped(seated.pool)).then(|| Arc::clone(&seated.seat.wheel))
    });
    match own {
        Some(wheel) => wheel,
        None => shared_wheel(),
    }
}

#[track_caller]
fn shared_wheel() -> Arc<TimerWheel> {
    let Some(pool) = pool() else { panic!("{}", messages::no_runtime()) };
    assert!(pool.settings.time, "{NO_TIMERS}");
    Arc::clone(&pool.shared_wheel)
}
