//! The settings: environment variables, each with a clear error. The README lists them.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::runtime::MAX_WORKERS;

/// The settings of the server.
///
/// It has no `Debug`: the URL of the database contains a password.
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// A PEM file with the server's certificate, and those of its issuers after it.
    pub tls_certificate: PathBuf,
    /// A PEM file with the certificate's private key.
    pub tls_key: PathBuf,
    /// `postgres://user:password@host/database`.
    pub database_url: String,
    /// The largest number of connections to the database.
    pub database_connections: u32,
    /// The number of workers at the start. If it is `None`, heist counts the processors.
    pub workers: Option<usize>,
    /// The file with the number of workers that SIGHUP applies.
    pub workers_file: Option<PathBuf>,
    /// A poll that lasts longer is reported.
    pub stall_threshold: Duration,
    /// A request that takes longer is answered with 503.
    pub request_timeout: Duration,
    /// How long the server goes on serving after SIGTERM, while `/readyz` is 503.
    pub unready_period: Duration,
    /// How long requests that have begun may take until they are cancelled.
    pub drain_deadline: Duration,
}

impl Settings {
    /// Reads the settings from the environment of the process.
    pub fn from_environment() -> anyhow::Result<Settings> {
        Settings::read(|name| std::env::var(name).ok())
    }

    /// Reads the settings. `variable` returns the value of an environment variable.
    fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Settings> {
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let or = |name: &str, default: &str| optional(name).unwrap_or(default.to_owned());
        let seconds = |name: &str, default: &str| {
            let seconds = or(name, default).parse().map(Duration::from_secs);
            seconds.with_context(|| format!("{name} is no whole number of seconds; set for example {name}={default}"))
        };
        let required = |name: &str, example: &str| {
            optional(name).with_context(|| format!("{name} is missing; set for example {name}={example}"))
        };
        let (request_timeout, drain_deadline) = (seconds("REQUEST_SECONDS", "10")?, seconds("DRAIN_SECONDS", "20")?);
        ensure!(
            request_timeout < drain_deadline,
            "DRAIN_SECONDS is not above REQUEST_SECONDS, so a drain would cancel requests; raise DRAIN_SECONDS"
        );
        Ok(Settings {
            listen: or("LISTEN", "127.0.0.1:8443")
                .parse()
                .context("LISTEN is no address with a port; set for example LISTEN=0.0.0.0:8443")?,
            tls_certificate: required("TLS_CERTIFICATE", "certificate.pem")?.into(),
            tls_key: required("TLS_KEY", "key.pem")?.into(),
            database_url: required("DATABASE_URL", "postgres://user:password@localhost/shop")?,
            database_connections: or("DATABASE_CONNECTIONS", "10")
                .parse::<NonZero<u32>>()
                .context("DATABASE_CONNECTIONS is no number above zero; set for example DATABASE_CONNECTIONS=10")?
                .get(),
            workers: optional("WORKER_THREADS")
                .map(|text| parse_workers(&text))
                .transpose()
                .context("WORKER_THREADS is refused; correct it, or unset it for one worker per processor")?,
            workers_file: optional("WORKER_THREADS_FILE").map(PathBuf::from),
            stall_threshold: stall_threshold(&or("STALL_MILLISECONDS", "50"))?,
            request_timeout,
            unready_period: seconds("UNREADY_SECONDS", "5")?,
            drain_deadline,
        })
    }
}

/// Returns the number of workers that `text` names.
pub fn parse_workers(text: &str) -> anyhow::Result<usize> {
    let text = text.trim();
    let Ok(workers) = text.parse() else { bail!("`{text}` is no number of workers") };
    ensure!(workers > 0, "with 0 workers no request would be answered; the least is 1");
    ensure!(workers <= MAX_WORKERS, "{workers} workers are more than this server may have, which is {MAX_WORKERS}");
    Ok(workers)
}

fn stall_threshold(text: &str) -> anyhow::Result<Duration> {
    let milliseconds: NonZero<u64> =
        text.parse().context("STALL_MILLISECONDS is no number above zero; set for example STALL_MILLISECONDS=50")?;
    Ok(Duration::from_millis(milliseconds.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 3] =
        [("TLS_CERTIFICATE", "c.pem"), ("TLS_KEY", "k.pem"), ("DATABASE_URL", "postgres://localhost/shop")];

    /// Reads the required settings and `more`, which win over them.
    fn read(more: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let find = |name: &str, list: &[(&str, &str)]| {
            list.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(|name| find(name, more).or_else(|| find(name, &REQUIRED)))
    }

    fn refusal(more: &[(&str, &str)]) -> String {
        format!("{:#}", read(more).err().expect("the settings were accepted"))
    }

    #[test]
    fn settings_required_ones_alone_give_the_defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.listen.port(), 8443);
        assert_eq!((settings.workers, settings.database_connections), (None, 10));
        assert_eq!((settings.unready_period.as_secs(), settings.drain_deadline.as_secs()), (5, 20));
    }

    #[test]
    fn settings_empty_variable_counts_as_missing() {
        assert!(refusal(&[("DATABASE_URL", "")]).starts_with("DATABASE_URL is missing; set for example"));
        assert_eq!(read(&[("WORKER_THREADS", "")]).unwrap().workers, None);
    }

    #[test]
    fn settings_bad_value_is_refused_with_its_name() {
        for (name, value) in [
            ("LISTEN", "localhost"),
            ("DATABASE_CONNECTIONS", "0"),
            ("WORKER_THREADS", "0"),
            ("WORKER_THREADS", "many"),
            ("STALL_MILLISECONDS", "0"),
            ("UNREADY_SECONDS", "-1"),
            ("DRAIN_SECONDS", "1.5"),
            ("DRAIN_SECONDS", "10"),
        ] {
            let refusal = refusal(&[(name, value)]);
            assert!(refusal.starts_with(name), "{refusal}");
        }
    }

    #[test]
    fn workers_with_white_space_are_parsed() {
        assert_eq!(parse_workers(" 4\n").unwrap(), 4);
        assert_eq!(parse_workers(&MAX_WORKERS.to_string()).unwrap(), MAX_WORKERS);
        assert!(parse_workers(&(MAX_WORKERS + 1).to_string()).is_err());
    }
}
