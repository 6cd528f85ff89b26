//! One runtime under mixed load for a long time: see "Soak" in `docs/testing.md`.
//!
//! Every task is counted, every wake-up has to come, and memory, threads and file descriptors have
//! to stay flat.

mod account;
mod activity;
mod allocator;
mod blocking;
mod cheap;
mod controls;
#[path = "../dice.rs"]
mod dice;
mod failure;
mod groups;
mod load;
mod neighbours;
mod options;
mod plant;
mod probes;
mod rates;
mod samples;
mod second_runtime;
mod sockets;
mod stacks;
mod tcp;
mod timers;

use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use account::{Auditor, Ticket};
use dice::Dice;
use failure::fail;
use heist::net::TcpListener;
use heist::runtime::{Builder, Runtime};
use heist::signal::unix::{SignalKind, signal};
use load::Load;
use options::Options;
use rates::Rates;
use samples::Samples;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// These tasks never end by themselves. The last drain cancels them.
const ENDLESS: u64 = 7;

fn main() -> ExitCode {
    let Some(options) = options::parse(std::env::args().skip(1)) else {
        eprintln!("{}", options::USAGE);
        return ExitCode::from(2);
    };
    println!("soak: seed {:#x}, {:?}", options.seed, options.duration);
    failure::set_seed(options.seed);
    neighbours::fork_all(&mut Dice::new(options.seed));
    failure::install_panic_hook();
    use_once();
    let descriptors = samples::descriptors();
    activity::start_observer(options.limit);
    let growing = run(&options);
    neighbours::stop_all();
    if !growing.is_empty() {
        fail(&format!("not flat: {}", growing.join("; ")));
    }
    // The observer and the main thread.
    check_left("threads", 2, samples::threads);
    check_left("file descriptors", descriptors, samples::descriptors);
    println!("soak: clean");
    ExitCode::SUCCESS
}

/// Uses what a process keeps after its first use: handlers of signals, and caches of std.
fn use_once() {
    let runtime = Runtime::new().unwrap_or_else(|error| fail(&format!("no runtime: {error}")));
    runtime.block_on(async {
        drop(signal(SignalKind::user_defined1()));
        drop(TcpListener::bind("127.0.0.1:0").await);
        drop(heist::task::spawn_blocking(|| {}).await);
    });
}

/// Waits until so few of something are left, and fails the soak if they do not get so few.
fn check_left(what: &str, expected: usize, count: fn() -> usize) {
    let waiting = activity::start(&format!("the end of {what}"));
    for _ in 0..1_000 {
        if count() <= expected {
            return waiting.end();
        }
        waiting.advance();
        thread::sleep(Duration::from_millis(10));
    }
    fail(&format!("{} {what} are left, and there were {expected} before", count()));
}

fn build() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).max_worker_threads(controls::MAX_WORKERS).enable_all().name("soak");
    builder.max_blocking_threads(16).thread_keep_alive(Duration::from_millis(20));
    // Small rings, which are all allocated before the second half.
    builder.flight_recorder(64 << 10);
    // The reports of stalls would be lines.
    builder.on_stall(|_| {});
    builder.build().unwrap_or_else(|error| fail(&format!("no runtime: {error}")))
}

/// Runs the load, and checks everything. Returns the figures that are not flat.
fn run(options: &Options) -> Vec<String> {
    let runtime = build();
    let handle = runtime.handle().clone();
    failure::set_runtime(Some(handle.clone()));
    let load = Arc::new(Load::new(handle.clone(), options.seed));
    start_load(&load, options);
    let endless: Vec<_> = (0..ENDLESS)
        .map(|_| {
            let ticket = Ticket::lasting();
            runtime.spawn(async move {
                pending::<()>().await;
                ticket.complete()
            })
        })
        .collect();

    let begun = Instant::now();
    let samples = observe(&runtime, options);
    load::end();
    load.join_all();
    let seconds = begun.elapsed().as_secs_f64();

    wait_for_balance(options.limit);
    let waiting = activity::start("the end of all tasks but the endless ones");
    while runtime.metrics().num_alive_tasks() as u64 != ENDLESS {
        thread::sleep(Duration::from_millis(1));
    }
    waiting.end();
    let report = runtime.drain(Duration::from_millis(50)).wait();
    let named = report.stragglers.len() as u64 + report.unnamed;
    if (report.completed, report.panicked, report.cancelled, named) != (0, 0, ENDLESS, ENDLESS) {
        fail(&format!("the last drain has another report than {ENDLESS} cancelled tasks: {report:?}"));
    }
    for task in endless {
        if !task.is_finished() {
            fail("a task that a drain has cancelled is not finished");
        }
    }
    drop(runtime);
    let totals = account::totals();
    if !totals.is_balanced() {
        fail(&format!("after the end of the runtime, the account does not balance: {totals:?}"));
    }

    println!("\nseed {:#x}, {seconds:.1} s", options.seed);
    Rates::new(&handle).print_totals(&handle, seconds);
    for (name, count) in activity::progress().iter().filter(|(name, _)| name.starts_with("probe")) {
        println!("{name}: {count} times");
    }
    let (table, growing) = samples.verdict();
    println!("{table}");
    // A handle keeps the file descriptors of its runtime.
    failure::set_runtime(None);
    growing
}

fn start_load(load: &Arc<Load>, options: &Options) {
    controls::start(load);
    probes::start(load);
    cheap::start(load);
    timers::start(load);
    blocking::start(load);
    groups::start(load);
    tcp::start(load);
    sockets::start(load);
    second_runtime::start(load);
    if let Some(plant) = options.plant {
        plant::start(plant, load);
    }
}

/// Waits for the end of the time, and meanwhile checks the account, takes samples and prints.
fn observe(runtime: &Runtime, options: &Options) -> Samples {
    let (begun, progress) = (Instant::now(), activity::start("the soak itself"));
    // At least so many samples, also of a short run.
    let interval = (options.duration / 120).clamp(Duration::from_millis(50), Duration::from_secs(1));
    let line = (options.duration / 3).min(Duration::from_secs(10));
    let mut samples = Samples::new(options.duration, interval);
    let (mut auditor, mut rates) = (Auditor::default(), Rates::new(runtime.handle()));
    let mut audited = begun;
    while begun.elapsed() < options.duration {
        thread::sleep(interval);
        progress.advance();
        samples.take();
        if audited.elapsed() >= Duration::from_secs(1) {
            audited = Instant::now();
            auditor.check(options.limit.as_secs());
        }
        if rates.age() >= line {
            rates.print(runtime.handle(), &samples.last(), auditor.balanced());
        }
    }
    progress.end();
    samples
}

/// Waits until every task has ended, except the lasting ones.
fn wait_for_balance(limit: Duration) {
    let begun = Instant::now();
    while !account::short_lived().is_balanced() {
        if begun.elapsed() > limit {
            fail(&format!("not all tasks have ended {limit:?} after the load: {:?}", account::short_lived()));
        }
        thread::sleep(Duration::from_millis(1));
    }
}
