//! A second runtime, which is built, loaded, drained and dropped over and over.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use heist::net::UnixStream;
use heist::runtime::{Builder, DrainReport, Runtime};
use heist::task::{JoinHandle, yield_now};
use heist::time::sleep;

use crate::account::{self, End, EndCell, Output, Ticket};
use crate::activity::{self, Activity};
use crate::dice::Dice;
use crate::failure::fail;
use crate::load::{self, COUNTERS, Load, add};

type Tasks = Vec<(JoinHandle<Output>, EndCell)>;

pub(crate) fn start(load: &Arc<Load>) {
    load.start_thread("second runtimes", |mut dice| {
        let progress = activity::start("second runtimes");
        while !load::is_over() {
            run_round(&mut dice, &progress);
            add(&COUNTERS.runtimes, 1);
            progress.advance();
            thread::sleep(dice.micros(40_000));
        }
        progress.end();
    });
}

fn build(dice: &mut Dice) -> Runtime {
    let mut builder = if dice.one_in(3) { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(1 + dice.index(3)).max_worker_threads(4).enable_all().name("second");
    builder.max_blocking_threads(1 + dice.index(4)).thread_keep_alive(dice.micros(20_000));
    builder.rng_seed(dice.next()).shutdown_grace(Duration::from_secs(5));
    if dice.one_in(4) {
        builder.flight_recorder(16 << 10);
    }
    builder.build().unwrap_or_else(|error| fail(&format!("no second runtime: {error}")))
}

fn run_round(dice: &mut Dice, progress: &Activity) {
    let runtime = build(dice);
    let mut tasks = Tasks::new();
    let inside = runtime.enter();
    for _ in 0..dice.below(200) {
        spawn_one(dice, &mut tasks);
    }
    drop(inside);
    match dice.below(3) {
        0 => {
            let time = dice.micros(4_000);
            runtime.block_on(async { sleep(time).await });
        }
        1 => drop(runtime.resize(1 + dice.index(4))),
        _ => {}
    }
    if dice.one_in(2) {
        drain(&runtime, &tasks, dice);
    }
    match dice.below(4) {
        0 => runtime.shutdown_background(),
        1 => runtime.shutdown_timeout(dice.micros(20_000)),
        _ => drop(runtime),
    }
    // The end of the runtime may have been left to another thread.
    while !tasks.iter().all(|(task, _)| task.is_finished()) {
        thread::sleep(Duration::from_micros(200));
    }
    for (mut task, cell) in tasks {
        match Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => account::check_end(result, &cell),
            Poll::Pending => fail("the handle of a finished task is not ready"),
        }
    }
    progress.advance();
}

/// Spawns a task or a job on the current runtime.
fn spawn_one(dice: &mut Dice, tasks: &mut Tasks) {
    let time = dice.micros(6_000);
    tasks.push(match dice.below(12) {
        0 => load::spawn_counted(|ticket| async move {
            pending::<()>().await;
            ticket.complete()
        }),
        1 => load::spawn_counted(|ticket| async move { ticket.panic() }),
        2..=3 => load::spawn_counted(|ticket| async move {
            sleep(time).await;
            ticket.complete()
        }),
        4 => {
            let task = load::spawn_counted(|ticket| async move {
                yield_now().await;
                ticket.complete()
            });
            task.0.abort();
            task
        }
        5 => {
            let (ticket, cell) = Ticket::joined();
            let job = heist::task::spawn_blocking(move || {
                thread::sleep(time / 4);
                ticket.complete()
            });
            (job, cell)
        }
        6 => load::spawn_counted(|ticket| async move {
            let pair = UnixStream::pair();
            // If the runtime ends meanwhile, there are no sockets.
            if let Ok((mut near, mut far)) = pair {
                let mut text = [0; 4];
                if near.write_all(b"ping").await.is_ok() {
                    drop(far.read_exact(&mut text).await);
                }
            }
            ticket.complete()
        }),
        7 => load::spawn_counted(|ticket| async move {
            // The child may be refused during a drain.
            drop(load::spawn_counted(|ticket| async move { ticket.complete() }));
            ticket.complete()
        }),
        _ => load::spawn_counted(|ticket| async move {
            yield_now().await;
            ticket.complete()
        }),
    });
}

fn ended(tasks: &Tasks) -> u64 {
    tasks.iter().filter(|(_, cell)| cell.get() != End::None).count() as u64
}

/// Drains the runtime, and compares the report with the futures' own account.
fn drain(runtime: &Runtime, tasks: &Tasks, dice: &mut Dice) {
    let before = ended(tasks);
    let drain = runtime.drain(dice.micros(15_000));
    let report: DrainReport = drain.wait();
    let counted = report.completed + report.panicked + report.cancelled;
    // Each of the tasks may have spawned one more.
    let most = 2 * tasks.len() as u64 - before;
    if counted > most {
        fail(&format!("a drain counted {counted} ends of at most {most}: {report:?}"));
    }
    let left = tasks.iter().filter(|(task, _)| !task.is_finished()).count();
    let running = report.stragglers.len() as u64 + report.unnamed;
    if left as u64 > running {
        fail(&format!("{left} tasks are left after a drain, and its report names {running}: {report:?}"));
    }
    add(&COUNTERS.drains, 1);
}
