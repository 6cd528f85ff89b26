//! What can be done at once, from anywhere: in polls, jobs, destructors, hooks, wakers, and by
//! other threads.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use heist::net::UnixStream;
use heist::runtime::{Handle, LocalRuntime, Runtime};
use heist::task::{JoinHandle, block_in_place};
use heist::time::{Instant, sleep};

use crate::attic::{self, Item};
use crate::body::{self, Way};
use crate::dice::Dice;
use crate::part::{Kind, Part};
use crate::scene::Scene;
use crate::{alarm, bell};

/// Where something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Site {
    /// In the poll of a task, or of a root.
    Poll,
    /// In a blocking job.
    Job,
    /// In a function in `block_in_place`.
    InPlace,
    /// In the destructor of a future, an output or a job.
    Destructor,
    /// In a waker.
    Waker,
    /// In the destructor of a thread-local.
    Tail,
    Start,
    Stop,
    Park,
    Unpark,
    TaskSpawn,
    TaskEnd,
    BeforePoll,
    AfterPoll,
    Naming,
    AfterResize,
    Stall,
    /// On a thread of the storm's own.
    Outside,
    Nowhere,
}

/// Where the runtime may be dropped, other than outside.
pub(crate) const PLACES: [Site; 17] = [
    Site::Poll,
    Site::Job,
    Site::InPlace,
    Site::Destructor,
    Site::Waker,
    Site::Tail,
    Site::Start,
    Site::Stop,
    Site::Park,
    Site::Unpark,
    Site::TaskSpawn,
    Site::TaskEnd,
    Site::BeforePoll,
    Site::AfterPoll,
    Site::Naming,
    Site::AfterResize,
    Site::Stall,
];

/// Deeds within each other, on one thread, at most.
const DEEPEST: u32 = 5;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// What is done when the thread ends.
    static TAIL: Tail = const { Tail(RefCell::new(Vec::new())) };
}

struct Tail(RefCell<Vec<Arc<Scene>>>);

impl Drop for Tail {
    fn drop(&mut self) {
        for scene in self.0.take() {
            calmly(|| {
                visit(&scene, Site::Tail);
                deed(&scene, Site::Tail, &mut scene.dice());
            });
        }
    }
}

/// Has something done when this thread ends; unless it is ending, or does not.
pub(crate) fn leave_tail(scene: &Arc<Scene>) {
    if alarm::is_lasting() {
        return;
    }
    let _ = TAIL.try_with(|tail| {
        let mut left = tail.0.borrow_mut();
        if left.len() < 8 {
            left.push(Arc::clone(scene));
        }
    });
}

/// Does something where a panic would end the process.
pub(crate) fn calmly(f: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(f)));
}

impl Site {
    /// Whether a panic is contained here.
    fn may_panic(self) -> bool {
        use Site::{BeforePoll, Destructor, InPlace, Job, Poll, Stall, TaskEnd, TaskSpawn, Waker};
        let contained = [Poll, Job, InPlace, Destructor, Waker, TaskSpawn, TaskEnd, BeforePoll, Site::AfterPoll, Stall];
        contained.contains(&self) && !thread::panicking()
    }
}

/// Drops the runtime, if this is where that is to be done.
pub(crate) fn visit(scene: &Arc<Scene>, site: Site) {
    if let Some(runtime) = scene.doomed(site) {
        dispose(runtime, &mut scene.dice());
    }
    if let Some(runtime) = scene.doomed_local(site) {
        dispose_local(runtime, &mut scene.dice());
    }
}

/// Ends a runtime in one of the ways that there are.
pub(crate) fn dispose(runtime: Runtime, dice: &mut Dice) {
    match dice.below(6) {
        0 => runtime.shutdown_background(),
        1 => runtime.shutdown_timeout(dice.micros(2_000)),
        2 => runtime.shutdown_timeout(Duration::from_secs(3600)),
        3 if !thread::panicking() => unwinding(runtime),
        _ => drop(runtime),
    }
}

pub(crate) fn dispose_local(runtime: LocalRuntime, dice: &mut Dice) {
    match dice.below(6) {
        0 => runtime.shutdown_background(),
        1 => runtime.shutdown_timeout(dice.micros(2_000)),
        2 => runtime.shutdown_timeout(Duration::from_secs(3600)),
        3 if !thread::panicking() => unwinding(runtime),
        _ => drop(runtime),
    }
}

