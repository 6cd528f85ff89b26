//! Compares delays beside a stuck worker with Tokio's: prints the page `docs/benchmarks-stalls.md`.

use heist_benches::contender::{Contender, Sockets, Timers};
use heist_benches::contenders::heist::Heist;
use heist_benches::contenders::tokio::Tokio;
use heist_benches::machine::Machine;
use heist_benches::stalls::{self, Delays};
use heist_benches::watchdog;

const WORKERS: usize = 2;

/// Rounds of the comparison with the watchdog off.
const ROUNDS: usize = 31;

/// A row: the scenario, its measurement on each runtime, and the goal for heist in ms.
struct Row {
    title: &'static str,
    /// The bound of the p99, if there is one, and of the worst delay.
    goal: (Option<f64>, f64),
    run: fn(u32) -> [Delays; 2],
}

const ROWS: [Row; 4] = [
    Row {
        title: "a task is woken by a task that then blocks for 300 ms",
        goal: (None, 40.0),
        run: |times| {
            [
                measure_on(Heist::build, |r| stalls::woken_by_the_stuck(r, times)),
                measure_on(Tokio::build, |r| stalls::woken_by_the_stuck(r, times)),
            ]
        },
    },
    Row {
        title: "20 ms timers while a task that a timer has woken blocks for 400 ms",
        goal: (Some(5.0), 40.0),
        run: |times| both_timers(times),
    },
    Row {
        title: "echo round trips from outside while a task that has read a socket blocks for 500 ms",
        goal: (Some(5.0), 40.0),
        run: |times| both_sockets(times),
    },
    Row {
        title: "a new task while all workers are stuck for 600 ms",
        goal: (None, 60.0),
        run: |times| {
            [
                measure_on(Heist::build, |r| stalls::new_while_all_are_stuck(r, WORKERS, times)),
                measure_on(Tokio::build, |r| stalls::new_while_all_are_stuck(r, WORKERS, times)),
            ]
        },
    },
];

fn measure_on<C: Contender>(build: fn(usize) -> C, measure: impl FnOnce(&C) -> Delays) -> Delays {
    measure(&build(WORKERS))
}

fn both_timers(times: u32) -> [Delays; 2] {
    fn one<C: Timers>(times: u32) -> Delays {
        stalls::timers_beside_the_stuck(&C::build(WORKERS), times)
    }
    [one::<Heist>(times), one::<Tokio>(times)]
}

fn both_sockets(times: u32) -> [Delays; 2] {
    fn one<C: Sockets>(times: u32) -> Delays {
        stalls::echo_beside_the_stuck(&C::build(WORKERS), times)
    }
    [one::<Heist>(times), one::<Tokio>(times)]
}

fn main() {
    let times = std::env::args().nth(1).map_or(Some(10), |arg| arg.parse().ok().filter(|n| *n > 0));
    let Some(times) = times else {
        eprintln!("stalls: usage: stalls [TIMES], a number above zero (10 by default)");
        std::process::exit(2);
    };
    println!("# Benchmarks of stalls\n");
    println!("Written by `cargo run --release -p heist-benches --bin stalls`.\n");
    println!("Measured on: **{}**. {WORKERS} workers, each scenario {times} times.\n", Machine::here());
    println!("| delays, ms | heist p50 | p99 | worst | tokio p50 | p99 | worst | goal | verdict |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut missed = 0;
    for row in &ROWS {
        let [heist, tokio] = (row.run)(times);
        let met =
            row.goal.0.is_none_or(|p99| quantile_ms(&heist, 0.99) <= p99) && quantile_ms(&heist, 1.0) <= row.goal.1;
        missed += usize::from(!met);
        let goal = row.goal.0.map_or(String::new(), |p99| format!("p99 ≤ {p99}, "));
        println!(
            "| {} | {} | {} | {goal}worst ≤ {} | {} |",
            row.title,
            figures(&heist),
            figures(&tokio),
            row.goal.1,
            verdict(met)
        );
    }
    missed += usize::from(!costs()) + usize::from(!idle());
    println!("\n{} of {} goals met.", ROWS.len() + 2 - missed, ROWS.len() + 2);
}

/// Prints the cost of the watchdog for tasks that do not stall.
fn costs() -> bool {
    const GOAL: f64 = 0.01;
    println!("\n| the watchdog on, against off | quotient of the times: median | quartiles |");
    println!("|---|---:|---:|");
    let costs = watchdog::costs(WORKERS, ROUNDS);
    for (row, quotient) in &costs {
        println!("| {row} | {:.3} | {:.3}–{:.3} |", quotient.median, quotient.low, quotient.high);
    }
    let mean = (costs.iter().map(|(_, quotient)| quotient.median.ln()).sum::<f64>() / costs.len() as f64).exp();
    let share = watchdog::share(WORKERS);
    let met = mean <= 1.0 + GOAL;
    println!("| geometric mean, goal ≤ {} | **{mean:.3}** | {} |", 1.0 + GOAL, verdict(met));
    println!(
        "\nWhile both workers are busy the watchdog's thread uses {:.2} % of one processor ({:.1} µs per tick).",
        share.of_a_processor * 100.0,
        share.per_tick.as_secs_f64() * 1e6
    );
    met
}

/// Prints the wake-ups of a runtime without work.
fn idle() -> bool {
    let wakes = watchdog::idle_wakes(WORKERS);
    println!("\nAn idle runtime, in ten seconds: {wakes} wake-ups of its threads; goal 0, {}.", verdict(wakes == 0));
    wakes == 0
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

fn quantile_ms(delays: &Delays, quantile: f64) -> f64 {
    delays.value_at_quantile(quantile) as f64 / 1e6
}

fn figures(delays: &Delays) -> String {
    [0.5, 0.99, 1.0].map(|quantile| format!("{:.2}", quantile_ms(delays, quantile))).join(" | ")
}
