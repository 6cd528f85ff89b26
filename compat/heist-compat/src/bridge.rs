//! A Tokio runtime beside heist, for crates that insist on one.
//!
//! A crate that calls `tokio::spawn`, `tokio::time::sleep` or `tokio::net` panics on a thread that
//! has not entered a Tokio runtime. The bridge starts one with a single thread, and each worker and
//! each blocking thread of a heist runtime enters it. A thread that calls `block_on` enters it by
//! [`Bridge::enter`].
//!
//! What that means:
//!
//! * A future that heist polls stays on heist's workers. It may await sockets and timers of Tokio,
//!   which the bridge's thread drives. Each such wake-up crosses threads.
//! * A task that the crate spawns by `tokio::spawn` runs on the bridge's thread. heist neither
//!   steals nor drains nor counts it.
//! * When heist's runtime and the [`Bridge`] have been dropped, the bridge's tasks are dropped.
//!
//! So the bridge is for a crate at the edge of a program. For a whole program, the crate named
//! `tokio` over heist serves better (`cargo heist-tokio setup`).
//!
//! ```
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = heist::runtime::Builder::new_multi_thread();
//! let bridge = heist_compat::bridge::tokio_bridge(&mut builder)?;
//! let runtime = builder.enable_all().build()?;
//! let _tokio = bridge.enter();
//! runtime.block_on(async {
//!     tokio::time::sleep(Duration::from_millis(1)).await;
//!     heist::spawn(tokio::time::sleep(Duration::from_millis(1))).await
//! })?;
//! # Ok(())
//! # }
//! ```

use std::io;
use std::sync::Arc;

use heist::runtime::Builder;
use tokio::runtime::{EnterGuard, Handle, Runtime};

/// The Tokio runtime. The drop does not wait for its tasks, because a worker may be what drops it.
#[derive(Debug)]
struct SideRuntime(Option<Runtime>);

impl SideRuntime {
    fn handle(&self) -> &Handle {
        self.0.as_ref().expect("the runtime is there until the drop").handle()
    }
}

impl Drop for SideRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The Tokio runtime beside a heist runtime. [`tokio_bridge`] makes it.
#[derive(Clone, Debug)]
pub struct Bridge {
    side: Arc<SideRuntime>,
}

impl Bridge {
    /// Lets this thread enter the Tokio runtime until the guard is dropped.
    ///
    /// A thread that calls `block_on` of a heist runtime needs it, and so does a thread that drives
    /// a current-thread runtime.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.side.handle().enter()
    }

    /// Lets this thread enter the Tokio runtime until the thread ends.
    ///
    /// It is for a hook of the program's own that replaces the one of [`tokio_bridge`].
    pub fn enter_thread(&self) {
        // The guard only borrows the handle in name: Tokio keeps a reference of its own, which the
        // thread drops when it ends.
        std::mem::forget(self.enter());
    }

    /// Returns the handle of the Tokio runtime.
    pub fn handle(&self) -> &Handle {
        self.side.handle()
    }
}

/// Starts a Tokio runtime with one thread, and lets each worker and each blocking thread of the
/// runtime that `builder` builds enter it.
///
/// It takes [`Builder::on_thread_start`]. A program that needs this hook for itself sets it
/// afterwards, and calls [`Bridge::enter_thread`] in it.
///
/// # Errors
///
/// If the operating system refuses a thread or an event queue.
pub fn tokio_bridge(builder: &mut Builder) -> io::Result<Bridge> {
    let mut side = tokio::runtime::Builder::new_multi_thread();
    side.worker_threads(1).thread_name("tokio-bridge").enable_all();
    let bridge = Bridge { side: Arc::new(SideRuntime(Some(side.build()?))) };
    let of_threads = bridge.clone();
    builder.on_thread_start(move || of_threads.enter_thread());
    Ok(bridge)
}
