//! The number of workers and spare workers of a runtime, from the builder, the environment and the
//! machine.

use std::{env, io};

use crate::pool::Settings;

/// Overrides the default number of worker threads.
const WORKERS_VARIABLE: &str = "HEIST_WORKER_THREADS";

/// The largest number of seats: the set of sleepers can count no more workers.
const MAX_SEATS: usize = 1 << 14;

/// The smallest default of `max_spare_workers`.
const MIN_SPARES: usize = 8;

/// Returns the default number of workers: the value of the environment variable, else the number of
/// processors.
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

/// Returns the number of seats for workers. `most` is the value of `max_worker_threads`, if it was
/// set.
pub(super) fn max_workers(workers: usize, most: Option<usize>) -> io::Result<usize> {
    let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    match most {
        _ if workers.max(most.unwrap_or(0)) > MAX_SEATS => {
            let workers = workers.max(most.unwrap_or(0));
            invalid(format!(
                "{workers} worker threads: a runtime has at most {MAX_SEATS}; set fewer, or build several runtimes"
            ))
        }
        Some(most) if most < workers => invalid(format!(
            "max_worker_threads({most}) is below the number of worker threads, {workers}: raise it, or lower `worker_threads`"
        )),
        Some(most) => Ok(most),
        None => {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            Ok(workers.max(processors.saturating_mul(4)).clamp(64, MAX_SEATS))
        }
    }
}

/// Returns the number of seats for spare workers. `most` is the value of `max_spare_workers`, if it
/// was set.
pub(super) fn max_spares(settings: &Settings, most: Option<usize>) -> io::Result<usize> {
    if !settings.watchdog {
        return Ok(0);
    }
    let spares = most.unwrap_or(settings.workers.max(MIN_SPARES).min(MAX_SEATS - settings.max_workers));
    if spares > MAX_SEATS - settings.max_workers {
        let workers = settings.max_workers;
        let text = format!(
            "{spares} spare workers beside up to {workers} workers: a runtime has at most {MAX_SEATS} of both together; lower \
             `max_spare_workers` or `max_worker_threads`"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(spares)
}

/// The largest stack size in bytes: a quarter of the address space. Above it, the libraries of some
/// systems end the process instead of returning an error.
const MAX_STACK: usize = usize::MAX / 4;

/// Returns an error if no thread can have a stack of this size.
pub(super) fn check_stack_size(settings: &Settings) -> io::Result<()> {
    match settings.stack_size {
        Some(bytes) if bytes > MAX_STACK => {
            let text = format!("thread_stack_size({bytes}): a stack has at most {MAX_STACK} bytes; set a smaller size");
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
        _ => Ok(()),
    }
}

/// Returns the number of seats for spare workers in place of workers in `block_in_place`.
///
/// There may be as many as there are threads for `spawn_blocking`, if there are enough seats.
pub(super) fn max_blocked_workers(settings: &Settings) -> usize {
    if settings.current_thread {
        return 0;
    }
    settings.max_blocking_threads.min(MAX_SEATS - settings.max_workers - settings.max_spares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_of_max_worker_threads_is_never_below_the_workers() {
        for workers in [1, 70, 1_000] {
            assert!(max_workers(workers, None).expect("a valid number") >= workers.max(64));
        }
        assert_eq!(max_workers(2, Some(3)).expect("a valid number"), 3);
    }
}
