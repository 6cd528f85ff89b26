//! The command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::dice;

pub(crate) const USAGE: &str = "usage: soak [DURATION] [--seed N]
  DURATION      for how long, such as 2h, 10m or 30s (60s by default)
  --seed N      the seed of all random numbers (from the clock by default)";

/// A fault that the soak commits itself, to show that it finds such a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// Memory is leaked.
    Leak,
    /// File descriptors are leaked.
    Fd,
    /// Threads do not exit.
    Thread,
    /// A wake-up is dropped.
    Hang,
    /// The future of a task is dropped twice.
    Double,
    /// A task ends twice in the account.
    Twice,
    /// The future of a task is never dropped.
    Lost,
}

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) duration: Duration,
    pub(crate) seed: u64,
    pub(crate) plant: Option<Plant>,
    /// For how long a probe may make no progress, and a task may live.
    pub(crate) limit: Duration,
}

/// Parses the arguments. Returns `None` if one of them is unknown.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let mut options = Options {
        duration: Duration::from_secs(60),
        seed: dice::mix(now),
        plant: None,
        limit: Duration::from_secs(30),
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => options.seed = parse_seed(&args.next()?)?,
            // Hidden: only for tests of the soak itself.
            "--plant" => options.plant = Some(parse_plant(&args.next()?)?),
            "--limit" => options.limit = parse_duration(&args.next()?)?,
            text => options.duration = parse_duration(text)?,
        }
    }
    Some(options)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    (number > 0).then(|| Duration::from_secs(number * seconds))
}

fn parse_seed(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn parse_plant(text: &str) -> Option<Plant> {
    Some(match text {
        "leak" => Plant::Leak,
        "fd" => Plant::Fd,
        "thread" => Plant::Thread,
        "hang" => Plant::Hang,
        "double" => Plant::Double,
        "twice" => Plant::Twice,
        "lost" => Plant::Lost,
        _ => return None,
    })
}
