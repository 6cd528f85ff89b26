//! The runtimes that take part, each behind one pointer.

use std::net::SocketAddr;
use std::time::Duration;

use crate::contender::{Contender, Sockets, Timers};
use crate::rows::light::{self, Event};
use crate::rows::{self, Workload};
use crate::sample::{Load, Sample};

mod floor;
#[cfg(feature = "heist-adapter")]
pub mod heist;
pub mod nio;
pub mod smol;
pub mod tokio;

/// The entry without a runtime. It shows what the machine leaves to a runtime, and no goal refers
/// to it.
pub const FLOOR: &str = "floor";

/// A built runtime that runs rows by name.
pub trait RowRunner {
    /// Returns `None` if this runtime or the machine lacks what the row needs.
    fn run(&self, row: &str, load: &Load) -> Option<Sample>;

    /// Measures the memory per idle task, in the process that was started for it. The futures have
    /// this size. Returns `None` if there is no such measurement.
    fn memory(&self, bytes: usize) -> Option<(f64, f64)>;

    /// Returns how often a worker's sleep has ended with nothing to do, if the runtime counts that.
    fn useless_wakes(&self) -> Option<u64> {
        None
    }
}

struct Built<C> {
    runtime: C,
    table: Vec<(&'static str, Workload<C>)>,
}

impl<C: Contender> RowRunner for Built<C> {
    fn run(&self, row: &str, load: &Load) -> Option<Sample> {
        let (_, run) = self.table.iter().find(|(id, _)| *id == row)?;
        run(&self.runtime, load)
    }

    fn memory(&self, bytes: usize) -> Option<(f64, f64)> {
        rows::memory::measure(&self.runtime, bytes)
    }

    fn useless_wakes(&self) -> Option<u64> {
        self.runtime.useless_wakes()
    }
}

/// A runtime of the comparison.
pub struct Entry {
    pub name: &'static str,
    /// The packages whose versions describe it.
    pub packages: &'static [&'static str],
    /// How the runtime is set up, for the reader of the results.
    pub note: &'static str,
    pub build: fn(usize) -> Box<dyn RowRunner>,
    /// The servers of the contended comparison.
    pub adapters: &'static [Adapter],
    /// Measures a light load in the process that was started for it, if the runtime takes part.
    pub light: Option<Light>,
}

/// Returns the share of a processor, by workers, event and length.
pub type Light = fn(usize, Event, Duration) -> f64;

/// An HTTP server of a runtime.
pub struct Adapter {
    /// What carries bytes between the runtime's stream and hyper.
    pub name: &'static str,
    /// Builds the runtime with a number of workers, and returns the address of its server.
    pub serve: fn(usize) -> SocketAddr,
}

fn with_all_rows<C: Contender + Timers + Sockets>(workers: usize) -> Box<dyn RowRunner> {
    all_rows(C::build(workers))
}

/// Builds heist with its watchdog, or without.
#[cfg(feature = "heist-adapter")]
pub fn build_with_watchdog(workers: usize, watchdog: bool) -> Box<dyn RowRunner> {
    all_rows(heist::Heist::with_watchdog(workers, watchdog))
}

/// Builds heist with its flight recorder on, or off.
#[cfg(feature = "heist-adapter")]
pub fn build_with_recorder(workers: usize, records: bool) -> Box<dyn RowRunner> {
    all_rows(heist::Heist::with_recorder(workers, records))
}

fn all_rows<C: Contender + Timers + Sockets>(runtime: C) -> Box<dyn RowRunner> {
    let mut table = rows::for_tasks::<C>();
    table.extend(rows::for_timers::<C>());
    table.extend(rows::for_sockets::<C>());
    Box::new(Built { runtime, table })
}

fn with_task_rows<C: Contender>(workers: usize) -> Box<dyn RowRunner> {
    Box::new(Built { runtime: C::build(workers), table: rows::for_tasks::<C>() })
}

/// Returns all entries, the subject of the goals first.
pub fn all() -> Vec<Entry> {
    let rivals = [
        Entry {
            name: tokio::Tokio::NAME,
            packages: &["tokio"],
            note: "multi-thread flavour, all drivers on, default settings, feature `parking_lot`",
            build: with_all_rows::<tokio::Tokio>,
            adapters: &[Adapter { name: "TokioIo", serve: tokio::serve }],
            light: Some(light::share::<tokio::Tokio>),
        },
        Entry {
            name: smol::Smol::NAME,
            packages: &["smol", "async-executor", "async-io", "async-task"],
            note: "one `Executor` in a static, run by N threads in `smol::block_on`. async-io adds a thread of its own",
            build: with_all_rows::<smol::Smol>,
            adapters: &[],
            light: None,
        },
        Entry {
            name: nio::Nio::NAME,
            packages: &["nio", "nio-task"],
            note: "its timers and sockets are bound to one thread. A task that may move cannot hold them, so those \
                   rows are \"–\". Its workers cannot be stopped, so one runtime serves all rounds and sleeps in between",
            build: with_task_rows::<nio::Nio>,
            adapters: &[],
            light: None,
        },
    ];
    let floor = Entry {
        name: FLOOR,
        packages: &["mio"],
        note: "no runtime. Bare threads, for the channel a loop that polls both ends, and for HTTP one thread in an epoll \
               loop that answers without parsing. It shows what the machine and its kernel leave to a runtime, and no \
               goal refers to it",
        build: |workers| Box::new(floor::Floor::new(workers)),
        adapters: &[],
        light: None,
    };
    ours().into_iter().chain(rivals).chain([floor]).collect()
}

#[cfg(feature = "heist-adapter")]
fn ours() -> Option<Entry> {
    Some(Entry {
        name: heist::Heist::NAME,
        packages: &["heist"],
        note: "multi-thread flavour, all drivers on, default settings",
        build: with_all_rows::<heist::Heist>,
        adapters: &[
            Adapter { name: "native", serve: heist::serve },
            Adapter { name: "TokioIo", serve: heist::serve_through_tokio_io },
        ],
        light: Some(light::share::<heist::Heist>),
    })
}

#[cfg(not(feature = "heist-adapter"))]
fn ours() -> Option<Entry> {
    None
}
