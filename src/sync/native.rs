//! The real engine: std's atomics, `parking_lot`'s locks.

#[cfg(not(all(test, heist_count)))]
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

pub(crate) mod thread {
    pub(crate) use std::thread::{Builder, JoinHandle, yield_now};

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub(crate) use super::super::join::{join_if_gone, join_until};

    /// Lets go of a thread that has ended. What it does after that, in the destructors of its
    /// locals, can't be asked for here.
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    pub(crate) fn join_if_gone(thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
        (!thread.is_finished()).then_some(thread)
    }

    /// Waits for a thread to end if there is all the time; where a wait cannot be bounded, there is
    /// none.
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    pub(crate) fn join_until(thread: JoinHandle<()>, deadline: Option<std::time::Instant>) {
        if deadline.is_none() {
            // The thread catches its own panics.
            let _ = thread.join();
        }
    }
}

pub(crate) mod hint {
    pub(crate) use std::hint::spin_loop;
}

pub(crate) use std::thread_local;

pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

/// A cell whose accesses the model checks; here it is std's.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Calls `f` with a pointer for reading.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer for writing.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Runs a model once; the loom engine runs it under every interleaving.
#[cfg(test)]
pub(crate) fn model(f: impl Fn() + Sync + Send + 'static) {
    f();
}

/// Says that a piece of memory is alive. Nothing in a server; a test counts them.
#[cfg(not(test))]
#[derive(Debug)]
pub(crate) struct Tracked;

#[cfg(not(test))]
impl Tracked {
    pub(crate) const fn new() -> Self {
        Tracked
    }
}

#[cfg(test)]
pub(crate) use counted::Tracked;

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    std::thread_local! {
        static ALIVE: Cell<isize> = const { Cell::new(0) };
    }

    #[derive(Debug)]
    pub(crate) struct Tracked(());

    impl Tracked {
        pub(crate) fn new() -> Self {
            ALIVE.set(ALIVE.get() + 1);
            Tracked(())
        }

        /// How many more were made than dropped on this thread.
        pub(crate) fn live_count() -> isize {
            ALIVE.get()
        }
    }

    impl Drop for Tracked {
        fn drop(&mut self) {
            // A thread that is ending counts no more.
            let _ = ALIVE.try_with(|alive| alive.set(alive.get() - 1));
        }
    }
}
