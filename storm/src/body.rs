//! What tasks and jobs do.

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

use crate::alarm::limited;
use crate::attic::Boxed;
use crate::deed::{Kept, Site, deed, leave_tail, spawn, visit};
use crate::dice::Dice;
use crate::part::{Kind, Part};
use crate::scene::{Flavour, Scene};

/// How a task is spawned.
pub(crate) enum Way<'a> {
    On(&'a Handle),
    Named(&'a Handle),
    Try(&'a Handle),
    /// By this thread's runtime.
    Here,
    Set(&'a mut JoinSet<Part>),
}

impl Way<'_> {
    fn spawn<F: Future<Output = Part> + Send + 'static>(self, future: F) -> Option<JoinHandle<Part>> {
        match self {
            Way::On(handle) => Some(handle.spawn(future)),
            Way::Named(handle) => task::Builder::new().name("storm").spawn_on(future, handle).ok(),
            Way::Try(handle) => match handle.try_spawn(future) {
                Ok(join) => Some(join),
                Err(refused) => {
                    drop(refused.into_inner());
                    None
                }
            },
            Way::Here => Some(heist::spawn(future)),
            Way::Set(set) => {
                drop(set.spawn(future));
                None
            }
        }
    }
}

/// A task's future, of some size.
struct Sized<const N: usize> {
    body: Boxed,
    part: Part,
    filling: [u8; N],
}

const FILLING: u8 = 0xa5;

impl<const N: usize> Future for Sized<N> {
    type Output = Part;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Part> {
        let this = &mut *self;
        this.part.check();
        if this.filling.iter().any(|&byte| byte != FILLING) {
            crate::verdict::fail("the memory of a task was written to");
        }
        visit(this.part.scene(), Site::Poll);
        let polled = this.body.as_mut().poll(cx);
        polled.map(|()| Part::new(this.part.scene(), Kind::Output, this.part.scene().dice().one_in(8)))
    }
}

/// Spawns a task; none if the runtime refuses it, or if it is a set's.
pub(crate) fn launch(scene: &Arc<Scene>, way: Way<'_>, dice: &mut Dice) -> Option<JoinHandle<Part>> {
    if !scene.spend() {
        return None;
    }
    let body = body(scene, dice.fork());
    let part = Part::new(scene, Kind::Task, dice.one_in(3));
    match dice.below(8) {
        0 => way.spawn(Sized { body, part, filling: [FILLING; 100] }),
        1 => way.spawn(Sized { body, part, filling: [FILLING; 700] }),
        2 => way.spawn(Sized { body, part, filling: [FILLING; 2_000] }),
        3 => way.spawn(Sized { body, part, filling: [FILLING; 17_000] }),
        _ => way.spawn(Sized { body, part, filling: [] }),
    }
}

/// A task that stays on its thread, and says so if its future does not.
pub(crate) fn launch_local(scene: &Arc<Scene>, dice: &mut Dice) -> JoinHandle<Part> {
    let stays = Stays { here: Rc::new(thread::current().id()) };
    let body = body(scene, dice.fork());
    let part = Part::new(scene, Kind::Task, dice.one_in(3));
    task::spawn_local(async move {
        let (mut task, stays) = (Sized { body, part, filling: [FILLING; 8] }, stays);
        let output = Pin::new(&mut task).await;
        stays.check();
        // Here: see `bell::wait`.
        drop(task);
        output
    })
}

struct Stays {
    here: Rc<ThreadId>,
}

impl Stays {
    fn check(&self) {
        if *self.here != thread::current().id() {
            crate::verdict::fail("the future of a local task is on another thread");
        }
    }
}

impl Drop for Stays {
    fn drop(&mut self) {
        self.check();
    }
}

/// Some steps, one after the other.
pub(crate) fn body(scene: &Arc<Scene>, mut dice: Dice) -> Boxed {
    let scene = Arc::clone(scene);
    Box::pin(async move {
        for _ in 0..dice.below(6) {
            step(&scene, &mut dice).await;
        }
    })
}

fn step<'a>(scene: &'a Arc<Scene>, dice: &'a mut Dice) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    let kept = |polls| Kept { scene: Arc::clone(scene), polls };
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
        15..=18 => Box::pin(async { deed(scene, Site::Poll, dice) }),
        19..=20 => Box::pin(child(scene, dice)),
        21..=22 => Box::pin(children(scene, dice)),
        23..=24 => Box::pin(echo(dice.fork())),
        25..=26 => Box::pin(blocking(scene, dice)),
        27 => Box::pin(async { in_place(scene, dice) }),
        28 => Box::pin(resize(dice)),
        29 if scene.drains(dice) => Box::pin(drain(dice.micros(2_000))),
        30 => {
            let limit = dice.micros(1_000);
            Box::pin(async move {
                let _ = timeout(limit, Handle::current().draining()).await;
            })
        }
        31 => {
            let (one, other) = (body(scene, dice.fork()), body(scene, dice.fork()));
            Box::pin(Race(one, other))
        }
        32 => Box::pin(unconstrained(body(scene, dice.fork()))),
        33 => Box::pin(async move {
            for _ in 0..300 {
                consume_budget().await;
            }
        }),
        34 => Box::pin(scoped(body(scene, dice.fork()))),
        35 if dice.one_in(8) => Box::pin(async { resume_unwind(Box::new(Part::new(scene, Kind::Payload, false))) }),
        36 if dice.one_in(16) => Box::pin(async { inner(scene, dice) }),
        37 if dice.one_in(8) => Box::pin(async { thread::sleep(Duration::from_millis(2 + dice.below(10))) }),
        38 => Box::pin(async { leave_tail(scene) }),
        _ => Box::pin(async { spawn(scene, dice) }),
    }
}

