//! How many processors this process may use, and a worker set that follows.
//!
//! The affinity mask says on which processors its threads may run; a control group's quota says for
//! how much of the time. Both can change at any time: an orchestrator writes a number into a file.
//! Nobody tells the process, so somebody has to look; the watchdog does, at most every second and
//! only while workers are busy: they wake it at their checkpoints. An idle runtime looks when it
//! has something to do again.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use crate::pool::{Follow, Pool};
use crate::sync::Arc;
use crate::util::wake_list::catch_user_panic;
use crate::worker_set::completion::ResizeError;
use crate::worker_set::resize::{self, Resize};

/// Keeps the number of workers at the number of processors.
#[derive(Debug)]
pub(crate) struct Follower {
    follow: Follow,
    looked: Option<Instant>,
    /// What has not been answered yet.
    under_way: Option<Resize>,
}

impl Follower {
    pub(crate) fn new(follow: Follow) -> Self {
        Follower { follow, looked: None, under_way: None }
    }

    /// Looks, unless it has looked a moment ago.
    pub(crate) fn check_quota(&mut self, pool: &Arc<Pool>) {
        let now = Instant::now();
        if self.looked.is_some_and(|last| now.duration_since(last) < self.follow.every) {
            return;
        }
        self.looked = Some(now);
        self.log_outcome();
        let size = processors(&self.follow.root).clamp(1, pool.worker_set.max_workers());
        if size != pool.worker_set.target() {
            self.under_way = Some(resize::resize(pool, size));
            self.log_outcome();
        }
    }

    /// Says what has become of the last resize.
    fn log_outcome(&mut self) {
        let Some(resize) = &mut self.under_way else { return };
        match resize.try_outcome() {
            None => return,
            // At the end nobody follows any more.
            Some(Ok(_) | Err(ResizeError::Draining | ResizeError::ShutDown)) => {}
            Some(Err(error)) => {
                catch_user_panic("a tracing subscriber", || {
                    tracing::warn!(target: "heist::resize", %error, "the worker set does not follow the CPU quota; trying again");
                });
            }
        }
        self.under_way = None;
    }
}

/// How many processors this thread may use, given the file system below `root`: at least one.
pub(crate) fn processors(root: &Path) -> usize {
    let mask = mask();
    quota(root).map_or(mask, |quota| quota.min(mask))
}

/// How many processors the affinity mask allows. A thread inherits it from the one that starts it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn mask() -> usize {
    // SAFETY: a set of bits, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is as long as is said.
    let got = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    // SAFETY: the set has been filled.
    let count = if got == 0 { unsafe { libc::CPU_COUNT(&set) } } else { 0 };
    match usize::try_from(count) {
        Ok(count @ 1..) => count,
        // More processors than the set has bits.
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn mask() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many whole processors the quota of this process's control group allows, at least one; none
/// if there is no quota.
///
/// The quotas of all groups above it hold, too. Whole ones, as the standard library counts them: a
/// thread more would be throttled in the middle of a poll.
pub(crate) fn quota(root: &Path) -> Option<usize> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    mounts.lines().filter_map(Mount::parse).filter_map(|mount| mount.quota(root, &groups)).min()
}

/// A mounted hierarchy that can limit processors.
struct Mount<'a> {
    /// The group that is seen at the mount point.
    top: &'a Path,
    /// Where it is seen.
    place: &'a Path,
    version: Version,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl<'a> Mount<'a> {
    /// From a line of mountinfo: number, parent, device, top, place, options, further fields, "-",
    /// type, source, options.
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (top, place) = (Path::new(place.next()?), Path::new(place.next()?));
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup2" => Version::Two,
            "cgroup" if kind.nth(1)?.split(',').any(|option| option == "cpu") => Version::One,
            _ => return None,
        };
        Some(Mount { top, place, version })
    }

    /// The least quota of our group and those above it, as far as they can be seen.
    fn quota(&self, root: &Path, groups: &str) -> Option<usize> {
        let group = groups.lines().find_map(|line| self.group(line))?;
        // A group outside of what is mounted is seen from another namespace: the mount point is our
        // own.
        let below = group.strip_prefix(self.top).unwrap_or(Path::new(""));
        let place = root.join(self.place.strip_prefix("/").unwrap_or(self.place));
        let mut folder: PathBuf = place.clone();
        folder.extend(below.components().filter(|part| matches!(part, Component::Normal(_))));
        let mut least = None;
        while folder.starts_with(&place) {
            least = match (least, self.limit(&folder)) {
                (Some(least), Some(limit)) => Some(limit.min(least)),
                (least, limit) => least.or(limit),
            };
            if !folder.pop() {
                break;
            }
        }
        least
    }

    /// Our group in this hierarchy, from a line of the list of groups: number, controllers, path.
    fn group<'b>(&self, line: &'b str) -> Option<&'b Path> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = match self.version {
            Version::One => controllers.split(',').any(|controller| controller == "cpu"),
            Version::Two => number == "0" && controllers.is_empty(),
        };
        ours.then(|| Path::new(path))
    }

    /// What the files of one group say.
    fn limit(&self, folder: &Path) -> Option<usize> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let (quota, period) = match self.version {
            Version::One => (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?),
            Version::Two => {
                let both = read("cpu.max")?;
                let (quota, period) = both.trim().split_once(' ')?;
                (quota.to_owned(), period.to_owned())
            }
        };
        // No quota is "max", or -1: no number of this kind.
        let (quota, period): (u64, u64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
        usize::try_from(quota.checked_div(period)?.max(1)).ok()
    }
}

/// By default: the real file system, every second.
pub(crate) fn follow() -> Follow {
    Follow { root: PathBuf::from("/"), every: Duration::from_secs(1) }
}
