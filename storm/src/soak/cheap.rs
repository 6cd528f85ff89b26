//! Many cheap tasks: most of the number of tasks is theirs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use heist::task::yield_now;
use heist::time::sleep;

use crate::account::{self, Ticket};
use crate::activity;
use crate::dice::Dice;
use crate::load::{self, Load};

/// The components that spawn, on workers.
const FEEDERS: u64 = 4;

/// How many tasks all feeders together spawn per second, if the machine is fast enough.
const RATE: u64 = 320_000;

/// The most tasks that one feeder spawns between two pauses.
const MOST: u64 = 2_000;

pub(crate) fn start(load: &Arc<Load>) {
    for number in 0..FEEDERS {
        load.start_task(&format!("feeder {number}"), feed);
    }
    let handle = load.handle.clone();
    load.start_thread("outside feeder", move |mut dice| {
        let progress = activity::start("spawns from outside");
        while !load::is_over() {
            let _inside = handle.enter();
            let mut tasks = Vec::new();
            for _ in 0..dice.below(300) {
                spawn_one(&mut dice, &mut tasks);
            }
            handle.block_on(load::join_all(tasks));
            progress.advance();
            std::thread::sleep(dice.micros(10_000));
        }
        progress.end();
    });
}

async fn feed(mut dice: Dice) {
    let progress = activity::start("a feeder of cheap tasks");
    let mut last = Instant::now();
    let mut due = 0.0;
    while !load::is_over() {
        sleep(Duration::from_millis(1)).await;
        let now = Instant::now();
        due += now.duration_since(last).as_secs_f64() * (RATE / FEEDERS) as f64;
        last = now;
        let number = (due as u64).min(MOST);
        // What is missed because the machine is too slow is not made up for.
        due = (due - number as f64).min(MOST as f64);
        let mut tasks = Vec::new();
        for _ in 0..number {
            spawn_one(&mut dice, &mut tasks);
        }
        load::join_all(tasks).await;
        progress.advance();
    }
    progress.end();
}

/// Spawns one task on the current runtime. Some are joined later, and the others are detached.
fn spawn_one(dice: &mut Dice, tasks: &mut Vec<(heist::task::JoinHandle<account::Output>, account::EndCell)>) {
    match dice.below(100) {
        0 => tasks.push(load::spawn_counted(|ticket| async move { ticket.panic() })),
        1 => {
            let task = load::spawn_counted(|ticket| async move {
                yield_now().await;
                yield_now().await;
                ticket.complete()
            });
            task.0.abort();
            tasks.push(task);
        }
        2..=5 => tasks.push(load::spawn_counted(|ticket| async move {
            yield_now().await;
            ticket.complete()
        })),
        6..=15 => tasks.push(load::spawn_counted(|ticket| async move { ticket.complete() })),
        16 => {
            // A task that spawns, and whose child is joined by it.
            tasks.push(load::spawn_counted(|ticket| async move {
                let (child, cell) = load::spawn_counted(|ticket| async move { ticket.complete() });
                account::join(child, cell).await;
                ticket.complete()
            }));
        }
        17..=19 => {
            let ticket = Ticket::new();
            let task = heist::spawn(async move {
                yield_now().await;
                ticket.complete()
            });
            task.abort_handle().abort();
            drop(task);
        }
        _ => {
            let ticket = Ticket::new();
            drop(heist::spawn(async move { ticket.complete() }));
        }
    }
}
