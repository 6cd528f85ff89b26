//! Runs a test for many seeds.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::{Duration, Instant};

use super::shrink::{message_of, run_once, shrink};
use super::{Coverage, Sim};
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::decisions::Kept;
use crate::primitive::{Arc, Mutex, real_now};

/// If this is set, [`for_each_seed`] runs this seed alone.
const SEED_VARIABLE: &str = "HEIST_SIM_SEED";
/// If this is set, [`for_each_seed`] begins with this seed.
const FIRST_SEED_VARIABLE: &str = "HEIST_SIM_FIRST_SEED";
/// The real time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Calls `test` with one simulation for each seed from 0 to `seeds`, exclusively. It uses as many
/// threads as there are processors. Prints how many different schedules the runs had, and returns
/// it.
///
/// If that takes long, the number of seeds that have begun is printed to stderr, at most every ten
/// seconds. The test harness shows this, and the line about schedules, with `--nocapture` or after
/// a failure. The variable `HEIST_SIM_FIRST_SEED` sets another first seed than 0, so that a second
/// run tests new ones.
///
/// If the variable `HEIST_SIM_SEED` is set, only that seed runs, to repeat a failure. `916:4,17`
/// means: of the deviations of seed 916 from the plain schedule, only the 4th and the 17th take
/// place. Ranges are valid, too (`916:1-3,7`), and `916:` lets none take place. If that run fails,
/// its last turns are printed, and the panic of the test is passed on.
///
/// `test` should call [`Sim::run`] once, because the numbers of deviations begin at 1 in each run.
///
/// # Panics
///
/// If a call panics, no more seeds are begun. The smallest seed that failed runs again with fewer
/// and fewer deviations (preemptions, faults), as long as it fails. No run begins after 200 runs or
/// ten seconds of real time. If the run that failed leaked its threads, none begins after 20.
///
/// Then this panics with the seed, the message of its panic, and the command that repeats it. The
/// command for the run with the fewest deviations follows, with the last turns of that run. The
/// command has the name of the calling thread, which is the test's name in the test harness. Add
/// features and `--release` as for the first run. If the seed passes when it is repeated, the
/// message says "It has not failed again".
///
/// Also panics if `HEIST_SIM_SEED` is not a seed, or `HEIST_SIM_FIRST_SEED` is not a number.
///
/// # Examples
///
/// ```
/// use heist::sim::for_each_seed;
///
/// for_each_seed(20, |sim| {
///     let sum = sim.workers(3).run(async {
///         let tasks = [1, 2, 3].map(|n| heist::spawn(async move { n }));
///         let mut sum = 0;
///         for task in tasks {
///             sum += task.await.unwrap();
///         }
///         sum
///     });
///     assert_eq!(sum, 6);
/// });
/// ```
#[track_caller]
pub fn for_each_seed(seeds: u64, test: impl Fn(Sim) + Sync) -> Coverage {
    let coverage = Arc::new(Mutex::new(Coverage::default()));
    let counted = |seed| Sim { coverage: Some(Arc::clone(&coverage)), ..Sim::new(seed) };
    if let Some((seed, kept)) = seed_from_environment() {
        if let Err(panic) = run_once(counted(seed), kept, false, &test) {
            eprintln!("the last turns:\n{}", panic.failure.turn_log);
            resume_unwind(panic.payload);
        }
        let coverage = coverage.lock().clone();
        return coverage;
    }
    let first = first_seed();
    let (next, failure) = (AtomicU64::new(first), Mutex::new(None::<(u64, String)>));
    let reported = Mutex::new(real_now());
    let work = || {
        loop {
            // Ordering: Relaxed — each seed only has to be taken once.
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - first >= seeds || failure.lock().is_some() {
                return;
            }
            report_progress(&reported, seed - first, seeds);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(counted(seed)))) {
                let mut failure = failure.lock();
                if failure.as_ref().is_none_or(|(other, _)| seed < *other) {
                    *failure = Some((seed, message_of(&*panic)));
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    if let Some((seed, message)) = failure.into_inner() {
        panic!("{}", describe_failure(seed, &message, &test));
    }
    let coverage = coverage.lock().clone();
    println!("{coverage}");
    coverage
}

/// Prints how many seeds have begun, if that was not printed for some time.
fn report_progress(reported: &Mutex<Instant>, begun: u64, seeds: u64) {
    let Some(mut reported) = reported.try_lock() else { return };
    let now = real_now();
    if now.saturating_duration_since(*reported) >= PROGRESS_INTERVAL {
        *reported = now;
        eprintln!("{begun} of {seeds} seeds have begun");
    }
}

fn first_seed() -> u64 {
    let Ok(text) = env::var(FIRST_SEED_VARIABLE) else { return 0 };
    let parsed = text.parse();
    parsed.unwrap_or_else(|_| panic!("{FIRST_SEED_VARIABLE} is {text:?}: set it to a number, or unset it"))
}

/// Returns what is known of a seed that fails.
fn describe_failure(seed: u64, message: &str, test: &impl Fn(Sim)) -> String {
    let here = thread::current();
    let command = |kept: &str| format!("{SEED_VARIABLE}={seed}{kept} cargo test {}", here.name().unwrap_or("NAME"));
    let text = format!("seed {seed} fails: {message}\nrepeat it: {}", command(""));
    let Some(shrunk) = shrink(seed, test) else {
        return format!(
            "{text}\nIt has not failed again. Something differs between runs: see the limits in the page of `heist::sim`"
        );
    };
    let (kept, drawn) = (shrunk.kept.len(), shrunk.drawn);
    let only = command(&format!(":{}", Kept::Only(shrunk.kept)));
    let message = &shrunk.smallest.message;
    format!(
        "{text}\nrepeat it with {kept} of {drawn} deviations from the plain schedule (found by {} runs): {only}\n\
         that run fails: {message}\nits last turns:\n{}",
        shrunk.runs, shrunk.smallest.turn_log
    )
}

/// Returns the seed and the deviations that `HEIST_SIM_SEED` names.
fn seed_from_environment() -> Option<(u64, Kept)> {
    let text = env::var(SEED_VARIABLE).ok()?;
    let named = match text.split_once(':') {
        None => text.parse().ok().map(|seed| (seed, Kept::All)),
        Some((seed, kept)) => seed.parse().ok().zip(kept.parse().ok()),
    };
    assert!(named.is_some(), "{SEED_VARIABLE} is {text:?}: set it to a number such as 916 or 916:4,17, or unset it");
    named
}
