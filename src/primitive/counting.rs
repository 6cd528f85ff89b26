//! The counting engine: the native engine, which also records the last writer of each cache line
//! (`cfg(all(test, heist_count))`).
//!
//! One thread plays all workers in turn, and names the current one with [`play`]. A write to a line
//! that another worker wrote last is a transfer. On a real machine, the line would have to come
//! over from the other core. Atomic words and locks are counted. Plain data are not: an atomic word
//! or a lock protects them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

pub(crate) use super::native::{
    Condvar, MutexGuard, Tracked, UnsafeCell, assert_last_access, hint, model, real_now, thread, thread_local,
};

const LINE: usize = 64;

std::thread_local! {
    static WRITER: Cell<usize> = const { Cell::new(usize::MAX) };
    static TRANSFERS: Cell<u64> = const { Cell::new(0) };
    static LAST: RefCell<HashMap<usize, usize>> = RefCell::new(HashMap::new());
}

/// Attributes the following writes to `writer`.
pub(crate) fn play(writer: usize) {
    WRITER.set(writer);
}

/// Returns the number of writes so far to lines that another writer had written last.
pub(crate) fn transfers() -> u64 {
    TRANSFERS.get()
}

fn wrote<T: ?Sized>(place: &T) {
    let line = std::ptr::from_ref(place).addr() / LINE;
    let writer = WRITER.get();
    // A thread that is ending counts no more.
    let last = LAST.try_with(|last| last.borrow_mut().insert(line, writer));
    if last.is_ok_and(|last| last.is_some_and(|last| last != writer)) {
        TRANSFERS.set(TRANSFERS.get() + 1);
    }
}

pub(crate) mod atomic {
    use std::sync::atomic as real;
    pub(crate) use std::sync::atomic::Ordering;

    use super::wrote;

    /// Methods that all words have.
    macro_rules! word {
        ($name:ident $(<$param:ident>)?, $real:ty, $value:ty) => {
            #[repr(transparent)]
            pub(crate) struct $name $(<$param>)? ($real);

            impl $(<$param>)? std::fmt::Debug for $name $(<$param>)? {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    self.0.fmt(f)
                }
            }

            impl $(<$param>)? Default for $name $(<$param>)? {
                fn default() -> Self {
                    $name(<$real>::default())
                }
            }

            #[allow(dead_code, reason = "not every word has all of it done to it")]
            impl $(<$param>)? $name $(<$param>)? {
                pub(crate) const fn new(value: $value) -> Self {
                    $name(<$real>::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    self.0.load(order)
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    wrote(self);
                    self.0.store(value, order);
                }

                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    wrote(self);
                    self.0.swap(value, order)
                }

                pub(crate) fn compare_exchange(
                    &self,
                    old: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    // A failed exchange transfers the line, too.
                    wrote(self);
                    self.0.compare_exchange(old, new, success, failure)
                }

                pub(crate) fn compare_exchange_weak(
                    &self,
                    old: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    wrote(self);
                    self.0.compare_exchange_weak(old, new, success, failure)
                }

                pub(crate) fn fetch_update(
                    &self,
                    success: Ordering,
                    failure: Ordering,
                    f: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    wrote(self);
                    self.0.fetch_update(success, failure, f)
                }

                pub(crate) fn get_mut(&mut self) -> &mut $value {
                    self.0.get_mut()
                }

                pub(crate) fn into_inner(self) -> $value {
                    self.0.into_inner()
                }
            }
        };
    }

    /// Methods that words of bits have in addition.
    macro_rules! fetch {
        ($name:ident, $value:ty, $($fetch:ident)*) => {
            #[allow(dead_code, reason = "not every word has all of it done to it")]
            impl $name {
                $(pub(crate) fn $fetch(&self, value: $value, order: Ordering) -> $value {
                    wrote(self);
                    self.0.$fetch(value, order)
                })*
            }
        };
    }

    word!(AtomicBool, real::AtomicBool, bool);
    word!(AtomicU8, real::AtomicU8, u8);
    word!(AtomicU32, real::AtomicU32, u32);
    word!(AtomicU64, real::AtomicU64, u64);
    word!(AtomicUsize, real::AtomicUsize, usize);
    word!(AtomicPtr<T>, real::AtomicPtr<T>, *mut T);

    fetch!(AtomicBool, bool, fetch_or fetch_and);
    fetch!(AtomicU8, u8, fetch_add fetch_sub fetch_or fetch_and fetch_max);
    fetch!(AtomicU32, u32, fetch_add fetch_sub fetch_or fetch_and fetch_max);
    fetch!(AtomicU64, u64, fetch_add fetch_sub fetch_or fetch_and fetch_max);
    fetch!(AtomicUsize, usize, fetch_add fetch_sub fetch_or fetch_and fetch_max);
}

/// A lock counts as a word that its holder writes.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T: ?Sized>(super::native::Mutex<T>);

#[allow(dead_code, reason = "shaped like the real one")]
impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Mutex(super::native::Mutex::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

#[allow(dead_code, reason = "shaped like the real one")]
impl<T: ?Sized> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        wrote(&self.0);
        self.0.lock()
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        wrote(&self.0);
        self.0.try_lock()
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}
