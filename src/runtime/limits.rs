//! How many workers and spares a runtime has: what was set, what the environment says, what the
//! machine has.

use std::{env, io};

use crate::pool::Settings;

/// Overrides the default number of worker threads.
const WORKERS_VARIABLE: &str = "HEIST_WORKER_THREADS";

/// So many workers can be counted as idle.
const SEATS: usize = 1 << 14;

/// There are at least so many spares, if nothing is said.
const LEAST_SPARES: usize = 8;

/// What the variable says, else what the machine has.
pub(super) fn default_workers() -> io::Result<usize> {
    match env::var(WORKERS_VARIABLE) {
        Ok(text) => text.parse().ok().filter(|&workers| workers > 0).ok_or_else(|| {
            let text = format!("{WORKERS_VARIABLE} is {text:?}: set it to a number above zero, or unset it");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        }),
        Err(env::VarError::NotPresent) => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Err(error) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{WORKERS_VARIABLE}: {error}; unset it")))
        }
    }
}

/// How many seats there have to be for `workers`, if the caller has said `most`, or nothing.
pub(super) fn most_workers(workers: usize, most: Option<usize>) -> io::Result<usize> {
    let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    match most {
        _ if workers.max(most.unwrap_or(0)) > SEATS => {
            let workers = workers.max(most.unwrap_or(0));
            invalid(format!(
                "{workers} worker threads: a runtime has at most {SEATS}; ask for fewer, or build several runtimes"
            ))
        }
        Some(most) if most < workers => invalid(format!(
            "max_worker_threads({most}) is below the number of worker threads, {workers}: raise it, or lower `worker_threads`"
        )),
        Some(most) => Ok(most),
        None => {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            Ok(workers.max(processors.saturating_mul(4)).clamp(64, SEATS))
        }
    }
}

/// How many seats there are for spares, if the caller has said `most`, or nothing.
pub(super) fn most_spares(settings: &Settings, most: Option<usize>) -> io::Result<usize> {
    if !settings.watchdog {
        return Ok(0);
    }
    let spares = most.unwrap_or(settings.workers.max(LEAST_SPARES).min(SEATS - settings.max_workers));
    if spares > SEATS - settings.max_workers {
        let workers = settings.max_workers;
        let text = format!(
            "{spares} spare workers beside up to {workers} workers: a runtime has at most {SEATS} of both; lower \
             `max_spare_workers` or `max_worker_threads`"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(spares)
}

/// The largest stack: a quarter of the address space. Above that, the libraries of some systems do
/// not return an error but end the process.
const MOST_STACK: usize = usize::MAX / 4;

/// Refuses a stack size that no thread can have.
pub(super) fn check_stack_size(settings: &Settings) -> io::Result<()> {
    match settings.stack_size {
        Some(bytes) if bytes > MOST_STACK => {
            let text = format!("thread_stack_size({bytes}): a stack has at most {MOST_STACK} bytes; ask for fewer");
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
        _ => Ok(()),
    }
}

/// How many seats there are for spares in place of workers that have stepped out: `block_in_place`
/// may have as many threads as `spawn_blocking`, as far as there are seats.
pub(super) fn most_outings(settings: &Settings) -> usize {
    if settings.current_thread {
        return 0;
    }
    settings.max_blocking_threads.min(SEATS - settings.max_workers - settings.max_spares)
}
