//! Deterministic simulation of the whole runtime.
//!
//! A [`Sim`] runs a future on a runtime of its own with any number of workers. It is the real
//! scheduler: the same queues, idle protocol, timers, watchdog, blocking pool, resize and drain, on
//! real threads. But only one of them runs at a time, in an order that the seed decides, and time
//! is virtual. So a failure repeats with its seed, in the same build. Another version of heist may
//! give a seed another run.
#![doc = include_str!("../docs/simulation.md")]

mod coverage;
mod hosts;
mod quiet;
#[doc(hidden)]
pub mod scaling;
mod seeds;
mod shrink;

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use crate::drain::reaper::begin_drain;
pub use crate::network::Link;
use crate::pool::Pool;
use crate::primitive::baton::{Baton, NewThread, Plan, Summary, record_root_end, set_runtime};
use crate::primitive::costs::Model;
use crate::primitive::decisions::Kept;
pub use crate::primitive::faults::Faults;
use crate::primitive::faults::RuntimeFaults;
pub use crate::primitive::schedule::Schedule;
use crate::primitive::{Arc, Mutex, Weak, charge, is_simulated, thread};
use crate::runtime::{Builder, Runtime};
pub use crate::sim::coverage::Coverage;
use crate::sim::hosts::{Hosts, Main};
pub use crate::sim::hosts::{crash, heal, partition, partition_one_way, restart, set_link};
pub use crate::sim::seeds::for_each_seed;
use crate::worker_set::resize::resize;

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
pub struct Sim {
    seed: u64,
    configure: Box<dyn Fn(&mut Builder) + Send + Sync>,
    workers: usize,
    time_limit: Duration,
    link: Link,
    /// The hosts beside the one of [`Sim::run`].
    hosts: Vec<(String, Main)>,
    schedule: Schedule,
    faults: Faults,
    model: Model,
    summary: Option<Summary>,
    /// Counts the schedules of the runs.
    coverage: Option<Arc<Mutex<Coverage>>>,
    replay: Option<Arc<Replay>>,
}

/// The repetition of a failure: which deviations take place, and what the last run was.
#[derive(Debug)]
struct Replay {
    kept: Kept,
    is_quiet: bool,
    last: Mutex<LastRun>,
}

/// What is known of a run that was recorded.
#[derive(Debug, Default)]
struct LastRun {
    /// How many deviations were drawn.
    drawn: u64,
    /// The last turns, one a line.
    turn_log: String,
    /// No thread could run, or the time limit was reached. The threads were leaked.
    is_stuck: bool,
}

/// A runtime that is simulated.
#[derive(Debug)]
struct SimulatedRuntime(Weak<Pool>);

impl RuntimeFaults for SimulatedRuntime {
    fn resize(&self, workers: usize) {
        let resize = |pool: Arc<Pool>| drop(resize(&pool, workers.min(pool.settings.max_workers)));
        self.0.upgrade().into_iter().for_each(resize);
    }

    fn drain(&self, deadline: Duration) {
        self.0.upgrade().into_iter().for_each(|pool| begin_drain(&pool, deadline));
    }
}

/// Records the end of the future when it is dropped.
struct RootEnd;

impl Drop for RootEnd {
    fn drop(&mut self) {
        record_root_end();
    }
}

/// The default of [`Sim::time_limit`].
const DEFAULT_LIMIT: Duration = Duration::from_secs(3600);

/// Lets virtual time pass on this thread, as if it had computed for so long. Other threads run
/// meanwhile.
///
/// Does nothing on a thread that is not simulated.
///
/// # Examples
///
/// ```
/// use heist::sim::{Sim, compute};
/// use heist::time::{Duration, Instant};
///
/// let taken = Sim::new(1).run(async {
///     let begun = Instant::now();
///     compute(Duration::from_millis(30)); // a poll that is too long
///     begun.elapsed()
/// });
/// assert!(taken >= Duration::from_millis(30));
/// ```
pub fn compute(time: Duration) {
    let _ = charge(time);
}

/// The name of the host of [`Sim::run`].
const FIRST_HOST: &str = "main";

fn build(mut builder: Builder) -> Runtime {
    let runtime = builder.build().expect("the system has threads for a simulation");
    set_runtime(Arc::new(SimulatedRuntime(Arc::downgrade(runtime.handle().pool()))));
    runtime
}

