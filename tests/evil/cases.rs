//! Plays the cases: each place with each deed, on each flavour.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use heist::runtime::Runtime;
use heist::task::JoinHandle;

use super::actions::{ACTIONS, Action, Effect, PANICS};
use super::globals;
use super::places::{self, Place};
use super::stage::{Deed, Flavor, Stage, contain};
use crate::kit::{Door, OnDrop, join};
use crate::watch::Watch;

/// What another thread calls while the user code blocks.
type Beside = Vec<&'static Action>;

/// Plays every case of a flavour. Returns how many there are.
pub(crate) fn play_all(flavor: Flavor) -> usize {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    globals::install();
    let only = std::env::var("HEIST_EVIL").unwrap_or_default();
    let watch = Watch::start();
    let trace = std::env::var_os("HEIST_EVIL_TRACE").is_some();
    let began = Instant::now();
    let mut cases = 0;
    for (name, place, deed, beside) in all_cases(flavor) {
        if name.contains(&only) {
            cases += 1;
            if trace {
                eprintln!("{:?} {name}", began.elapsed());
            }
            play(&watch, &name, flavor, place, deed, beside);
        }
    }
    cases
}

fn all_cases(flavor: Flavor) -> Vec<(String, &'static Place, Deed, Beside)> {
    let mut cases = Vec::new();
    for place in places::all().filter(|place| place.only.is_none_or(|only| only == flavor)) {
        let mut case =
            |what: &str, deed, beside| cases.push((format!("{flavor:?}, {}: {what}", place.name), place, deed, beside));
        let applicable = || ACTIONS.iter().filter(|action| action.applies(flavor));
        for action in applicable() {
            if !(place.no_refusal && action.is_refusable()) {
                case(action.name, Deed::Acts(action.act), Vec::new());
            }
            if action.effect != Effect::Returns {
                case(&format!("blocks beside {}", action.name), Deed::Blocks, vec![action]);
            }
        }
        let returning = applicable().filter(|action| action.effect == Effect::Returns).collect();
        case("blocks beside every call that returns", Deed::Blocks, returning);
        if place.no_panic_on(flavor).is_none() {
            PANICS.iter().for_each(|&(what, panics)| case(what, Deed::Panics(panics), Vec::new()));
        }
    }
    cases
}

fn play(watch: &Watch, name: &str, flavor: Flavor, place: &'static Place, deed: Deed, beside: Beside) {
    let stage = Stage::new(flavor, deed);
    let described = Arc::clone(&stage);
    watch.begin(name, move || described.description());
    let helper = matches!(deed, Deed::Blocks).then(|| {
        let stage = Arc::clone(&stage);
        thread::spawn(move || act_beside(&stage, &beside))
    });
    let driver = thread::spawn({
        let stage = Arc::clone(&stage);
        move || drive(&stage, place)
    });
    driver.join().unwrap_or_else(|_| panic!("{name}: the thread of the test has panicked"));
    stage.done.wait();
    helper
        .into_iter()
        .for_each(|helper| helper.join().unwrap_or_else(|_| panic!("{name}: the thread beside has panicked")));
    contain(|| drop(stage.take_kept()));
    let handles: Vec<JoinHandle<_>> = std::mem::take(&mut *stage.handles.lock().unwrap());
    // A result may be a panic whose payload panics.
    handles.into_iter().for_each(|task| contain(|| drop(join(task))));
    stage.wait_for_ends();
    while stage.spawned.get() != stage.ended.get() {
        thread::yield_now();
    }
    if let Some(handle) = stage.handle() {
        while handle.metrics().num_alive_tasks() > 0 {
            thread::yield_now();
        }
    }
    let faults = std::mem::take(&mut *stage.faults.lock().unwrap());
    assert!(faults.is_empty(), "{name}: {faults:?}");
    watch.end();
}

/// Calls the runtime while the user code blocks, and lets it go on.
fn act_beside(stage: &Arc<Stage>, actions: &Beside) {
    stage.begun.wait();
    if stage.flavor == Flavor::Workers {
        // The other worker goes on.
        let probe = stage.handle().expect("a handle").spawn(async {});
        let _ = join(probe);
    }
    let frees = OnDrop::new(|| stage.gate.open());
    for action in actions {
        if action.waits() {
            let started = Door::new();
            let (opens, stage, act) = (started.clone(), Arc::clone(stage), action.act);
            let waiting = thread::spawn(move || {
                opens.open();
                act(&stage);
            });
            started.wait();
            drop(frees);
            waiting.join().expect("a call that waits does not panic");
            return;
        }
        (action.act)(stage);
    }
}

/// Builds the runtime, makes it call the user code, and ends it.
fn drive(stage: &Arc<Stage>, place: &'static Place) {
    let mut builder = stage.builder();
    (place.configure)(&mut builder, stage.evil());
    let runtime = builder.build().expect("a runtime");
    stage.handle.lock().unwrap().get_or_insert_with(|| runtime.handle().clone());
    let known = Door::new();
    let host = stage.spawn(host(Arc::clone(stage), place, known.opened()));
    *stage.own.lock().unwrap() = Some(host);
    let until = if place.at_end { &stage.set_up } else { &stage.done };
    match stage.flavor {
        Flavor::Workers => {
            *stage.runtime.lock().unwrap() = Some(runtime);
            known.open();
            until.wait();
        }
        Flavor::BlockOn => {
            known.open();
            drive_to(stage, place, || runtime.block_on(until.opened()));
            drop(runtime);
        }
        Flavor::Drained => {
            let drain = runtime.drain(Duration::MAX);
            *stage.runtime.lock().unwrap() = Some(runtime);
            known.open();
            drive_to(stage, place, || drop(drain.wait()));
        }
    }
    let runtime: Option<Runtime> = stage.runtime.lock().unwrap().take();
    drop(runtime);
}

/// Drives a runtime. In some places, a panic of user code reaches the caller, and ends the case.
fn drive_to(stage: &Stage, place: &Place, call: impl FnOnce()) {
    if !(place.panics_in_driver && stage.panics()) {
        return call();
    }
    let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else { panic!("the panic does not reach the caller") };
    // The payload may panic again.
    std::mem::forget(payload);
}

/// The task that makes the runtime call the user code.
async fn host(stage: Arc<Stage>, place: &'static Place, known: impl Future<Output = ()>) {
    let ending = Arc::clone(&stage);
    let _ends = OnDrop::new(move || {
        ending.set_up.open();
        let victim = ending.victim.lock().unwrap().take();
        victim.iter().for_each(heist::task::AbortHandle::abort);
    });
    known.await;
    stage.spawn_victim().await;
    poll_fn(|cx| {
        let own = stage.own.lock().unwrap().clone();
        *stage.host.lock().unwrap() = own.map(|own| (own, cx.waker().clone()));
        Poll::Ready(())
    })
    .await;
    (place.trigger)(Arc::clone(&stage)).await;
    stage.set_up.open();
    if !place.at_end && !place.host_ends {
        stage.begun.opened().await;
    }
    if stage.flavor == Flavor::Drained {
        let runtime = stage.runtime.lock().unwrap().take();
        drop(runtime);
    }
}