/// Drops something while the thread panics.
fn unwinding<T>(value: T) {
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _value = value;
        resume_unwind(Box::new("around a runtime"));
    }));
    drop(unwound);
}

/// Does one thing.
pub(crate) fn deed(scene: &Arc<Scene>, site: Site, dice: &mut Dice) {
    let depth = DEPTH.get();
    if depth >= DEEPEST || !scene.spend() {
        return;
    }
    DEPTH.set(depth + 1);
    let done = catch_unwind(AssertUnwindSafe(|| act(scene, site, dice)));
    DEPTH.set(depth);
    match done {
        // Another panic would end the process.
        Err(payload) if !thread::panicking() => resume_unwind(payload),
        _ => {}
    }
}

fn act(scene: &Arc<Scene>, site: Site, dice: &mut Dice) {
    match dice.below(32) {
        0..=5 => spawn(scene, dice),
        6..=7 => job(scene, dice),
        8..=12 => wake(scene, dice),
        13..=14 => attic::rummage(scene, dice),
        15..=16 => abort(scene, dice),
        17 => with_handle(scene, |handle| drop(handle.resize(dice.below(7) as usize))),
        18 => resize_and_poll(scene, dice),
        19 if scene.drains(dice) => with_handle(scene, |handle| drop(handle.drain(dice.micros(2_000)))),
        20 if scene.drains(dice) => drain_and_poll(scene, dice),
        21 => thread::yield_now(),
        22 => thread::sleep(dice.micros(100)),
        23 => block_in_place(|| {
            visit(scene, Site::InPlace);
            deed(scene, Site::InPlace, dice);
        }),
        24 => leave_tail(scene),
        25 if site.may_panic() => resume_unwind(Box::new(Part::new(scene, Kind::Payload, false))),
        26 => with_handle(scene, |handle| look_at(handle, dice)),
        27..=28 => timer(scene, dice),
        29 => sockets(scene, dice),
        30 => drop(scene.take_join(dice).and_then(|join| finished(scene, join))),
        31 => enter(scene, dice),
        _ => {}
    }
}

/// Calls `f` with the handle of the round's runtime. It stays there when that has gone.
pub(crate) fn with_handle(scene: &Arc<Scene>, f: impl FnOnce(&Handle)) {
    if let Some(handle) = scene.handle() {
        f(&handle);
    }
}

/// Spawns a task in some way, and keeps its handle, or not.
pub(crate) fn spawn(scene: &Arc<Scene>, dice: &mut Dice) {
    with_handle(scene, |handle| {
        let way = match dice.below(4) {
            0 => Way::Named(handle),
            1 => Way::Try(handle),
            2 if Handle::try_current().is_ok() => Way::Here,
            _ => Way::On(handle),
        };
        if let Some(join) = body::launch(scene, way, dice) {
            keep(scene, join, dice);
        }
    });
}

/// Has a job run.
pub(crate) fn job(scene: &Arc<Scene>, dice: &mut Dice) {
    with_handle(scene, |handle| {
        let join = body::launch_job(scene, handle, dice);
        keep(scene, join, dice);
    });
}

/// Keeps, aborts or drops a handle.
pub(crate) fn keep(scene: &Arc<Scene>, join: JoinHandle<Part>, dice: &mut Dice) {
    if dice.one_in(8) {
        attic::put(scene, Item::Abort(join.abort_handle()), dice);
    }
    if dice.one_in(8) {
        join.abort();
    }
    if dice.one_in(3) {
        drop(join);
    } else {
        drop(scene.keep_join(join));
    }
}

/// Gives an unfinished handle back.
fn finished(scene: &Arc<Scene>, join: JoinHandle<Part>) -> Option<JoinHandle<Part>> {
    if join.is_finished() { Some(join) } else { scene.keep_join(join) }
}

pub(crate) fn wake(scene: &Arc<Scene>, dice: &mut Dice) {
    if let Some(waker) = scene.take_waker(dice) {
        attic::wake(scene, waker, dice);
    }
}

