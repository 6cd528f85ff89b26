//! The number of a runtime.

use std::fmt;
use std::num::NonZeroU64;

use crate::sync::statics::{AtomicU64, Ordering};

/// Identifies a runtime among all that this process makes; answered by [`Handle::id`](crate::runtime::Handle::id).
///
/// Ids are unique for the life of the process and are not reused. They say nothing about the order in which runtimes are made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(NonZeroU64);

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Id {
    pub(super) fn next() -> Id {
        // Ordering: Relaxed — only the number matters.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Id(NonZeroU64::new(number).expect("ids start at one"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}
