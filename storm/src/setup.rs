//! The settings of a round's runtime.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use heist::runtime::{Builder, UnhandledPanic};

use crate::deed::{Site, calmly, deed, visit};
use crate::dice::Dice;
use crate::scene::{Flavour, Scene};

/// What is said in place of the operating system when it refuses a thread.
const REFUSED: &str = "refused by the storm";

/// Random settings.
pub(crate) fn builder(scene: &Arc<Scene>, dice: &mut Dice) -> Builder {
    let mut builder = match scene.flavour {
        Flavour::Multi => Builder::new_multi_thread(),
        Flavour::Current | Flavour::Local => Builder::new_current_thread(),
    };
    let workers = 1 + dice.below(4) as usize;
    builder.enable_all().worker_threads(workers).max_worker_threads(workers + dice.below(3) as usize);
    builder.watchdog(!dice.one_in(3)).rng_seed(dice.next());
    builder.shutdown_grace(grace(scene, dice));
    builder.max_blocking_threads(1 + dice.below(4) as usize);
    builder.max_spare_workers(dice.below(3) as usize);
    builder.thread_keep_alive(dice.micros(3_000));
    if dice.one_in(3) {
        builder.spin_before_park(dice.micros(50));
    }
    if dice.one_in(4) {
        builder.disable_lifo_slot();
    }
    if dice.one_in(4) {
        builder.event_interval(1 + dice.below(8) as u32);
    }
    if dice.one_in(4) {
        builder.global_queue_interval(1 + dice.below(8) as u32);
    }
    if dice.one_in(4) {
        builder.queue_lanes(1 + dice.below(3) as usize).reactor_shards(1 + dice.below(3) as usize);
    }
    if dice.one_in(8) {
        builder.track_task_schedule_latency().enable_metrics_poll_time_histogram();
    }
    if dice.one_in(4) {
        builder.max_io_events_per_tick(1 + dice.below(4) as usize);
    }
    if scene.flavour != Flavour::Multi && dice.one_in(8) {
        builder.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    }
    hooks(&mut builder, scene, dice);
    if dice.one_in(12) {
        let refuses = Arc::clone(scene);
        builder.refuse_worker(move |seat| {
            // A drain without a thread to keep its deadline may last, and a current-thread runtime
            // may be in one for ever.
            let drain = seat == usize::MAX && refuses.flavour != Flavour::Multi;
            (!drain && refuses.dice().one_in(6)).then(|| io::Error::other(REFUSED))
        });
    }
    builder
}

/// Whether a runtime could not be built because of [`Builder::refuse_worker`].
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.to_string().contains(REFUSED)
}

fn grace(scene: &Arc<Scene>, dice: &mut Dice) -> Duration {
    // A local runtime that is not given the time leaks its tasks, as it says.
    let long = scene.flavour == Flavour::Local || dice.one_in(4);
    if long { Duration::from_secs(5) } else { dice.micros(20_000) }
}

/// A function that does something one time in `n`.
fn hook(scene: &Arc<Scene>, site: Site, n: u64) -> impl Fn() + Send + Sync + 'static {
    let scene = Arc::clone(scene);
    move || {
        visit(&scene, site);
        let mut dice = scene.dice();
        if dice.one_in(n) {
            deed(&scene, site, &mut dice);
        }
    }
}

/// The same, where a panic would end the process.
fn calm_hook(scene: &Arc<Scene>, site: Site, n: u64) -> impl Fn() + Send + Sync + 'static {
    let hook = hook(scene, site, n);
    move || calmly(&hook)
}

fn hooks(builder: &mut Builder, scene: &Arc<Scene>, dice: &mut Dice) {
    let (parks, unparks) = (hook(scene, Site::Park, 4), hook(scene, Site::Unpark, 4));
    // On a worker's thread a panic would end the process; a driver's gets it in its `block_on`.
    if scene.flavour == Flavour::Multi {
        builder.on_thread_park(move || calmly(&parks)).on_thread_unpark(move || calmly(&unparks));
    } else {
        builder.on_thread_park(parks).on_thread_unpark(unparks);
    }
    builder.on_thread_start(calm_hook(scene, Site::Start, 3)).on_thread_stop(calm_hook(scene, Site::Stop, 3));
    let after = calm_hook(scene, Site::AfterResize, 2);
    builder.after_resize(move |_| after());
    let names = calm_hook(scene, Site::Naming, 3);
    builder.thread_name_fn(move || {
        names();
        "storm".to_owned()
    });
    if dice.one_in(2) {
        let names = calm_hook(scene, Site::Naming, 3);
        builder.thread_name_with(move |at| {
            names();
            format!("storm-{}", at.index)
        });
    }
    if dice.one_in(2) {
        let stalls = hook(scene, Site::Stall, 2);
        builder.stall_threshold(Duration::from_millis(1 + dice.below(10))).on_stall(move |report| {
            drop(report.to_string());
            stalls();
        });
    }
    if dice.one_in(2) {
        let spawned = hook(scene, Site::TaskSpawn, 12);
        let ended = hook(scene, Site::TaskEnd, 12);
        let (before, after) = (hook(scene, Site::BeforePoll, 24), hook(scene, Site::AfterPoll, 24));
        builder.on_task_spawn(move |_| spawned()).on_task_terminate(move |_| ended());
        builder.on_before_task_poll(move |_| before()).on_after_task_poll(move |_| after());
    }
}
