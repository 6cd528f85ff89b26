//! Deterministic simulation of the whole runtime.
//!
//! A [`Sim`] runs a future on a runtime of its own with any number of workers. It is the real
//! scheduler: the same queues, idle protocol, timers, watchdog, blocking pool, resize and drain, on
//! real threads. But only one of them runs at a time, in an order that the seed decides, and time
//! is virtual. So a failure repeats with its seed.
#![doc = include_str!("../docs/simulation.md")]

use std::future::Future;
use std::panic::resume_unwind;
use std::time::Duration;

use crate::primitive::baton::{Baton, NewThread, Summary};
use crate::primitive::thread;
use crate::runtime::Builder;

/// A simulation. See the [module](self).
///
/// # Examples
///
/// ```
/// use heist::sim::Sim;
/// use heist::time::{Duration, Instant, sleep};
///
/// let run = |seed| {
///     let mut sim = Sim::new(seed).workers(4);
///     let slept = sim.run(async {
///         let begun = Instant::now();
///         let tasks = [1, 4, 7].map(|secs| heist::spawn(sleep(Duration::from_secs(secs))));
///         for task in tasks {
///             task.await.unwrap();
///         }
///         begun.elapsed()
///     });
///     assert!(slept >= Duration::from_secs(7)); // in virtual time
///     sim.trace_hash()
/// };
/// assert_eq!(run(1), run(1));
/// ```
#[derive(Debug)]
pub struct Sim {
    seed: u64,
    workers: usize,
    summary: Option<Summary>,
}

impl Sim {
    /// Creates a simulation with two workers. All its choices come from `seed`.
    pub fn new(seed: u64) -> Sim {
        Sim { seed, workers: 2, summary: None }
    }

    /// Sets the number of workers.
    ///
    /// # Panics
    ///
    /// Panics if `workers` is zero.
    #[must_use]
    #[track_caller]
    pub fn workers(mut self, workers: usize) -> Sim {
        assert!(workers > 0, "a simulation needs a worker: pass 1 or more");
        self.workers = workers;
        self
    }

    /// Runs `future` on a new runtime until it is ready, and shuts the runtime down. Returns the
    /// output when all threads of the runtime have ended.
    ///
    /// # Panics
    ///
    /// Panics with the panic of the future. Panics with a list of the threads if no thread can run,
    /// and none waits for a time.
    #[track_caller]
    pub fn run<F>(&mut self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let baton = Baton::new(self.seed);
        let (seed, workers) = (self.seed, self.workers);
        let main = move || {
            let mut builder = Builder::new_multi_thread();
            let runtime =
                builder.worker_threads(workers).max_worker_threads(workers.max(64)).rng_seed(seed).enable_all().build();
            runtime.expect("the system has threads for a simulation").block_on(future)
        };
        let root = thread::Builder::new().name("heist-sim".to_owned());
        let root =
            root.spawn_simulated(NewThread::root(&baton), main).expect("the system has a thread for a simulation");
        let summary = baton.wait_for_end();
        if let Some(deadlock) = &summary.deadlock {
            panic!("seed {}: {deadlock}", self.seed);
        }
        self.summary = Some(summary);
        root.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Returns the hash of the last run: of the order in which the threads ran, and of their
    /// virtual times. The same seed gives the same hash, as long as the program is the same.
    ///
    /// # Panics
    ///
    /// Panics before the first run.
    #[track_caller]
    pub fn trace_hash(&self) -> u64 {
        self.last_run().hash
    }

    /// Returns the number of steps of all workers in the last run.
    ///
    /// # Panics
    ///
    /// Panics before the first run.
    #[track_caller]
    pub fn steps(&self) -> u64 {
        self.last_run().steps
    }

    /// Returns how long the last run took in virtual time, the shutdown included.
    ///
    /// # Panics
    ///
    /// Panics before the first run.
    #[track_caller]
    pub fn elapsed(&self) -> Duration {
        self.last_run().elapsed
    }

    #[track_caller]
    fn last_run(&self) -> &Summary {
        self.summary.as_ref().expect("the simulation has not run: call `Sim::run` first")
    }
}
