//! An allocator that fails at one allocation after the other.
//!
//! Nothing in heist handles a failed allocation: std's `handle_alloc_error` aborts the process,
//! with a message. The documentation of `Runtime` says so. The tests hold heist to that. The
//! process ends with SIGABRT, or the allocation has a fallback. It does not hang, and no task is
//! lost.
#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, thread};

use heist::runtime::{Builder, Runtime};
use heist::time::{Duration, sleep};

/// Counts allocations, and refuses the one with the number [`FAILS`].
struct Failing;

/// The number of allocations since the count was started. It is not started at first.
static COUNT: AtomicUsize = AtomicUsize::new(usize::MAX / 2);
static FAILS: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Failing {
    fn refuses(&self) -> bool {
        COUNT.fetch_add(1, Ordering::SeqCst) == FAILS.load(Ordering::SeqCst)
    }
}

// SAFETY: the system's allocator does the work. A null pointer is a failure.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.refuses() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller's; the system's allocator has allocated the place.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

const MARK: &str = "HEIST_TEST_FAILS_AT";
const NAME: &str = "allocation_failure_at_each_number_aborts_with_a_message";

/// A life of a runtime, with tasks, timers, jobs, a resize and a drain.
fn life(mut builder: Builder) {
    let runtime = builder.shutdown_grace(Duration::from_secs(60)).enable_all().build().unwrap();
    let tasks: Vec<_> = (0..10_u64)
        .map(|n| {
            runtime.spawn(async move {
                sleep(Duration::from_micros(n * 10)).await;
                heist::task::spawn_blocking(move || n).await.unwrap()
            })
        })
        .collect();
    let sum: u64 = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).sum();
    assert_eq!(sum, 45);
    resize(&runtime);
    let report = runtime.drain(Duration::from_secs(60)).wait();
    assert_eq!(report.stragglers.len(), 0);
}

fn resize(runtime: &Runtime) {
    if runtime.handle().worker_threads() > 0 {
        let _ = runtime.resize(3).wait();
        let _ = runtime.resize(1).wait();
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).max_worker_threads(4);
    builder
}

/// Runs the child: a life in which the allocation with this number fails.
fn child(number: usize) {
    // SAFETY: the call has no requirements. No handler of SIGALRM exists, so it ends the process.
    unsafe { libc::alarm(60) };
    FAILS.store(number, Ordering::SeqCst);
    COUNT.store(0, Ordering::SeqCst);
    life(builder());
    let count = COUNT.swap(usize::MAX / 2, Ordering::SeqCst);
    println!("{count} allocations");
}

fn run(number: usize) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([NAME, "--exact", "--nocapture", "--test-threads", "1"]);
    command.env(MARK, number.to_string()).env("RUST_BACKTRACE", "0").output().unwrap()
}

#[test]
fn allocation_failure_at_each_number_aborts_with_a_message() {
    if let Ok(number) = env::var(MARK) {
        return child(number.parse().unwrap());
    }
    // The first run tells how many allocations there are. The number depends a little on the
    // schedule.
    let whole = run(usize::MAX);
    let text = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert!(whole.status.success(), "{text}");
    let number = |line: &str| line.strip_suffix(" allocations")?.rsplit(' ').next()?.parse().ok();
    let count: usize = text.lines().find_map(number).expect("the number of allocations");
    assert!((100..20_000).contains(&count), "{count}");
    // Each of the first ones, which build the runtime, and then each seventh.
    let numbers: Vec<usize> = (0..count).filter(|number| *number < 60 || number % 7 == 0).collect();
    let halves = numbers.chunks(numbers.len().div_ceil(2));
    let aborted: usize = thread::scope(|scope| {
        let runs: Vec<_> =
            halves.map(|half| scope.spawn(|| half.iter().filter(|number| aborts(**number)).count())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    // Some allocations have a fallback, in std or in the C library.
    assert!(aborted > numbers.len() / 2, "{aborted} of {}", numbers.len());
}

/// Runs a child whose allocation with this number fails. Returns true if it has aborted, and false
/// if it has finished its work.
fn aborts(number: usize) -> bool {
    let output = run(number);
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return false;
    }
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "allocation {number}: {:?}\n{text}", output.status);
    assert!(text.contains("memory allocation of"), "allocation {number}: {text}");
    true
}