/// Two bodies, of which one is dropped when the other has ended.
struct Race(Boxed, Boxed);

impl Future for Race {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { self.1.as_mut().poll(cx) }
    }
}

heist::task_local! {
    static TALE: Arc<String>;
}

async fn scoped(body: Boxed) {
    let tale = Arc::new("of a task".to_owned());
    let told = TALE.scope(Arc::clone(&tale), async {
        body.await;
        TALE.with(|told| told.len())
    });
    assert_eq!(told.await, tale.len());
}

async fn child(scene: &Arc<Scene>, dice: &mut Dice) {
    let Some(join) = launch(scene, Way::Here, dice) else { return };
    if dice.one_in(4) {
        join.abort();
    }
    drop(timeout(dice.micros(2_000), join).await);
}

async fn children(scene: &Arc<Scene>, dice: &mut Dice) {
    let mut set = JoinSet::new();
    for _ in 0..dice.below(5) {
        launch(scene, Way::Set(&mut set), dice);
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

/// Some bytes there and back, between two tasks or within one.
async fn echo(mut dice: Dice) {
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

async fn blocking(scene: &Arc<Scene>, dice: &mut Dice) {
    let join = launch_job(scene, &Handle::current(), dice);
    if dice.one_in(3) {
        join.abort();
    }
    drop(timeout(dice.micros(2_000), join).await);
}

fn in_place(scene: &Arc<Scene>, dice: &mut Dice) {
    // On other runtimes it panics.
    if scene.flavour == Flavour::Multi || dice.one_in(8) {
        block_in_place(|| {
            visit(scene, Site::InPlace);
            at_leisure(scene, Site::InPlace, dice);
        });
    }
}

async fn resize(dice: &mut Dice) {
    let resize = Handle::current().resize(dice.below(7) as usize);
    drop(timeout(dice.micros(2_000), resize).await);
}

async fn drain(deadline: Duration) {
    let report = Handle::current().drain(deadline).await;
    drop(report.to_string());
}

/// Another runtime comes and goes within a poll.
fn inner(scene: &Arc<Scene>, dice: &mut Dice) {
    let mut builder = if dice.one_in(2) { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let Ok(runtime) = builder.worker_threads(1).watchdog(false).enable_all().build() else { return };
    for _ in 0..dice.below(4) {
        drop(launch(scene, Way::On(runtime.handle()), dice));
    }
    deed(scene, Site::Poll, dice);
    crate::deed::dispose(runtime, dice);
}

/// Has a job run.
pub(crate) fn launch_job(scene: &Arc<Scene>, handle: &Handle, dice: &mut Dice) -> JoinHandle<Part> {
    let part = Part::new(scene, Kind::Job, dice.one_in(3));
    let (mut own, named) = (dice.fork(), dice.one_in(4));
    let job = move || {
        let scene = Arc::clone(part.scene());
        visit(&scene, Site::Job);
        for _ in 0..own.below(4) {
            at_leisure(&scene, Site::Job, &mut own);
        }
        // Here: see `bell::wait`.
        drop(part);
        Part::new(&scene, Kind::Output, own.one_in(8))
    };
    if named {
        task::Builder::new().name("job").spawn_blocking_on(job, handle).expect("it answers no error")
    } else {
        handle.spawn_blocking(job)
    }
}

/// What may block. It comes back at the latest when the runtime ends; in `block_in_place` before,
/// unless the drain has no thread to keep its deadline.
pub(crate) fn at_leisure(scene: &Arc<Scene>, site: Site, dice: &mut Dice) {
    let Some(handle) = scene.handle() else { return };
    match dice.below(16) {
        0..=3 => thread::sleep(dice.micros(400)),
        4 => {
            let (limit, body) = (dice.micros(1_000), body(scene, dice.fork()));
            handle.block_on(limited(limit, body));
        }
        5 => {
            let (limit, join) = (dice.micros(1_000), launch(scene, Way::On(&handle), dice));
            if let Some(join) = join {
                drop(handle.block_on(limited(limit, join)));
            }
        }
        6 if scene.drains(dice) => drop(handle.drain(dice.micros(2_000)).wait().to_string()),
        7 if scene.drains(dice) => drop(handle.block_on(handle.drain(dice.micros(2_000)))),
        8 => drop(handle.resize(1 + dice.below(5) as usize).wait()),
        9 => leave_tail(scene),
        10 => {
            let _inside = handle.enter();
            deed(scene, site, dice);
        }
        _ => deed(scene, site, dice),
    }
}
