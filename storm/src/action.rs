//! Random actions that may happen anywhere: in polls, jobs, destructors, hooks and wakers, and on
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

use crate::body::{self, SpawnWay};
use crate::dice::Dice;
use crate::leftovers::{self, Item};
use crate::round_state::RoundState;
use crate::tracked::{Kind, Tracked};
use crate::{acting_waker, time_limit};

/// The place of an action.
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
    ThreadExit,
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

/// The sites at which the runtime may be dropped, besides `Outside`.
pub(crate) const DROP_SITES: [Site; 17] = [
    Site::Poll,
    Site::Job,
    Site::InPlace,
    Site::Destructor,
    Site::Waker,
    Site::ThreadExit,
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

/// The most nested actions on one thread.
const MAX_DEPTH: u32 = 5;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Acts when the thread exits.
    static ACT_AT_EXIT: ActAtExit = const { ActAtExit(RefCell::new(Vec::new())) };
}

struct ActAtExit(RefCell<Vec<Arc<RoundState>>>);

impl Drop for ActAtExit {
    fn drop(&mut self) {
        for round in self.0.take() {
            catch(|| {
                drop_runtime_if_due(&round, Site::ThreadExit);
                act_randomly(&round, Site::ThreadExit, &mut round.dice());
            });
        }
    }
}

/// Makes this thread act when it exits. Has no effect if it is exiting, or never exits.
pub(crate) fn act_at_thread_exit(round: &Arc<RoundState>) {
    if time_limit::is_lasting_thread() {
        return;
    }
    let _ = ACT_AT_EXIT.try_with(|tail| {
        let mut rounds = tail.0.borrow_mut();
        if rounds.len() < 8 {
            rounds.push(Arc::clone(round));
        }
    });
}

/// Calls `f`, and catches its panic.
pub(crate) fn catch(f: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(f)));
}

impl Site {
    /// Returns true if a panic is caught at this site.
    fn may_panic(self) -> bool {
        use Site::{BeforePoll, Destructor, InPlace, Job, Poll, Stall, TaskEnd, TaskSpawn, Waker};
        let contained = [Poll, Job, InPlace, Destructor, Waker, TaskSpawn, TaskEnd, BeforePoll, Site::AfterPoll, Stall];
        contained.contains(&self) && !thread::panicking()
    }
}

/// Drops the round's runtime, if this is its drop site.
pub(crate) fn drop_runtime_if_due(round: &Arc<RoundState>, site: Site) {
    if let Some(runtime) = round.take_if_due(site) {
        end_runtime(runtime, &mut round.dice());
    }
    if let Some(runtime) = round.take_local_if_due(site) {
        end_local_runtime(runtime, &mut round.dice());
    }
}

/// Ends a runtime in a random way.
pub(crate) fn end_runtime(runtime: Runtime, dice: &mut Dice) {
    match dice.below(6) {
        0 => runtime.shutdown_background(),
        1 => runtime.shutdown_timeout(dice.micros(2_000)),
        2 => runtime.shutdown_timeout(Duration::from_secs(3600)),
        3 if !thread::panicking() => drop_while_unwinding(runtime),
        _ => drop(runtime),
    }
}

/// As [`end_runtime`], for a local runtime.
pub(crate) fn end_local_runtime(runtime: LocalRuntime, dice: &mut Dice) {
    match dice.below(6) {
        0 => runtime.shutdown_background(),
        1 => runtime.shutdown_timeout(dice.micros(2_000)),
        2 => runtime.shutdown_timeout(Duration::from_secs(3600)),
        3 if !thread::panicking() => drop_while_unwinding(runtime),
        _ => drop(runtime),
    }
}

/// Drops `value` while the thread unwinds.
fn drop_while_unwinding<T>(value: T) {
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _value = value;
        resume_unwind(Box::new("around a runtime"));
    }));
    drop(unwound);
}

