//! Compares task groups with one Tokio runtime and with two: prints the page
//! `docs/benchmarks-groups.md`.

use std::process::ExitCode;
use std::time::Duration;

use hdrhistogram::Histogram;
use heist_benches::child::{self, Job};
use heist_benches::groups::http::{self, Service};
use heist_benches::groups::pings::{self, Pings};
use heist_benches::groups::{Arrangement, Groups, OneTokio, TwoTokios, admission, shares};
use heist_benches::machine::Machine;
use heist_benches::neighbours::{self, Neighbours};
use heist_benches::report::page::wrapped;
use heist_benches::stats::Spread;

const WORKERS: usize = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((child::FLAG, words)) = arguments.split_first().map(|(flag, words)| (flag.as_str(), words)) {
        return run_child(words);
    }
    let rounds = arguments.first().map_or(Some(3), |arg| arg.parse().ok().filter(|n| *n > 0));
    let Some(rounds) = rounds else {
        eprintln!("groups: usage: groups [ROUNDS], a number above zero (3 by default)");
        return ExitCode::from(2);
    };
    println!("# Benchmarks of task groups\n");
    paragraph("Written by `cargo run --release -p heist-benches --bin groups`. [groups.md](groups.md) has the design.");
    paragraph(&format!(
        "Measured on: **{}**. {WORKERS} workers, {rounds} rounds in which the arrangements alternate. Each figure is the median, with the \
         worst round in parentheses.",
        Machine::here()
    ));
    let met = [ping_table(rounds), service_table(rounds), share_table(rounds), admission_table()];
    println!("\n{} of {} tables meet their goals.", met.iter().filter(|met| **met).count(), met.len());
    ExitCode::SUCCESS
}

