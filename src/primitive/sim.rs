//! The engine of simulations: the native one, whose threads may belong to a
//! [`baton`].
//!
//! What a simulation creates is used by its own threads alone. All other threads behave as with the
//! native engine.

use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use mio::Registry;

use super::baton::{self, Key};
use super::baton_network;
use super::costs::{self, ContendedLine};
#[cfg(test)]
pub(crate) use super::native::model;
use super::native::{Condvar as RealCondvar, Mutex as RealMutex, MutexGuard as RealGuard};
pub(crate) use super::native::{Tracked, UnsafeCell, assert_last_access, atomic, hint, thread_local};
pub(crate) use super::sim_sockets as sockets;
use super::wake_policy::WakePolicy;
use crate::network::{Hosts, Ready};

/// Returns the real time, or the virtual time of a simulated thread.
pub(crate) fn real_now() -> Instant {
    baton::virtual_now().unwrap_or_else(super::native::real_now)
}

/// Lets another thread of a simulation run. Called between two steps of a worker.
pub(crate) fn preemption_point() {
    baton::preempt();
}

/// Sleeps in place of a reactor, on a simulated thread. Returns how long the reactor may still
/// wait.
pub(crate) fn sleep_in_reactor(reactor: usize, limit: Option<Duration>) -> Option<Duration> {
    if !baton::is_simulated() {
        return limit;
    }
    baton::block_unless_kept(reactor, limit.and_then(|limit| real_now().checked_add(limit)));
    Some(Duration::ZERO)
}

/// Ends [`sleep_in_reactor`].
pub(crate) fn wake_reactor(reactor: usize) {
    costs::charge_part(costs::current_model().costs.interrupt);
    baton::wake_or_keep(reactor);
}

/// Adds a reactor with these event queues to the simulation of this thread.
pub(crate) fn add_reactor<'a>(queues: impl Iterator<Item = &'a Registry> + Clone) {
    baton_network::add_reactor(queues.map(sleep_key));
}

/// Returns what a simulated sleep for the events of this queue waits for, and what names the queue.
pub(crate) fn sleep_key(queue: &Registry) -> usize {
    std::ptr::from_ref(queue).addr()
}

/// Takes the events of simulated sockets: tokens, and whether they are readable, writable, closed
/// for reading, closed for writing, in error.
pub(crate) fn simulated_events(queue: &Registry, limit: usize) -> impl Iterator<Item = (usize, [bool; 5])> {
    let events = baton_network::with_network(|network, _| network.take_ready(sleep_key(queue), limit));
    let flags = [Ready::READABLE, Ready::WRITABLE, Ready::READ_CLOSED, Ready::WRITE_CLOSED, Ready::ERROR];
    events.unwrap_or_default().into_iter().map(move |(token, ready)| (token, flags.map(|flag| ready.contains(flag))))
}

