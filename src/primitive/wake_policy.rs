//! When a worker wakes another one, and what a searcher takes.
//!
//! A server runs [`WakePolicy::HEIST`], whose fields the compiler knows. A simulation may set
//! another policy, so that `docs/scaling.md` can compare them.

/// The rules by which workers wake each other. `docs/idle.md` has the reasons of heist's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakePolicy {
    /// A worker wakes a helper only if that pays. Otherwise each push to its ring wakes a sleeper,
    /// unless a worker searches.
    pub priced: bool,
    /// If wake-ups have no price: a push into the LIFO slot wakes a sleeper, too.
    pub wakes_for_lifo: bool,
    /// If wake-ups have no price: a submitter first looks whether a worker searches, without a
    /// read-modify-write.
    pub looks_first: bool,
    /// Half of the workers that are awake may search, in place of half of all.
    pub few_searchers: bool,
    /// The last searcher that finds a task wakes a sleeper in any case.
    pub chained: bool,
    /// In a runtime with more workers than this, a searcher takes the only task of a ring, too.
    pub lone_tasks_above: usize,
    /// A searcher that finds no ring takes a task from a LIFO slot.
    pub steals_lifo: bool,
    /// A busy worker takes over the tasks of a worker that makes no progress.
    pub takes_over_late: bool,
    /// A steal counts as recent for so many nanoseconds.
    pub recent_nanos: u64,
    /// The factor of the price after a recent steal.
    pub repeated_price: u64,
    /// The cost of moving a task to another core, in nanoseconds. Its header, data and memory are
    /// two or three cache lines. Moving tasks with shorter polls gains nothing.
    pub migration_nanos: u32,
    /// If a ring holds this many tasks at two checkpoints in a row, a helper is woken, however
    /// short the polls are.
    pub deep_ring: usize,
}

impl WakePolicy {
    /// heist's policy.
    pub const HEIST: WakePolicy = WakePolicy {
        priced: true,
        wakes_for_lifo: false,
        looks_first: false,
        few_searchers: false,
        chained: false,
        lone_tasks_above: 8,
        steals_lifo: false,
        takes_over_late: true,
        recent_nanos: 20_000_000,
        repeated_price: 2,
        migration_nanos: 200,
        deep_ring: 64,
    };
}

#[cfg(feature = "sim")]
impl WakePolicy {
    /// Tokio's policy. A push to a ring wakes a sleeper if no worker searches. The last searcher
    /// that finds a task wakes another worker.
    pub const TOKIO: WakePolicy =
        WakePolicy { priced: false, chained: true, lone_tasks_above: 0, takes_over_late: false, ..WakePolicy::HEIST };

    /// Go's policy. As Tokio's, but each ready task wakes a sleeper. A searcher takes the task of a
    /// LIFO slot if it finds no other.
    pub const GO: WakePolicy = WakePolicy {
        wakes_for_lifo: true,
        looks_first: true,
        few_searchers: true,
        steals_lifo: true,
        ..WakePolicy::TOKIO
    };
}
