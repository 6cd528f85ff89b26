//! A storm of whole lifecycles: runtimes of all flavours with random settings come, do everything
//! at once, and go by a random way. Each future and each job is dropped exactly once, each handle
//! resolves, no thread stays, and nothing is leaked.
//!
//! It is made for AddressSanitizer: see `.ci/storm`.

mod alarm;
mod attic;
mod bell;
mod body;
mod deed;
mod dice;
mod part;
mod round;
mod scene;
mod setup;
mod verdict;

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
use part::Kind;
use scene::{SCENES, Scene};
use verdict::fail;

/// How long anything may take that has to happen. The longest grace of a runtime is five seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// After so many rounds no thread may be left of any.
const CENSUS: u64 = 8;

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
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("lifecycle_storm: seed {:#x}, {} s", options.seed, options.seconds);
    verdict::watch_panics();
    alarm::lasts();
    // After a leak the process ends in good order, so that the sanitizer says where the memory
    // comes from.
    if storm(&options) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let mut options = Options { seconds: 10, seed: dice::mix(now), repeats: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => options.seconds = args.next()?.parse().ok()?,
            "--seed" => options.seed = seed(&args.next()?)?,
            "--repeat" => options.repeats = true,
            "--hold" => verdict::hold(),
            _ => return None,
        }
    }
    Some(options)
}

fn seed(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// False if something is leaked.
fn storm(options: &Options) -> bool {
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let (mut rounds, mut tasks, mut jobs) = (0, 0, 0);
    let mut seed = options.seed;
    loop {
        verdict::begin_round(rounds, seed);
        let scene = Scene::new(seed);
        play(&scene, rounds);
        settle(&scene);
        tasks += scene.tally(Kind::Task).made();
        jobs += scene.tally(Kind::Job).made();
        drop(scene);
        rounds += 1;
        if rounds % CENSUS == 0 {
            all_threads_leave();
        }
        if Instant::now() >= end {
            break;
        }
        seed = if options.repeats { seed } else { dice::mix(seed) };
    }
    attic::empty();
    all_threads_leave();
    attic::empty();
    let left = SCENES.load(Ordering::SeqCst);
    let verdict = if left == 0 { "clean".to_owned() } else { format!("FAILED: {left} scenes are leaked") };
    println!("lifecycle_storm: {rounds} rounds, {tasks} tasks, {jobs} jobs: {verdict}");
    left == 0
}

/// Runs a round on a thread of its own, which ends with it.
fn play(scene: &Arc<Scene>, number: u64) {
    let on_stage = Arc::clone(scene);
    let thread = thread::Builder::new().name(format!("round {number}")).spawn(move || round::round(&on_stage));
    let thread = thread.unwrap_or_else(|error| fail(&format!("no thread: {error}")));
    let outsiders = join(scene, "the round does not end", thread);
    outsiders.into_iter().for_each(|thread| join(scene, "a thread of the round does not end", thread));
}

fn join<T>(scene: &Arc<Scene>, otherwise: &str, thread: thread::JoinHandle<T>) -> T {
    until(scene, otherwise, || thread.is_finished());
    thread.join().unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().unwrap_or(&"a payload of the storm's own");
        fail(&format!("a thread of the storm has panicked ({text}); stage: {}", scene.stage()))
    })
}

/// What has to be true when a runtime has ended, however that was.
fn settle(scene: &Arc<Scene>) {
    scene.stop();
    until(scene, "a handle does not resolve", || scene.joins_are_finished());
    for (kind, text) in [(Kind::Task, "a future is not dropped"), (Kind::Job, "a job is neither run nor dropped")] {
        let tally = scene.tally(kind);
        until(scene, text, || {
            let gone = tally.gone();
            gone == tally.made()
        });
    }
    let mut dice: Dice = scene.dice();
    let (wakers, joins) = scene.strike();
    for waker in wakers {
        deed::calmly(|| attic::wake(scene, waker, &mut dice));
    }
    for mut join in joins {
        // Its waker is no user's, so nothing panics but the output's destructor.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(Waker::noop());
            Pin::new(&mut join).poll(&mut cx).map(|ended| deed::calmly(|| drop(ended))).is_ready()
        }));
        if !ended.unwrap_or(false) {
            fail("a handle that is finished does not answer");
        }
    }
}

/// No runtime is left, and so no thread of one.
fn all_threads_leave() {
    let end = Instant::now() + PATIENCE;
    let mut left = verdict::threads();
    while !left.is_empty() {
        if Instant::now() > end {
            fail(&format!("threads stay: {left:?}"));
        }
        thread::sleep(Duration::from_micros(200));
        left = verdict::threads();
    }
}

/// Waits for something that has to happen.
fn until(scene: &Arc<Scene>, otherwise: &str, happened: impl Fn() -> bool) {
    let begun = Instant::now();
    while !happened() {
        let waited = begun.elapsed();
        if waited > PATIENCE {
            let threads = verdict::threads();
            let tallies = [Kind::Task, Kind::Job].map(|kind| scene.tally(kind));
            let text = format!(
                "{otherwise} after {waited:?}; flavour {:?}; stage: {}; tasks, jobs {tallies:?}; threads: {threads:#?}\n{}",
                scene.flavour,
                scene.stage(),
                dump(scene),
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

/// What the runtime does, if it says so in time.
fn dump(scene: &Arc<Scene>) -> String {
    let (tell, told) = mpsc::channel();
    let scene = Arc::clone(scene);
    let _ = thread::Builder::new().spawn(move || {
        let text = scene.handle().map(|handle| format!("{}\n{:?}\n{handle:?}", handle.dump(), handle.metrics()));
        let _ = tell.send(text);
    });
    told.recv_timeout(Duration::from_secs(2)).ok().flatten().unwrap_or_else(|| "no dump".to_owned())
}
