//! One round: a runtime from its build to its end.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use heist::runtime::{Builder, Handle, LocalOptions, LocalRuntime, Runtime};
use heist::time::timeout;

use crate::action::{self, DROP_SITES, KeepsWaker, Site, act_randomly, catch, end_local_runtime, end_runtime};
use crate::body::{SpawnWay, act_blocking, body, spawn_job_random, spawn_local_random, spawn_random};
use crate::dice::Dice;
use crate::failure::fail;
use crate::leftovers::{self, Item};
use crate::round_state::{Flavour, RoundState};
use crate::time_limit::limited;
use crate::{acting_waker, setup};

/// How long the round keeps acting until the runtime is dropped at its drop site.
const MAX_LINGER: Duration = Duration::from_millis(12);

/// The storm's own threads that take part in a round.
pub(crate) type Threads = Vec<thread::JoinHandle<()>>;

/// Runs a round, and returns its other threads. A thread-local of this thread may still own the
/// runtime when this returns. The other threads may wait for the end of that runtime.
pub(crate) fn run_round(round: &Arc<RoundState>) -> Threads {
    let mut dice = round.dice();
    let builder = setup::builder(round, &mut dice);
    if round.flavour == Flavour::Local {
        run_local(round, builder, &mut dice)
    } else {
        run_shared(round, builder, &mut dice)
    }
}

/// Returns the runtime that was built, unless a thread was refused.
fn unless_refused<R>(round: &RoundState, built: std::io::Result<R>) -> Option<R> {
    round.set_stage("the runtime is built");
    match built {
        Ok(runtime) => Some(runtime),
        Err(error) if setup::is_refusal(&error) => None,
        Err(error) => fail(&format!("no runtime: {error}")),
    }
}

fn record_handle(round: &Arc<RoundState>, handle: &Handle, dice: &mut Dice) {
    round.set_handle(handle.clone());
    if dice.one_in(4) {
        catch(|| leftovers::put_item(round, Item::Handle(handle.clone()), dice));
    }
}

fn run_shared(round: &Arc<RoundState>, mut builder: Builder, dice: &mut Dice) -> Threads {
    let Some(runtime) = unless_refused(round, builder.build()).map(Arc::new) else { return Vec::new() };
    drop(builder);
    record_handle(round, runtime.handle(), dice);
    let waits = dice.one_in(2);
    let threads = start_threads(round, &Arc::downgrade(&runtime), !waits, dice);
    round.set_stage("the mix");
    for _ in 0..dice.below(8) {
        // This action never waits for the end of the runtime.
        catch(|| act_randomly(round, Site::Outside, dice));
        run_root(round, &runtime, dice);
    }
    if waits {
        round.set_stage("the round waits for its other threads");
        repeat_until_done(&threads, || run_root(round, &runtime, dice));
    }
    round.set_stage("the runtime ends");
    round.raise_budget(30);
    round.set_ending();
    end_shared(round, runtime, dice);
    round.set_stage("the runtime has ended");
    threads
}

fn run_local(round: &Arc<RoundState>, mut builder: Builder, dice: &mut Dice) -> Threads {
    let Some(runtime) = unless_refused(round, builder.build_local(LocalOptions::default())) else { return Vec::new() };
    drop(builder);
    record_handle(round, runtime.handle(), dice);
    let waits = dice.one_in(2);
    let threads = start_threads(round, &Weak::new(), !waits, dice);
    round.set_stage("the mix");
    for _ in 0..dice.below(6) {
        run_local_root(round, &runtime, dice);
    }
    if waits {
        repeat_until_done(&threads, || run_local_root(round, &runtime, dice));
    }
    round.set_stage("the runtime ends");
    round.raise_budget(30);
    round.set_ending();
    end_local(round, runtime, dice);
    round.set_stage("the runtime has ended");
    threads
}

/// Starts some threads, which act from outside. If `stay` is set, they also act while the runtime
/// ends.
fn start_threads(round: &Arc<RoundState>, runtime: &Weak<Runtime>, stay: bool, dice: &mut Dice) -> Threads {
    let count = 1 + dice.below(3);
    let start = |_| {
        let (round, runtime, mut dice) = (Arc::clone(round), Weak::clone(runtime), dice.fork());
        thread::spawn(move || {
            for _ in 0..dice.below(50) {
                catch(|| act_from_outside(&round, &runtime, &mut dice));
            }
            if stay {
                act_at_end(&round, &mut dice);
            }
        })
    };
    (0..count).map(start).collect()
}

