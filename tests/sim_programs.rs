//! Simulations of random programs, whose runtime is resized, drained or dropped. Each run checks
//! the invariants of the runtime:
//!
//! - A ready task and an idle worker do not coexist for longer than [`LONGEST_WAIT`].
//! - Each task and each blocking job ends once.
//! - The report of a drain agrees with the account of the tasks.
//! - A timer is never early.
//! - The figures of a group agree, and no permit is left at the end.
//!
//! `HEIST_SIM_SEEDS` sets the number of seeds.

#[path = "sim_programs/account.rs"]
mod account;
#[path = "sim_programs/program.rs"]
mod program;
#[path = "support/random.rs"]
mod random;
#[path = "support/seeds.rs"]
mod seeds;

use std::panic;
use std::sync::Mutex;

use account::Account;
use heist::runtime::{Handle, TaskGroup};
use heist::sim::{Sim, for_each_seed};
use heist::time::{Duration, sleep};
use program::{Program, random_groups};
use random::Random;

/// The longest time for which a ready task may wait while a worker is idle: four times a thread
/// loses its processor for 3 ms. A lost wake-up lasts until the next event, up to 60 ms later.
const LONGEST_WAIT: Duration = Duration::from_millis(12);

/// The end of a program.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The root awaits its tasks.
    Join,
    /// The runtime is dropped while tasks live.
    Drop,
    /// The runtime is drained, and the deadline comes early.
    ShortDrain,
    /// The runtime is drained, and all tasks end in time.
    LongDrain,
}

/// Drains the runtime, and checks the report. A deadline of 100 s is not reached.
async fn drain(account: &Account, deadline: Duration) {
    let before = account.at_drain();
    let report = Handle::current().drain(deadline).await;
    account.check_report(&before, deadline, &report);
    assert!(report.elapsed < Duration::from_secs(100), "{report}");
}

/// Checks the figures of a group whose runtime has been dropped.
fn check_end_of_group(group: &TaskGroup) {
    let metrics = group.metrics();
    let left = (metrics.live_tasks, metrics.waiting_spawns, metrics.queued_tasks, metrics.active_workers);
    assert_eq!(left, (0, 0, 0, 0), "{}: {metrics:?}", group.name());
    assert_eq!(metrics.spawned, metrics.completed + metrics.panicked + metrics.cancelled, "{metrics:?}");
}

/// Runs the program of a seed. Returns the longest time for which a ready task has waited while a
/// worker was idle.
fn run_program(sim: Sim) -> Duration {
    let mut random = Random::new(sim.seed());
    let workers = 1 + random.below(6) as usize;
    let watched = random.below(3) != 0;
    let end = [End::Join, End::Drop, End::ShortDrain, End::LongDrain][random.below(4) as usize];
    let soon = random.micros_below(5_000);
    let account = Account::default();
    let observer = account.clone();
    let mut sim = sim.workers(workers).time_limit(Duration::from_secs(120)).configure(move |builder| {
        observer.observe(builder.watchdog(watched).thread_keep_alive(Duration::from_millis(1)));
    });
    // Without a watchdog a task may wait for the end of the poll before it, so polls are short.
    let longest_compute = if watched { 8_000 } else { 50 };
    let program_account = account.clone();
    let groups = sim.run(async move {
        let groups = random_groups(&mut random, &program_account);
        let program = Program { account: program_account, longest_compute, groups: groups.clone() };
        let count = 3 + random.below(8);
        let tasks: Vec<_> = (0..count).map(|_| program.spawn(&mut random, 0)).collect();
        match end {
            End::Join => {
                for task in tasks {
                    task.await.ok();
                }
            }
            End::Drop => sleep(soon).await,
            End::ShortDrain => drain(&program.account, soon).await,
            End::LongDrain => {
                sleep(soon).await;
                drain(&program.account, Duration::from_secs(100)).await;
            }
        }
        groups
    });
    groups.iter().for_each(check_end_of_group);
    account.check_ends();
    account.longest_wait()
}

/// Leaves out the message of tasks that block on a timer when their runtime is shut down. They are
/// many, and expected.
fn silence_timers_of_closed_runtimes() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.to_string().contains("timer was polled after its runtime was shut down") {
            report(info);
        }
    }));
}

#[test]
fn random_programs_keep_the_invariants() {
    silence_timers_of_closed_runtimes();
    let longest = Mutex::new(Duration::ZERO);
    for_each_seed(seeds::seeds(200), |sim| {
        let waited = run_program(sim);
        assert!(waited <= LONGEST_WAIT, "a ready task has waited for {waited:?} while a worker was idle");
        let mut longest = longest.lock().unwrap();
        *longest = (*longest).max(waited);
    });
    println!("ready tasks have waited for at most {:?} while a worker was idle", longest.into_inner().unwrap());
}

#[test]
fn random_program_of_the_same_seed_has_the_same_trace() {
    for seed in 0..30 {
        let trace = || {
            let mut random = Random::new(seed);
            let mut sim = Sim::new(seed).workers(4);
            sim.run(async move {
                let account = Account::default();
                let groups = random_groups(&mut random, &account);
                let program = Program { account, longest_compute: 8_000, groups };
                let tasks: Vec<_> = (0..6).map(|_| program.spawn(&mut random, 0)).collect();
                for task in tasks {
                    task.await.ok();
                }
            });
            sim.trace_hash()
        };
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}
