//! Faults of simulations, and failures that are shrunk to few of them.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heist::runtime::Handle;
use heist::sim::{Faults, Schedule, Sim, compute, for_each_seed};
use heist::task::{spawn_blocking, yield_now};
use heist::time::{Duration, Instant, sleep};

const ALL: fn() -> Faults =
    || Faults::none().delays(40).stalls(60).panics(50).aborts(50).resizes(100).drains(600).spurious_wake_ups(30);

/// Counts its clones that live: each is dropped exactly once.
struct Counted(Arc<AtomicU64>);

impl Counted {
    fn new(live: &Arc<AtomicU64>) -> Counted {
        live.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(live))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many tasks have ended in each way: completed, panicked, cancelled.
type Account = [u64; 3];

/// Spawns 30 tasks that wait, compute and block. Returns how they have ended.
async fn account_of_tasks() -> Account {
    let live = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..30_u64)
        .map(|n| {
            let counted = Counted::new(&live);
            heist::spawn(async move {
                let _counted = counted;
                for _ in 0..n % 4 {
                    yield_now().await;
                }
                sleep(Duration::from_micros(n * 90)).await;
                if n % 5 == 0 {
                    spawn_blocking(|| compute(Duration::from_micros(50))).await.ok();
                }
                compute(Duration::from_micros(10));
            })
        })
        .collect();
    let mut account = [0; 3];
    for task in tasks {
        match task.await {
            Ok(()) => account[0] += 1,
            Err(error) if error.is_panic() => account[1] += 1,
            Err(_) => account[2] += 1,
        }
    }
    assert_eq!(live.load(Ordering::Relaxed), 0, "each future has been dropped");
    account
}

/// Runs the tasks for 300 seeds. Returns how all of them have ended.
fn account_under(faults: Faults, schedule: Schedule) -> Account {
    let sums = [(); 3].map(|()| AtomicU64::new(0));
    for_each_seed(300, |sim| {
        let limit = Duration::from_secs(60);
        let account = sim.workers(3).schedule(schedule).faults(faults).time_limit(limit).run(account_of_tasks());
        assert_eq!(account.iter().sum::<u64>(), 30, "{account:?}");
        sums.iter().zip(account).for_each(|(sum, count)| {
            sum.fetch_add(count, Ordering::Relaxed);
        });
    });
    sums.map(|sum| sum.load(Ordering::Relaxed))
}

#[test]
fn account_of_tasks_is_exact_under_all_faults() {
    for schedule in [Schedule::Uniform, Schedule::Pct { depth: 3, steps: 500 }, Schedule::RoundRobin] {
        let [completed, panicked, cancelled] = account_under(ALL(), schedule);
        assert!(completed > 300 && panicked > 300 && cancelled > 300, "{completed}, {panicked}, {cancelled}");
    }
}

#[test]
fn tasks_under_one_kind_of_fault_end_as_it_says() {
    let under = |faults| account_under(faults, Schedule::Uniform);
    assert_eq!(under(Faults::none()), [9_000, 0, 0]);
    assert_eq!(under(Faults::none().delays(5).stalls(20).resizes(20)), [9_000, 0, 0]);
    let panicked = under(Faults::none().panics(20));
    assert!(panicked[1] > 0 && panicked[2] == 0, "{panicked:?}");
    let aborted = under(Faults::none().aborts(20));
    assert!(aborted[1] == 0 && aborted[2] > 0, "{aborted:?}");
    let drained = under(Faults::none().drains(100));
    assert!(drained[1] == 0 && drained[2] > 0, "{drained:?}");
}

#[test]
fn trace_of_the_same_seed_is_the_same_under_faults() {
    let mut differ = 0;
    for seed in 0..60 {
        let trace = |faults| {
            let mut sim = Sim::new(seed).workers(4).faults(faults);
            sim.run(account_of_tasks());
            sim.trace_hash()
        };
        assert_eq!(trace(ALL()), trace(ALL()), "seed {seed}");
        differ += u64::from(trace(ALL()) != trace(Faults::none()));
    }
    assert_eq!(differ, 60);
}

#[test]
fn stalls_and_delays_take_virtual_time() {
    let elapsed = |faults| {
        let mut sim = Sim::new(1).faults(faults);
        sim.run(async { heist::spawn(yield_now()).await.unwrap() });
        sim.elapsed()
    };
    assert!(elapsed(Faults::none()) < Duration::from_millis(5));
    assert!(elapsed(Faults::none().stalls(1)) >= Duration::from_millis(20), "two polls");
    assert!(elapsed(Faults::none().delays(1)) > elapsed(Faults::none()));
}

#[test]
fn injected_resize_changes_the_number_of_workers() {
    let workers = |seed| {
        Sim::new(seed).workers(2).faults(Faults::none().resizes(1)).run(async {
            heist::spawn(async {}).await.unwrap();
            Handle::current().worker_threads()
        })
    };
    let seen: std::collections::BTreeSet<usize> = (0..60).map(workers).collect();
    assert_eq!(seen, (1..=8).collect());
}

/// Returns the panic message of `for_each_seed`.
fn message_of_failure(test: impl Fn(Sim) + Sync) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(for_each_seed(1_000, test)))).expect_err("a seed fails");
    panic.downcast_ref::<String>().expect("a text").clone()
}

