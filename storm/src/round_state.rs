//! The state that the threads, tasks and hooks of one round share.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use heist::runtime::{Handle, LocalRuntime, Runtime};
use heist::task::JoinHandle;

use crate::action::Site;
use crate::dice::{Dice, mix};
use crate::tracked::{KINDS, Kind, Tally, Tracked};

/// The number of live round states. Tracked values, hooks and wakers keep theirs alive, so the
/// number is zero in the end unless something is leaked.
pub(crate) static LIVE_ROUNDS: AtomicUsize = AtomicUsize::new(0);

/// The most wakers that a round keeps.
const MOST_WAKERS: usize = 64;

/// What kind of runtime a round has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Multi,
    Current,
    Local,
}

#[derive(Debug)]
pub(crate) struct RoundState {
    seed: u64,
    pub(crate) flavour: Flavour,
    draws: AtomicU64,
    /// How many actions may still follow. Without a limit, destructors and hooks would act for
    /// ever.
    budget: AtomicI64,
    /// Actions may begin a drain. In most rounds only the end does, because a draining runtime
    /// refuses most spawns.
    has_drains: bool,
    /// A drain has begun.
    draining: AtomicBool,
    /// The end of the runtime has begun.
    ending: AtomicBool,
    tallies: [Tally; KINDS],
    /// `None` when the round is over: from then on nothing is kept here.
    kept_items: Mutex<Option<KeptItems>>,
    /// Where `runtime` is to be dropped.
    drop_site: AtomicU8,
    runtime: Mutex<Option<Runtime>>,
    /// What the round's own thread does. A failure reports it if that thread hangs.
    stage: Mutex<&'static str>,
}

/// Items that are kept until the round is over.
#[derive(Debug, Default)]
pub(crate) struct KeptItems {
    handle: Option<Handle>,
    wakers: Vec<Waker>,
    joins: Vec<JoinHandle<Tracked>>,
}

thread_local! {
    /// A local runtime that an action of its own thread is to drop. The destructor of this
    /// thread-local drops it at the latest.
    static LOCAL: RefCell<Option<LocalRuntime>> = const { RefCell::new(None) };
}

