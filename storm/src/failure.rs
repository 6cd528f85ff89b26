//! Failures of the storm, and their reports.

use std::backtrace::Backtrace;
use std::ffi::OsString;
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, thread};

/// The current round, and its seed.
static ROUND: AtomicU64 = AtomicU64::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);
/// A failure waits for a debugger.
static HOLD: AtomicBool = AtomicBool::new(false);
/// The numbers of the threads that live before the first runtime.
static PRESENT: OnceLock<Vec<OsString>> = OnceLock::new();

/// Panics that the documentation of heist specifies for what the storm does. The storm's own panics
/// do not call the hook.
const DOCUMENTED: [&str; 9] = [
    "block_in_place: on a current-thread runtime no other thread can run the tasks meanwhile",
    "a `heist::time` timer was polled after its runtime was shut down",
    "`block_on` was called in async code",
    "`Drain::wait` was called in async code",
    "Resize::wait was called from inside of async code",
    "a `Resize` was waited for",
    "the runtime was shut down while `Handle::block_on` waited",
    "a task has panicked, and the runtime was built to shut down then",
    "no heist runtime is running on this thread",
];

pub(crate) fn begin_round(number: u64, seed: u64) {
    ROUND.store(number, Ordering::Relaxed);
    SEED.store(seed, Ordering::Relaxed);
}

pub(crate) fn enable_hold() {
    HOLD.store(true, Ordering::Relaxed);
}

/// Prints what has failed and how to repeat it, and ends the process with status 1.
pub(crate) fn fail(what: &str) -> ! {
    let (round, seed) = (ROUND.load(Ordering::Relaxed), SEED.load(Ordering::Relaxed));
    eprintln!("lifecycle_storm: FAILED in round {round}, whose seed is {seed:#018x}: {what}");
    eprintln!("lifecycle_storm: to repeat that round again and again: --seed {seed:#x} --repeat");
    while HOLD.load(Ordering::Relaxed) {
        eprintln!("lifecycle_storm: process {} waits for a debugger", std::process::id());
        thread::sleep(Duration::from_secs(3600));
    }
    // SAFETY: the call has no preconditions. Destructors and the leak check are skipped, because
    // they tell nothing about the failure.
    unsafe { libc::_exit(1) }
}

/// Makes every panic a failure, except the documented ones. The runtime catches its own failed
/// assertions as if they were a task's panics, so a hook has to see them.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        let text = text_of(info);
        if !DOCUMENTED.iter().any(|documented| text.contains(documented)) {
            let trace = Backtrace::force_capture();
            fail(&format!("an undocumented panic: {text:?} at {:?}\n{trace}", info.location()));
        }
    }));
}

fn text_of(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Records the threads that live before the first runtime. ThreadSanitizer has one of its own, from
/// the first start of a thread on.
pub(crate) fn record_present_threads() {
    thread::spawn(|| ()).join().expect("an empty thread");
    // The kernel may list that thread for a moment longer, and its number is not used again soon.
    let _ = PRESENT.set(thread_directories().into_iter().map(|task| task.file_name()).collect());
}

fn thread_directories() -> Vec<fs::DirEntry> {
    fs::read_dir("/proc/self/task").map(|tasks| tasks.flatten().collect()).unwrap_or_default()
}

/// Returns the names of all threads of this process that have to exit. Empty if the system does not
/// list threads.
pub(crate) fn live_threads() -> Vec<String> {
    let is_new = |task: &fs::DirEntry| !PRESENT.get().is_some_and(|present| present.contains(&task.file_name()));
    let others = thread_directories().into_iter().filter(is_new);
    let name = |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    others
        .map(|task| (name(&task), task))
        .filter(|(name, _)| name.trim() != crate::time_limit::NAME)
        .map(|(name, task)| {
            let wait_channel = fs::read_to_string(task.path().join("wchan")).unwrap_or_default();
            format!("{} in {wait_channel}", name.trim())
        })
        .collect()
}
