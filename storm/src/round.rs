//! One runtime, from its making to its end.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use heist::runtime::{Builder, Handle, LocalOptions, LocalRuntime, Runtime};
use heist::time::timeout;

use crate::alarm::limited;
use crate::attic::{self, Item};
use crate::body::{Way, at_leisure, body, launch, launch_job, launch_local};
use crate::deed::{self, Kept, PLACES, Site, calmly, deed, dispose, dispose_local};
use crate::dice::Dice;
use crate::scene::{Flavour, Scene};
use crate::verdict::fail;
use crate::{bell, setup};

/// How long the runtime waits for what it is doomed by.
const LINGERS: Duration = Duration::from_millis(12);

/// Threads of the storm's own that have a part in a round.
pub(crate) type Outsiders = Vec<thread::JoinHandle<()>>;

/// What the round's thread does. Its thread-locals may have the runtime when it has returned, and
/// the others may wait for that to end.
pub(crate) fn round(scene: &Arc<Scene>) -> Outsiders {
    let mut dice = scene.dice();
    let builder = setup::builder(scene, &mut dice);
    if scene.flavour == Flavour::Local { local(scene, builder, &mut dice) } else { shared(scene, builder, &mut dice) }
}

/// What a maker of runtimes answers, unless a thread was refused.
fn made<R>(scene: &Scene, built: std::io::Result<R>) -> Option<R> {
    scene.at("the runtime is made");
    match built {
        Ok(runtime) => Some(runtime),
        Err(error) if setup::is_refusal(&error) => None,
        Err(error) => fail(&format!("no runtime: {error}")),
    }
}

fn settle_in(scene: &Arc<Scene>, handle: &Handle, dice: &mut Dice) {
    scene.set_handle(handle.clone());
    if dice.one_in(4) {
        calmly(|| attic::put(scene, Item::Handle(handle.clone()), dice));
    }
}

fn shared(scene: &Arc<Scene>, mut builder: Builder, dice: &mut Dice) -> Outsiders {
    let Some(runtime) = made(scene, builder.build()).map(Arc::new) else { return Vec::new() };
    drop(builder);
    settle_in(scene, runtime.handle(), dice);
    let waits = dice.one_in(2);
    let outsiders = outsiders(scene, &Arc::downgrade(&runtime), !waits, dice);
    scene.at("the mix");
    for _ in 0..dice.below(8) {
        // It does nothing that only the end of the runtime may end.
        calmly(|| deed(scene, Site::Outside, dice));
        root(scene, &runtime, dice);
    }
    if waits {
        scene.at("the others are waited for");
        turns(&outsiders, || root(scene, &runtime, dice));
    }
    scene.at("the runtime ends");
    scene.refill(30);
    scene.end();
    end(scene, runtime, dice);
    scene.at("the runtime has ended");
    outsiders
}

fn local(scene: &Arc<Scene>, mut builder: Builder, dice: &mut Dice) -> Outsiders {
    let Some(runtime) = made(scene, builder.build_local(LocalOptions::default())) else { return Vec::new() };
    drop(builder);
    settle_in(scene, runtime.handle(), dice);
    let waits = dice.one_in(2);
    let outsiders = outsiders(scene, &Weak::new(), !waits, dice);
    scene.at("the mix");
    for _ in 0..dice.below(6) {
        local_root(scene, &runtime, dice);
    }
    if waits {
        turns(&outsiders, || local_root(scene, &runtime, dice));
    }
    scene.at("the runtime ends");
    scene.refill(30);
    scene.end();
    end_local(scene, runtime, dice);
    scene.at("the runtime has ended");
    outsiders
}

/// Some threads. Those that `stay` are there when the runtime ends.
fn outsiders(scene: &Arc<Scene>, runtime: &Weak<Runtime>, stay: bool, dice: &mut Dice) -> Outsiders {
    let count = 1 + dice.below(3);
    let start = |_| {
        let (scene, runtime, mut dice) = (Arc::clone(scene), Weak::clone(runtime), dice.fork());
        thread::spawn(move || {
            for _ in 0..dice.below(50) {
                calmly(|| from_outside(&scene, &runtime, &mut dice));
            }
            if stay {
                at_the_end(&scene, &mut dice);
            }
        })
    };
    (0..count).map(start).collect()
}

