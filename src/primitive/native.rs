//! The native engine: std's atomics, `parking_lot`'s locks.

#[cfg(not(all(test, heist_count)))]
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

/// Returns the real time.
#[inline]
pub(crate) fn real_now() -> std::time::Instant {
    std::time::Instant::now()
}

pub(crate) mod thread {
    pub(crate) use std::thread::{Builder, JoinHandle, yield_now};

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub(crate) use super::super::join::{join_if_gone, join_until};

    /// Detaches a thread that has ended. Otherwise returns the handle. The destructors of its
    /// thread-locals may still run, which cannot be observed here.
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    pub(crate) fn join_if_gone(thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
        (!thread.is_finished()).then_some(thread)
    }

    /// Waits for a thread to end if there is no deadline. On a platform without a bounded wait, it
    /// does not wait at all if there is one.
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

/// Converts a duration for a system call. A duration that does not fit becomes the longest one.
#[cfg(all(target_os = "linux", any(target_env = "gnu", not(all(test, heist_count)))))]
pub(super) fn timespec(time: std::time::Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        // At most 999,999,999, which any width of the field holds.
        tv_nsec: time.subsec_nanos() as _,
    }
}

/// A cell whose accesses loom checks; here it is std's.
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

/// Does nothing. loom's engine checks that every access to `_word` comes before this.
#[inline(always)]
pub(crate) fn assert_last_access<T>(_word: &mut T) {}

/// Runs a model once; loom's engine runs it under every interleaving.
#[cfg(test)]
pub(crate) fn model(f: impl Fn() + Sync + Send + 'static) {
    f();
}

/// Marks a piece of memory as alive. Does nothing in a server; tests count the marks.
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

        /// Returns how many more were created than dropped on this thread.
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