/// Does one random action.
pub(crate) fn act_randomly(round: &Arc<RoundState>, site: Site, dice: &mut Dice) {
    let depth = DEPTH.get();
    if depth >= MAX_DEPTH || !round.spend_budget() {
        return;
    }
    DEPTH.set(depth + 1);
    let done = catch_unwind(AssertUnwindSafe(|| do_action(round, site, dice)));
    DEPTH.set(depth);
    match done {
        // A second panic would end the process.
        Err(payload) if !thread::panicking() => resume_unwind(payload),
        _ => {}
    }
}

fn do_action(round: &Arc<RoundState>, site: Site, dice: &mut Dice) {
    match dice.below(32) {
        0..=5 => spawn_task(round, dice),
        6..=7 => spawn_job(round, dice),
        8..=12 => wake_random(round, dice),
        13..=14 => leftovers::use_random(round, dice),
        15..=16 => abort_random(round, dice),
        17 => with_handle(round, |handle| drop(handle.resize(dice.below(7) as usize))),
        18 => resize_and_poll(round, dice),
        19 if round.may_begin_drain(dice) => with_handle(round, |handle| drop(handle.drain(dice.micros(2_000)))),
        20 if round.may_begin_drain(dice) => drain_and_poll(round, dice),
        21 => thread::yield_now(),
        22 => thread::sleep(dice.micros(100)),
        23 => block_in_place(|| {
            drop_runtime_if_due(round, Site::InPlace);
            act_randomly(round, Site::InPlace, dice);
        }),
        24 => act_at_thread_exit(round),
        25 if site.may_panic() => resume_unwind(Box::new(Tracked::new(round, Kind::Payload, false))),
        26 => with_handle(round, |handle| inspect_handle(handle, dice)),
        27..=28 => poll_timer(round, dice),
        29 => poll_socket(round, dice),
        30 => drop(round.take_join(dice).and_then(|join| give_back_unfinished(round, join))),
        31 => act_inside(round, dice),
        _ => {}
    }
}

/// Calls `f` with the handle of the round's runtime. The runtime may have been dropped.
pub(crate) fn with_handle(round: &Arc<RoundState>, f: impl FnOnce(&Handle)) {
    if let Some(handle) = round.handle() {
        f(&handle);
    }
}

/// Spawns a task in a random way, and keeps or drops its handle.
pub(crate) fn spawn_task(round: &Arc<RoundState>, dice: &mut Dice) {
    with_handle(round, |handle| {
        let way = match dice.below(4) {
            0 => SpawnWay::Named(handle),
            1 => SpawnWay::Try(handle),
            2 if Handle::try_current().is_ok() => SpawnWay::Here,
            _ => SpawnWay::On(handle),
        };
        if let Some(join) = body::spawn_random(round, way, dice) {
            keep_or_drop(round, join, dice);
        }
    });
}

/// Spawns a blocking job, and keeps or drops its handle.
pub(crate) fn spawn_job(round: &Arc<RoundState>, dice: &mut Dice) {
    with_handle(round, |handle| {
        let join = body::spawn_job_random(round, handle, dice);
        keep_or_drop(round, join, dice);
    });
}

/// Keeps, aborts or drops a handle.
pub(crate) fn keep_or_drop(round: &Arc<RoundState>, join: JoinHandle<Tracked>, dice: &mut Dice) {
    if dice.one_in(8) {
        leftovers::put_item(round, Item::Abort(join.abort_handle()), dice);
    }
    if dice.one_in(8) {
        join.abort();
    }
    if dice.one_in(3) {
        drop(join);
    } else {
        drop(round.keep_join(join));
    }
}

/// Keeps the handle again if it is not finished, else returns it.
fn give_back_unfinished(round: &Arc<RoundState>, join: JoinHandle<Tracked>) -> Option<JoinHandle<Tracked>> {
    if join.is_finished() { Some(join) } else { round.keep_join(join) }
}

pub(crate) fn wake_random(round: &Arc<RoundState>, dice: &mut Dice) {
    if let Some(waker) = round.take_waker(dice) {
        leftovers::use_waker(round, waker, dice);
    }
}

pub(crate) fn abort_random(round: &Arc<RoundState>, dice: &mut Dice) {
    if let Some(join) = round.take_join(dice) {
        join.abort();
        drop(round.keep_join(join));
    }
}

