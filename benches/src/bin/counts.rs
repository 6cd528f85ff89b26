//! Instructions per operation, counted by callgrind: the same on a busy machine as on a quiet one.
//!
//! `cargo run --release -p heist-benches --bin counts` runs each operation under valgrind, twice as
//! often the second time, and prints the difference per operation beside its limit. `--gate` fails
//! if a limit is passed. It needs `valgrind` (a package of that name on most systems).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::process::{Command, ExitCode};
use std::task::{Poll, Waker};
use std::time::Duration;

use heist::runtime::{Builder, Runtime};

/// An operation, how to do it `n` times, and how many instructions it may take.
///
/// A limit is 3 % above the median of a quiet machine. Where a thread waits for another one, it is
/// 10 % above. One binary gave 721 to 804 for `spawn-join`, and 525 to 552 for `wake-by-value`, on
/// one machine.
struct Operation {
    name: &'static str,
    run: fn(&Runtime, u64),
    limit: u64,
}

/// On a current-thread runtime, a yield polls the reactor if nothing else is ready. The yield
/// inside of the timeout does so, too.
const OPERATIONS: [Operation; 10] = [
    Operation { name: "spawn", run: spawn, limit: 375 },
    Operation { name: "spawn-join", run: spawn_join, limit: 880 },
    Operation { name: "spawn-outside", run: spawn_outside, limit: 850 },
    Operation { name: "yield", run: yields, limit: 920 },
    Operation { name: "wake", run: wake, limit: 2_550 },
    Operation { name: "wake-by-ref", run: wake_by_ref, limit: 570 },
    Operation { name: "wake-by-value", run: wake_by_value, limit: 590 },
    Operation { name: "steal-eight", run: |_, times| heist::internals::steal(times), limit: 360 },
    Operation { name: "timeout", run: timeout, limit: 1_600 },
    Operation { name: "sleep", run: sleep, limit: 610 },
];

/// The smaller of the two runs.
const TIMES: u64 = 4_000;

/// Runs of each kind.
const RUNS: usize = 3;

/// A number of tasks that fits into a ring.
const BATCH: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", name, times] => run(name, times.parse().expect("a number of times")),
        [] => compare(false),
        ["--gate"] => compare(true),
        _ => {
            eprintln!("usage: counts [--gate]");
            ExitCode::from(2)
        }
    }
}

fn run(name: &str, times: u64) -> ExitCode {
    let operation = OPERATIONS.iter().find(|operation| operation.name == name).expect("an operation's name");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    (operation.run)(&runtime, times);
    ExitCode::SUCCESS
}

fn compare(gate: bool) -> ExitCode {
    let mut passed = 0;
    println!("{:<16}{:>14}{:>10}", "operation", "instructions", "limit");
    for operation in &OPERATIONS {
        let counts = [TIMES, 2 * TIMES].map(|times| match least(operation.name, times) {
            Ok(count) => count,
            Err(error) => panic!("valgrind could not be run ({error}): install the package `valgrind`"),
        });
        let each = counts[1].saturating_sub(counts[0]) / TIMES;
        passed += usize::from(each > operation.limit);
        let verdict = if each > operation.limit { "  OVER" } else { "" };
        println!("{:<16}{each:>14}{:>10}{verdict}", operation.name, operation.limit);
    }
    if gate && passed > 0 {
        eprintln!("{passed} operation(s) take more instructions than their limit in benches/src/bin/counts.rs allows");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Returns the least of several counts: a loaded machine adds checkpoints and wake-ups to a run.
fn least(name: &str, times: u64) -> std::io::Result<u64> {
    let mut least = u64::MAX;
    for _ in 0..RUNS {
        least = least.min(count(name, times)?);
    }
    Ok(least)
}

/// Runs this program under callgrind, and returns the number of its instructions.
fn count(name: &str, times: u64) -> std::io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", name, &times.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected :").nth(1));
    collected.and_then(|count| count.trim().parse().ok()).ok_or_else(|| std::io::Error::other(text.into_owned()))
}

fn spawn(runtime: &Runtime, times: u64) {
    runtime.block_on(async move {
        for _ in 0..times / BATCH {
            for _ in 1..BATCH {
                drop(heist::spawn(async {}));
            }
            // A ring is served in order: when this task has run, the others have run.
            heist::spawn(async {}).await.expect("it does not panic");
        }
    });
}

fn spawn_join(runtime: &Runtime, times: u64) {
    runtime.block_on(async move {
        heist::spawn(async move {
            for _ in 0..times {
                heist::spawn(async {}).await.expect("it does not panic");
            }
        })
        .await
        .expect("it does not panic");
    });
}

fn spawn_outside(runtime: &Runtime, times: u64) {
    for _ in 0..times / BATCH {
        for _ in 1..BATCH {
            drop(runtime.spawn(async {}));
        }
        runtime.block_on(runtime.spawn(async {})).expect("it does not panic");
    }
}

fn yields(runtime: &Runtime, times: u64) {
    runtime.block_on(async move {
        heist::spawn(async move {
            for _ in 0..times {
                heist::task::yield_now().await;
            }
        })
        .await
        .expect("it does not panic");
    });
}

/// An idle task is woken and polled between two polls of the waking task.
fn wake_by_ref(runtime: &Runtime, times: u64) {
    woken(runtime, times, Waker::wake_by_ref);
}

/// The same with a clone of the waker that has been kept for a while.
fn wake_by_value(runtime: &Runtime, times: u64) {
    woken(runtime, times, |waker| {
        let kept = waker.clone();
        std::hint::black_box(kept).wake();
    });
}

fn woken(runtime: &Runtime, times: u64, wake: fn(&Waker)) {
    runtime.block_on(async move {
        let (result_tx, result_rx) = async_channel::bounded(1);
        let mut polls = 0;
        let woken = heist::spawn(poll_fn(move |cx| {
            if polls == 0 {
                result_tx.try_send(cx.waker().clone()).expect("there is room");
            }
            polls += 1;
            if polls > times { Poll::Ready(polls) } else { Poll::Pending }
        }));
        let waker: Waker = result_rx.recv().await.expect("the task is gone");
        let waking = async move {
            for _ in 0..times {
                wake(&waker);
                heist::task::yield_now().await;
            }
        };
        heist::spawn(waking).await.expect("it does not panic");
        assert_eq!(woken.await.expect("it does not panic"), times + 1);
    });
}

/// Two tasks send each other messages in turn.
fn wake(runtime: &Runtime, times: u64) {
    runtime.block_on(async move {
        let (there, heard) = async_channel::bounded::<()>(1);
        let other = heist::spawn(async move { while heard.recv().await.is_ok() {} });
        heist::spawn(async move {
            for _ in 0..times {
                there.send(()).await.expect("the other task is gone");
            }
        })
        .await
        .expect("it does not panic");
        other.await.expect("it does not panic");
    });
}

fn timeout(runtime: &Runtime, times: u64) {
    runtime.block_on(async move {
        heist::spawn(async move {
            for _ in 0..times {
                heist::time::timeout(Duration::from_secs(5), heist::task::yield_now()).await.expect("it is in time");
            }
        })
        .await
        .expect("it does not panic");
    });
}

/// Sleeps that are armed, and dropped before they fire.
fn sleep(runtime: &Runtime, times: u64) {
    runtime.block_on(async move {
        heist::spawn(async move {
            for _ in 0..times {
                let mut sleep = pin!(heist::time::sleep(Duration::from_secs(5)));
                poll_fn(|cx| {
                    assert!(sleep.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
        })
        .await
        .expect("it does not panic");
    });
}
