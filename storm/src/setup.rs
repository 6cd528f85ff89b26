//! Random settings and hooks of a round's runtime.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use heist::runtime::{Builder, UnhandledPanic};

use crate::action::{Site, act_randomly, catch, drop_runtime_if_due};
use crate::dice::Dice;
use crate::round_state::{Flavour, RoundState};

/// The error with which the storm refuses a thread.
const REFUSED: &str = "refused by the storm";

/// Returns a builder with random settings.
pub(crate) fn builder(round: &Arc<RoundState>, dice: &mut Dice) -> Builder {
    let mut builder = match round.flavour {
        Flavour::Multi => Builder::new_multi_thread(),
        Flavour::Current | Flavour::Local => Builder::new_current_thread(),
    };
    let workers = 1 + dice.below(4) as usize;
    builder.enable_all().worker_threads(workers).max_worker_threads(workers + dice.below(3) as usize);
    builder.watchdog(!dice.one_in(3)).rng_seed(dice.next());
    builder.shutdown_grace(shutdown_grace(round, dice));
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
    if round.flavour != Flavour::Multi && dice.one_in(8) {
        builder.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    }
    set_hooks(&mut builder, round, dice);
    if dice.one_in(12) {
        let state = Arc::clone(round);
        builder.refuse_worker(move |seat| {
            // Without a thread for its deadline, a drain may last, on a current-thread runtime for
            // ever.
            let drain = seat == usize::MAX && state.flavour != Flavour::Multi;
            (!drain && state.dice().one_in(6)).then(|| io::Error::other(REFUSED))
        });
    }
    builder
}

/// Returns true if a runtime could not be built because of [`Builder::refuse_worker`].
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.to_string().contains(REFUSED)
}

fn shutdown_grace(round: &Arc<RoundState>, dice: &mut Dice) -> Duration {
    // A local runtime without enough time leaks its tasks, as documented.
    let long = round.flavour == Flavour::Local || dice.one_in(4);
    if long { Duration::from_secs(5) } else { dice.micros(20_000) }
}

/// Returns a hook that acts one time in `n`.
fn acting_hook(round: &Arc<RoundState>, site: Site, n: u64) -> impl Fn() + Send + Sync + 'static {
    let round = Arc::clone(round);
    move || {
        drop_runtime_if_due(&round, site);
        let mut dice = round.dice();
        if dice.one_in(n) {
            act_randomly(&round, site, &mut dice);
        }
    }
}

/// As [`acting_hook`], for hooks whose panic would end the process.
fn caught_hook(round: &Arc<RoundState>, site: Site, n: u64) -> impl Fn() + Send + Sync + 'static {
    let hook = acting_hook(round, site, n);
    move || catch(&hook)
}

fn set_hooks(builder: &mut Builder, round: &Arc<RoundState>, dice: &mut Dice) {
    let (parks, unparks) = (acting_hook(round, Site::Park, 4), acting_hook(round, Site::Unpark, 4));
    // On a worker's thread a panic would end the process. On a driver's it propagates out of
    // `block_on`.
    if round.flavour == Flavour::Multi {
        builder.on_thread_park(move || catch(&parks)).on_thread_unpark(move || catch(&unparks));
    } else {
        builder.on_thread_park(parks).on_thread_unpark(unparks);
    }
    builder.on_thread_start(caught_hook(round, Site::Start, 3)).on_thread_stop(caught_hook(round, Site::Stop, 3));
    let after = caught_hook(round, Site::AfterResize, 2);
    builder.after_resize(move |_| after());
    let names = caught_hook(round, Site::Naming, 3);
    builder.thread_name_fn(move || {
        names();
        "storm".to_owned()
    });
    if dice.one_in(2) {
        let names = caught_hook(round, Site::Naming, 3);
        builder.thread_name_with(move |at| {
            names();
            format!("storm-{}", at.index)
        });
    }
    if dice.one_in(2) {
        let stalls = acting_hook(round, Site::Stall, 2);
        builder.stall_threshold(Duration::from_millis(1 + dice.below(10))).on_stall(move |report| {
            drop(report.to_string());
            stalls();
        });
    }
    if dice.one_in(2) {
        let spawned = acting_hook(round, Site::TaskSpawn, 12);
        let ended = acting_hook(round, Site::TaskEnd, 12);
        let (before, after) = (acting_hook(round, Site::BeforePoll, 24), acting_hook(round, Site::AfterPoll, 24));
        builder.on_task_spawn(move |_| spawned()).on_task_terminate(move |_| ended());
        builder.on_before_task_poll(move |_| before()).on_after_task_poll(move |_| after());
    }
}
