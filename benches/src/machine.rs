//! Describes the machine of a measurement.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    pub compiler: String,
    /// As YYYY-MM-DD, in UTC.
    pub date: String,
}

impl Machine {
    pub fn here() -> Machine {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let virtual_machine = if cpuinfo.contains(" hypervisor") { " (virtual machine)" } else { "" };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Machine {
            cpu: format!("{}{virtual_machine}", model.trim_start_matches([' ', '\t', ':'])),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("Linux {}", release.trim()),
            compiler: compiler(),
            date: date(now / 86_400),
        }
    }
}

impl Machine {
    /// Returns what stays the same from one run to the next.
    pub fn name(&self) -> String {
        format!("{}, {} cores", self.cpu, self.cores)
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}, {}, {}", self.name(), self.kernel, self.compiler, self.date)
    }
}

fn compiler() -> String {
    let output = std::process::Command::new("rustc").arg("--version").output();
    let version = output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    version.split(" (").next().unwrap_or_default().trim().to_owned()
}

/// Returns the version of a package in this workspace's lock file.
pub fn version_of(package: &str) -> Option<&'static str> {
    let name = format!("name = \"{package}\"");
    let mut lines = include_str!("../../Cargo.lock").lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

/// Returns the date `days` days after 1970-01-01. Years begin in March here, so that a leap day is
/// the last day of its year.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_around_leap_days_is_right() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(11_017), "2000-03-01");
        assert_eq!(date(19_722), "2023-12-31");
        assert_eq!(date(19_723), "2024-01-01");
    }

    #[test]
    fn version_of_a_rival_comes_from_the_lock_file() {
        assert!(version_of("tokio").is_some_and(|version| version.starts_with("1.")));
        assert_eq!(version_of("no-such-package"), None);
    }
}