/// A task holds a count while it waits, and gives it back itself: an abort loses it.
fn count_is_given_back(sim: Sim) {
    let left = sim
        .workers(2)
        .faults(Faults::none().delays(20).stalls(50).resizes(80).aborts(60).spurious_wake_ups(10))
        .run(async {
            let count = Arc::new(AtomicU64::new(3));
            let tasks = [(); 3].map(|()| {
                let count = Arc::clone(&count);
                heist::spawn(async move {
                    count.fetch_sub(1, Ordering::Relaxed);
                    for _ in 0..4 {
                        yield_now().await;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                })
            });
            for task in tasks {
                task.await.ok();
            }
            count.load(Ordering::Relaxed)
        });
    assert_eq!(left, 3);
}

#[test]
fn failure_by_an_abort_is_shrunk_to_one_fault() {
    let message = message_of_failure(count_is_given_back);
    assert!(message.contains("repeat it with 1 of "), "{message}");
    assert!(message.contains("the task is aborted ["), "{message}");
    assert!(!message.contains("stalls for") && !message.contains("resized to"), "{message}");
    assert!(message.contains("spawned at tests/sim_faults.rs:"), "{message}");
    // The same failure again, with the same command.
    let command = |message: &str| {
        let at = message.find("plain schedule").expect("a shrunk run");
        message[at..].lines().next().expect("a line").to_owned()
    };
    assert_eq!(command(&message_of_failure(count_is_given_back)), command(&message));
}

#[test]
#[ignore = "a part of the next test, which runs it with `HEIST_SIM_SEED`"]
fn count_under_aborts_is_given_back() {
    for_each_seed(1_000, count_is_given_back);
}

/// Runs the test above in a process of its own. Returns whether it passes, and what it prints.
fn run_with_seed(seed: Option<&str>) -> (bool, String) {
    let mut command = Command::new(env::current_exe().expect("the path of this test"));
    command.args(["--ignored", "--exact", "--nocapture", "count_under_aborts_is_given_back"]);
    command.env_remove("HEIST_SIM_SEED").envs(seed.map(|seed| ("HEIST_SIM_SEED", seed)));
    let output = command.output().expect("a process");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn variable_with_kept_deviations_repeats_the_shrunk_run() {
    let (passes, text) = run_with_seed(None);
    assert!(!passes, "{text}");
    let seeds: Vec<&str> = text.split("HEIST_SIM_SEED=").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
    let [original, shrunk] = seeds[..] else { panic!("two commands: {text}") };
    assert!(shrunk.starts_with(&format!("{original}:")), "{seeds:?}");
    for seed in [original, shrunk] {
        let (passes, text) = run_with_seed(Some(seed));
        assert!(!passes && text.contains("the task is aborted ["), "{seed}: {text}");
    }
    let (passes, text) = run_with_seed(Some(&format!("{original}:")));
    assert!(passes, "without a deviation: {text}");
    let (passes, text) = run_with_seed(Some("4:x"));
    assert!(!passes && text.contains("HEIST_SIM_SEED is \"4:x\""), "{text}");
}

/// Fails if a sleep of 1 ms takes 3 ms, which only a long preemption or a fault causes.
#[test]
fn failure_by_a_preemption_is_shrunk_to_one_deviation() {
    let message = message_of_failure(|sim| {
        let slept = sim.workers(2).run(async {
            let mut longest = Duration::ZERO;
            for _ in 0..20 {
                let begun = Instant::now();
                sleep(Duration::from_millis(1)).await;
                longest = longest.max(begun.elapsed());
            }
            longest
        });
        assert!(slept < Duration::from_millis(3), "{slept:?}");
    });
    assert!(message.contains("repeat it with 1 of "), "{message}");
    assert!(message.contains("is preempted for "), "{message}");
}

#[test]
fn failure_without_a_deviation_is_shrunk_to_none() {
    let message = message_of_failure(|mut sim| sim.run(async { assert_eq!(1, 2) }));
    assert!(message.contains("seed 0 fails") && message.contains("repeat it with 0 of "), "{message}");
    assert!(message.contains("HEIST_SIM_SEED=0: cargo test failure_without_a_deviation"), "{message}");
    assert!(message.contains("polls the future of `block_on`"), "{message}");
}

#[test]
fn failure_that_does_not_repeat_is_reported() {
    let calls = AtomicU64::new(0);
    let message = message_of_failure(|_| assert!(calls.fetch_add(1, Ordering::Relaxed) > 0));
    assert!(message.contains("It has not failed again"), "{message}");
}

#[test]
fn deadlock_is_shrunk_and_its_turns_are_printed() {
    let message = message_of_failure(|sim| {
        sim.workers(2).run(async {
            let locks = Arc::new([(); 2].map(futures::lock::Mutex::new));
            let tasks = [(0, 1), (1, 0)].map(|(first, second)| {
                let locks = Arc::clone(&locks);
                heist::spawn(async move {
                    let _first = locks[first].lock().await;
                    yield_now().await;
                    let _second = locks[second].lock().await;
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    assert!(message.contains("no thread of the simulation can run"), "{message}");
    assert!(message.contains("its last turns:") && message.contains("waits"), "{message}");
}
