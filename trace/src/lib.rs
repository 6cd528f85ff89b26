//! Reads the traces of the heist async runtime, explains them, and converts them for other tools.
//!
//! A trace file is a snapshot of a runtime's flight recorder: what its workers have done in the
//! last seconds. `docs/trace-format.md` in heist's repository defines the file.
//!
//! - [`Trace::parse`] checks a file, and gives its tasks, tracks and events.
//! - [`history::History`] brings the events together: polls, waits, and what caused them.
//! - [`summary`], [`diff`], [`flame`], [`chrome`], [`perfetto`] and [`report`] are the commands of
//!   the program `heist-trace`.
//! - [`mod@write`] builds files, for tests.
//!
//! Any bytes give a trace or an [`Error`]. Reading them never panics. It allocates no more than a
//! fixed multiple of the file's length: counts and lengths in a file are not trusted.
//!
//! The crate depends on nothing but std.
//!
//! # Examples
//!
//! How long were tasks queued?
//!
//! ```
//! use heist_trace::Trace;
//! use heist_trace::history::History;
//! # let file = heist_trace::write::TraceBuilder::new(&heist_trace::Runtime::default()).finish();
//!
//! let trace = Trace::parse(&file)?;
//! let history = History::new(&trace);
//! for wait in history.waits().iter().filter(|wait| wait.is_known()) {
//!     let task = history.tasks()[wait.task()];
//!     println!("{} waited for {}", history.kinds()[task.kind()], wait.duration());
//! }
//! # Ok::<(), heist_trace::Error>(())
//! ```
#![forbid(unsafe_code)]

mod cursor;
mod error;
mod event;
mod instant;
mod label;
mod lanes;
mod nanos;
mod quantiles;
mod table;
mod task;
mod trace;
mod track;

pub mod chrome;
pub mod diff;
pub mod flame;
pub mod history;
pub mod perfetto;
pub mod report;
pub mod summary;
pub mod write;

pub use error::Error;
pub use event::{DrainPhase, Event, EventKind, PollEnd};
pub use label::{Label, TaskKind};
pub use nanos::Nanos;
pub use quantiles::Quantiles;
pub use task::{Place, Task, TaskId};
pub use trace::{Runtime, Trace};
pub use track::{Events, Track, TrackKind};
