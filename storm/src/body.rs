//! The bodies of tasks and jobs.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};
use std::time::Duration;

use heist::net::UnixStream;
use heist::runtime::{Builder, Handle};
use heist::task::{self, JoinHandle, JoinSet, block_in_place, consume_budget, unconstrained, yield_now};
use heist::time::{sleep, timeout};

use crate::action::{KeepsWaker, Site, act_at_thread_exit, act_randomly, drop_runtime_if_due, spawn_task};
use crate::dice::Dice;
use crate::leftovers::BoxFuture;
use crate::round_state::{Flavour, RoundState};
use crate::time_limit::limited;
use crate::tracked::{Kind, Tracked};

/// How a task is spawned.
pub(crate) enum SpawnWay<'a> {
    On(&'a Handle),
    Named(&'a Handle),
    Try(&'a Handle),
    /// On the runtime that this thread is inside of.
    Here,
    Set(&'a mut JoinSet<Tracked>),
}

impl SpawnWay<'_> {
    fn spawn<F: Future<Output = Tracked> + Send + 'static>(self, future: F) -> Option<JoinHandle<Tracked>> {
        match self {
            SpawnWay::On(handle) => Some(handle.spawn(future)),
            SpawnWay::Named(handle) => task::Builder::new().name("storm").spawn_on(future, handle).ok(),
            SpawnWay::Try(handle) => match handle.try_spawn(future) {
                Ok(join) => Some(join),
                Err(refused) => {
                    drop(refused.into_inner());
                    None
                }
            },
            SpawnWay::Here => Some(heist::spawn(future)),
            SpawnWay::Set(set) => {
                drop(set.spawn(future));
                None
            }
        }
    }
}

/// A task's future of a given size.
struct Sized<const N: usize> {
    body: BoxFuture,
    tracked: Tracked,
    filling: [u8; N],
}

const FILLING: u8 = 0xa5;

impl<const N: usize> Future for Sized<N> {
    type Output = Tracked;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Tracked> {
        let this = &mut *self;
        this.tracked.check_alive();
        if this.filling.iter().any(|&byte| byte != FILLING) {
            crate::failure::fail("the memory of a task was written to");
        }
        drop_runtime_if_due(this.tracked.round(), Site::Poll);
        let polled = this.body.as_mut().poll(cx);
        polled.map(|()| Tracked::new(this.tracked.round(), Kind::Output, this.tracked.round().dice().one_in(8)))
    }
}

/// Spawns a task of random size. Returns `None` if the runtime refuses it, or if a set owns the
/// handle.
pub(crate) fn spawn_random(round: &Arc<RoundState>, way: SpawnWay<'_>, dice: &mut Dice) -> Option<JoinHandle<Tracked>> {
    if !round.spend_budget() {
        return None;
    }
    let body = body(round, dice.fork());
    let tracked = Tracked::new(round, Kind::Task, dice.one_in(3));
    match dice.below(8) {
        0 => way.spawn(Sized { body, tracked, filling: [FILLING; 100] }),
        1 => way.spawn(Sized { body, tracked, filling: [FILLING; 700] }),
        2 => way.spawn(Sized { body, tracked, filling: [FILLING; 2_000] }),
        3 => way.spawn(Sized { body, tracked, filling: [FILLING; 17_000] }),
        _ => way.spawn(Sized { body, tracked, filling: [] }),
    }
}

/// Spawns a local task, which fails the storm if its future is on another thread.
pub(crate) fn spawn_local_random(round: &Arc<RoundState>, dice: &mut Dice) -> JoinHandle<Tracked> {
    let thread_check = StaysOnThread { here: Rc::new(thread::current().id()) };
    let body = body(round, dice.fork());
    let tracked = Tracked::new(round, Kind::Task, dice.one_in(3));
    task::spawn_local(async move {
        let (mut task, thread_check) = (Sized { body, tracked, filling: [FILLING; 8] }, thread_check);
        let output = Pin::new(&mut task).await;
        thread_check.assert_same_thread();
        // Dropped explicitly: see `acting_waker::wait_for`.
        drop(task);
        output
    })
}

struct StaysOnThread {
    here: Rc<ThreadId>,
}

impl StaysOnThread {
    fn assert_same_thread(&self) {
        if *self.here != thread::current().id() {
            crate::failure::fail("the future of a local task is on another thread");
        }
    }
}

impl Drop for StaysOnThread {
    fn drop(&mut self) {
        self.assert_same_thread();
    }
}

/// Returns a future of several random steps.
pub(crate) fn body(round: &Arc<RoundState>, mut dice: Dice) -> BoxFuture {
    let round = Arc::clone(round);
    Box::pin(async move {
        for _ in 0..dice.below(6) {
            random_step(&round, &mut dice).await;
        }
    })
}

fn random_step<'a>(round: &'a Arc<RoundState>, dice: &'a mut Dice) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    let kept = |polls| KeepsWaker { round: Arc::clone(round), polls };
    match dice.below(40) {
        0..=5 => Box::pin(yield_now()),
        6..=7 => Box::pin(sleep(dice.micros(1_500))),
        8..=9 => {
            let limit = dice.micros(1_000);
            Box::pin(async move {
                let _ = timeout(limit, kept(100)).await;
            })
        }
        10..=14 => Box::pin(kept(1 + dice.below(3))),
        15..=18 => Box::pin(async { act_randomly(round, Site::Poll, dice) }),
        19..=20 => Box::pin(spawn_child(round, dice)),
        21..=22 => Box::pin(spawn_children(round, dice)),
        23..=24 => Box::pin(run_echo(dice.fork())),
        25..=26 => Box::pin(run_job(round, dice)),
        27 => Box::pin(async { run_in_place(round, dice) }),
        28 => Box::pin(resize_runtime(dice)),
        29 if round.may_begin_drain(dice) => Box::pin(drain_runtime(dice.micros(2_000))),
        30 => {
            let limit = dice.micros(1_000);
            Box::pin(async move {
                let _ = timeout(limit, Handle::current().draining()).await;
            })
        }
        31 => {
            let (one, other) = (body(round, dice.fork()), body(round, dice.fork()));
            Box::pin(Race(one, other))
        }
        32 => Box::pin(unconstrained(body(round, dice.fork()))),
        33 => Box::pin(async move {
            for _ in 0..300 {
                consume_budget().await;
            }
        }),
        34 => Box::pin(run_scoped(body(round, dice.fork()))),
        35 if dice.one_in(8) => Box::pin(async { resume_unwind(Box::new(Tracked::new(round, Kind::Payload, false))) }),
        36 if dice.one_in(16) => Box::pin(async { run_inner_runtime(round, dice) }),
        37 if dice.one_in(8) => Box::pin(async { thread::sleep(Duration::from_millis(2 + dice.below(10))) }),
        38 => Box::pin(async { act_at_thread_exit(round) }),
        _ => Box::pin(async { spawn_task(round, dice) }),
    }
}

