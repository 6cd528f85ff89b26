//! Small parts that do not depend on a runtime.

#[cfg(feature = "tracing-spans")]
pub(crate) mod contained_span;
pub(crate) mod cpu;
pub(crate) mod list;
pub(crate) mod named_thread;
pub(crate) mod once_event;
pub(crate) mod rate_limit;
pub(crate) mod rng;
pub(crate) mod scoped_cell;
pub(crate) mod store_waker;
pub(crate) mod stripe;
pub(crate) mod thread_bound;
pub(crate) mod wake_list;
