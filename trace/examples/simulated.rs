//! Writes the trace of a simulated runtime, to try the commands with.
//!
//! `cargo run --release -p heist-trace --example simulated -- 1000000 sample.heist`; a third
//! argument is the seed. The same arguments give the same file.

use std::process::ExitCode;

#[path = "../tests/support/random.rs"]
mod random;
#[path = "../tests/support/sample.rs"]
mod sample;
#[path = "../tests/support/simulation.rs"]
mod simulation;

const WORKERS: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| arguments.get(at).map_or(Some(default), |number| number.parse().ok());
    let (Some(events), Some(path), Some(seed)) = (number(0, 0), arguments.get(1), number(2, 1)) else {
        eprintln!("usage: simulated <events> <file> [<seed>]");
        return ExitCode::from(2);
    };
    // A file of no events has one of each kind instead.
    let file = if events == 0 { sample::every_event() } else { simulation::simulated(seed, events as usize, WORKERS) };
    match std::fs::write(path, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {path} cannot be written ({error}); name another file");
            ExitCode::FAILURE
        }
    }
}