/// Meets the end of the runtime.
fn at_the_end(scene: &Arc<Scene>, dice: &mut Dice) {
    let begun = Instant::now();
    while !scene.is_ending() && begun.elapsed() < LINGERS {
        thread::yield_now();
    }
    thread::sleep(dice.micros(200));
    for _ in 0..dice.below(60) {
        calmly(|| match dice.below(10) {
            0..=4 => deed::wake(scene, dice),
            5 => deed::abort(scene, dice),
            6 => deed::spawn(scene, dice),
            7 => deed::job(scene, dice),
            8 if scene.drains(dice) => at_leisure(scene, Site::Outside, dice),
            _ => deed(scene, Site::Outside, dice),
        });
    }
}

/// Does something again and again until the others have ended. They may wait for the end of the
/// runtime: one that a task's panic has closed is not driven any more.
fn turns(outsiders: &Outsiders, mut turn: impl FnMut()) {
    for _ in 0..300 {
        if outsiders.iter().all(thread::JoinHandle::is_finished) {
            return;
        }
        turn();
    }
}

/// One thing that a thread of the storm's own does.
fn from_outside(scene: &Arc<Scene>, runtime: &Weak<Runtime>, dice: &mut Dice) {
    match dice.below(12) {
        0..=1 => at_leisure(scene, Site::Outside, dice),
        2 => {
            if let Some(mut join) = scene.take_join(dice) {
                let ended = bell::wait(scene, &mut join, dice.micros(2_000));
                if ended.is_none() {
                    drop(scene.keep_join(join));
                }
            }
        }
        3 => {
            if let Some(runtime) = runtime.upgrade() {
                root(scene, &runtime, dice);
            }
        }
        4 => thread::sleep(dice.micros(300)),
        _ => deed(scene, Site::Outside, dice),
    }
}

/// A `block_on`, which drives a current-thread runtime.
fn root(scene: &Arc<Scene>, runtime: &Runtime, dice: &mut Dice) {
    calmly(|| {
        let (limit, body) = (dice.micros(2_000), body(scene, dice.fork()));
        runtime.block_on(limited(limit, body));
    });
}

fn local_root(scene: &Arc<Scene>, runtime: &LocalRuntime, dice: &mut Dice) {
    calmly(|| {
        let limit = dice.micros(2_000);
        let body = async {
            for _ in 0..dice.below(4) {
                let join = launch_local(scene, dice);
                deed::keep(scene, join, dice);
            }
            body(scene, dice.fork()).await;
        };
        let _ = runtime.block_on(async { timeout(limit, body).await });
    });
}

fn end(scene: &Arc<Scene>, runtime: Arc<Runtime>, dice: &mut Dice) {
    if dice.one_in(8) {
        // Whichever thread is the last to have it.
        return drop(runtime);
    }
    let Some(runtime) = Arc::into_inner(runtime) else { return };
    let drives = scene.flavour == Flavour::Current;
    let handle = runtime.handle().clone();
    match dice.below(12) {
        0..=2 => dispose(runtime, dice),
        3 => {
            scene.at("the runtime ends in another one");
            in_another(scene, runtime, dice, dispose);
        }
        4 => {
            scene.at("the runtime ends as the output of its task");
            let task = handle.spawn(async move { runtime });
            if drives {
                drive(&handle, dice);
            }
            drop(task);
        }
        5 => {
            scene.at("the runtime ends with its task");
            let kept = Kept { scene: Arc::clone(scene), polls: 1000 };
            let task = handle.spawn(async move {
                let _runtime = runtime;
                kept.await;
            });
            thread::sleep(dice.micros(500));
            task.abort();
            if drives {
                drive(&handle, dice);
            }
        }
        6 => {
            scene.at("the runtime ends with its job");
            let job = handle.spawn_blocking(move || runtime);
            if dice.one_in(2) {
                job.abort();
            }
            if drives {
                drive(&handle, dice);
            }
        }
        7..=8 => {
            scene.at("the runtime ends in its job, or in its task");
            let mut own = dice.fork();
            if dice.one_in(2) && !drives {
                handle.spawn(async move { dispose(runtime, &mut own) });
            } else {
                handle.spawn_blocking(move || dispose(runtime, &mut own));
            }
            if drives {
                drive(&handle, dice);
            }
        }
        _ => {
            scene.at("the runtime is doomed");
            let place = PLACES[dice.index(PLACES.len())];
            scene.doom(runtime, place);
            if drives {
                drive(&handle, dice);
            } else if place == Site::Stall {
                drop(handle.spawn(async { thread::sleep(Duration::from_millis(12)) }));
            }
            linger(scene, &handle, dice);
            if let Some(runtime) = scene.reprieved() {
                dispose(runtime, dice);
            }
        }
    }
}

