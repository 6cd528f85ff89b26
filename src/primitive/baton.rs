//! The threads of a simulation: one of them runs at a time.
//!
//! Each thread has a virtual time of its own, as if it had a processor of its own. The thread whose
//! time is the least runs next, so what a thread does never lies in another one's past. A thread
//! passes the baton on at a preemption point, when it blocks, and when it ends. Each step costs it
//! a virtual time that comes from the seed. So the seed alone decides the order of all steps.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::costs::{Lines, Model};
use super::decisions::{Decisions, Kept};
use super::faults::{FaultSource, Faults, RuntimeFaults};
use super::native::{Condvar, Mutex, MutexGuard};
use super::prefixes::Prefixes;
use super::schedule::{Schedule, ThreadOrder};
use super::turn_log::{TurnLog, millis};
use crate::network::{HostId, Link, Network};
use crate::util::rng::Rng;

/// A thread that runs for longer, in real time, is taken for blocked.
const LONGEST_TURN: Duration = Duration::from_secs(10);
/// Why a simulation ends whose next event lies behind the limit.
const PAST_THE_LIMIT: &str = "the simulation has reached its time limit (`Sim::time_limit`)";
/// The number of the next simulation.
// Ordering: Relaxed — the numbers only have to differ.
static NUMBER: AtomicU64 = AtomicU64::new(1);

std::thread_local! {
    /// The simulation of this thread, and the thread's number there. It has no destructor, so it
    /// can be read while the thread ends.
    static CURRENT: Cell<Option<(*const Baton, usize)>> = const { Cell::new(None) };
    /// Dropped when the thread ends. It is set first, so the destructors of the other thread-locals
    /// have run by then.
    static EXIT: RefCell<Option<ThreadExit>> = const { RefCell::new(None) };
}

/// What a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A lock, a condition variable, a word or a reactor at this address.
    Address(usize),
    /// The end of the thread with this number.
    Thread(usize),
}

impl Key {
    /// Returns the key of a lock, a condition variable or a word.
    pub(super) fn of<T>(place: &T) -> Key {
        Key::Address(std::ptr::from_ref(place).addr())
    }
}

/// The scheduler of a simulation.
#[derive(Debug)]
pub(crate) struct Baton {
    /// The instant that is the virtual time zero.
    base: Instant,
    is_quiet: bool,
    pub(super) model: Model,
    threads: Mutex<Threads>,
    /// Signalled when no thread is left, or none can run.
    ended: Condvar,
    /// What the creator of the simulation has attached.
    attachment: OnceLock<Attachment>,
}

type Attachment = Arc<dyn Any + Send + Sync>;

#[derive(Debug)]
pub(super) struct Threads {
    pub(super) all: Vec<SimThread>,
    running: usize,
    /// The last virtual time at which a thread may run.
    limit: u64,
    pub(super) rng: Rng,
    hash: u64,
    pub(super) steps: u64,
    next_stripe: u64,
    pub(super) network: Network,
    pub(super) model: Model,
    pub(super) lines: Lines,
    /// Wake-ups of keys for which no thread waited, and which the next wait consumes.
    pub(super) pending: Vec<usize>,
    /// Why no thread can run, once that has happened.
    deadlock: Option<String>,
    pub(super) order: ThreadOrder,
    prefixes: Prefixes,
    pub(super) decisions: Decisions,
    pub(super) faults: FaultSource,
    /// What the threads do, if this run is recorded.
    pub(super) turn_log: Option<TurnLog>,
}

#[derive(Debug)]
pub(super) struct SimThread {
    pub(super) name: String,
    pub(super) time: u64,
    pub(super) host: HostId,
    status: Status,
    turn: Arc<Condvar>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ready,
    Blocked { key: Key, deadline: Option<u64> },
    Ended,
}

/// How a simulation runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) model: Model,
    /// The network between two hosts.
    pub(crate) link: Link,
    pub(crate) schedule: Schedule,
    pub(crate) faults: Faults,
    /// The deviations from the plain schedule, faults included, that take place.
    pub(crate) kept: Kept,
    /// Records what the threads do.
    pub(crate) is_recorded: bool,
    /// The messages of panics are not printed.
    pub(crate) is_quiet: bool,
}