/// Runs the only job that this program has for its children: to spin.
fn run_child(words: &[String]) -> ExitCode {
    child::die_with_parent();
    let done = Job::parse(words).and_then(|job| match job {
        Job::Spin { cpu, nice } => neighbours::spin(cpu, nice),
        job => Err(format!("this program has no child for {job:?}")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("groups: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Values of rounds: the median and the worst, in which more is worse unless told otherwise.
struct Figure(Vec<f64>);

impl Figure {
    fn median(&self) -> f64 {
        Spread::of(&self.0).map_or(f64::NAN, |spread| spread.median)
    }

    fn highest(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    fn lowest(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    fn text(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$})", self.median(), self.highest())
    }

    fn text_low(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$})", self.median(), self.lowest())
    }
}

fn ping_table(rounds: usize) -> bool {
    const TIME: Duration = Duration::from_secs(3);
    println!("\n## An urgent task beside a background that computes\n");
    paragraph(&format!(
        "The background has polls of {} ms on all workers. A thread wakes the urgent task every millisecond. Delays are from the wake to \
         the poll. Goals: p50 ≤ 0.2 ms, p99 ≤ 2 ms, p99.9 ≤ 5 ms, and 95 % of the background's time without pings.",
        pings::POLL.as_millis()
    ));
    println!("| arrangement | p50, ms | p99 | p99.9 | workers' time for the background |");
    println!("|---|---:|---:|---:|---:|");
    let mut runs: [Vec<Pings>; 4] = Default::default();
    for _ in 0..rounds {
        runs[0].push(pings::measure::<Groups>(WORKERS, TIME, false));
        runs[1].push(pings::measure::<Groups>(WORKERS, TIME, true));
        runs[2].push(pings::measure::<OneTokio>(WORKERS, TIME, true));
        runs[3].push(pings::measure::<TwoTokios>(WORKERS, TIME, true));
    }
    let names = ["heist, groups, without pings", Groups::NAME, OneTokio::NAME, TwoTokios::NAME];
    let quantile = |runs: &[Pings], q: f64| Figure(runs.iter().map(|run| ms(&run.delays, q)).collect());
    let background = |runs: &[Pings]| Figure(runs.iter().map(|run| run.background).collect());
    for (name, runs) in names.iter().zip(&runs) {
        let delays = [0.5, 0.99, 0.999].map(|q| quantile(runs, q).text(3)).join(" | ");
        let delays = if *name == names[0] { "– | – | –".to_owned() } else { delays };
        println!("| {name} | {delays} | {} |", background(runs).text_low(3));
    }
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| quantile(&runs[1], q).median());
    let kept = background(&runs[1]).median() / background(&runs[0]).median();
    verdict(p50 <= 0.2 && p99 <= 2.0 && p999 <= 5.0 && kept >= 0.95)
}

fn service_table(rounds: usize) -> bool {
    const SECONDS: u32 = 3;
    println!("\n## A hyper service beside a background that computes\n");
    paragraph(&format!(
        "`wrk` loads the service from one thread, on the same processors, over {} connections and over one. The background has polls of \
         {} µs. The last columns are numbers of processors. Goals over {} connections: a p99 of 1.5 × that without background, and 90 % of \
         the time that the others leave idle for the background. As a lower bound, the service also runs beside a process on each core \
         at the lowest priority that the kernel has for a normal process.",
        http::CONNECTIONS,
        http::POLL.as_micros(),
        http::CONNECTIONS
    ));
    println!("| connections | arrangement | requests/s | p50, ms | p99 | for the background | idle |");
    println!("|---:|---|---:|---:|---:|---:|---:|");
    let mut met = true;
    for connections in [http::CONNECTIONS, 1] {
        let mut runs: [Vec<Service>; 6] = Default::default();
        for _ in 0..rounds {
            runs[0].extend(http::measure::<Groups>(WORKERS, connections, SECONDS, false));
            runs[1].extend(http::measure::<Groups>(WORKERS, connections, SECONDS, true));
            runs[2].extend(http::measure::<OneTokio>(WORKERS, connections, SECONDS, false));
            runs[3].extend(http::measure::<OneTokio>(WORKERS, connections, SECONDS, true));
            runs[4].extend(http::measure::<TwoTokios>(WORKERS, connections, SECONDS, true));
            let _work = Neighbours::start_at_lowest_priority().unwrap_or_else(|problem| panic!("{problem}"));
            runs[5].extend(http::measure::<Groups>(WORKERS, connections, SECONDS, false));
        }
        if runs[0].is_empty() {
            println!("\n`wrk` is not installed, so this was not measured.");
            return false;
        }
        let beside = "heist, beside processes at nice 19";
        let names = ["heist alone", Groups::NAME, "Tokio alone", OneTokio::NAME, TwoTokios::NAME, beside];
        let figure = |runs: &[Service], value: fn(&Service) -> f64| Figure(runs.iter().map(value).collect());
        for (name, runs) in names.iter().zip(&runs) {
            println!(
                "| {connections} | {name} | {} | {} | {} | {} | {} |",
                figure(runs, |run| run.rate).text_low(0),
                figure(runs, |run| run.percentiles.p50).text(3),
                figure(runs, |run| run.percentiles.p99).text(3),
                figure(runs, |run| run.background).text_low(2),
                figure(runs, |run| run.idle).text(2),
            );
        }
        if connections == http::CONNECTIONS {
            let p99 = |at: usize| figure(&runs[at], |run: &Service| run.percentiles.p99).median();
            let share = figure(&runs[1], |run| run.background / (run.background + run.idle)).median();
            met = p99(1) <= 1.5 * p99(0) && share >= 0.9;
        }
    }
    verdict(met)
}

fn share_table(rounds: usize) -> bool {
    println!("\n## Two groups with weights 3 : 1\n");
    println!(
        "Both groups want all workers for one second. Goal: the heavier group has 75 % of the time, within 5 %.\n"
    );
    println!("| polls of the heavier group, and of the lighter | share of the heavier group, lowest to highest |");
    println!("|---|---:|");
    let mut met = true;
    for polls in shares::POLLS {
        let share = Figure((0..rounds).map(|_| 100.0 * shares::measure(WORKERS, polls)).collect());
        println!("| {:?}, {:?} | {:.2} % to {:.2} % |", polls[0], polls[1], share.lowest(), share.highest());
        met &= share.lowest() >= 75.0 * 0.95 && share.highest() <= 75.0 * 1.05;
    }
    verdict(met)
}

fn admission_table() -> bool {
    const OFFERED: u64 = 1_000_000;
    let admitted = admission::measure(WORKERS, OFFERED);
    println!("\n## Admission\n");
    paragraph(&format!(
        "Eight threads offer {} tasks to a group with `max_tasks({})`. One in a hundred is cancelled while it waits.",
        admitted.offered,
        admission::LIMIT
    ));
    println!("| spawned | ended | most alive at once | resident memory, KiB: first tenth, and the rest | time |");
    println!("|---:|---:|---:|---:|---:|");
    println!(
        "| {} | {} | {} | {}, {} | {:.1} s |",
        admitted.spawned,
        admitted.ended,
        admitted.most_live,
        admitted.memory[0],
        admitted.memory[1],
        admitted.took.as_secs_f64()
    );
    verdict(admitted.spawned == admitted.ended && admitted.most_live <= admission::LIMIT as u64)
}

/// Prints a paragraph, and an empty line.
fn paragraph(text: &str) {
    println!("{}\n", wrapped(text).trim_end());
}

fn ms(delays: &Histogram<u64>, quantile: f64) -> f64 {
    delays.value_at_quantile(quantile) as f64 / 1e6
}

fn verdict(met: bool) -> bool {
    println!("\n{}", if met { "The goals are met." } else { "A goal is missed." });
    met
}
