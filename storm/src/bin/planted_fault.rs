//! A task with one planted fault, which the sanitizers have to report: see `scripts/sanitizers`.
//!
//! A lane of sanitizers that finds none of its planted faults proves nothing by finding no other.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::{Arc, Barrier};

/// A number that two threads change without any synchronisation.
struct Racy(UnsafeCell<u64>);

// SAFETY: none. This is the planted race.
unsafe impl Sync for Racy {}

static RACY: Racy = Racy(UnsafeCell::new(0));

fn main() -> ExitCode {
    let Some(fault) = std::env::args().nth(1) else {
        eprintln!("usage: planted_fault race|use-after-free|leak|none");
        return ExitCode::from(2);
    };
    let runtime =
        heist::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("the system has threads");
    match fault.as_str() {
        "race" => {
            // Both polls are at the barrier at once, so the workers differ.
            let barrier = Arc::new(Barrier::new(2));
            let tasks = [0; 2].map(|_| {
                let barrier = barrier.clone();
                runtime.spawn(async move {
                    barrier.wait();
                    increment();
                })
            });
            for task in tasks {
                runtime.block_on(task).expect("the task returns");
            }
        }
        "use-after-free" => {
            let read = runtime.block_on(runtime.spawn(async { read_freed() })).expect("the task returns");
            black_box(read);
        }
        "leak" => runtime.block_on(runtime.spawn(async { leak() })).expect("the task returns"),
        _ => {}
    }
    drop(runtime);
    println!("the planted fault ({fault}) has happened");
    ExitCode::SUCCESS
}

#[inline(never)]
fn increment() {
    // SAFETY: none. Two tasks do this at once.
    unsafe { *RACY.0.get() += 1 };
}

#[inline(never)]
fn read_freed() -> u64 {
    let boxed = black_box(Box::new(7_u64));
    let freed = black_box(&raw const *boxed);
    drop(boxed);
    // SAFETY: none. The box has been freed.
    unsafe { freed.read_volatile() }
}

#[inline(never)]
fn leak() {
    std::mem::forget(black_box(Box::new([7_u64; 128])));
}