/// The result of a simulation's threads.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    /// The virtual time at the end of the last thread.
    pub(crate) elapsed: Duration,
    pub(crate) deadlock: Option<String>,
    pub(crate) prefixes: Prefixes,
    /// How many deviations from the plain schedule were drawn.
    pub(crate) decisions: u64,
    /// The last turns, one a line, if the run was recorded.
    pub(crate) turn_log: String,
}

impl Baton {
    /// Creates a simulation that ends at the virtual time `limit` at the latest.
    pub(crate) fn new(seed: u64, limit: Duration, plan: Plan) -> Arc<Baton> {
        let threads = Threads {
            limit: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX - 1),
            all: Vec::new(),
            running: 0,
            rng: Rng::new(seed),
            hash: 0xcbf2_9ce4_8422_2325,
            steps: 0,
            next_stripe: 0,
            network: Network::new(NUMBER.fetch_add(1, Ordering::Relaxed), seed, plan.link),
            model: plan.model,
            lines: Lines::default(),
            pending: Vec::new(),
            deadlock: None,
            order: ThreadOrder::new(plan.schedule, seed),
            prefixes: Prefixes::new(),
            decisions: Decisions::new(plan.kept),
            faults: FaultSource::new(plan.faults, seed),
            turn_log: plan.is_recorded.then(TurnLog::new),
        };
        Arc::new(Baton {
            base: Instant::now(),
            is_quiet: plan.is_quiet,
            model: plan.model,
            threads: Mutex::new(threads),
            ended: Condvar::new(),
            attachment: OnceLock::new(),
        })
    }

    #[cfg(test)]
    pub(super) fn with_threads<R>(&self, run: impl FnOnce(&mut Threads) -> R) -> R {
        run(&mut self.threads.lock())
    }

    /// Keeps a value for [`attachment`].
    pub(crate) fn attach(&self, value: Attachment) {
        // There is one creator.
        let _ = self.attachment.set(value);
    }

    /// Adds a host to the network.
    pub(crate) fn add_host(&self, name: &str) -> HostId {
        self.threads.lock().network.hosts_mut().add(name)
    }

    /// Adds a thread of the running thread's host, or of `host`. It starts some time after the
    /// present time of the running one.
    fn register(&self, name: &str, host: Option<HostId>) -> usize {
        let mut threads = self.threads.lock();
        let latency = threads.latency();
        let time = threads.all.get(threads.running).map_or(0, |here| here.time.saturating_add(latency));
        let host = host.or_else(|| Some(threads.all.get(threads.running)?.host)).unwrap_or(0);
        let turn = Arc::new(Condvar::new());
        if !threads.all.is_empty() {
            let (here, number) = (threads.running, threads.all.len());
            threads.record_event(here, || format!("starts {name}/{number}"));
        }
        threads.order.add_thread();
        threads.all.push(SimThread { name: name.to_owned(), time, host, status: Status::Ready, turn });
        threads.all.len() - 1
    }

    /// Marks a thread as ended that the operating system has refused.
    fn unregister(&self, thread: usize) {
        self.threads.lock().all[thread].status = Status::Ended;
    }

    /// Ends the simulation, whose threads run no more.
    pub(super) fn stop_all(&self, why: String) {
        self.threads.lock().deadlock.get_or_insert(why);
        self.ended.notify_all();
    }

    /// Waits until all threads have ended, or none can run.
    pub(crate) fn wait_for_end(&self) -> Summary {
        let mut threads = self.threads.lock();
        while threads.deadlock.is_none() && threads.all.iter().any(|thread| thread.status != Status::Ended) {
            let seen = (threads.hash, threads.steps);
            let timed_out = self.ended.wait_until(&mut threads, Instant::now() + LONGEST_TURN).timed_out();
            if timed_out && seen == (threads.hash, threads.steps) && threads.deadlock.is_none() {
                let name = threads.all[threads.running].name.clone();
                let what = format!(
                    "{name} has run for {LONGEST_TURN:?} of real time; it may wait for a thread, a lock or a channel of std"
                );
                threads.deadlock = Some(threads.describe(&what));
            }
        }
        let elapsed = threads.all.iter().map(|thread| thread.time).max().unwrap_or(0);
        Summary {
            hash: threads.hash,
            steps: threads.steps,
            elapsed: Duration::from_nanos(elapsed),
            deadlock: threads.deadlock.clone(),
            prefixes: threads.prefixes.clone(),
            decisions: threads.decisions.drawn(),
            turn_log: threads.log_text(threads.deadlock.is_some()),
        }
    }

    /// Lets the thread run that comes next, and returns when it is `here`'s turn again.
    pub(super) fn pass(&self, here: usize, threads: &mut MutexGuard<'_, Threads>) {
        self.hand_over(here, threads);
        wait_for_turn(here, threads);
    }

    fn end(&self, here: usize) {
        let mut threads = self.threads.lock();
        threads.all[here].status = Status::Ended;
        threads.record_event(here, || "ends".to_owned());
        threads.wake(Key::Thread(here), here, true);
        self.hand_over(here, &mut threads);
    }

    /// Chooses the thread that runs next, and wakes it if that is not `here`.
    fn hand_over(&self, here: usize, threads: &mut MutexGuard<'_, Threads>) {
        match threads.choose() {
            Some(next) if next == here => {}
            Some(next) => {
                threads.all[next].turn.notify_one();
            }
            None => {
                self.ended.notify_all();
            }
        }
    }
}

