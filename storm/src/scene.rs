//! What the threads, tasks and hooks of one round share.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use heist::runtime::{Handle, LocalRuntime, Runtime};
use heist::task::JoinHandle;

use crate::deed::Site;
use crate::dice::{Dice, mix};
use crate::part::{KINDS, Kind, Part, Tally};

/// Scenes that are there. Parts, hooks and wakers keep theirs, so none is left in the end unless
/// something is leaked.
pub(crate) static SCENES: AtomicUsize = AtomicUsize::new(0);

/// Wakers that a scene keeps, at most.
const MOST_WAKERS: usize = 64;

/// What kind of runtime a round has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Multi,
    Current,
    Local,
}

#[derive(Debug)]
pub(crate) struct Scene {
    seed: u64,
    pub(crate) flavour: Flavour,
    draws: AtomicU64,
    /// How much may still be done. What destructors and hooks do would have no end without it.
    budget: AtomicI64,
    /// Anything may begin a drain. In most rounds only the end does: a runtime that drains takes
    /// little in.
    drains: bool,
    /// It has begun.
    draining: AtomicBool,
    /// The runtime's end begins.
    ending: AtomicBool,
    tallies: [Tally; KINDS],
    /// The runtime's; none when the round is over, and from then on nothing is kept here any more.
    props: Mutex<Option<Props>>,
    /// Where the runtime in the slot is to be dropped.
    place: AtomicU8,
    slot: Mutex<Option<Runtime>>,
    /// What the round's own thread does. A failure names it, if that thread does not come on.
    stage: Mutex<&'static str>,
}

/// What is kept until the round is over.
#[derive(Debug, Default)]
pub(crate) struct Props {
    handle: Option<Handle>,
    wakers: Vec<Waker>,
    joins: Vec<JoinHandle<Part>>,
}

thread_local! {
    /// A local runtime that is to be dropped by what its own thread does next; by the destructor of
    /// this at the latest.
    static LOCAL: RefCell<Option<LocalRuntime>> = const { RefCell::new(None) };
}

