//! heist: its settings, and the live change of the number of workers.

use std::path::Path;

use anyhow::Context;
use heist::runtime::{Builder, Resized};
// heist's type, because `cargo heist-tokio setup` has replaced Tokio. If `build` does not compile
// since its types do not match, `setup` has not been run.
use tokio::runtime::Runtime;

use crate::settings::{self, Settings};

/// The largest number of workers that SIGHUP may ask for.
pub const MAX_WORKERS: usize = 64;

/// Builds the runtime.
pub fn build(settings: &Settings) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = settings.workers {
        builder.worker_threads(workers);
    }
    // A stall is logged as a warning by heist itself, with the task and a remedy.
    builder
        .name("server")
        .thread_name_with(|worker| format!("server-{}", worker.index))
        .stall_threshold(settings.stall_threshold)
        .max_worker_threads(MAX_WORKERS)
        .enable_all();
    builder.build().context("the runtime did not start; allow the process more threads and file descriptors")
}

/// Changes the number of workers to the one that the file names. Connections stay open.
pub async fn resize_from_file(runtime: &Runtime, file: Option<&Path>) -> anyhow::Result<Resized> {
    let file = file.context("WORKER_THREADS_FILE is not set; set it to a file with the number of workers")?;
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("WORKER_THREADS_FILE: {} is unreadable; write a number into it", file.display()))?;
    let workers = settings::parse_workers(&text)
        .with_context(|| format!("WORKER_THREADS_FILE: {} is refused; write another number into it", file.display()))?;
    Ok(runtime.resize(workers).await?)
}
