//! Mutates traces for so many seconds, and runs every analysis on each.
//!
//! `cargo run --release -p heist-trace --example fuzz -- 600`; a second number is the seed. A panic
//! ends the program, which then prints the seed and the round for a repetition.

use std::process::ExitCode;
use std::time::{Duration, Instant};

#[path = "../tests/support/analyses.rs"]
mod analyses;
#[path = "../tests/support/mutation.rs"]
mod mutation;
#[path = "../tests/support/random.rs"]
mod random;
#[path = "../tests/support/sample.rs"]
mod sample;
#[path = "../tests/support/simulation.rs"]
mod simulation;

use random::Random;

/// Rounds between two looks at the clock. A batch has a seed of its own.
const BATCH: u64 = 1_000;

/// The most mutations on top of each other.
const MOST_GENERATIONS: u64 = 6;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(seconds)), Ok(seed)) = (numbers.next(), numbers.next().unwrap_or(Ok(1))) else {
        eprintln!("usage: fuzz <seconds> [<seed>]");
        return ExitCode::from(2);
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let samples =
        [sample::every_event(), simulation::simulated(seed, 200, 2), simulation::simulated(seed + 1, 1_000, 4)];
    let (mut batches, mut traces) = (0, 0);
    while Instant::now() < end {
        let batch = seed.wrapping_add(batches);
        let result = std::panic::catch_unwind(|| run_batch(&samples, batch));
        let Ok(found) = result else {
            eprintln!("the batch with the seed {batch} has failed; repeat it with `fuzz 1 {batch}`");
            return ExitCode::FAILURE;
        };
        traces += found;
        batches += 1;
    }
    println!("{} iterations, {traces} of them valid traces, in {seconds} s from the seed {seed}", batches * BATCH);
    ExitCode::SUCCESS
}

/// Runs some rounds. Returns how many files were traces.
fn run_batch(samples: &[Vec<u8>], seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut traces = 0;
    for _ in 0..BATCH {
        let kind = random.below(samples.len() as u64 + 2) as usize;
        let mut file = samples.get(kind).cloned().unwrap_or_else(|| mutation::random_file(&mut random));
        for _ in 0..random.below(MOST_GENERATIONS) {
            mutation::mutate(&mut file, &mut random);
        }
        traces += u64::from(analyses::run_all(&file));
    }
    traces
}
