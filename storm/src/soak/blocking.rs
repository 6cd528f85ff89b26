//! Polls that block their worker, and blocking jobs.

use std::hint::spin_loop;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use heist::task::{block_in_place, spawn_blocking, yield_now};

use crate::account::{self, Ticket};
use crate::activity;
use crate::dice::Dice;
use crate::load::{self, COUNTERS, Load, add};

pub(crate) fn start(load: &Arc<Load>) {
    load.start_task("stalls", stall);
    for number in 0..2 {
        load.start_task(&format!("blocking jobs {number}"), run_jobs);
    }
}

/// Blocks a worker for up to 100 ms now and then, by a sleep or by computation.
async fn stall(mut dice: Dice) {
    while !load::is_over() {
        load::pause(Duration::from_millis(dice.below(500))).await;
        let mut tasks = Vec::new();
        for _ in 0..1 + dice.below(2) {
            let (way, time) = (dice.below(3), Duration::from_millis(1 + dice.below(100)));
            tasks.push(load::spawn_counted(|ticket| async move {
                match way {
                    0 => thread::sleep(time),
                    1 => {
                        // The runtime knows of this one beforehand.
                        block_in_place(|| thread::sleep(time));
                        yield_now().await;
                    }
                    _ => compute(time / 3),
                }
                ticket.complete()
            }));
        }
        add(&COUNTERS.blocked_polls, tasks.len() as u64);
        load::join_all(tasks).await;
    }
}

fn compute(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        spin_loop();
    }
}

/// Runs blocking jobs. Between the batches, the threads reach their keep-alive.
async fn run_jobs(mut dice: Dice) {
    let progress = activity::start("blocking jobs");
    while !load::is_over() {
        let mut jobs = Vec::new();
        for _ in 0..dice.below(40) {
            let (ticket, cell) = Ticket::joined();
            let job = match dice.below(100) {
                0 => spawn_blocking(move || ticket.panic()),
                1..=60 => spawn_blocking(move || ticket.complete()),
                _ => {
                    let time = dice.micros(3_000);
                    spawn_blocking(move || {
                        thread::sleep(time);
                        ticket.complete()
                    })
                }
            };
            if dice.one_in(12) {
                job.abort();
            }
            jobs.push((job, cell));
        }
        add(&COUNTERS.jobs, jobs.len() as u64);
        for (job, cell) in jobs {
            if dice.one_in(8) {
                drop(job);
            } else {
                account::join(job, cell).await;
            }
        }
        progress.advance();
        load::pause(dice.micros(60_000)).await;
    }
    progress.end();
}
