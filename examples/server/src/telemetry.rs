//! Logs.

use anyhow::{Context, anyhow};
use tracing_subscriber::EnvFilter;

/// The events that are logged without `RUST_LOG`. PostgreSQL's notices are left out.
const DEFAULT_FILTER: &str = "info,sqlx::postgres::notice=warn";

/// Sends events to standard output. The variable `RUST_LOG` chooses them.
pub fn init() -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.is_empty() => EnvFilter::try_new(&directives).with_context(|| {
            format!("RUST_LOG={directives} is no filter; set for example RUST_LOG=info,server=debug")
        })?,
        _ => EnvFilter::new(DEFAULT_FILTER),
    };
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal);
    subscriber.try_init().map_err(|error| anyhow!("the log could not be set up: {error}"))
}
