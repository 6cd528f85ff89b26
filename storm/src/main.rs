//! A stress test of whole lifecycles of runtimes, made for AddressSanitizer: see `.ci/storm`.
//!
//! Each round builds a runtime of random flavour and settings, does everything at once, and ends
//! the runtime in a random way. Then each future and job must have been dropped exactly once, and
//! each handle must have resolved. No thread may be left, and nothing leaked.

mod acting_waker;
mod action;
mod body;
mod dice;
mod failure;
mod leftovers;
mod round;
mod round_state;
mod setup;
mod time_limit;
mod tracked;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dice::Dice;
use failure::fail;
use round_state::{LIVE_ROUNDS, RoundState};
use tracked::Kind;

/// How long a required event may take. The longest grace period of a runtime is five seconds.
const TIME_LIMIT: Duration = Duration::from_secs(40);

/// After this many rounds, no thread of any of them may be left.
const THREAD_CHECK_ROUNDS: u64 = 8;

const USAGE: &str = "usage: lifecycle_storm [--seconds N] [--seed S] [--repeat] [--hold]
  --seconds N   for how long; at least one round (10 by default)
  --seed S      the seed of the first round (from the clock by default)
  --repeat      every round has that seed
  --hold        a failure waits for a debugger";

struct Options {
    seconds: u64,
    seed: u64,
    repeats: bool,
}

fn main() -> ExitCode {
    let Some(options) = parse_options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("lifecycle_storm: seed {:#x}, {} s", options.seed, options.seconds);
    failure::install_panic_hook();
    time_limit::mark_lasting();
    // After a leak the process exits normally, so that the sanitizer reports where the memory was
    // allocated.
    if run_storm(&options) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse_options(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let mut options = Options { seconds: 10, seed: dice::mix(now), repeats: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => options.seconds = args.next()?.parse().ok()?,
            "--seed" => options.seed = parse_seed(&args.next()?)?,
            "--repeat" => options.repeats = true,
            "--hold" => failure::enable_hold(),
            _ => return None,
        }
    }
    Some(options)
}

fn parse_seed(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Runs rounds until the time is over. Returns false if something is leaked.
fn run_storm(options: &Options) -> bool {
    failure::record_present_threads();
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let (mut rounds, mut tasks, mut jobs) = (0, 0, 0);
    let mut seed = options.seed;
    loop {
        failure::begin_round(rounds, seed);
        let round = RoundState::new(seed);
        run_on_thread(&round, rounds);
        check_after_end(&round);
        tasks += round.tally(Kind::Task).created();
        jobs += round.tally(Kind::Job).created();
        drop(round);
        rounds += 1;
        if rounds % THREAD_CHECK_ROUNDS == 0 {
            wait_for_thread_exits();
        }
        if Instant::now() >= end {
            break;
        }
        seed = if options.repeats { seed } else { dice::mix(seed) };
    }
    leftovers::drop_all();
    wait_for_thread_exits();
    leftovers::drop_all();
    let left = LIVE_ROUNDS.load(Ordering::SeqCst);
    let result = if left == 0 { "clean".to_owned() } else { format!("FAILED: the state of {left} rounds is leaked") };
    println!("lifecycle_storm: {rounds} rounds, {tasks} tasks, {jobs} jobs: {result}");
    left == 0
}

/// Runs a round on a thread of its own, and joins the round's threads.
fn run_on_thread(round: &Arc<RoundState>, number: u64) {
    let inner = Arc::clone(round);
    let thread = thread::Builder::new().name(format!("round {number}")).spawn(move || round::run_round(&inner));
    let thread = thread.unwrap_or_else(|error| fail(&format!("no thread: {error}")));
    let threads = join_thread(round, "the round does not end", thread);
    threads.into_iter().for_each(|thread| join_thread(round, "a thread of the round does not end", thread));
}

fn join_thread<T>(round: &Arc<RoundState>, failure_text: &str, thread: thread::JoinHandle<T>) -> T {
    wait_until(round, failure_text, || thread.is_finished());
    thread.join().unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().unwrap_or(&"a payload of the storm's own");
        fail(&format!("a thread of the storm has panicked ({text}); stage: {}", round.stage()))
    })
}

/// Checks what has to be true after the end of a runtime, and uses the kept wakers and handles.
fn check_after_end(round: &Arc<RoundState>) {
    round.exhaust_budget();
    wait_until(round, "a handle does not resolve", || round.joins_are_finished());
    for (kind, text) in [(Kind::Task, "a future is not dropped"), (Kind::Job, "a job is neither run nor dropped")] {
        let tally = round.tally(kind);
        wait_until(round, text, || {
            // The drops are read first.
            let dropped = tally.dropped();
            dropped == tally.created()
        });
    }
    let mut dice: Dice = round.dice();
    let (wakers, joins) = round.take_kept_items();
    for waker in wakers {
        action::catch(|| leftovers::use_waker(round, waker, &mut dice));
    }
    for mut join in joins {
        // The waker is a no-op, so only the output's destructor may panic.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(Waker::noop());
            Pin::new(&mut join).poll(&mut cx).map(|ended| action::catch(|| drop(ended))).is_ready()
        }));
        if !ended.unwrap_or(false) {
            fail("a finished handle is not ready");
        }
    }
}

/// Waits until all threads of runtimes have exited. No runtime is left.
fn wait_for_thread_exits() {
    let end = Instant::now() + TIME_LIMIT;
    let mut left = failure::live_threads();
    while !left.is_empty() {
        if Instant::now() > end {
            fail(&format!("threads are left: {left:?}"));
        }
        thread::sleep(Duration::from_micros(200));
        left = failure::live_threads();
    }
}

/// Waits for a required event, and fails the storm after the time limit.
fn wait_until(round: &Arc<RoundState>, failure_text: &str, happened: impl Fn() -> bool) {
    let begun = Instant::now();
    while !happened() {
        let waited = begun.elapsed();
        if waited > TIME_LIMIT {
            let threads = failure::live_threads();
            let tallies = [Kind::Task, Kind::Job].map(|kind| round.tally(kind));
            let text = format!(
                "{failure_text} after {waited:?}; flavour {:?}; stage: {}; tasks, jobs {tallies:?}; threads: {threads:#?}\n{}",
                round.flavour,
                round.stage(),
                dump_runtime(round),
            );
            fail(&text);
        }
        thread::sleep(if waited < Duration::from_millis(5) {
            Duration::from_micros(50)
        } else {
            Duration::from_millis(1)
        });
    }
}

/// Returns a dump of the runtime, if the runtime produces it in time.
fn dump_runtime(round: &Arc<RoundState>) -> String {
    let (sender, receiver) = mpsc::channel();
    let round = Arc::clone(round);
    let _ = thread::Builder::new().spawn(move || {
        let text = round.handle().map(|handle| format!("{}\n{:?}\n{handle:?}", handle.dump(), handle.metrics()));
        let _ = sender.send(text);
    });
    receiver.recv_timeout(Duration::from_secs(2)).ok().flatten().unwrap_or_else(|| "no dump".to_owned())
}