/// Uses the handle of a runtime, which may have been dropped.
pub(crate) fn use_handle(round: &Arc<RoundState>, handle: &Handle, dice: &mut Dice) {
    match dice.below(7) {
        0 => drop(body::spawn_random(round, SpawnWay::On(handle), dice)),
        1 => drop(body::spawn_random(round, SpawnWay::Try(handle), dice)),
        2 => drop(body::spawn_job_random(round, handle, dice)),
        3 => drop(handle.resize(2)),
        4 if round.may_begin_drain(dice) => drop(handle.drain(Duration::ZERO)),
        5 => {
            let _inside = handle.enter();
            poll_timer(round, dice);
        }
        _ => inspect_handle(handle, dice),
    }
}

fn inspect_handle(handle: &Handle, dice: &mut Dice) {
    match dice.below(3) {
        0 => drop(handle.dump().to_string()),
        1 => drop(format!("{:?}", handle.metrics())),
        _ => drop((handle.worker_threads(), handle.metrics().num_alive_tasks())),
    }
}

/// Polls a future with a waker that acts. Then keeps it for later, or drops it.
fn poll_once<F: Future<Output = ()> + Send + 'static>(round: &Arc<RoundState>, future: F, dice: &mut Dice) {
    let mut future: leftovers::BoxFuture = Box::pin(future);
    let waker = acting_waker::acting_waker(round);
    if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() && dice.one_in(2) {
        leftovers::put_item(round, Item::Future(future), dice);
    }
}

fn resize_and_poll(round: &Arc<RoundState>, dice: &mut Dice) {
    with_handle(round, |handle| {
        let resize = handle.resize(1 + dice.below(5) as usize);
        poll_once(round, async { drop(resize.await) }, dice);
    });
}

pub(crate) fn drain_and_poll(round: &Arc<RoundState>, dice: &mut Dice) {
    with_handle(round, |handle| {
        let drain = handle.drain(dice.micros(2_000));
        poll_once(round, async { drop(drain.await) }, dice);
        poll_once(round, handle.draining(), dice);
    });
}

/// Polls and resets a timer, and drops it now or later.
fn poll_timer(round: &Arc<RoundState>, dice: &mut Dice) {
    if Handle::try_current().is_err() {
        return;
    }
    let mut timer = Box::pin(sleep(dice.micros(2_000)));
    let waker = acting_waker::acting_waker(round);
    let mut cx = Context::from_waker(&waker);
    let polled = timer.as_mut().poll(&mut cx);
    if dice.one_in(3) {
        timer.as_mut().reset(Instant::now() + dice.micros(3_000));
        let _ = timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    if polled == Poll::Pending && dice.one_in(2) {
        leftovers::put_item(round, Item::Future(timer), dice);
    }
}

/// Polls a read of a socket, and may write to its peer.
fn poll_socket(round: &Arc<RoundState>, dice: &mut Dice) {
    if Handle::try_current().is_err() {
        return;
    }
    let Ok((mut one, other)) = UnixStream::pair() else { return };
    let reads = async move { drop(one.read(&mut [0; 8]).await) };
    poll_once(round, reads, dice);
    if dice.one_in(2) {
        let _ = other.try_write(b"x");
    }
}

/// Acts inside of the runtime.
fn act_inside(round: &Arc<RoundState>, dice: &mut Dice) {
    with_handle(round, |handle| {
        let _inside = handle.enter();
        act_randomly(round, Site::Nowhere, dice);
    });
}

/// A future that keeps its waker at each poll, and is ready after `polls` polls.
pub(crate) struct KeepsWaker {
    pub(crate) round: Arc<RoundState>,
    pub(crate) polls: u64,
}

impl Future for KeepsWaker {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.polls == 0 {
            return Poll::Ready(());
        }
        self.polls -= 1;
        let mut dice = self.round.dice();
        let waker = cx.waker().clone();
        if dice.one_in(4) {
            leftovers::put_item(&self.round, Item::Waker(waker), &mut dice);
        } else {
            let full = self.round.keep_waker(waker, &mut dice);
            if let Some(waker) = full {
                leftovers::use_waker(&self.round, waker, &mut dice);
            }
        }
        Poll::Pending
    }
}