/// Resolves the name of a host of the simulation, on a thread of one.
pub(crate) fn resolve_simulated(name: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>> {
    baton_network::with_network(|network, _| {
        if name == "localhost" {
            return Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
        }
        let hosts = network.hosts();
        let host = hosts.find(name).ok_or_else(|| {
            let text = format!("the simulation has no host {name:?}, only {}: add it with `Sim::host`", hosts.names());
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        Ok(vec![SocketAddr::new(Hosts::ip(host), port)])
    })
}

/// Returns the number of the next stripe. `real` draws it for a thread that is not simulated.
pub(crate) fn next_stripe(real: impl FnOnce() -> u64) -> u64 {
    baton::next_stripe().unwrap_or_else(real)
}

pub(crate) use super::faults::before_poll;
pub(crate) use super::membership::Simulation;
pub(crate) use baton::{charge, is_simulated, record_event};

/// Returns the policy of this thread's simulation, or heist's.
pub(crate) fn wake_policy() -> WakePolicy {
    costs::current_model().policy
}

/// Charges this thread for a read-modify-write of the idle word.
pub(crate) fn occupy_idle_word<T>(word: &T) {
    costs::occupy(ContendedLine::IdleWord, std::ptr::from_ref(word).addr());
}

/// Charges this thread for a section under a lock of the global queue.
pub(crate) fn occupy_global_queue<T>(lock: &T) {
    costs::occupy(ContendedLine::GlobalQueue, std::ptr::from_ref(lock).addr());
}

/// Charges this thread for a look at a seat, if `is_awake` returns true: then that worker has
/// written the seat's lines.
pub(crate) fn charge_inspection(is_awake: impl FnOnce() -> bool) {
    let cost = costs::current_model().costs.inspection;
    if cost > 0 && is_awake() {
        costs::charge_part(cost);
    }
}

/// Charges this thread for the cache lines of tasks that it has stolen.
pub(crate) fn charge_moved_tasks(tasks: u64) {
    costs::charge_part(costs::current_model().costs.moved_task * tasks);
}

/// Charges this thread for a poll of the reactor.
pub(crate) fn charge_reactor_poll() {
    costs::charge_part(costs::current_model().costs.reactor_poll);
}

/// Pauses a searcher before it takes from a LIFO slot, as Go does.
pub(crate) fn pause_before_lifo() {
    charge(PAUSE_BEFORE_LIFO);
}

/// How long Go's searcher pauses.
const PAUSE_BEFORE_LIFO: Duration = Duration::from_micros(3);

pub(crate) mod thread {
    use std::io;
    use std::time::Instant;

    use crate::primitive::baton::{self, Key, NewThread};
    use crate::primitive::native::thread as real;

    /// Yields the processor.
    pub(crate) fn yield_now() {
        if !baton::charge_yield() {
            real::yield_now();
        }
    }

    /// Starts threads. A simulated thread starts simulated ones.
    #[derive(Debug)]
    pub(crate) struct Builder {
        builder: real::Builder,
        name: String,
    }

    /// A handle of a started thread.
    #[derive(Debug)]
    pub(crate) struct JoinHandle<T> {
        handle: real::JoinHandle<T>,
        simulated: Option<NewThread>,
    }

    impl Builder {
        pub(crate) fn new() -> Builder {
            Builder { builder: real::Builder::new(), name: "a thread".to_owned() }
        }

        pub(crate) fn name(self, name: String) -> Builder {
            Builder { builder: self.builder.name(name.clone()), name }
        }

        pub(crate) fn stack_size(self, size: usize) -> Builder {
            Builder { builder: self.builder.stack_size(size), ..self }
        }

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            main: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            let Some(simulated) = NewThread::add(&self.name) else {
                return Ok(JoinHandle { handle: self.builder.spawn(main)?, simulated: None });
            };
            self.spawn_simulated(simulated, main)
        }

        /// Starts a thread that was added to a simulation.
        pub(crate) fn spawn_simulated<T: Send + 'static>(
            self,
            simulated: NewThread,
            main: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            let new = simulated.clone();
            let started = self.builder.spawn(move || {
                new.begin();
                main()
            });
            match started {
                Ok(handle) => Ok(JoinHandle { handle, simulated: Some(simulated) }),
                Err(error) => {
                    simulated.cancel();
                    Err(error)
                }
            }
        }
    }

    impl<T> JoinHandle<T> {
        #[cfg(test)]
        pub(crate) fn is_finished(&self) -> bool {
            self.handle.is_finished()
        }

        pub(crate) fn join(self) -> std::thread::Result<T> {
            if let Some(thread) = &self.simulated {
                wait_for_end(thread, None);
            }
            self.handle.join()
        }
    }

    /// Waits for a simulated thread to end. Returns false if the deadline comes first.
    fn wait_for_end(thread: &NewThread, deadline: Option<Instant>) -> bool {
        while baton::is_simulated() && !thread.has_ended() {
            if deadline.is_some_and(|deadline| super::real_now() >= deadline) {
                return false;
            }
            baton::block(Key::Thread(thread.number), deadline);
        }
        true
    }

    /// Joins a thread that has ended. Otherwise returns the handle.
    pub(crate) fn join_if_gone(thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
        let Some(simulated) = thread.simulated else {
            let handle = real::join_if_gone(thread.handle)?;
            return Some(JoinHandle { handle, simulated: None });
        };
        if !simulated.has_ended() {
            return Some(JoinHandle { handle: thread.handle, simulated: Some(simulated) });
        }
        // The thread catches its own panics.
        let _ = thread.handle.join();
        None
    }

    /// Waits for a thread to end, at most until `deadline`, and then detaches it. The calling
    /// thread itself is detached at once.
    pub(crate) fn join_until(thread: JoinHandle<()>, deadline: Option<Instant>) {
        let itself = thread.handle.thread().id() == std::thread::current().id();
        match &thread.simulated {
            None => real::join_until(thread.handle, deadline),
            Some(simulated) if !itself && wait_for_end(simulated, deadline) => {
                // The thread catches its own panics.
                let _ = thread.handle.join();
            }
            Some(_) => {}
        }
    }
}

/// A lock.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(RealMutex<T>);

/// Holds a [`Mutex`]. It is empty only while a condition variable waits.
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    lock: &'a Mutex<T>,
    held: Option<RealGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Mutex(RealMutex::new(value))
    }

    fn hold(&self) -> RealGuard<'_, T> {
        if !baton::is_simulated() {
            return self.0.lock();
        }
        loop {
            match self.0.try_lock() {
                Some(held) => return held,
                None => baton::block(Key::of(self), None),
            }
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { lock: self, held: Some(self.hold()) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        Some(MutexGuard { lock: self, held: Some(self.0.try_lock()?) })
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    #[allow(dead_code, reason = "shaped like the real one")]
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T> MutexGuard<'_, T> {
    fn release(&mut self) {
        self.held = None;
        baton::wake(Key::of(self.lock), false);
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("no condition variable waits")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("no condition variable waits")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.release();
    }
}

/// A condition variable.
#[derive(Debug, Default)]
pub(crate) struct Condvar(RealCondvar);

/// Tells whether a wait has ended at its deadline.
#[derive(Debug)]
pub(crate) struct WaitTimeout(bool);

impl WaitTimeout {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Condvar(RealCondvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if baton::is_simulated() {
            self.wait_simulated(guard, None);
        } else {
            self.0.wait(guard.held.as_mut().expect("the lock is held"));
        }
    }

    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> WaitTimeout {
        if baton::is_simulated() {
            self.wait_simulated(guard, Some(deadline));
            return WaitTimeout(real_now() >= deadline);
        }
        let held = guard.held.as_mut().expect("the lock is held");
        WaitTimeout(self.0.wait_until(held, deadline).timed_out())
    }

    fn wait_simulated<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) {
        guard.release();
        baton::block(Key::of(self), deadline);
        guard.held = Some(guard.lock.hold());
    }

    pub(crate) fn notify_one(&self) {
        baton::wake(Key::of(self), false);
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        baton::wake(Key::of(self), true);
        self.0.notify_all();
    }
}

/// A word on which its owner can wait.
#[derive(Debug)]
pub(crate) struct Futex(super::native_futex::Futex);

impl Futex {
    pub(crate) fn new(value: u32) -> Self {
        Futex(super::native_futex::Futex::new(value))
    }

    pub(crate) fn atomic(&self) -> &atomic::AtomicU32 {
        self.0.atomic()
    }

    /// Sleeps while the word is `value`. Returns on [`Futex::wake`], at the deadline, or
    /// spuriously.
    pub(crate) fn wait(&self, value: u32, deadline: Option<Instant>) {
        if !baton::is_simulated() {
            return self.0.wait(value, deadline);
        }
        // Ordering: Relaxed — no other thread of the simulation runs.
        if self.0.atomic().load(atomic::Ordering::Relaxed) == value {
            baton::block(Key::of(self), deadline);
        }
    }

    /// Wakes the owner if it waits.
    pub(crate) fn wake(&self) {
        // The owner may be a thread outside of the simulation.
        baton::wake(Key::of(self), false);
        self.0.wake();
    }
}
