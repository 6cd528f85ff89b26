//! Metrics of a heist runtime, for a dashboard.
//!
//! A [`RuntimeMonitor`] samples the figures of a runtime. Each sample has the changes since the
//! sample before. Two features hand the figures on:
//!
//! | feature | what it gives | names |
//! |---|---|---|
//! | `metrics` | [`RuntimeMetricsReporter`]: a task that publishes through the facade `metrics` | those of `tokio-metrics` |
//! | `opentelemetry` | [`observe_runtime`](opentelemetry::observe_runtime): observable instruments | those of `opentelemetry-instrumentation-tokio` |
//!
//! So a dashboard for a program on Tokio works for a program on heist. Figures that Tokio does not
//! have begin with `heist`. The page `docs/metrics.md` of heist's repository lists all names, with
//! meaning and unit.
//!
//! The types and fields have the names of the crate `tokio-metrics`, so a program changes little
//! more than the crate's name.
//!
//! # Examples
//!
//! ```
//! let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
//! let mut intervals = heist_metrics::RuntimeMonitor::new(runtime.handle()).intervals();
//! runtime.block_on(async {
//!     for _ in 0..10 {
//!         heist::spawn(heist::task::yield_now()).await.unwrap();
//!     }
//! });
//! let interval = intervals.next().unwrap();
//! assert_eq!((interval.workers_count, interval.spawned_tasks_count), (2, 10));
//! assert_eq!(interval.total_polls_count, 20);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! In a program that has installed an exporter of the facade, one line publishes the figures:
//!
//! ```
//! # async fn program() {
//! heist::spawn(heist_metrics::RuntimeMetricsReporterBuilder::default().describe_and_run());
//! # }
//! ```

mod group_metrics;
mod histogram;
mod monitor;
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry;
#[cfg(feature = "metrics")]
mod reporter;
mod runtime_metrics;
#[cfg(feature = "metrics")]
mod table;
mod worker_counts;

/// The README's code runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use group_metrics::GroupMetrics;
pub use histogram::{DurationHistogram, HistogramBucket};
pub use monitor::{RuntimeIntervals, RuntimeMonitor};
#[cfg(feature = "metrics")]
pub use reporter::{RuntimeMetricsReporter, RuntimeMetricsReporterBuilder};
pub use runtime_metrics::RuntimeMetrics;
