//! loom's atomic words, with more interleavings on request.
//!
//! loom looks for a race between an access and the last earlier one that it depends on. If a thread
//! loads a word and then changes it, its own load hides the earlier loads of other threads. So loom
//! does not try to change the word before these. With `HEIST_LOOM_ALL_LOADS=1`, each load first
//! changes a word of its own, on which all loads depend. Then no order is left out. The models take
//! four times as long.

use std::sync::OnceLock;

use ::loom::sync::atomic as real;
pub(crate) use ::loom::sync::atomic::Ordering;

/// Orders the loads of one word, if that was requested.
#[derive(Debug)]
struct LoadOrder(Option<real::AtomicUsize>);

impl LoadOrder {
    fn new() -> Self {
        static IS_REQUESTED: OnceLock<bool> = OnceLock::new();
        let is_requested = *IS_REQUESTED.get_or_init(|| std::env::var_os("HEIST_LOOM_ALL_LOADS").is_some());
        LoadOrder(is_requested.then(|| real::AtomicUsize::new(0)))
    }

    fn begin_load(&self) {
        if let Some(loads) = &self.0 {
            // Ordering: Relaxed — it must order nothing but the loads.
            loads.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Methods that all words have.
macro_rules! word {
    ($name:ident $(<$param:ident>)?, $real:ty, $value:ty) => {
        pub(crate) struct $name $(<$param>)? {
            real: $real,
            load_order: LoadOrder,
        }

        impl $(<$param>)? std::fmt::Debug for $name $(<$param>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.real.fmt(f)
            }
        }

        #[allow(dead_code, reason = "not every word has all of it done to it")]
        impl $(<$param>)? $name $(<$param>)? {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                $name { real: <$real>::new(value), load_order: LoadOrder::new() }
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.load_order.begin_load();
                self.real.load(order)
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.real.store(value, order);
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.real.swap(value, order)
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.real.compare_exchange(old, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn compare_exchange_weak(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.real.compare_exchange_weak(old, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.load_order.begin_load();
                self.real.fetch_update(success, failure, f)
            }
        }
    };
}

/// Methods that words of bits have in addition.
macro_rules! fetch {
    ($name:ident, $value:ty, $($fetch:ident)*) => {
        impl Default for $name {
            fn default() -> Self {
                $name::new(<$value>::default())
            }
        }

        #[allow(dead_code, reason = "not every word has all of it done to it")]
        impl $name {
            $(#[track_caller]
            pub(crate) fn $fetch(&self, value: $value, order: Ordering) -> $value {
                self.real.$fetch(value, order)
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

impl AtomicU64 {
    /// Calls `f` with the value. Every access has to come before.
    #[track_caller]
    pub(super) fn with_mut<R>(&mut self, f: impl FnOnce(&mut u64) -> R) -> R {
        self.real.with_mut(f)
    }
}