/// Locks a mutex, also if it is poisoned. No code that may panic runs under these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RoundState {
    pub(crate) fn new(seed: u64) -> Arc<RoundState> {
        LIVE_ROUNDS.fetch_add(1, Ordering::SeqCst);
        let mut dice = Dice::new(mix(seed ^ 1));
        let flavour = match dice.below(5) {
            0 => Flavour::Current,
            1 => Flavour::Local,
            _ => Flavour::Multi,
        };
        Arc::new(RoundState {
            seed,
            flavour,
            draws: AtomicU64::new(0),
            budget: AtomicI64::new(50 + dice.below(400) as i64),
            has_drains: dice.one_in(3),
            draining: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            tallies: Default::default(),
            kept_items: Mutex::new(Some(KeptItems::default())),
            drop_site: AtomicU8::new(Site::Nowhere as u8),
            runtime: Mutex::new(None),
            stage: Mutex::new("the beginning"),
        })
    }

    /// Returns a random number generator that no other caller gets.
    pub(crate) fn dice(&self) -> Dice {
        Dice::new(mix(self.seed ^ mix(self.draws.fetch_add(1, Ordering::Relaxed))))
    }

    /// Returns true if one more action is allowed, and counts it.
    pub(crate) fn spend_budget(&self) -> bool {
        self.budget.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// Allows at least `budget` more actions.
    pub(crate) fn raise_budget(&self, budget: i64) {
        self.budget.fetch_max(budget, Ordering::Relaxed);
    }

    /// Allows no further actions.
    pub(crate) fn exhaust_budget(&self) {
        self.budget.store(0, Ordering::Relaxed);
    }

    /// Returns true if actions of this round may begin a drain.
    pub(crate) fn has_drains(&self) -> bool {
        self.has_drains
    }

    /// Returns true if this caller may begin a drain, or join the one that has begun.
    pub(crate) fn may_begin_drain(&self, dice: &mut Dice) -> bool {
        // Further calls do not change the deadline of a drain that has begun.
        let begins = self.has_drains && (self.is_draining() || dice.one_in(8));
        self.draining.fetch_or(begins, Ordering::Relaxed);
        begins
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ending(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    pub(crate) fn tally(&self, kind: Kind) -> &Tally {
        &self.tallies[kind as usize]
    }

    pub(crate) fn set_stage(&self, stage: &'static str) {
        *lock(&self.stage) = stage;
    }

    pub(crate) fn stage(&self) -> &'static str {
        *lock(&self.stage)
    }

    pub(crate) fn set_handle(&self, handle: Handle) {
        if let Some(kept_items) = &mut *lock(&self.kept_items) {
            kept_items.handle = Some(handle);
        }
    }

    pub(crate) fn handle(&self) -> Option<Handle> {
        lock(&self.kept_items).as_ref()?.handle.clone()
    }

    /// Keeps a waker. Returns one for which there is no room.
    #[must_use]
    pub(crate) fn keep_waker(&self, waker: Waker, dice: &mut Dice) -> Option<Waker> {
        let mut kept_items = lock(&self.kept_items);
        let Some(kept_items) = &mut *kept_items else { return Some(waker) };
        kept_items.wakers.push(waker);
        (kept_items.wakers.len() > MOST_WAKERS).then(|| kept_items.wakers.swap_remove(dice.index(MOST_WAKERS)))
    }

    pub(crate) fn take_waker(&self, dice: &mut Dice) -> Option<Waker> {
        let mut kept_items = lock(&self.kept_items);
        let wakers = &mut kept_items.as_mut()?.wakers;
        (!wakers.is_empty()).then(|| wakers.swap_remove(dice.index(wakers.len())))
    }

    /// Keeps a handle that has to be finished when the round is over. Returns it if the round is
    /// over already.
    #[must_use]
    pub(crate) fn keep_join(&self, join: JoinHandle<Tracked>) -> Option<JoinHandle<Tracked>> {
        let mut kept_items = lock(&self.kept_items);
        let Some(kept_items) = &mut *kept_items else { return Some(join) };
        kept_items.joins.push(join);
        None
    }

    pub(crate) fn take_join(&self, dice: &mut Dice) -> Option<JoinHandle<Tracked>> {
        let mut kept_items = lock(&self.kept_items);
        let joins = &mut kept_items.as_mut()?.joins;
        (!joins.is_empty()).then(|| joins.swap_remove(dice.index(joins.len())))
    }

    /// Returns true if all kept handles are finished.
    pub(crate) fn joins_are_finished(&self) -> bool {
        lock(&self.kept_items).as_ref().is_none_or(|kept_items| kept_items.joins.iter().all(JoinHandle::is_finished))
    }

    /// Keeps nothing from now on. Returns the wakers and handles.
    pub(crate) fn take_kept_items(&self) -> (Vec<Waker>, Vec<JoinHandle<Tracked>>) {
        let kept_items = lock(&self.kept_items).take();
        let KeptItems { handle, wakers, joins } = kept_items.unwrap_or_default();
        drop(handle);
        (wakers, joins)
    }

    /// Keeps the runtime, to be dropped at `site`.
    pub(crate) fn set_drop_site(&self, runtime: Runtime, site: Site) {
        *lock(&self.runtime) = Some(runtime);
        self.drop_site.store(site as u8, Ordering::SeqCst);
    }

    /// Returns the runtime, if it is to be dropped at `site`.
    pub(crate) fn take_if_due(&self, site: Site) -> Option<Runtime> {
        if self.drop_site.load(Ordering::SeqCst) == site as u8 { self.take_runtime() } else { None }
    }

    /// Returns the kept runtime, wherever it was to be dropped.
    pub(crate) fn take_runtime(&self) -> Option<Runtime> {
        lock(&self.runtime).take()
    }

    /// Returns true if a runtime is kept.
    pub(crate) fn has_runtime(&self) -> bool {
        lock(&self.runtime).is_some()
    }

    /// As [`RoundState::set_drop_site`], for a local runtime: it is dropped on its own thread.
    pub(crate) fn set_local_drop_site(&self, runtime: LocalRuntime, site: Site) {
        self.drop_site.store(site as u8, Ordering::SeqCst);
        let previous = LOCAL.with_borrow_mut(|local| local.replace(runtime));
        assert!(previous.is_none(), "a thread has one local runtime");
    }

    pub(crate) fn take_local_if_due(&self, site: Site) -> Option<LocalRuntime> {
        if self.drop_site.load(Ordering::SeqCst) == site as u8 { RoundState::take_local_runtime() } else { None }
    }

    /// Returns the kept local runtime of this thread. `None` if the thread-local has been
    /// destroyed.
    pub(crate) fn take_local_runtime() -> Option<LocalRuntime> {
        LOCAL.try_with(|local| local.borrow_mut().take()).ok().flatten()
    }
}

impl Drop for RoundState {
    fn drop(&mut self) {
        for (tally, kind) in self.tallies.iter().zip(["tasks", "jobs", "outputs", "payloads"]) {
            if tally.created() != tally.dropped() {
                let text = format!("{} {kind} were created, and {} were dropped", tally.created(), tally.dropped());
                crate::failure::fail(&format!("at the end of the round of seed {:#x}: {text}", self.seed));
            }
        }
        LIVE_ROUNDS.fetch_sub(1, Ordering::SeqCst);
    }
}
