//! A server on heist, to copy: axum over TLS, PostgreSQL, logs, metrics, live resize, graceful end.
//!
//! The [README](../README.md) says how to copy and run it. A tour: [`settings`] reads the
//! environment, [`runtime`] builds heist, [`lifecycle`] handles signals, and [`routes`] answers
//! requests.

mod database;
mod lifecycle;
mod metrics;
mod routes;
mod runtime;
mod runtime_metrics;
mod settings;
mod telemetry;
mod tls;

use std::process::ExitCode;

use axum::Router;
use heist::runtime::{DrainReport, Handle};
use sqlx::PgPool;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::lifecycle::{Phase, Signals};
use crate::metrics::Metrics;
use crate::routes::AppState;
use crate::settings::Settings;
use crate::tls::TlsListener;

fn main() -> ExitCode {
    match run() {
        Ok(report) if report.stragglers.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the server until a signal ends it. Returns how its tasks have ended.
fn run() -> anyhow::Result<DrainReport> {
    let settings = Settings::from_environment()?;
    telemetry::init()?;
    let runtime = runtime::build(&settings)?;
    let phase = Phase::default();

    // From here on the signals do not end the process, however early they are sent.
    let mut signals = runtime.block_on(async { Signals::register() })?;
    let mut serving = runtime.block_on(start(&runtime, &settings, &phase))?;
    runtime.block_on(async {
        tokio::select! {
            () = signals.until_terminated(&runtime, &settings) => Ok(()),
            ended = &mut serving => Err(anyhow::anyhow!("the server ended without a signal: {ended:?}")),
        }
    })?;

    phase.set_unready();
    runtime.block_on(signals.keep_serving_for(settings.unready_period));
    phase.set_draining();
    let report = runtime.drain(settings.drain_deadline).wait();
    lifecycle::log_account(&report);
    Ok(report)
}

/// Opens everything that the server needs, and starts the task that serves.
async fn start(runtime: &Runtime, settings: &Settings, phase: &Phase) -> anyhow::Result<JoinHandle<()>> {
    let acceptor = tls::acceptor(settings)?;
    let database = database::connect(settings).await?;
    let listener = TlsListener::bind(settings.listen, acceptor).await?;
    let metrics = Metrics::new(runtime.handle().clone(), phase.clone());
    let state = AppState { database: database.clone(), metrics, phase: phase.clone() };
    tracing::info!(workers = runtime.worker_threads(), "listening on https://{}", settings.listen);
    // In a task: while the runtime drains, tasks may spawn, and the root future of `block_on` may
    // not. The account of the drain and `Handle::dump` show the name.
    let task = heist::task::Builder::new().name("serve");
    Ok(task.spawn(serve(listener, routes::router(state, settings.request_timeout), database))?)
}

/// Serves until the runtime drains. Then finishes the requests that have begun.
async fn serve(listener: TlsListener, routes: Router, database: PgPool) {
    let draining = Handle::current().draining();
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(draining).await {
        tracing::error!(%error, "the server could not go on");
    }
    // The pool has a task of its own, which ends only with the pool.
    database.close().await;
}