/// Waits until it is `here`'s turn. After a deadlock no thread has a turn any more.
fn wait_for_turn(here: usize, threads: &mut MutexGuard<'_, Threads>) {
    let turn = Arc::clone(&threads.all[here].turn);
    while threads.running != here || threads.deadlock.is_some() {
        turn.wait(threads);
    }
}

impl Threads {
    /// Returns how much later a thread is ready that another one wakes or starts.
    fn latency(&mut self) -> u64 {
        let latency = self.model.costs.draw_wake_up(&self.rng);
        self.order.latency(latency)
    }

    pub(super) fn charge(&mut self, here: usize, cost: u64) {
        self.all[here].time = self.all[here].time.saturating_add(cost);
    }

    /// Chooses the thread whose next action comes first in the schedule, and makes it the running
    /// one. Returns `None` if all have ended, or none can run.
    fn choose(&mut self) -> Option<usize> {
        let timer = self.model.costs.timer;
        let at = |thread: &SimThread| match thread.status {
            Status::Ready => Some(thread.time),
            Status::Blocked { deadline, .. } => {
                deadline.map(|deadline| deadline.saturating_add(timer).max(thread.time))
            }
            Status::Ended => None,
        };
        let next = loop {
            let actions = (0..self.all.len()).filter_map(|n| Some((at(&self.all[n])?, n)));
            let next = self.order.choose(self.running, actions);
            let is_first = |event: &u64| *event <= self.limit && next.is_none_or(|(time, _)| *event <= time);
            let all_ended = next.is_none() && self.all.iter().all(|thread| thread.status == Status::Ended);
            if all_ended || self.network.next_time().filter(is_first).is_none() {
                break next;
            }
            self.advance_network();
        };
        let Some((time, next)) = next else {
            let is_late = self.network.next_time().is_some();
            if self.all.iter().any(|thread| thread.status != Status::Ended) {
                let what = if is_late { PAST_THE_LIMIT } else { "no thread of the simulation can run" };
                self.deadlock = Some(self.describe(what));
            }
            return None;
        };
        if time > self.limit {
            self.deadlock = Some(self.describe(PAST_THE_LIMIT));
            return None;
        }
        let timed_out = self.all[next].status != Status::Ready;
        self.all[next].time = time;
        self.all[next].status = Status::Ready;
        self.order.set_clock(time);
        if self.running != next {
            self.running = next;
            self.prefixes.record_turn(next);
            self.record(next as u64);
            self.record(time);
        }
        self.record_turn(next, timed_out);
        Some(next)
    }

    pub(super) fn record(&mut self, value: u64) {
        // The FNV-1a hash, by words.
        self.hash = (self.hash ^ value).wrapping_mul(0x0100_0000_01b3);
    }

    /// Makes threads ready that wait for `key`. Returns true if there was one.
    fn wake(&mut self, key: Key, here: usize, all: bool) -> bool {
        self.wake_at(key, self.all[here].time, Some(here), all)
    }