pub(crate) fn abort(scene: &Arc<Scene>, dice: &mut Dice) {
    if let Some(join) = scene.take_join(dice) {
        join.abort();
        drop(scene.keep_join(join));
    }
}

/// What can be done with a handle, of a runtime that may have gone.
pub(crate) fn use_handle(scene: &Arc<Scene>, handle: &Handle, dice: &mut Dice) {
    match dice.below(7) {
        0 => drop(body::launch(scene, Way::On(handle), dice)),
        1 => drop(body::launch(scene, Way::Try(handle), dice)),
        2 => drop(body::launch_job(scene, handle, dice)),
        3 => drop(handle.resize(2)),
        4 if scene.drains(dice) => drop(handle.drain(Duration::ZERO)),
        5 => {
            let _inside = handle.enter();
            timer(scene, dice);
        }
        _ => look_at(handle, dice),
    }
}

fn look_at(handle: &Handle, dice: &mut Dice) {
    match dice.below(3) {
        0 => drop(handle.dump().to_string()),
        1 => drop(format!("{:?}", handle.metrics())),
        _ => drop((handle.worker_threads(), handle.metrics().num_alive_tasks())),
    }
}

/// Polls a future with a waker that acts, and keeps it for later, or drops it.
fn poll_once<F: Future<Output = ()> + Send + 'static>(scene: &Arc<Scene>, future: F, dice: &mut Dice) {
    let mut future: attic::Boxed = Box::pin(future);
    let waker = bell::waker(scene);
    if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() && dice.one_in(2) {
        attic::put(scene, Item::Future(future), dice);
    }
}

fn resize_and_poll(scene: &Arc<Scene>, dice: &mut Dice) {
    with_handle(scene, |handle| {
        let resize = handle.resize(1 + dice.below(5) as usize);
        poll_once(scene, async { drop(resize.await) }, dice);
    });
}

pub(crate) fn drain_and_poll(scene: &Arc<Scene>, dice: &mut Dice) {
    with_handle(scene, |handle| {
        let drain = handle.drain(dice.micros(2_000));
        poll_once(scene, async { drop(drain.await) }, dice);
        poll_once(scene, handle.draining(), dice);
    });
}

/// A timer that is polled, reset and dropped, here or later.
fn timer(scene: &Arc<Scene>, dice: &mut Dice) {
    if Handle::try_current().is_err() {
        return;
    }
    let mut timer = Box::pin(sleep(dice.micros(2_000)));
    let waker = bell::waker(scene);
    let mut cx = Context::from_waker(&waker);
    let polled = timer.as_mut().poll(&mut cx);
    if dice.one_in(3) {
        timer.as_mut().reset(Instant::now() + dice.micros(3_000));
        let _ = timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    if polled == Poll::Pending && dice.one_in(2) {
        attic::put(scene, Item::Future(timer), dice);
    }
}

/// Two sockets of which one waits for the other, or both are dropped.
fn sockets(scene: &Arc<Scene>, dice: &mut Dice) {
    if Handle::try_current().is_err() {
        return;
    }
    let Ok((mut one, other)) = UnixStream::pair() else { return };
    let reads = async move { drop(one.read(&mut [0; 8]).await) };
    poll_once(scene, reads, dice);
    if dice.one_in(2) {
        let _ = other.try_write(b"x");
    }
}

/// Does things inside of the runtime.
fn enter(scene: &Arc<Scene>, dice: &mut Dice) {
    with_handle(scene, |handle| {
        let _inside = handle.enter();
        deed(scene, Site::Nowhere, dice);
    });
}

/// A future that keeps its waker, and is ready after so many polls.
pub(crate) struct Kept {
    pub(crate) scene: Arc<Scene>,
    pub(crate) polls: u64,
}

impl Future for Kept {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.polls == 0 {
            return Poll::Ready(());
        }
        self.polls -= 1;
        let mut dice = self.scene.dice();
        let waker = cx.waker().clone();
        if dice.one_in(4) {
            attic::put(&self.scene, Item::Waker(waker), &mut dice);
        } else {
            let full = self.scene.keep_waker(waker, &mut dice);
            if let Some(waker) = full {
                attic::wake(&self.scene, waker, &mut dice);
            }
        }
        Poll::Pending
    }
}