fn start<T: Send + 'static>(thread: NewThread, main: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    let builder = thread::Builder::new().name("heist-sim".to_owned());
    builder.spawn_simulated(thread, main).expect("the system has a thread for a simulation")
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("seed", &self.seed).field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl Sim {
    /// Creates a simulation with two workers. All its choices come from `seed`.
    pub fn new(seed: u64) -> Sim {
        Sim {
            seed,
            configure: Box::new(|_| ()),
            workers: 2,
            time_limit: DEFAULT_LIMIT,
            link: Link::new(),
            hosts: Vec::new(),
            schedule: Schedule::Uniform,
            faults: Faults::none(),
            model: Model::default(),
            summary: None,
            coverage: None,
            replay: None,
        }
    }

    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sets the builder of the runtime. `configure` is called once per host and run, before the
    /// simulation begins. Workers, seed, `enable_all` and `max_worker_threads` (64 or more) are set
    /// already.
    #[must_use]
    pub fn configure(mut self, configure: impl Fn(&mut Builder) + Send + Sync + 'static) -> Sim {
        self.configure = Box::new(configure);
        self
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

    /// Sets how long the simulation may last in virtual time. The default is one hour.
    ///
    /// A task that waits for a lost wake-up beside an interval would otherwise run for ever.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Sim {
        self.time_limit = limit;
        self
    }

    /// Sets how the network behaves between two hosts, unless [`set_link`] replaces it.
    ///
    /// A host reaches itself over 5–30 µs and 4 GB/s, unless [`set_link`] with the same name twice
    /// changes that.
    #[must_use]
    pub fn link(mut self, link: Link) -> Sim {
        self.link = link;
        self
    }

    /// Adds a host with a runtime of its own, which has as many workers as the others.
    ///
    /// The host runs the future that `main` returns, from the beginning of [`Sim::run`] until the
    /// future is ready, the host crashes, or the simulation ends. `main` is called again after
    /// [`restart`]. Other hosts reach this one by its name, and by its address: the first added
    /// host is 10.0.0.2, the next 10.0.0.3. The future of [`Sim::run`] runs on the host "main",
    /// which is 10.0.0.1.
    ///
    /// The future of [`Sim::run`] is polled when that of each host has been polled once. A panic of
    /// the host's future ends the simulation. A panic of its tasks does not.
    ///
    /// # Panics
    ///
    /// Panics if there is a host of this name already, or if the name is "main" or "localhost".
    #[must_use]
    #[track_caller]
    pub fn host<F>(mut self, name: &str, main: impl Fn() -> F + Send + Sync + 'static) -> Sim
    where
        F: Future<Output = ()> + Send + 'static,
    {
        assert!(name != "localhost", "each host calls itself \"localhost\": choose another name");
        let is_taken = name == FIRST_HOST || self.hosts.iter().any(|(other, _)| other == name);
        assert!(!is_taken, "the simulation has a host {name:?} already: choose another name");
        self.hosts.push((name.to_owned(), Arc::new(move || Box::pin(main()))));
        self
    }

    /// Sets the order in which the threads run. The default is [`Schedule::Uniform`].
    ///
    /// # Panics
    ///
    /// Panics if a number of [`Schedule::Pct`] is zero.
    #[must_use]
    #[track_caller]
    pub fn schedule(mut self, schedule: Schedule) -> Sim {
        if let Schedule::Pct { depth, steps } = schedule {
            assert!(depth > 0 && steps > 0, "a number of `Schedule::Pct` is zero: pass 1 or more");
        }
        self.schedule = schedule;
        self
    }

    /// Sets the faults that are injected. The default is none.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Sim {
        self.faults = faults;
        self
    }

    /// Runs `future` on a new runtime until it is ready, and shuts the runtime down. Returns the
    /// output when all threads of the runtime have ended.
    ///
    /// `future` and those of the hosts are polled by `block_on` on threads of their own, not by
    /// workers. Each call begins anew with the same seed.
    ///
    /// # Panics
    ///
    /// Panics with the panic of the future, or of a host's future. Also panics within a simulation,
    /// and if the builder refuses its settings.
    ///
    /// Panics with a list of the threads if none can run and none waits for a time. It does so
    /// after the time limit, too, and if a thread runs for ten to twenty seconds of real time. It
    /// does so, too, if a thread outside of the simulation spawns or wakes one of its tasks. The
    /// threads are leaked then.
    #[track_caller]
    pub fn run<F>(&mut self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        assert!(!is_simulated(), "`Sim::run` was called within a simulation: call it on a thread of the test");
        self.summary = None;
        let replay = self.replay.as_deref();
        let plan = Plan {
            model: self.model,
            link: self.link.clone(),
            schedule: self.schedule,
            faults: self.faults,
            kept: replay.map_or(Kept::All, |replay| replay.kept.clone()),
            is_recorded: replay.is_some(),
            is_quiet: replay.is_some_and(|replay| replay.is_quiet),
        };
        let is_quiet = plan.is_quiet;
        let baton = Baton::new(self.seed, self.time_limit, plan);
        let hosts = Arc::new(Hosts::new(1 + self.hosts.len()));
        baton.attach(hosts.clone());
        let root = NewThread::root(&baton, "the root", baton.add_host(FIRST_HOST));
        let others = self.hosts.iter().map(|(name, main)| {
            let host = baton.add_host(name);
            let thread = NewThread::root(&baton, &format!("the root of {name}"), host);
            let (hosts, builder, main) = (hosts.clone(), self.builder(host), main.clone());
            start(thread, move || hosts.run_host(host, || build(builder.clone()), &main))
        });
        let others: Vec<_> = others.collect();
        let builder = self.builder(0);
        let main = hosts.clone();
        let root = start(root, move || {
            main.run_main(|| build(builder), async {
                let _end = RootEnd;
                future.await
            })
        });
        let summary = baton.wait_for_end();
        if let Some(coverage) = &self.coverage {
            coverage.lock().add(&summary.prefixes);
        }
        if let Some(replay) = replay {
            *replay.last.lock() = LastRun {
                drawn: summary.decisions,
                turn_log: summary.turn_log.clone(),
                is_stuck: summary.deadlock.is_some(),
            };
        }
        if let Some(deadlock) = &summary.deadlock {
            panic!("seed {}: {deadlock}", self.seed);
        }
        self.summary = Some(summary);
        for host in others {
            // Its panic is the root's.
            let _ = host.join();
        }
        let output = catch_unwind(AssertUnwindSafe(|| {
            let output = root.join().unwrap_or_else(|panic| resume_unwind(panic));
            hosts.resume_panic();
            output.expect("the first host ends by itself, or another one has panicked")
        }));
        output.unwrap_or_else(|panic| {
            if !is_quiet {
                eprintln!("the simulation with seed {} has panicked", self.seed);
            }
            resume_unwind(panic)
        })
    }

    fn builder(&self, host: usize) -> Builder {
        // The workers of different hosts draw different numbers.
        let seed = self.seed ^ (host as u64).rotate_right(16);
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(self.workers).max_worker_threads(self.workers.max(64)).rng_seed(seed).enable_all();
        (self.configure)(&mut builder);
        builder
    }

    /// Returns the hash of the last run. It covers the order in which the threads ran, their
    /// virtual times, and the time of each event of the network. The same seed gives the same hash
    /// with the same build and version of heist. Another version may give a seed another run.
    ///
    /// # Panics
    ///
    /// Panics before the first run, and after one that reached no end (deadlock, time limit).
    #[track_caller]
    pub fn trace_hash(&self) -> u64 {
        self.last_run().hash
    }

    /// Returns how many preemption points all threads have passed in the last run.
    ///
    /// # Panics
    ///
    /// Panics before the first run, and after one that reached no end (deadlock, time limit).
    #[track_caller]
    pub fn steps(&self) -> u64 {
        self.last_run().steps
    }

    /// Returns how long the last run took in virtual time, the shutdown included.
    ///
    /// # Panics
    ///
    /// Panics before the first run, and after one that reached no end (deadlock, time limit).
    #[track_caller]
    pub fn elapsed(&self) -> Duration {
        self.last_run().elapsed
    }

    #[track_caller]
    fn last_run(&self) -> &Summary {
        self.summary.as_ref().expect("the simulation has not run: call `Sim::run` first")
    }
}
