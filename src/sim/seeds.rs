//! Runs a test for many seeds.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::{Coverage, Sim};
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Arc, Mutex};
use crate::util::wake_list::panic_message;

/// If this is set, [`for_each_seed`] runs this seed alone.
const SEED_VARIABLE: &str = "HEIST_SIM_SEED";

/// Calls `test` with one simulation for each seed from 0 to `seeds`, exclusively. It uses as many
/// threads as there are processors. Prints how many different schedules the runs had, and returns
/// it.
///
/// If the variable `HEIST_SIM_SEED` is set, only that seed runs, to repeat a failure.
///
/// # Panics
///
/// If a call panics, no more seeds are begun. Then this panics with the smallest seed that failed,
/// the message of its panic, and the command that repeats it. Also panics if `HEIST_SIM_SEED` is
/// not a number.
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
    if let Some(seed) = seed_from_environment() {
        test(counted(seed));
        let coverage = coverage.lock().clone();
        return coverage;
    }
    let (next, failure) = (AtomicU64::new(0), Mutex::new(None::<(u64, String)>));
    let work = || {
        loop {
            // Ordering: Relaxed — each seed only has to be taken once.
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || failure.lock().is_some() {
                return;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(counted(seed)))) {
                let mut failure = failure.lock();
                if failure.as_ref().is_none_or(|(other, _)| seed < *other) {
                    *failure = Some((seed, panic_message(&*panic).unwrap_or("a panic without a text").to_owned()));
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    if let Some((seed, message)) = failure.into_inner() {
        let here = thread::current();
        let name = here.name().unwrap_or("NAME");
        panic!("seed {seed} fails: {message}\nrepeat it: {SEED_VARIABLE}={seed} cargo test {name}");
    }
    let coverage = coverage.lock().clone();
    println!("{coverage}");
    coverage
}

fn seed_from_environment() -> Option<u64> {
    let text = env::var(SEED_VARIABLE).ok()?;
    match text.parse() {
        Ok(seed) => Some(seed),
        Err(_) => panic!("{SEED_VARIABLE} is {text:?}: set it to a number, or unset it"),
    }
}