/// Two bodies. When one has ended, the other is dropped.
struct Race(BoxFuture, BoxFuture);

impl Future for Race {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { self.1.as_mut().poll(cx) }
    }
}

heist::task_local! {
    static TEXT: Arc<String>;
}

async fn run_scoped(body: BoxFuture) {
    let text = Arc::new("of a task".to_owned());
    let seen = TEXT.scope(Arc::clone(&text), async {
        body.await;
        TEXT.with(|seen| seen.len())
    });
    assert_eq!(seen.await, text.len());
}

async fn spawn_child(round: &Arc<RoundState>, dice: &mut Dice) {
    let Some(join) = spawn_random(round, SpawnWay::Here, dice) else { return };
    if dice.one_in(4) {
        join.abort();
    }
    drop(timeout(dice.micros(2_000), join).await);
}

async fn spawn_children(round: &Arc<RoundState>, dice: &mut Dice) {
    let mut set = JoinSet::new();
    for _ in 0..dice.below(5) {
        spawn_random(round, SpawnWay::Set(&mut set), dice);
    }
    match dice.below(6) {
        0 => set.abort_all(),
        1 => set.detach_all(),
        2 => drop(timeout(dice.micros(2_000), set.shutdown()).await),
        3 => drop(set.try_join_next()),
        4 => drop(timeout(dice.micros(2_000), set.join_next()).await),
        _ => {
            let limit = dice.micros(2_000);
            let _ = timeout(limit, async { while set.join_next().await.is_some() {} }).await;
        }
    }
}

