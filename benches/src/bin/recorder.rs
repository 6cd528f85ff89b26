//! Measures the cost of the flight recorder: each row with it on, divided by that with it off.

use heist_benches::recorder;
use heist_benches::watchdog::costs_of;

const WORKERS: usize = 2;

fn main() {
    let rounds = std::env::args().nth(1).map_or(Ok(11), |rounds| rounds.parse()).expect("usage: recorder [rounds]");
    println!("| row | on ÷ off, median | quartiles |");
    println!("|---|---|---|");
    let costs = costs_of(heist_benches::contenders::build_with_recorder, WORKERS, rounds);
    for (row, spread) in &costs {
        println!("| {row} | {:.3} | {:.3} – {:.3} |", spread.median, spread.low, spread.high);
    }
    let logarithms: f64 = costs.iter().map(|(_, spread)| spread.median.ln()).sum();
    println!("\ngeometric mean: {:.3}", (logarithms / costs.len() as f64).exp());
    let event = recorder::event();
    println!("a mark of five bytes, in a task: {:.1} ns on, {:.1} ns off", event.on, event.off);
    println!("a poll that yields: {:.1} ns on, {:.1} ns off", event.poll_on, event.poll_off);
}