/// Acts while the runtime ends.
fn act_at_end(round: &Arc<RoundState>, dice: &mut Dice) {
    let begun = Instant::now();
    while !round.is_ending() && begun.elapsed() < MAX_LINGER {
        thread::yield_now();
    }
    thread::sleep(dice.micros(200));
    for _ in 0..dice.below(60) {
        catch(|| match dice.below(10) {
            0..=4 => action::wake_random(round, dice),
            5 => action::abort_random(round, dice),
            6 => action::spawn_task(round, dice),
            7 => action::spawn_job(round, dice),
            8 if round.may_begin_drain(dice) => act_blocking(round, Site::Outside, dice),
            _ => act_randomly(round, Site::Outside, dice),
        });
    }
}

/// Repeats `turn` until the other threads have ended, but not for ever. A runtime that a task's
/// panic has closed is not driven any more, and the threads may wait for its end.
fn repeat_until_done(threads: &Threads, mut turn: impl FnMut()) {
    for _ in 0..300 {
        if threads.iter().all(thread::JoinHandle::is_finished) {
            return;
        }
        turn();
    }
}

/// Does one action on a thread of the storm.
fn act_from_outside(round: &Arc<RoundState>, runtime: &Weak<Runtime>, dice: &mut Dice) {
    match dice.below(12) {
        0..=1 => act_blocking(round, Site::Outside, dice),
        2 => {
            if let Some(mut join) = round.take_join(dice) {
                let ended = acting_waker::wait_for(round, &mut join, dice.micros(2_000));
                if ended.is_none() {
                    drop(round.keep_join(join));
                }
            }
        }
        3 => {
            if let Some(runtime) = runtime.upgrade() {
                run_root(round, &runtime, dice);
            }
        }
        4 => thread::sleep(dice.micros(300)),
        _ => act_randomly(round, Site::Outside, dice),
    }
}

/// Runs a `block_on`, which drives a current-thread runtime.
fn run_root(round: &Arc<RoundState>, runtime: &Runtime, dice: &mut Dice) {
    catch(|| {
        let (limit, body) = (dice.micros(2_000), body(round, dice.fork()));
        runtime.block_on(limited(limit, body));
    });
}

fn run_local_root(round: &Arc<RoundState>, runtime: &LocalRuntime, dice: &mut Dice) {
    catch(|| {
        let limit = dice.micros(2_000);
        let body = async {
            for _ in 0..dice.below(4) {
                let join = spawn_local_random(round, dice);
                action::keep_or_drop(round, join, dice);
            }
            body(round, dice.fork()).await;
        };
        let _ = runtime.block_on(async { timeout(limit, body).await });
    });
}

fn end_shared(round: &Arc<RoundState>, runtime: Arc<Runtime>, dice: &mut Dice) {
    if dice.one_in(8) {
        // The last owner among the threads drops it.
        return drop(runtime);
    }
    let Some(runtime) = Arc::into_inner(runtime) else { return };
    let drives = round.flavour == Flavour::Current;
    let handle = runtime.handle().clone();
    match dice.below(12) {
        0..=2 => end_runtime(runtime, dice),
        3 => {
            round.set_stage("the runtime ends in another one");
            end_in_another(round, runtime, dice, end_runtime);
        }
        4 => {
            round.set_stage("the runtime ends as the output of its task");
            let task = handle.spawn(async move { runtime });
            if drives {
                drive_by_drain(&handle, dice);
            }
            drop(task);
        }
        5 => {
            round.set_stage("the runtime ends with its task");
            let kept = KeepsWaker { round: Arc::clone(round), polls: 1000 };
            let task = handle.spawn(async move {
                let _runtime = runtime;
                kept.await;
            });
            thread::sleep(dice.micros(500));
            task.abort();
            if drives {
                drive_by_drain(&handle, dice);
            }
        }
        6 => {
            round.set_stage("the runtime ends with its job");
            let job = handle.spawn_blocking(move || runtime);
            if dice.one_in(2) {
                job.abort();
            }
            if drives {
                drive_by_drain(&handle, dice);
            }
        }
        7..=8 => {
            round.set_stage("the runtime ends in its job, or in its task");
            let mut fork = dice.fork();
            if dice.one_in(2) && !drives {
                handle.spawn(async move { end_runtime(runtime, &mut fork) });
            } else {
                handle.spawn_blocking(move || end_runtime(runtime, &mut fork));
            }
            if drives {
                drive_by_drain(&handle, dice);
            }
        }
        _ => {
            round.set_stage("the runtime waits for its drop site");
            let place = DROP_SITES[dice.index(DROP_SITES.len())];
            round.set_drop_site(runtime, place);
            if drives {
                drive_by_drain(&handle, dice);
            } else if place == Site::Stall {
                drop(handle.spawn(async { thread::sleep(Duration::from_millis(12)) }));
            }
            act_until_dropped(round, &handle, dice);
            if let Some(runtime) = round.take_runtime() {
                end_runtime(runtime, dice);
            }
        }
    }
}