/// Sends some bytes to a task and back.
async fn run_echo(mut dice: Dice) {
    let Ok((mut near, mut far)) = UnixStream::pair() else { return };
    let answers = async move {
        let mut byte = [0; 1];
        while far.read(&mut byte).await? == 1 {
            far.write_all(&byte).await?;
        }
        std::io::Result::Ok(())
    };
    let other = heist::spawn(answers);
    for byte in 0..dice.below(6) as u8 {
        let talk = async {
            near.write_all(&[byte]).await?;
            near.read_exact(&mut [0; 1]).await
        };
        drop(timeout(dice.micros(2_000), talk).await);
    }
    match dice.below(3) {
        0 => other.abort(),
        1 => drop(near),
        _ => {
            drop(near);
            drop(timeout(dice.micros(1_000), other).await);
        }
    }
}

async fn run_job(round: &Arc<RoundState>, dice: &mut Dice) {
    let join = spawn_job_random(round, &Handle::current(), dice);
    if dice.one_in(3) {
        join.abort();
    }
    drop(timeout(dice.micros(2_000), join).await);
}

fn run_in_place(round: &Arc<RoundState>, dice: &mut Dice) {
    // On other flavours it panics, as documented.
    if round.flavour == Flavour::Multi || dice.one_in(8) {
        block_in_place(|| {
            drop_runtime_if_due(round, Site::InPlace);
            act_blocking(round, Site::InPlace, dice);
        });
    }
}

async fn resize_runtime(dice: &mut Dice) {
    let resize = Handle::current().resize(dice.below(7) as usize);
    drop(timeout(dice.micros(2_000), resize).await);
}

async fn drain_runtime(deadline: Duration) {
    let report = Handle::current().drain(deadline).await;
    drop(report.to_string());
}

/// Builds and ends another runtime within a poll.
fn run_inner_runtime(round: &Arc<RoundState>, dice: &mut Dice) {
    let mut builder = if dice.one_in(2) { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let Ok(runtime) = builder.worker_threads(1).watchdog(false).enable_all().build() else { return };
    for _ in 0..dice.below(4) {
        drop(spawn_random(round, SpawnWay::On(runtime.handle()), dice));
    }
    act_randomly(round, Site::Poll, dice);
    crate::action::end_runtime(runtime, dice);
}

/// Spawns a blocking job.
pub(crate) fn spawn_job_random(round: &Arc<RoundState>, handle: &Handle, dice: &mut Dice) -> JoinHandle<Tracked> {
    let tracked = Tracked::new(round, Kind::Job, dice.one_in(3));
    let (mut fork, named) = (dice.fork(), dice.one_in(4));
    let job = move || {
        let round = Arc::clone(tracked.round());
        drop_runtime_if_due(&round, Site::Job);
        for _ in 0..fork.below(4) {
            act_blocking(&round, Site::Job, &mut fork);
        }
        // Dropped explicitly: see `acting_waker::wait_for`.
        drop(tracked);
        Tracked::new(&round, Kind::Output, fork.one_in(8))
    };
    if named {
        task::Builder::new().name("job").spawn_blocking_on(job, handle).expect("the spawn succeeds")
    } else {
        handle.spawn_blocking(job)
    }
}

/// Does a random action that may block. It returns at the latest when the runtime ends. In
/// `block_in_place` it returns before that, unless the drain has no thread for its deadline.
pub(crate) fn act_blocking(round: &Arc<RoundState>, site: Site, dice: &mut Dice) {
    let Some(handle) = round.handle() else { return };
    match dice.below(16) {
        0..=3 => thread::sleep(dice.micros(400)),
        4 => {
            let (limit, body) = (dice.micros(1_000), body(round, dice.fork()));
            handle.block_on(limited(limit, body));
        }
        5 => {
            let (limit, join) = (dice.micros(1_000), spawn_random(round, SpawnWay::On(&handle), dice));
            if let Some(join) = join {
                drop(handle.block_on(limited(limit, join)));
            }
        }
        6 if round.may_begin_drain(dice) => drop(handle.drain(dice.micros(2_000)).wait().to_string()),
        7 if round.may_begin_drain(dice) => drop(handle.block_on(handle.drain(dice.micros(2_000)))),
        8 => drop(handle.resize(1 + dice.below(5) as usize).wait()),
        9 => act_at_thread_exit(round),
        10 => {
            let _inside = handle.enter();
            act_randomly(round, site, dice);
        }
        _ => act_randomly(round, site, dice),
    }
}
