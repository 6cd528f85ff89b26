//! Small parts that know nothing of a runtime.

pub(crate) mod cpu;
pub(crate) mod list;
pub(crate) mod rng;
pub(crate) mod scoped_cell;
pub(crate) mod store_waker;
pub(crate) mod stripe;
pub(crate) mod thread_bound;
pub(crate) mod wake_list;
