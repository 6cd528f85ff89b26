//! The number of processors that this process may use, and a size of the pool that follows it.
//!
//! The affinity mask says on which processors its threads may run. A control group's quota says for
//! how much of the time. Both can change at any time: an orchestrator writes a number into a file.
//! The process gets no notification, so the watchdog checks, at most every second and only while
//! workers are busy. An idle runtime checks when it has tasks again.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use crate::pool::{Follow, Pool};
use crate::primitive::{Arc, real_now};
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::util::cpu::platform::allowed_processors;
use crate::util::wake_list::catch_user_panic;
use crate::worker_set::ResizeError;
use crate::worker_set::resize::{self, Resize};

/// Keeps the number of workers at the number of processors.
#[derive(Debug)]
pub(crate) struct Follower {
    follow: Follow,
    last_check: Option<Instant>,
    /// The resize that has no outcome yet.
    pending: Option<Resize>,
}

impl Follower {
    pub(crate) fn new(follow: Follow) -> Self {
        Follower { follow, last_check: None, pending: None }
    }

    /// Checks the quota and resizes, unless the last check was a moment ago.
    pub(crate) fn check_quota(&mut self, pool: &Arc<Pool>) {
        let now = real_now();
        if self.last_check.is_some_and(|last| now.duration_since(last) < self.follow.every) {
            return;
        }
        self.last_check = Some(now);
        self.log_outcome();
        let size = processors(&self.follow.root).clamp(1, pool.worker_set.max_workers());
        if size != pool.worker_set.target() {
            self.pending = Some(resize::resize(pool, size));
            self.log_outcome();
        }
    }

    /// Logs the outcome of the last resize, if it failed.
    fn log_outcome(&mut self) {
        let Some(resize) = &mut self.pending else { return };
        match resize.try_outcome() {
            None => return,
            // A runtime that ends does not follow the quota any more.
            Some(Ok(_) | Err(ResizeError::Draining | ResizeError::ShutDown)) => {}
            Some(Err(error)) => {
                catch_user_panic("a tracing subscriber", || {
                    tracing::warn!(target: "heist::resize", %error, "the worker set does not follow the CPU quota; trying again");
                });
            }
        }
        self.pending = None;
    }
}

/// Returns the number of processors that this thread may use, at least one. The file system begins
/// at `root`.
pub(crate) fn processors(root: &Path) -> usize {
    let mask = mask();
    quota(root).map_or(mask, |quota| quota.min(mask))
}

/// Returns the number of processors that the affinity mask allows.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn mask() -> usize {
    // SAFETY: the call reads the set, which is initialized.
    let count = allowed_processors().map_or(0, |set| unsafe { libc::CPU_COUNT(&set) });
    match usize::try_from(count) {
        Ok(count @ 1..) => count,
        // The machine has more processors than the set has bits.
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn mask() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the number of whole processors that the quota of this process's control group allows, at
/// least one. Returns `None` if there is no quota.
///
/// The quotas of all groups above it hold, too. The number is rounded down, as in the standard
/// library: a thread more would be throttled in the middle of a poll.
pub(crate) fn quota(root: &Path) -> Option<usize> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    mounts.lines().filter_map(Mount::parse).filter_map(|mount| mount.quota(root, &groups)).min()
}

/// A mounted hierarchy that can limit processors.
struct Mount<'a> {
    /// The group that the mount point shows.
    top: &'a Path,
    /// The mount point.
    mount_point: &'a Path,
    version: Version,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl<'a> Mount<'a> {
    /// Parses a line of mountinfo: number, parent, device, top, mount point, options, further
    /// fields, "-", type, source, options.
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let (mount_fields, fs_fields) = line.split_once(" - ")?;
        let mut mount_fields = mount_fields.split(' ').skip(3);
        let (top, mount_point) = (Path::new(mount_fields.next()?), Path::new(mount_fields.next()?));
        let mut fs_fields = fs_fields.split(' ');
        let version = match fs_fields.next()? {
            "cgroup2" => Version::Two,
            "cgroup" if fs_fields.nth(1)?.split(',').any(|option| option == "cpu") => Version::One,
            _ => return None,
        };
        Some(Mount { top, mount_point, version })
    }

    /// Returns the lowest quota of this process's group and those above it, as far as they are
    /// mounted.
    fn quota(&self, root: &Path, groups: &str) -> Option<usize> {
        let group = groups.lines().find_map(|line| self.group(line))?;
        // A path outside of what is mounted belongs to another namespace. Then the mount point is
        // this process's own group.
        let relative = group.strip_prefix(self.top).unwrap_or(Path::new(""));
        let mount_point = root.join(self.mount_point.strip_prefix("/").unwrap_or(self.mount_point));
        let mut group_dir: PathBuf = mount_point.clone();
        group_dir.extend(relative.components().filter(|part| matches!(part, Component::Normal(_))));
        let mut lowest = None;
        while group_dir.starts_with(&mount_point) {
            lowest = match (lowest, self.limit(&group_dir)) {
                (Some(lowest), Some(limit)) => Some(limit.min(lowest)),
                (lowest, limit) => lowest.or(limit),
            };
            if !group_dir.pop() {
                break;
            }
        }
        lowest
    }

    /// Returns this process's group in this hierarchy, from a line of /proc/self/cgroup: number,
    /// controllers, path.
    fn group<'b>(&self, line: &'b str) -> Option<&'b Path> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = match self.version {
            Version::One => controllers.split(',').any(|controller| controller == "cpu"),
            Version::Two => number == "0" && controllers.is_empty(),
        };
        ours.then(|| Path::new(path))
    }

    /// Returns the limit of one group, from its files.
    fn limit(&self, group_dir: &Path) -> Option<usize> {
        let read = |name: &str| fs::read_to_string(group_dir.join(name)).ok();
        let (quota, period) = match self.version {
            Version::One => (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?),
            Version::Two => {
                let max_line = read("cpu.max")?;
                let (quota, period) = max_line.trim().split_once(' ')?;
                (quota.to_owned(), period.to_owned())
            }
        };
        // Without a quota the file says "max" or -1, which does not parse as a number of this type.
        let (quota, period): (u64, u64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
        usize::try_from(quota.checked_div(period)?.max(1)).ok()
    }
}

/// The default: the real file system, every second.
pub(crate) fn follow() -> Follow {
    Follow { root: PathBuf::from("/"), every: Duration::from_secs(1) }
}
