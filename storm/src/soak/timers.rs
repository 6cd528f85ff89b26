//! Timers of random lengths: 30 % are reset, 30 % are dropped before they fire.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use heist::task::yield_now;
use heist::time::{Instant, interval, sleep, timeout};

use crate::activity;
use crate::dice::Dice;
use crate::failure::fail;
use crate::load::{self, COUNTERS, Load, add};

/// How many loops use timers.
const LOOPS: u64 = 48;

pub(crate) fn start(load: &Arc<Load>) {
    let progress = activity::start("timers");
    for number in 0..LOOPS {
        let progress = Arc::clone(&progress);
        load.start_task(&format!("timers {number}"), |mut dice| async move {
            while !load::is_over() {
                use_one(&mut dice).await;
                add(&COUNTERS.timers, 1);
                progress.advance();
            }
            progress.end();
        });
    }
    load.start_task("bursts of timers", use_bursts);
    load.start_task("an interval", tick);
}

/// Returns a random time, mostly short.
fn random_time(dice: &mut Dice) -> Duration {
    match dice.below(100) {
        0 => Duration::from_millis(dice.below(2_000)),
        1..=10 => Duration::ZERO,
        11..=30 => Duration::from_millis(dice.below(100)),
        _ => dice.micros(8_000),
    }
}

async fn use_one(dice: &mut Dice) {
    let time = random_time(dice);
    let begun = Instant::now();
    let mut sleep = pin!(sleep(time));
    match dice.below(10) {
        0..=2 => {
            // Armed, and dropped before it fires. The waker is not this task's.
            let _ = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            yield_now().await;
        }
        3..=5 => {
            let _ = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if dice.one_in(2) {
                yield_now().await;
            }
            let deadline = Instant::now() + random_time(dice);
            sleep.as_mut().reset(deadline);
            sleep.as_mut().await;
            check_not_early(deadline);
        }
        6 => {
            if timeout(time, pending::<()>()).await.is_ok() {
                fail("a timeout of a future that is never ready has ended with its output");
            }
            check_not_early(begun + time);
        }
        _ => {
            sleep.as_mut().await;
            check_not_early(begun + time);
        }
    }
}

fn check_not_early(deadline: Instant) {
    let now = Instant::now();
    if now < deadline {
        fail(&format!("a timer fired {:?} early", deadline.duration_since(now)));
    }
}

/// Spawns many tasks at once, each with a timer. Some are aborted.
async fn use_bursts(mut dice: Dice) {
    while !load::is_over() {
        let mut tasks = Vec::new();
        for _ in 0..dice.below(400) {
            let time = random_time(&mut dice);
            tasks.push(load::spawn_counted(|ticket| async move {
                let deadline = Instant::now() + time;
                sleep(time).await;
                check_not_early(deadline);
                ticket.complete()
            }));
        }
        add(&COUNTERS.timers, tasks.len() as u64);
        for (task, _) in &tasks {
            if dice.one_in(4) {
                task.abort();
            }
        }
        load::join_all(tasks).await;
        load::pause(dice.micros(200_000)).await;
    }
}

async fn tick(mut dice: Dice) {
    let progress = activity::start("an interval");
    while !load::is_over() {
        let mut interval = interval(Duration::from_micros(500 + dice.below(20_000)));
        for _ in 0..dice.below(50) {
            interval.tick().await;
            progress.advance();
        }
    }
    progress.end();
}
