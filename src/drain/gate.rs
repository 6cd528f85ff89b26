//! The gate, which counts tasks and jobs that no seat counts, and refuses them.

use std::panic::Location;

use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::raw_task::Refusal;
use crate::util::rate_limit::RateLimit;
use crate::util::wake_list::catch_user_panic;

/// External spawns are refused.
const CLOSED: u64 = 1 << 0;
/// Every spawn is refused.
const SEALED: u64 = 1 << 1;
/// One task or job that has entered.
const ENTERED: u64 = 1 << 2;

/// A drain has begun: a thread that counts out has to check whether it was the last.
const WATCHED: u64 = 1 << 0;
/// One task or job that has exited.
const EXITED: u64 = 1 << 1;

/// Counts tasks and jobs in and out, and refuses them. See [the drain's page](crate::drain).
///
/// To be admitted and to be counted in are one read-modify-write of one word. So a thread that
/// closes the gate knows how many have entered, and none enters uncounted.
#[derive(Debug)]
pub(crate) struct Gate {
    entered: AtomicU64,
    exited: AtomicU64,
}

/// On whose behalf a task is spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpawnSource {
    /// A living task or job, or a worker on its behalf.
    Internal,
    /// A foreign thread, or the root of a `block_on`.
    External,
}

/// The gate's state at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entered(u64);

impl Entered {
    /// Returns how many have entered so far.
    pub(crate) fn total(self) -> u64 {
        self.0 / ENTERED
    }
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate { entered: AtomicU64::new(0), exited: AtomicU64::new(0) }
    }

    /// Counts one task or job in. Returns false if the gate refuses it.
    #[must_use]
    pub(crate) fn try_enter(&self, source: SpawnSource) -> bool {
        let bars = match source {
            SpawnSource::Internal => SEALED,
            SpawnSource::External => SEALED | CLOSED,
        };
        let next = |now: u64| (now & bars == 0).then_some(now + ENTERED);
        // Ordering: Acquire — pairs with the Release in `Gate::close_external`, `Gate::try_seal`
        // and `Gate::seal_now`: the phase, for a spawn that is refused. Release — pairs with the
        // Acquire in `Gate::entered`: what came before the spawn.
        self.entered.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    /// Refuses external spawns from now on, and makes each exit ask for a check.
    pub(crate) fn close_external(&self) {
        // Ordering: AcqRel — pairs with the AcqRel in `Gate::try_enter`: the phase, and the spawns.
        self.entered.fetch_or(CLOSED, Ordering::AcqRel);
        // Ordering: AcqRel — pairs with the AcqRel in `Gate::exit`: a later exit sees the bit, and
        // an earlier one is counted.
        self.exited.fetch_or(WATCHED, Ordering::AcqRel);
    }

    /// Refuses every spawn from now on, if none has entered since `seen`. Returns whether it does.
    #[must_use]
    pub(crate) fn try_seal(&self, seen: Entered) -> bool {
        // Ordering: AcqRel — pairs with the AcqRel in `Gate::try_enter`: the phase, and the spawns.
        self.entered.compare_exchange(seen.0, seen.0 | SEALED | CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Refuses every spawn from now on.
    pub(crate) fn seal_now(&self) {
        // Ordering: AcqRel — pairs with the AcqRel in `Gate::try_enter` and `Gate::is_sealed`: what
        // was queued.
        self.entered.fetch_or(SEALED | CLOSED, Ordering::AcqRel);
    }

    /// Returns whether the gate is sealed. A thread that was admitted calls this after it has
    /// queued its task. If it does not see the seal, the thread that seals the gate sees the task.
    #[must_use]
    pub(crate) fn is_sealed(&self) -> bool {
        // A read-modify-write of the same value takes its place in the order of all changes to the
        // word. Ordering: AcqRel — pairs with the AcqRel in `Gate::seal_now`: the queued task. The
        // phase may follow the seal; the lock of the drain's state orders it.
        self.entered.fetch_or(0, Ordering::AcqRel) & SEALED != 0
    }

    /// Returns the gate's state, with the number that has entered.
    pub(crate) fn entered(&self) -> Entered {
        // Ordering: Acquire — pairs with the Release in `Gate::try_enter`: what came before the
        // spawns.
        Entered(self.entered.load(Ordering::Acquire))
    }

    /// Counts one out. Returns true if the caller has to check whether it was the last.
    #[must_use]
    pub(crate) fn exit(&self) -> bool {
        // Ordering: Release — pairs with the Acquire in `Gate::exited`: the end, and what the task
        // has spawned. Acquire — pairs with the Release in `Gate::close_external`: the phase.
        self.exited.fetch_add(EXITED, Ordering::AcqRel) & WATCHED != 0
    }

    /// Returns how many have exited.
    pub(crate) fn exited(&self) -> u64 {
        // Ordering: Acquire — pairs with the Release in `Gate::exit`: what the ended tasks have
        // spawned is counted.
        self.exited.load(Ordering::Acquire) / EXITED
    }
}

/// Logs refused spawns, at most once a second.
#[derive(Debug)]
pub(crate) struct RejectedSpawnLog(RateLimit);

impl RejectedSpawnLog {
    pub(crate) fn new() -> Self {
        RejectedSpawnLog(RateLimit::new())
    }

    /// Logs that a group has refused a spawn at `location`, or counts it for the next message.
    pub(crate) fn log_refusal(&self, now: u64, location: &'static Location<'static>, group: &str, refusal: Refusal) {
        let Some(more) = self.0.try_pass(now) else { return };
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::group",
                %location,
                group,
                more,
                "a spawn was refused by its group and its handle is cancelled: {refusal}"
            );
        });
    }

    /// Logs that a spawn at `location` was refused, or counts it for the next message.
    pub(crate) fn log_rejection(&self, now: u64, location: &'static Location<'static>) {
        let Some(more) = self.0.try_pass(now) else { return };
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::drain",
                %location,
                more,
                "a spawn was refused and its handle is cancelled: the runtime drains or has been shut down; select on \
                 `Handle::draining` to stop in time, or use `try_spawn` to get the future back"
            );
        });
    }
}
