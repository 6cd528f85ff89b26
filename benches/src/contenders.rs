//! The runtimes that take part, each behind one pointer.

use crate::contender::{Contender, Sockets, Timers};
use crate::rows::{self, Load, Sample};

mod floor;
#[cfg(feature = "heist-adapter")]
pub mod heist;
pub mod nio;
pub mod smol;
pub mod tokio;

/// What takes part without a runtime, to show what the machine leaves to one; nobody is measured by
/// it.
pub const FLOOR: &str = "floor";

/// A row's workload, for one runtime.
pub type Run<C> = fn(&C, &Load) -> Option<Sample>;

/// A built runtime that runs rows by name.
pub trait Ring {
    /// `None` if this runtime lacks what the row needs, or the machine does.
    fn run(&self, row: &str, load: &Load) -> Option<Sample>;

    /// The memory row's measurement, in the process that was started for it.
    fn memory(&self) -> (f64, f64);

    /// How often a worker's sleep has ended with nothing to do, if that is counted.
    fn useless_wakes(&self) -> Option<u64> {
        None
    }
}

struct Built<C> {
    runtime: C,
    table: Vec<(&'static str, Run<C>)>,
}

impl<C: Contender> Ring for Built<C> {
    fn run(&self, row: &str, load: &Load) -> Option<Sample> {
        let (_, run) = self.table.iter().find(|(id, _)| *id == row)?;
        run(&self.runtime, load)
    }

    fn memory(&self) -> (f64, f64) {
        rows::memory::measure(&self.runtime)
    }

    fn useless_wakes(&self) -> Option<u64> {
        self.runtime.useless_wakes()
    }
}

/// One who takes part.
pub struct Entry {
    pub name: &'static str,
    /// The packages whose versions describe it.
    pub packages: &'static [&'static str],
    /// What the reader has to know about how it takes part.
    pub note: &'static str,
    pub build: fn(usize) -> Box<dyn Ring>,
}

fn with_everything<C: Contender + Timers + Sockets>(workers: usize) -> Box<dyn Ring> {
    ring(C::build(workers))
}

/// Heist with its watchdog, or without.
#[cfg(feature = "heist-adapter")]
pub fn watched(workers: usize, watchdog: bool) -> Box<dyn Ring> {
    ring(heist::Heist::watched(workers, watchdog))
}

fn ring<C: Contender + Timers + Sockets>(runtime: C) -> Box<dyn Ring> {
    let mut table = rows::for_tasks::<C>();
    table.extend(rows::for_timers::<C>());
    table.extend(rows::for_sockets::<C>());
    Box::new(Built { runtime, table })
}

fn with_tasks_only<C: Contender>(workers: usize) -> Box<dyn Ring> {
    Box::new(Built { runtime: C::build(workers), table: rows::for_tasks::<C>() })
}

/// All of them, the one that the goals are about first.
pub fn all() -> Vec<Entry> {
    let rivals = [
        Entry {
            name: tokio::Tokio::NAME,
            packages: &["tokio"],
            note: "multi-thread flavour, all drivers on, default settings, feature `parking_lot`",
            build: with_everything::<tokio::Tokio>,
        },
        Entry {
            name: smol::Smol::NAME,
            packages: &["smol", "async-executor", "async-io", "async-task"],
            note: "one `Executor` in a static, run by N threads in `smol::block_on`; async-io's own thread comes on top",
            build: with_everything::<smol::Smol>,
        },
        Entry {
            name: nio::Nio::NAME,
            packages: &["nio", "nio-task"],
            note: "its timers and sockets are bound to one thread, so a task that may move cannot hold them: those \
                   rows are \"–\"; its workers cannot be stopped, so one runtime serves all rounds and sleeps in between",
            build: with_tasks_only::<nio::Nio>,
        },
    ];
    let floor = Entry {
        name: FLOOR,
        packages: &["mio"],
        note: "no runtime: bare threads, for the channel a loop that polls both ends, and for HTTP one thread in an epoll loop that answers without parsing; what the machine \
               and its kernel leave to a runtime, beside which nobody is judged",
        build: |workers| Box::new(floor::Floor::new(workers)),
    };
    ours().into_iter().chain(rivals).chain([floor]).collect()
}

#[cfg(feature = "heist-adapter")]
fn ours() -> Option<Entry> {
    Some(Entry {
        name: heist::Heist::NAME,
        packages: &["heist"],
        note: "multi-thread flavour, all drivers on, default settings",
        build: with_everything::<heist::Heist>,
    })
}

#[cfg(not(feature = "heist-adapter"))]
fn ours() -> Option<Entry> {
    None
}
