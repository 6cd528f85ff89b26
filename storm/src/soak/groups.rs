//! Groups of tasks: lasting ones whose limits change, and short ones that are drained.

use std::future::pending;
use std::sync::Arc;

use heist::runtime::{DrainReport, Handle, Priority, TaskGroup};
use heist::task::yield_now;
use heist::time::sleep;

use crate::account::{self, Ticket};
use crate::activity;
use crate::dice::Dice;
use crate::failure::fail;
use crate::load::{self, COUNTERS, Load, add};

const PRIORITIES: [Priority; 3] = [Priority::Background, Priority::Normal, Priority::Latency];

pub(crate) fn start(load: &Arc<Load>) {
    for priority in PRIORITIES {
        let handle = load.handle.clone();
        let name = format!("lasting {priority}");
        load.start_task(&name.clone(), |dice| use_lasting_group(handle, name, priority, dice));
    }
    for number in 0..2 {
        let handle = load.handle.clone();
        load.start_task(&format!("drained groups {number}"), move |dice| drain_groups(handle, number, dice));
    }
}

fn build(handle: &Handle, name: &str, priority: Priority, dice: &mut Dice) -> TaskGroup {
    let group = handle.group(name).priority(priority).weight(1 + dice.below(1_000) as u32);
    let group = group.max_tasks(1 + dice.index(64)).max_workers(1 + dice.index(3)).max_blocking(1 + dice.index(3));
    group.build().unwrap_or_else(|error| fail(&format!("no group {name}: {error}")))
}

/// Spawns into one group for all of the load, while its limits change.
async fn use_lasting_group(handle: Handle, name: String, priority: Priority, mut dice: Dice) {
    let group = build(&handle, &name, priority, &mut dice);
    let progress = activity::start(&name);
    while !load::is_over() {
        let changed = match dice.below(12) {
            0 => group.set_weight(1 + dice.below(10_000) as u32),
            1 => group.set_max_workers(1 + dice.index(4)),
            2 => group.set_max_tasks(1 + dice.index(64)),
            _ => Ok(()),
        };
        if let Err(error) = changed {
            fail(&format!("a limit of the group {name} did not change: {error}"));
        }
        if dice.one_in(50) {
            group.abort_all();
        }
        use_group(&group, &mut dice).await;
        progress.advance();
        load::pause(dice.micros(10_000)).await;
    }
    progress.end();
}

/// Spawns some tasks and jobs into a group, and joins them.
async fn use_group(group: &TaskGroup, dice: &mut Dice) {
    let mut tasks = Vec::new();
    for _ in 0..dice.below(24) {
        let (ticket, cell) = Ticket::joined();
        let (way, time) = (dice.below(100), dice.micros(500));
        let body = async move {
            match way {
                0 => ticket.panic(),
                1..=30 => sleep(time).await,
                31..=60 => yield_now().await,
                _ => {}
            }
            ticket.complete()
        };
        let task = match dice.below(8) {
            // Refused if the group is full: then the handle resolves as cancelled.
            0 => group.spawn(body),
            _ => match group.spawn_when_admitted(body).await {
                Ok(task) => task,
                Err(error) => fail(&format!("a group that is not drained refused a task: {:?}", error.refusal())),
            },
        };
        if dice.one_in(20) {
            task.abort();
        }
        tasks.push((task, cell));
        if dice.one_in(6) {
            let (ticket, cell) = Ticket::joined();
            tasks.push((group.spawn_blocking(move || ticket.complete()), cell));
            add(&COUNTERS.jobs, 1);
        }
    }
    load::join_all(tasks).await;
}

/// Builds groups, and drains each with a deadline.
async fn drain_groups(handle: Handle, number: u64, mut dice: Dice) {
    let progress = activity::start("drains of groups");
    let mut round = 0_u64;
    while !load::is_over() {
        round += 1;
        let name = format!("drained {number}.{round}");
        let group = build(&handle, &name, PRIORITIES[dice.index(3)], &mut dice);
        let mut tasks = Vec::new();
        for _ in 0..dice.below(40) {
            let (ticket, cell) = Ticket::joined();
            let (way, time) = (dice.below(10), dice.micros(8_000));
            let task = group.spawn(async move {
                match way {
                    0 => pending().await,
                    1..=4 => sleep(time).await,
                    5 => ticket.panic(),
                    _ => {}
                }
                ticket.complete()
            });
            tasks.push((task, cell));
        }
        if dice.one_in(2) {
            sleep(dice.micros(3_000)).await;
        }
        let spawned = group.metrics().spawned;
        let report = group.drain(dice.micros(6_000)).await;
        check_report(&group, spawned, &report);
        add(&COUNTERS.drains, 1);
        if group.try_spawn(async {}).is_ok() {
            fail("a group that was drained accepted a task");
        }
        for (task, cell) in tasks {
            account::join(task, cell).await;
        }
        let figures = group.metrics();
        let ended = figures.completed + figures.panicked + figures.cancelled;
        if ended != figures.spawned || figures.live_tasks != 0 {
            fail(&format!("the figures of a drained group do not agree: {figures:?}"));
        }
        progress.advance();
        load::pause(dice.micros(80_000)).await;
    }
    progress.end();
}

fn check_report(group: &TaskGroup, spawned: u64, report: &DrainReport) {
    let counted = report.completed + report.panicked + report.cancelled;
    if counted > spawned {
        fail(&format!("the report of the group {} counts {counted} of {spawned} tasks: {report:?}", group.name()));
    }
}
