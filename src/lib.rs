//! A work-stealing async runtime for latency-sensitive servers: local by default, stolen only when
//! late.
//!
//! Everything that a task uses (queue, timer, allocation, counters) belongs to the worker that runs
//! it. If the worker is late, another worker takes it over. Names and behaviour follow Tokio's
//! documented API wherever the same thing exists, so a move from Tokio is mostly a change of import
//! paths.
//!
//! ```
//! use heist::net::{TcpListener, TcpStream};
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime = heist::runtime::Runtime::new()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     heist::spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!     let mut text = [0; 5];
//!     let mut client = TcpStream::connect(address).await?;
//!     client.read_exact(&mut text).await?;
//!     assert_eq!(&text, b"hello");
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # What is where
//!
//! * [`runtime`]: builds a runtime, enters it, waits on it, shuts it down.
//! * [`task`]: spawns, joins and aborts tasks, and runs functions that block.
//! * [`net`], [`io`]: sockets, and readiness of every file descriptor.
//! * `signal`: signals of the operating system, on unix.
//! * [`time`]: sleeps, timeouts, intervals.
//!
//! # Looking for …?
//!
//! What works on every runtime is deliberately absent. Two lines in `Cargo.toml` replace `tokio` by
//! a crate of that name over heist ([`docs/tokio-facade.md`]). Without them:
//!
//! | looking for | the line to write |
//! |---|---|
//! | `sync::mpsc`, `oneshot`, `Mutex`, `Notify` | `use tokio::sync::mpsc;` (feature `sync` of `tokio`) or `async_channel`, `async_lock` |
//! | `select!`, `join!` | `use tokio::{join, select};` (feature `macros`) or `futures::select!` |
//! | `io::copy`, `BufReader`, `AsyncReadExt` | `use tokio::io::{copy, AsyncReadExt};` (feature `io-util`), and heist's feature `tokio-io` |
//! | `AsyncRead` for a [`net::TcpStream`] | `heist = { version = "0.1", features = ["tokio-io"] }` |
//! | `fs` | `heist::task::spawn_blocking(\|\| std::fs::read("file")).await` |
//! | `process` | `heist::task::spawn_blocking(\|\| std::process::Command::new("ls").output()).await` |
//! | `stdin` | `heist::task::spawn_blocking(\|\| std::io::stdin().lines().next()).await` |
//! | `Stream` of an interval, a listener | `futures::stream::unfold(listener, …)` |
//! | an `axum` or `tonic` server, a pooled HTTP client | the crate `heist-compat`, or the crate named `tokio` |
//!
//! [`docs/tokio-facade.md`]: https://docs.rs/crate/heist/latest/source/docs/tokio-facade.md
//!
//! # Features
//!
//! * `futures-io`: `futures_io::{AsyncRead, AsyncWrite}` on the socket types and on
//!   `io::unix::AsyncFd`.
//! * `tokio-io`: `tokio::io::{AsyncRead, AsyncWrite}` on the same types, and reads into
//!   `bytes::BufMut` and `tokio::io::ReadBuf`, without a Tokio runtime.
//! * `hyper`: `hyper::rt::{Read, Write, Executor, Timer, Sleep}`.
//! * `test-util`: paused time, for tests; see [`time`].
//! * `sim`: deterministic simulation of the whole runtime, for tests.
//! * `tracing-spans`: the spans and events of `tracing` that tokio-console reads.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod block_in_place;
mod blocking;
mod clock;
mod context;
mod drain;
#[cfg(feature = "facade")]
#[doc(hidden)]
pub mod facade;
mod group;
#[cfg(feature = "hyper")]
pub mod hyper;
mod idle;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod io;
mod metrics;
pub mod net;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
mod network;
mod park;
mod phase;
mod pool;
mod primitive;
mod queue;
mod raw_task;
mod reactor;
mod recorder;
pub mod runtime;
mod scheduler;
mod shutdown;
#[cfg(unix)]
pub mod signal;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub mod sim;
mod spin;
pub mod task;
mod task_alloc;
pub mod time;
mod timer;
mod util;
mod watchdog;
mod worker_set;

pub use heist_macros::{main, test};
pub use task::spawn;

#[cfg(test)]
#[path = "../loom-tests/mod.rs"]
mod loom_tests;

/// The README's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The cookbook's recipes, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/cookbook.md")]
struct Cookbook;

/// The examples of the migration guide, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/migrating-from-tokio.md")]
struct Migrating;
