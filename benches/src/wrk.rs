//! Loads an HTTP server with `wrk`, and reads its counts and latencies.
//!
//! `wrk` prints no 99.9th percentile. A script of its language prints one line with all figures.
//! The script has no function for requests or responses, so it costs nothing while `wrk` runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// `wrk` calls `done` once, after its last request. All times are in µs.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("figures %d %d %d %d %d %d\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"#;

/// The first word of the line that the script prints.
const MARK: &str = "figures ";

/// Latencies of one run, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

impl Percentiles {
    pub const HEADINGS: [&'static str; 3] = ["p50", "p99", "p99.9"];

    /// Returns the values in the order of the headings.
    pub fn values(&self) -> [f64; 3] {
        [self.p50, self.p99, self.p999]
    }
}

/// The results of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub requests: f64,
    /// Requests per second.
    pub rate: f64,
    /// Connections and requests that failed.
    pub errors: f64,
    pub percentiles: Percentiles,
}

/// Returns true if `wrk` is installed.
pub fn is_installed() -> bool {
    Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Loads the server at this address from one thread.
///
/// # Errors
///
/// If `wrk` cannot be started, or has had no answer.
pub fn run(addr: SocketAddr, connections: u32, seconds: u32) -> Result<Figures, String> {
    let script = Script::write()?;
    let (connections, duration) = (format!("-c{connections}"), format!("-d{seconds}s"));
    let mut command = Command::new("wrk");
    command.args(["-t1", &connections, &duration, "-s"]).arg(&script.path).arg(format!("http://{addr}/"));
    let output = command.output().map_err(|error| format!("wrk could not be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| format!("wrk printed no figures: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

/// Returns `None` if there was no request.
fn parse(text: &str) -> Option<Figures> {
    let line = text.lines().find_map(|line| line.strip_prefix(MARK))?;
    let numbers: Vec<f64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [requests, micros, errors, p50, p99, p999] = numbers[..] else { return None };
    let millis = |micros: f64| micros / 1e3;
    let percentiles = Percentiles { p50: millis(p50), p99: millis(p99), p999: millis(p999) };
    let rate = requests * 1e6 / micros;
    (requests > 0.0 && micros > 0.0).then_some(Figures { requests, rate, errors, percentiles })
}

/// The script in a temporary file, which is removed at the end.
struct Script {
    path: PathBuf,
}

impl Script {
    fn write() -> Result<Script, String> {
        let path = std::env::temp_dir().join(format!("heist-benches-{}.lua", std::process::id()));
        std::fs::write(&path, SCRIPT)
            .map_err(|error| format!("the script of wrk could not be written to {}: {error}", path.display()))?;
        Ok(Script { path })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // A file that remains does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Running 1s test @ http://127.0.0.1:18999/
  1 threads and 4 connections
  772 requests in 1.00s, 150.03KB read
Requests/sec:    771.04
figures 772 2000000 3 4989 20000 29288
";

    #[test]
    fn parse_of_a_run_reads_counts_and_percentiles() {
        let percentiles = Percentiles { p50: 4.989, p99: 20.0, p999: 29.288 };
        assert_eq!(parse(TEXT), Some(Figures { requests: 772.0, rate: 386.0, errors: 3.0, percentiles }));
    }

    #[test]
    fn parse_without_requests_or_without_the_line_is_none() {
        assert_eq!(parse("figures 0 2000000 64 0 0 0\n"), None);
        assert_eq!(parse("figures 772 2000000 3 4989\n"), None);
        assert_eq!(parse("unable to connect to 127.0.0.1:18999 Connection refused\n"), None);
    }
}
