//! Measures resizes and their effect on clients: prints the page `docs/benchmarks-resize.md`.

use std::time::Duration;

use hdrhistogram::Histogram;
use heist_benches::machine::Machine;
use heist_benches::resizing::{self, Fixed, Load, Resized, SIZES, Service, Swapped};
use heist_benches::stats::{Spread, ratios};

const WORKERS: usize = 2;

const METHOD: &str = "\
Resizes go up and down in turn. The time of a resize ends when `Resize::wait` returns: the new threads have started, or the \
retired ones have ended. Saturated: 64 tasks that are always ready, each polled for 20 µs at a time.

Four threads load the echo service from outside, each with one message of 64 bytes per millisecond by a plan. Latency counts from \
the planned time. A client disconnects after 20 messages and connects again, so that the old runtimes of the swapped service can end. \
Meanwhile a thread sets a new size every 10 ms, each number from 1 to 8 in turn. *Swapped*: a new Tokio runtime replaces the old one, \
which ends when its last connection has ended. That is how a program resizes a runtime that cannot be resized. Rounds alternate, and \
ratios are medians of round-by-round ratios.
";

/// Builds one of the services.
type Build = fn() -> Box<dyn Service>;

const SERVICES: [Build; 3] =
    [|| Box::new(Fixed::new(WORKERS)), || Box::new(Resized::new(WORKERS)), || Box::new(Swapped::new(WORKERS))];

/// The results of one service.
struct Series {
    name: &'static str,
    all: Histogram<u64>,
    tails: Vec<f64>,
    resizes: usize,
    most_threads: usize,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut rounds, mut messages) = (5, 3_000);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next().and_then(|value| value.parse().ok())) {
            ("--rounds", Some(value)) if value > 0 => rounds = value,
            ("--messages", Some(value)) if value > 0 => messages = value,
            _ => {
                eprintln!(
                    "resizing: unknown argument {arg}. Usage: resizing [--rounds N] [--messages N], numbers above zero"
                );
                std::process::exit(2);
            }
        }
    }
    println!("# Benchmarks of resizing\n");
    println!("Written by `cargo run --release -p heist-benches --bin resizing`.\n");
    println!("Measured on: **{}**. {WORKERS} workers, {rounds} rounds.\n", Machine::here());
    println!(
        "## The time of a resize, µs\n\n| between {} and {} workers | median | quartiles |\n|---|---:|---:|",
        SIZES[0], SIZES[1]
    );
    print_row("idle", resizing::resize_idle(400));
    print_row("saturated", resizing::resize_saturated(200));
    let load =
        Load { clients: 4, messages: messages as u32, per_connection: 20, every: Duration::from_millis(10), most: 8 };
    let mut series: Vec<Series> = SERVICES.iter().map(|build| Series::new(build().name())).collect();
    for round in 0..rounds {
        for turn in 0..SERVICES.len() {
            let at = (turn + round) % SERVICES.len();
            let service = SERVICES[at]();
            series[at].add(resizing::measure(&*service, load));
        }
    }
    table(&series);
    println!("\n## Method\n\n{METHOD}");
}

fn print_row(what: &str, spread: Spread) {
    println!("| {what} | {:.0} | {:.0}–{:.0} |", spread.median, spread.low, spread.high);
}

impl Series {
    fn new(name: &'static str) -> Self {
        let all = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound");
        Series { name, all, tails: Vec::new(), resizes: 0, most_threads: 0 }
    }

    fn add(&mut self, report: resizing::Report) {
        self.tails.push(report.latency.value_at_quantile(0.999) as f64);
        self.all.add(report.latency).expect("the bounds are the same");
        self.resizes += report.resizes;
        self.most_threads = self.most_threads.max(report.most_threads);
    }
}

fn table(series: &[Series]) {
    println!("\n## Echo round trips while the size changes every 10 ms, µs\n");
    println!(
        "| | p50 | p99 | p99.9 | max | p99.9 by that of not resizing | round trips | resizes | workers, at most |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for one in series {
        let at = |quantile| one.all.value_at_quantile(quantile) as f64 / 1e3;
        let ratio = ratios(&one.tails, &series[0].tails).expect("at least one round");
        println!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} [{:.2}–{:.2}] | {} | {} | {} |",
            one.name,
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            ratio.median,
            ratio.low,
            ratio.high,
            one.all.len(),
            one.resizes,
            one.most_threads,
        );
    }
}