/// Lets happen what may happen, until the runtime is dropped somewhere, or for a while.
fn linger(scene: &Arc<Scene>, handle: &Handle, dice: &mut Dice) {
    let end = Instant::now() + LINGERS;
    while scene.has_doomed() && Instant::now() < end {
        scene.refill(10);
        calmly(|| match dice.below(6) {
            0 => drop(launch(scene, Way::On(handle), dice)),
            1 => drop(launch_job(scene, handle, dice)),
            2 => drop(handle.resize(1 + dice.below(4) as usize)),
            3 => thread::sleep(dice.micros(200)),
            _ => deed(scene, Site::Outside, dice),
        });
    }
}

/// Drives a current-thread runtime without borrowing it.
fn drive(handle: &Handle, dice: &mut Dice) {
    calmly(|| drop(handle.drain(dice.micros(2_000)).wait()));
}

/// Ends a runtime in a task, or in the root, of another one.
fn in_another<R: 'static>(scene: &Arc<Scene>, runtime: R, dice: &mut Dice, end: fn(R, &mut Dice)) {
    let mut own = dice.fork();
    let other = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(other) => other,
        Err(error) => fail(&format!("no other runtime: {error}")),
    };
    for _ in 0..dice.below(3) {
        drop(launch(scene, Way::On(other.handle()), dice));
    }
    if dice.one_in(2) {
        drop(other.block_on(other.spawn_local(async move { end(runtime, &mut own) })));
    } else {
        other.block_on(async move { end(runtime, &mut own) });
    }
    dispose_local(other, dice);
}

fn end_local(scene: &Arc<Scene>, runtime: LocalRuntime, dice: &mut Dice) {
    let handle = runtime.handle().clone();
    // A drain that another thread has begun may be over before the task has been polled. Then the
    // runtime belongs to a task that is not run.
    let may_be_its_tasks = !scene.may_drain();
    match dice.below(10) {
        0..=1 => dispose_local(runtime, dice),
        2..=3 => {
            scene.at("the runtime ends in another one");
            in_another(scene, runtime, dice, dispose_local);
        }
        4 => {
            // The destructor of a thread-local drops it.
            scene.doom_local(runtime, Site::Nowhere);
        }
        5..=6 if may_be_its_tasks => {
            scene.at("the runtime ends with its task");
            let (mut own, aborts) = (dice.fork(), dice.one_in(2));
            let _inside = handle.enter();
            let kept = Kept { scene: Arc::clone(scene), polls: if aborts { 1000 } else { 0 } };
            let task = heist::task::spawn_local(async move {
                let runtime = runtime;
                kept.await;
                dispose_local(runtime, &mut own);
            });
            if aborts {
                task.abort();
            }
            calmly(|| drop(handle.drain(Duration::from_secs(3600)).wait()));
        }
        _ => {
            scene.at("the runtime is doomed");
            scene.doom_local(runtime, PLACES[dice.index(PLACES.len())]);
            drive(&handle, dice);
            if let Some(runtime) = Scene::reprieved_local() {
                dispose_local(runtime, dice);
            }
        }
    }
}
