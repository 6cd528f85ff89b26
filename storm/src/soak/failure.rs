//! Failures of the soak, and their reports.

use std::backtrace::Backtrace;
use std::panic::{self, PanicHookInfo};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use heist::runtime::Handle;

use crate::{neighbours, stacks};

static SEED: AtomicU64 = AtomicU64::new(0);
/// The runtime that a failure dumps.
static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);

pub(crate) fn set_seed(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

pub(crate) fn set_runtime(handle: Option<Handle>) {
    *lock(&RUNTIME) = handle;
}

/// Locks a mutex. A panic of another thread has ended the soak before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn print_failure(what: &str) {
    let seed = SEED.load(Ordering::Relaxed);
    eprintln!("soak: FAILED: {what}");
    eprintln!("soak: the seed is {seed:#018x}; to repeat the same load: scripts/soak DURATION --seed {seed:#x}");
}

/// Prints what has failed and the seed, and ends the process with status 1.
pub(crate) fn fail(what: &str) -> ! {
    print_failure(what);
    // SAFETY: the call has no preconditions. Destructors are skipped, because the runtime may hang.
    unsafe { libc::_exit(1) }
}

/// Prints what hangs, the state of the runtime and the stacks of all threads, and aborts.
pub(crate) fn abort_hanging(what: &str) -> ! {
    neighbours::stop_all();
    print_failure(what);
    eprintln!("{}", dump_runtime());
    eprintln!("{}", stacks::all_threads());
    print_failure(what);
    process::abort();
}

/// Returns a dump of the runtime, if the runtime produces it in time.
fn dump_runtime() -> String {
    let Some(handle) = lock(&RUNTIME).clone() else { return "no runtime".to_owned() };
    let (sender, receiver) = mpsc::channel();
    let started = thread::Builder::new().name("dump".to_owned()).spawn(move || {
        let _ = sender.send(format!("{}\n{:?}", handle.dump(), handle.metrics()));
    });
    match started {
        Ok(_) => receiver.recv_timeout(Duration::from_secs(5)).unwrap_or_else(|_| "no dump within 5 s".to_owned()),
        Err(error) => format!("no thread for a dump: {error}"),
    }
}

/// The panic of a task that arms a timer while its runtime is shut down, as documented.
const DOCUMENTED: &str = "a `heist::time` timer was polled after its runtime was shut down";

/// Makes every panic a failure, except a documented one. The planned ones do not call the hook.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        if text_of(info).contains(DOCUMENTED) {
            return;
        }
        let trace = Backtrace::force_capture();
        fail(&format!("a panic: {:?} at {:?}\n{trace}", text_of(info), info.location()));
    }));
}

fn text_of(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}