    /// As [`Threads::wake`], at a time. The network wakes if `by` is no thread.
    pub(super) fn wake_at(&mut self, key: Key, now: u64, by: Option<usize>, all: bool) -> bool {
        let mut found = false;
        for n in 0..self.all.len() {
            if matches!(self.all[n].status, Status::Blocked { key: waits_for, .. } if waits_for == key) {
                let latency = self.latency() + self.draw_delay(by.unwrap_or(n), "a wake-up");
                let time = self.all[n].time.max(now.saturating_add(latency));
                self.all[n].time = time;
                self.all[n].status = Status::Ready;
                self.record_wake(by, n);
                if let Some(here) = by {
                    self.charge(here, self.model.costs.draw_waker(&self.rng));
                }
                found = true;
                if !all {
                    break;
                }
            }
        }
        found
    }

    fn describe(&self, what: &str) -> String {
        let mut text = format!("{what}:");
        for (n, thread) in self.all.iter().enumerate() {
            if let Status::Blocked { key, .. } = thread.status {
                let what = match key {
                    Key::Address(_) => "a wake-up".to_owned(),
                    Key::Thread(other) => self.label(other),
                };
                let _ = write!(text, "\n  {} waits for {what} since {} ns", self.label(n), thread.time);
            }
        }
        text
    }
}

/// Lets the next thread run when this one ends.
#[derive(Debug)]
struct ThreadExit {
    baton: Arc<Baton>,
    here: usize,
}

impl Drop for ThreadExit {
    fn drop(&mut self) {
        CURRENT.set(None);
        self.baton.end(self.here);
    }
}

/// A thread that was added to a simulation, and has not begun.
#[derive(Debug, Clone)]
pub(crate) struct NewThread {
    pub(super) baton: Arc<Baton>,
    pub(super) number: usize,
}

impl NewThread {
    /// Adds a thread to the simulation of this thread, if there is one.
    pub(super) fn add(name: &str) -> Option<NewThread> {
        current()?;
        let baton = own_baton()?;
        let number = baton.register(name, None);
        Some(NewThread { baton, number })
    }

    /// Adds the first thread of a host.
    pub(crate) fn root(baton: &Arc<Baton>, name: &str, host: HostId) -> NewThread {
        NewThread { baton: Arc::clone(baton), number: baton.register(name, Some(host)) }
    }

    /// Removes a thread that could not be started.
    pub(super) fn cancel(&self) {
        self.baton.unregister(self.number);
    }

    /// Makes the calling thread this one, and waits for its turn. Called first on the thread.
    pub(super) fn begin(self) {
        let NewThread { baton, number } = self;
        EXIT.with_borrow_mut(|exit| *exit = Some(ThreadExit { baton: Arc::clone(&baton), here: number }));
        CURRENT.set(Some((Arc::as_ptr(&baton), number)));
        wait_for_turn(number, &mut baton.threads.lock());
    }

    pub(super) fn has_ended(&self) -> bool {
        self.baton.threads.lock().all[self.number].status == Status::Ended
    }
}

/// Returns the simulation of this thread.
pub(super) fn own_baton() -> Option<Arc<Baton>> {
    EXIT.with_borrow(|exit| exit.as_ref().map(|exit| Arc::clone(&exit.baton)))
}

fn current() -> Option<(*const Baton, usize)> {
    CURRENT.get()
}

/// Does something with the simulation of this thread, without its lock.
pub(super) fn with_baton<R>(run: impl FnOnce(&Baton) -> R) -> Option<R> {
    let (baton, _) = current()?;
    // SAFETY: the `ThreadExit` of this thread keeps the simulation until it has emptied `CURRENT`.
    Some(run(unsafe { &*baton }))
}

