//! Tasks: heist's own types, and Tokio's collections of tasks.

cfg_rt! {
    pub mod coop;
    mod join_set;
    mod local;
    mod spawn;
    mod task_local;
    mod yield_now;

    #[cfg(feature = "rt-multi-thread")]
    pub use spawn::block_in_place;
    pub use coop::{Unconstrained, consume_budget, unconstrained};
    pub use heist::task::{AbortHandle, Id, JoinError, JoinHandle, id, try_id};
    pub use join_set::JoinSet;
    pub use local::{LocalEnterGuard, LocalSet, spawn_local};
    pub use spawn::{spawn, spawn_blocking};
    pub use task_local::LocalKey;
    pub use yield_now::yield_now;

    /// Futures of tasks.
    pub mod futures {
        pub use super::task_local::TaskLocalFuture;
    }
}

cfg_not_rt! {
    pub(crate) mod coop;
}
