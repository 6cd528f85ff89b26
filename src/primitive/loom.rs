//! loom's engine, with the interface of the native one.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

#[path = "loom_atomic.rs"]
pub(crate) mod atomic;

/// Returns the real time. In a model no deadline depends on it.
pub(crate) fn real_now() -> Instant {
    Instant::now()
}

pub(crate) mod thread {
    pub(crate) use ::loom::thread::{Builder, JoinHandle, yield_now};

    /// Returns the handle: loom cannot tell whether a thread has ended.
    pub(crate) fn join_if_gone(thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
        Some(thread)
    }

    /// Detaches the thread. No model has a worker's thread to join.
    pub(crate) fn join_until(thread: JoinHandle<()>, _: Option<std::time::Instant>) {
        drop(thread);
    }
}

pub(crate) mod hint {
    pub(crate) use ::loom::hint::spin_loop;
}

pub(crate) use ::loom::{model, thread_local};

/// loom's mutex behind `parking_lot`'s signatures.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(::loom::sync::Mutex<T>);

/// Knows its mutex, and holds it except while a condition variable does.
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T>(&'a Mutex<T>, Option<::loom::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(::loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self, Some(self.0.lock().expect("loom mutex is poisoned")))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard(self, Some(guard)))
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.try_lock().is_err()
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().expect("loom mutex is poisoned")
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().expect("loom mutex is poisoned")
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.1.as_ref().expect("guard is lent to a condition variable")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.1.as_mut().expect("guard is lent to a condition variable")
    }
}

/// loom's condition variable behind `parking_lot`'s signatures.
#[derive(Debug)]
pub(crate) struct Condvar(::loom::sync::Condvar);

/// Result of a timed wait.
#[derive(Debug)]
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar(::loom::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.1.take().expect("guard is lent twice");
        guard.1 = Some(self.0.wait(held).expect("loom mutex is poisoned"));
    }

    /// Waits without a clock, since loom has no time. A deadline in the past releases the lock once
    /// and times out. Any other deadline never comes.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> WaitTimeoutResult {
        let timed_out = deadline <= real_now();
        if timed_out {
            guard.1 = None;
            guard.1 = guard.0.lock().1;
        } else {
            self.wait(guard);
        }
        WaitTimeoutResult(timed_out)
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// loom's checked cell.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(::loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        UnsafeCell(::loom::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        self.0.with(f)
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(f)
    }
}

/// Fails the model unless every access to `word` comes before this.
pub(crate) fn assert_last_access(word: &mut atomic::AtomicU64) {
    word.with_mut(|_| ());
}

/// Marks a piece of memory as alive. A model fails if one is dropped twice, or never.
#[derive(Debug)]
pub(crate) struct Tracked(::loom::alloc::Track<()>);

impl Tracked {
    pub(crate) fn new() -> Self {
        Tracked(::loom::alloc::Track::new(()))
    }
}
