//! The processor time of a runtime with many workers and little to do.
//!
//! Each turn is a fresh process. The runtimes take turns, in an order that rotates.

use crate::child::Job;
use crate::contenders::Entry;
use crate::driver::progress;
use crate::goals::{REFERENCE, SUBJECT};
use crate::rows::light::Event;
use crate::stats::{Spread, WithWorst, by_round};

pub const WORKERS: usize = 8;

/// The results for one event: shares of a processor, round by round.
pub struct Outcome {
    pub event: Event,
    subject: Vec<f64>,
    reference: Vec<f64>,
}

impl Outcome {
    /// Returns the median share of the subject, and of the reference.
    pub fn medians(&self) -> Option<(f64, f64)> {
        let median = |shares: &[f64]| Spread::of(shares).map(|spread| spread.median);
        median(&self.subject).zip(median(&self.reference))
    }

    /// Returns the ratio of the shares.
    pub fn ratio(&self) -> Option<WithWorst> {
        WithWorst::of(&by_round(&self.subject, &self.reference), false)
    }
}

/// Runs all events, and passes each outcome to `done` when it is complete.
///
/// # Errors
///
/// If a child fails, or this build has no subject.
pub fn run(entries: &[Entry], rounds: usize, seconds: u32, done: impl Fn(&Outcome)) -> Result<Vec<Outcome>, String> {
    if !entries.iter().any(|entry| entry.name == SUBJECT) {
        return Err(format!("this build has no {SUBJECT}: build it with the feature heist-adapter"));
    }
    let names = [SUBJECT, REFERENCE];
    let mut outcomes = Vec::new();
    for event in Event::ALL {
        let mut shares = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            for turn in 0..names.len() {
                let at = (turn + round) % names.len();
                progress(&format!("{}: round {} of {rounds}, {}", event.name(), round + 1, names[at]));
                shares[at].push(share(names[at], event, seconds)?);
            }
        }
        progress("");
        let [subject, reference] = shares;
        let outcome = Outcome { event, subject, reference };
        done(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn share(runtime: &str, event: Event, seconds: u32) -> Result<f64, String> {
    let job = Job::Light { runtime: runtime.to_owned(), workers: WORKERS, event: event.name().to_owned(), seconds };
    let failed = |problem: String| format!("{runtime}, {}: {problem}", event.name());
    let text = job.output().map_err(failed)?;
    text.trim().parse().map_err(|_| failed(format!("the child printed no number: {text}")))
}

/// In the child: prints the share of a processor.
///
/// # Errors
///
/// If the runtime does not take part, or there is no such event.
pub fn print(entry: &Entry, workers: usize, event: &str, seconds: u32) -> Result<(), String> {
    let share = entry.light.ok_or_else(|| format!("{} has no light load", entry.name))?;
    let event = Event::find(event).ok_or_else(|| format!("there is no event {event}"))?;
    println!("{}", share(workers, event, std::time::Duration::from_secs(seconds.into())));
    Ok(())
}
