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
//! * When the [`Bridge`] is dropped, its tasks are dropped. So keep it for as long as heist's
//!   runtime.
//! * A destructor of such a crate may call Tokio, too. So enter the bridge before the runtime is
//!   built: then the runtime is dropped first, on a thread that is still inside.
//!
//! So the bridge is for a single crate. For a whole program, the crate named
//! `tokio` over heist serves better (`cargo heist-tokio setup`).
//!
//! ```
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = heist::runtime::Builder::new_multi_thread();
//! let bridge = heist_compat::bridge::tokio_bridge(&mut builder)?;
//! let _tokio = bridge.enter();
//! let runtime = builder.enable_all().build()?;
//! runtime.block_on(async {
//!     tokio::time::sleep(Duration::from_millis(1)).await;
//!     heist::spawn(tokio::time::sleep(Duration::from_millis(1))).await
//! })?;
//! # Ok(())
//! # }
//! ```

use std::io;

use heist::runtime::Builder;
use tokio::runtime::{EnterGuard, Handle, Runtime};

/// The Tokio runtime beside a heist runtime. [`tokio_bridge`] makes it.
///
/// The drop does not wait for its tasks.
#[derive(Debug)]
#[must_use = "the Tokio runtime ends when the bridge is dropped"]
pub struct Bridge {
    /// Present until the drop.
    side: Option<Runtime>,
    handle: Handle,
}

impl Bridge {
    /// Lets this thread enter the Tokio runtime until the guard is dropped.
    ///
    /// A thread that calls `block_on` of a heist runtime needs it, and so does a thread that drives
    /// a current-thread runtime.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Returns the handle of the Tokio runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(side) = self.side.take() {
            side.shutdown_background();
        }
    }
}

/// Lets this thread enter the Tokio runtime of `handle` until the thread ends.
///
/// A program that sets [`Builder::on_thread_start`] after [`tokio_bridge`] calls it there, with
/// [`Bridge::handle`].
pub fn enter_thread(handle: &Handle) {
    // The guard only borrows the handle in name: Tokio keeps a reference of its own, which the
    // thread drops when it ends.
    std::mem::forget(handle.enter());
}

/// Starts a Tokio runtime with one thread, and lets each worker and each blocking thread of the
/// runtime that `builder` builds enter it.
///
/// It takes [`Builder::on_thread_start`]. A program that needs this hook for itself sets it
/// afterwards, and calls [`enter_thread`] in it.
///
/// # Errors
///
/// If the operating system refuses an event queue.
///
/// # Panics
///
/// If the operating system refuses a thread.
pub fn tokio_bridge(builder: &mut Builder) -> io::Result<Bridge> {
    let mut side = tokio::runtime::Builder::new_multi_thread();
    let side = side.worker_threads(1).thread_name("tokio-bridge").enable_all().build()?;
    let handle = side.handle().clone();
    // The hook holds the handle alone: a task of the bridge may hold heist's runtime.
    let of_threads = handle.clone();
    builder.on_thread_start(move || enter_thread(&of_threads));
    Ok(Bridge { side: Some(side), handle })
}
