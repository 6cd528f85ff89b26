//! The life of the process: its phase, its signals, and the account of its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::Context;
use heist::runtime::DrainReport;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::runtime::resize_from_file;
use crate::settings::Settings;

/// The names of the phases, in their order.
const PHASES: [&str; 3] = ["serving", "unready", "draining"];

/// The phase of the process. Its clones share it.
#[derive(Debug, Clone, Default)]
pub struct Phase(Arc<AtomicU8>);

impl Phase {
    /// Begins the phase in which `/readyz` is 503 and everything is still served, so that load
    /// balancers send requests elsewhere.
    pub fn set_unready(&self) {
        self.0.store(1, Ordering::Relaxed);
    }

    /// Begins the phase in which no connection is accepted.
    pub fn set_draining(&self) {
        self.0.store(2, Ordering::Relaxed);
    }

    /// Returns whether the server asks for new requests.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Returns the name of the phase.
    pub fn name(&self) -> &'static str {
        PHASES[usize::from(self.0.load(Ordering::Relaxed))]
    }
}

/// The signals that the server handles.
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to receive the signals. Must be called inside of a runtime.
    pub fn register() -> anyhow::Result<Signals> {
        let register = |kind| signal(kind).context("the signals could not be registered");
        Ok(Signals {
            hangup: register(SignalKind::hangup())?,
            interrupt: register(SignalKind::interrupt())?,
            terminate: register(SignalKind::terminate())?,
        })
    }

    /// Resizes the runtime on each SIGHUP. Returns on SIGTERM, and on SIGINT, which Ctrl-C sends.
    pub async fn until_terminated(&mut self, runtime: &Runtime, settings: &Settings) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => match resize_from_file(runtime, settings.workers_file.as_deref()).await {
                    Ok(resized) => tracing::info!(from = resized.from, to = resized.to, "resized the runtime"),
                    Err(error) => tracing::error!("the runtime was not resized: {error:#}"),
                },
            }
        }
    }

    /// Waits for `period`, or for another SIGTERM or SIGINT.
    pub async fn keep_serving_for(&mut self, period: Duration) {
        tracing::info!(?period, "not ready any more; another signal ends this period");
        let another = async {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        };
        // An error says that no other signal came.
        let _ = timeout(period, another).await;
    }
}

/// Logs how the tasks have ended, and names those that the deadline has cancelled.
pub fn log_account(report: &DrainReport) {
    tracing::info!(
        completed = report.completed,
        panicked = report.panicked,
        cancelled = report.cancelled,
        late = report.stragglers.len(),
        "drained in {:?}",
        report.elapsed
    );
    for straggler in &report.stragglers {
        tracing::warn!("cancelled at the deadline: {straggler}");
    }
}
