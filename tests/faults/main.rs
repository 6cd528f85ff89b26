//! Faults of the operating system: refused threads and descriptors, interrupts, stops, steps of the
//! time of day, descriptors that are closed elsewhere, forks.
//!
//! Each test runs in a process of its own, because a fault is one of the whole process. Most faults
//! are injected in front of libc. So a test can choose the n-th call, and count the calls: a loop
//! that spins has a count without bound. Sanitizers do the same with functions of their own.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![cfg(not(any(heist_address_sanitizer, heist_thread_sanitizer)))]

#[path = "../support/kit.rs"]
mod kit;
#[path = "../support/sockets.rs"]
mod sockets;

mod closed_descriptors;
mod descriptors;
mod forks;
mod injection;
mod interrupts;
mod registrations;
mod stops;
mod threads;
mod time_of_day;

use std::fs;
use std::thread;

use heist::runtime::{Builder, Runtime};
use heist::time::Duration;

/// Runs a test in a process of its own. A test that hangs is killed by SIGALRM.
fn alone(name: &str, test: impl FnOnce()) {
    kit::alone(name, None, || {
        // SAFETY: the call has no requirements. No handler of SIGALRM exists, so it ends the
        // process.
        unsafe { libc::alarm(90) };
        test();
    });
}

/// Returns a builder whose runtimes do not give up a slow thread.
fn builder(workers: usize) -> Builder {
    let patience = Duration::from_secs(120);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).shutdown_grace(patience).drain_report_delay(patience).enable_all();
    builder
}

fn runtime(workers: usize) -> Runtime {
    builder(workers).build().unwrap()
}

fn threads_now() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Returns the number of open descriptors. The one that reads the folder is not counted.
fn descriptors_now() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Waits until `condition` holds. If it never does, the process is killed.
fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Asserts that the process has as many threads and descriptors as before. The kernel may list a
/// joined thread for a moment longer. A watchdog may have a file of /proc open for a moment.
#[track_caller]
fn assert_no_leak(threads: usize, descriptors: usize) {
    let mut left = (0, 0);
    for _ in 0..1_000_000 {
        left = (threads_now(), descriptors_now());
        if left == (threads, descriptors) {
            return;
        }
        thread::yield_now();
    }
    assert_eq!(left, (threads, descriptors), "threads and open descriptors");
}