/// No code of users panics under these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Arc<Scene> {
        SCENES.fetch_add(1, Ordering::SeqCst);
        let mut dice = Dice::new(mix(seed ^ 1));
        let flavour = match dice.below(5) {
            0 => Flavour::Current,
            1 => Flavour::Local,
            _ => Flavour::Multi,
        };
        Arc::new(Scene {
            seed,
            flavour,
            draws: AtomicU64::new(0),
            budget: AtomicI64::new(50 + dice.below(400) as i64),
            drains: dice.one_in(3),
            draining: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            tallies: Default::default(),
            props: Mutex::new(Some(Props::default())),
            place: AtomicU8::new(Site::Nowhere as u8),
            slot: Mutex::new(None),
            stage: Mutex::new("the beginning"),
        })
    }

    /// A generator that no other caller gets.
    pub(crate) fn dice(&self) -> Dice {
        Dice::new(mix(self.seed ^ mix(self.draws.fetch_add(1, Ordering::Relaxed))))
    }

    /// Whether one more thing may be done.
    pub(crate) fn spend(&self) -> bool {
        self.budget.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// So many more things may be done.
    pub(crate) fn refill(&self, budget: i64) {
        self.budget.fetch_max(budget, Ordering::Relaxed);
    }

    /// Nothing more is done.
    pub(crate) fn stop(&self) {
        self.budget.store(0, Ordering::Relaxed);
    }

    /// Whether anything may begin a drain.
    pub(crate) fn may_drain(&self) -> bool {
        self.drains
    }

    /// Whether this caller may begin a drain, or join the one that has begun.
    pub(crate) fn drains(&self, dice: &mut Dice) -> bool {
        // One that has begun does not become shorter.
        let drains = self.drains && (self.is_draining() || dice.one_in(8));
        self.draining.fetch_or(drains, Ordering::Relaxed);
        drains
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    pub(crate) fn tally(&self, kind: Kind) -> &Tally {
        &self.tallies[kind as usize]
    }

    pub(crate) fn at(&self, stage: &'static str) {
        *lock(&self.stage) = stage;
    }

    pub(crate) fn stage(&self) -> &'static str {
        *lock(&self.stage)
    }

    pub(crate) fn set_handle(&self, handle: Handle) {
        if let Some(props) = &mut *lock(&self.props) {
            props.handle = Some(handle);
        }
    }

    pub(crate) fn handle(&self) -> Option<Handle> {
        lock(&self.props).as_ref()?.handle.clone()
    }

    /// Keeps a waker. Answers one that is not kept any more.
    #[must_use]
    pub(crate) fn keep_waker(&self, waker: Waker, dice: &mut Dice) -> Option<Waker> {
        let mut props = lock(&self.props);
        let Some(props) = &mut *props else { return Some(waker) };
        props.wakers.push(waker);
        (props.wakers.len() > MOST_WAKERS).then(|| props.wakers.swap_remove(dice.index(MOST_WAKERS)))
    }

    pub(crate) fn take_waker(&self, dice: &mut Dice) -> Option<Waker> {
        let mut props = lock(&self.props);
        let wakers = &mut props.as_mut()?.wakers;
        (!wakers.is_empty()).then(|| wakers.swap_remove(dice.index(wakers.len())))
    }

    /// Keeps a handle that has to be finished when the round is over. Answers it if that is so.
    #[must_use]
    pub(crate) fn keep_join(&self, join: JoinHandle<Part>) -> Option<JoinHandle<Part>> {
        let mut props = lock(&self.props);
        let Some(props) = &mut *props else { return Some(join) };
        props.joins.push(join);
        None
    }

    pub(crate) fn take_join(&self, dice: &mut Dice) -> Option<JoinHandle<Part>> {
        let mut props = lock(&self.props);
        let joins = &mut props.as_mut()?.joins;
        (!joins.is_empty()).then(|| joins.swap_remove(dice.index(joins.len())))
    }

    /// Whether all kept handles are finished.
    pub(crate) fn joins_are_finished(&self) -> bool {
        lock(&self.props).as_ref().is_none_or(|props| props.joins.iter().all(JoinHandle::is_finished))
    }

    /// Keeps nothing from now on.
    pub(crate) fn strike(&self) -> (Vec<Waker>, Vec<JoinHandle<Part>>) {
        let props = lock(&self.props).take();
        let Props { handle, wakers, joins } = props.unwrap_or_default();
        drop(handle);
        (wakers, joins)
    }

    /// The runtime is to be dropped at `site`.
    pub(crate) fn doom(&self, runtime: Runtime, site: Site) {
        *lock(&self.slot) = Some(runtime);
        self.place.store(site as u8, Ordering::SeqCst);
    }

    /// The runtime, if it is to be dropped at `site`.
    pub(crate) fn doomed(&self, site: Site) -> Option<Runtime> {
        if self.place.load(Ordering::SeqCst) == site as u8 { self.reprieved() } else { None }
    }

    /// The runtime that was to be dropped, wherever that was to be.
    pub(crate) fn reprieved(&self) -> Option<Runtime> {
        lock(&self.slot).take()
    }

    /// Whether there is one.
    pub(crate) fn has_doomed(&self) -> bool {
        lock(&self.slot).is_some()
    }

    /// As [`Scene::doom`], of a local runtime: on its own thread.
    pub(crate) fn doom_local(&self, runtime: LocalRuntime, site: Site) {
        self.place.store(site as u8, Ordering::SeqCst);
        let none = LOCAL.with_borrow_mut(|local| local.replace(runtime));
        assert!(none.is_none(), "a thread has one local runtime");
    }

    pub(crate) fn doomed_local(&self, site: Site) -> Option<LocalRuntime> {
        if self.place.load(Ordering::SeqCst) == site as u8 { Scene::reprieved_local() } else { None }
    }

    /// None in the destructors of thread-locals, too.
    pub(crate) fn reprieved_local() -> Option<LocalRuntime> {
        LOCAL.try_with(|local| local.borrow_mut().take()).ok().flatten()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for (tally, kind) in self.tallies.iter().zip(["tasks", "jobs", "outputs", "payloads"]) {
            if tally.made() != tally.gone() {
                let text = format!("{} {kind} were made, and {} are gone", tally.made(), tally.gone());
                crate::verdict::fail(&format!("at the end of the scene of {:#x}: {text}", self.seed));
            }
        }
        SCENES.fetch_sub(1, Ordering::SeqCst);
    }
}