/// Acts until the runtime is dropped at its drop site, or for a while.
fn act_until_dropped(round: &Arc<RoundState>, handle: &Handle, dice: &mut Dice) {
    let end = Instant::now() + MAX_LINGER;
    while round.has_runtime() && Instant::now() < end {
        round.raise_budget(10);
        catch(|| match dice.below(6) {
            0 => drop(spawn_random(round, SpawnWay::On(handle), dice)),
            1 => drop(spawn_job_random(round, handle, dice)),
            2 => drop(handle.resize(1 + dice.below(4) as usize)),
            3 => thread::sleep(dice.micros(200)),
            _ => act_randomly(round, Site::Outside, dice),
        });
    }
}

/// Drives a current-thread runtime without borrowing it, by a drain.
fn drive_by_drain(handle: &Handle, dice: &mut Dice) {
    catch(|| drop(handle.drain(dice.micros(2_000)).wait()));
}

/// Ends a runtime in a task or in the root of another runtime.
fn end_in_another<R: 'static>(round: &Arc<RoundState>, runtime: R, dice: &mut Dice, end: fn(R, &mut Dice)) {
    let mut fork = dice.fork();
    let other = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(other) => other,
        Err(error) => fail(&format!("no other runtime: {error}")),
    };
    for _ in 0..dice.below(3) {
        drop(spawn_random(round, SpawnWay::On(other.handle()), dice));
    }
    if dice.one_in(2) {
        drop(other.block_on(other.spawn_local(async move { end(runtime, &mut fork) })));
    } else {
        other.block_on(async move { end(runtime, &mut fork) });
    }
    end_local_runtime(other, dice);
}

fn end_local(round: &Arc<RoundState>, runtime: LocalRuntime, dice: &mut Dice) {
    let handle = runtime.handle().clone();
    // A drain by another thread may end before the task has been polled. Then the runtime would
    // belong to a task that is never polled.
    let may_end_in_task = !round.has_drains();
    match dice.below(10) {
        0..=1 => end_local_runtime(runtime, dice),
        2..=3 => {
            round.set_stage("the runtime ends in another one");
            end_in_another(round, runtime, dice, end_local_runtime);
        }
        4 => {
            // The destructor of the thread-local drops it.
            round.set_local_drop_site(runtime, Site::Nowhere);
        }
        5..=6 if may_end_in_task => {
            round.set_stage("the runtime ends with its task");
            let (mut fork, aborts) = (dice.fork(), dice.one_in(2));
            let _inside = handle.enter();
            let kept = KeepsWaker { round: Arc::clone(round), polls: if aborts { 1000 } else { 0 } };
            let task = heist::task::spawn_local(async move {
                let runtime = runtime;
                kept.await;
                end_local_runtime(runtime, &mut fork);
            });
            if aborts {
                task.abort();
            }
            catch(|| drop(handle.drain(Duration::from_secs(3600)).wait()));
        }
        _ => {
            round.set_stage("the runtime waits for its drop site");
            round.set_local_drop_site(runtime, DROP_SITES[dice.index(DROP_SITES.len())]);
            drive_by_drain(&handle, dice);
            if let Some(runtime) = RoundState::take_local_runtime() {
                end_local_runtime(runtime, dice);
            }
        }
    }
}