pub(super) fn with_current<R>(run: impl FnOnce(&Baton, usize, MutexGuard<'_, Threads>) -> R) -> Option<R> {
    let (baton, here) = current()?;
    // SAFETY: the `ThreadExit` of this thread keeps the simulation until it has emptied `CURRENT`.
    let baton = unsafe { &*baton };
    Some(run(baton, here, baton.threads.lock()))
}

/// Returns true on a thread of a simulation.
pub(crate) fn is_simulated() -> bool {
    current().is_some()
}

/// Returns this thread's virtual time.
pub(super) fn virtual_now() -> Option<Instant> {
    with_current(|baton, here, threads| baton.base + Duration::from_nanos(threads.all[here].time))
}

/// Returns the next number of a stripe in this simulation.
pub(super) fn next_stripe() -> Option<u64> {
    with_current(|_, _, mut threads| {
        threads.next_stripe += 1;
        threads.next_stripe - 1
    })
}

/// Charges this thread for a step, and lets a thread run whose time is less.
pub(super) fn preempt() {
    with_current(|baton, here, mut threads| {
        threads.steps += 1;
        let cost = threads.model.costs.draw_step(&threads.rng);
        threads.charge_processor(here, cost);
        threads.deviate(here);
        baton.pass(here, &mut threads);
    });
}

/// Charges this thread for virtual time, and lets a thread run whose time is less. Returns false on
/// a thread that is not simulated.
pub(crate) fn charge(time: Duration) -> bool {
    with_current(|baton, here, mut threads| {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        threads.record_event(here, || format!("computes for {}", millis(time)));
        threads.charge(here, time);
        baton.pass(here, &mut threads);
    })
    .is_some()
}

/// Charges this thread for a yield. Returns false on a thread that is not simulated.
pub(super) fn charge_yield() -> bool {
    with_current(|baton, here, mut threads| {
        let cost = threads.model.costs.yielded;
        threads.charge_yield(here, cost);
        baton.pass(here, &mut threads);
    })
    .is_some()
}

/// Blocks this thread until a wake-up of `key`, or until the deadline.
pub(super) fn block(key: Key, deadline: Option<Instant>) {
    with_current(|baton, here, mut threads| {
        let since_base = |at: Instant| u64::try_from(at.saturating_duration_since(baton.base).as_nanos());
        let deadline = deadline.map(|at| since_base(at).unwrap_or(u64::MAX));
        if threads.draw_spurious_wake_up(here) {
            let cost = threads.model.costs.yielded;
            threads.charge_yield(here, cost);
            return baton.pass(here, &mut threads);
        }
        threads.all[here].status = Status::Blocked { key, deadline };
        threads.record_event(here, || match deadline {
            Some(deadline) => format!("waits until {}", millis(deadline)),
            None => "waits".to_owned(),
        });
        baton.pass(here, &mut threads);
    });
}

/// Sets the runtime of this thread's host, on which faults act.
pub(crate) fn set_runtime(runtime: Arc<dyn RuntimeFaults>) {
    with_current(|_, here, mut threads| {
        let host = threads.all[here].host;
        threads.faults.set_runtime(host, runtime);
    });
}

/// Returns what is attached to the simulation of this thread.
pub(crate) fn attachment() -> Option<Attachment> {
    with_current(|baton, _, _| baton.attachment.get().cloned()).flatten()
}

/// As [`block`] at `address`, unless a wake-up has been kept for it, or its reactor has events.
pub(super) fn block_unless_kept(address: usize, deadline: Option<Instant>) {
    let kept = with_current(|_, _, mut threads| {
        let at = threads.pending.iter().position(|&pending| pending == address);
        at.map(|at| threads.pending.swap_remove(at)).is_some() || threads.network.ready_lists().has_events(address)
    });
    if kept == Some(false) {
        block(Key::Address(address), deadline);
    }
}

/// Wakes one of the threads that wait for `key`, or all.
pub(super) fn wake(key: Key, all: bool) {
    with_current(|_, here, mut threads| threads.wake(key, here, all));
}

/// Wakes the thread that waits at `address`, or prevents its next wait.
pub(super) fn wake_or_keep(address: usize) {
    with_current(|_, here, mut threads| {
        if !threads.wake(Key::Address(address), here, false) && !threads.pending.contains(&address) {
            threads.pending.push(address);
        }
    });
}

/// Returns true on a thread of a simulation that prints no messages of panics.
pub(crate) fn is_quiet() -> bool {
    with_baton(|baton| baton.is_quiet).unwrap_or(false)
}

/// Records an event of this thread, if the run is recorded.
pub(crate) fn record_event(event: impl FnOnce() -> String) {
    with_current(|_, here, mut threads| threads.record_event(here, event));
}

/// Records that the root future has ended, if the run is recorded.
pub(crate) fn record_root_end() {
    with_current(|_, here, mut threads| threads.record_root_end(here));
}
