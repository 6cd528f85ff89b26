//! Control groups as files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::worker_set::cpu_quota::{mask, processors, quota};

/// A temporary file system, which is deleted when dropped.
struct Root(PathBuf);

impl Root {
    fn new(files: &[(&str, &str)]) -> Root {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = Root(std::env::temp_dir().join(format!("heist-quota-{}-{number}", std::process::id())));
        files.iter().for_each(|(path, text)| root.write(path, text));
        root
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

impl AsRef<Path> for Root {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const CGROUP2_MOUNTS: &str = "24 1 0:22 / /proc rw - proc proc rw\n\
                   31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

fn cgroup2(group: &str, files: &[(&str, &str)]) -> Root {
    let root = Root::new(files);
    root.write("proc/self/cgroup", &format!("0::{group}\n"));
    root.write("proc/self/mountinfo", CGROUP2_MOUNTS);
    root
}

#[test]
fn quota_of_cgroup2_is_read() {
    let quota_of = |text| quota(cgroup2("/app", &[("sys/fs/cgroup/app/cpu.max", text)]).as_ref());
    assert_eq!(quota_of("400000 100000\n"), Some(4));
    assert_eq!(quota_of("250000 100000\n"), Some(2), "whole processors");
    assert_eq!(quota_of("50000 100000\n"), Some(1), "and one at least");
    assert_eq!(quota_of("max 100000\n"), None);
}

#[test]
fn quota_is_the_lowest_of_all_groups_above() {
    let root = cgroup2(
        "/slice/app/worker",
        &[
            ("sys/fs/cgroup/slice/cpu.max", "200000 100000"),
            ("sys/fs/cgroup/slice/app/cpu.max", "max 100000"),
            ("sys/fs/cgroup/slice/app/worker/cpu.max", "800000 100000"),
        ],
    );
    assert_eq!(quota(root.as_ref()), Some(2));
    root.write("sys/fs/cgroup/slice/cpu.max", "max 100000");
    assert_eq!(quota(root.as_ref()), Some(8), "it is read anew");
}

/// In a container without its own namespace, the path is that of the host, and the mount shows the
/// end of it.
#[test]
fn quota_in_a_container_is_read_at_the_mount_point() {
    let root = cgroup2("/docker/abc/inner", &[("sys/fs/cgroup/inner/cpu.max", "300000 100000")]);
    root.write("proc/self/mountinfo", &CGROUP2_MOUNTS.replace("0:27 / /sys", "0:27 /docker/abc /sys"));
    assert_eq!(quota(root.as_ref()), Some(3));
    // The path leads out of what is mounted.
    root.write("proc/self/cgroup", "0::/../elsewhere\n");
    root.write("sys/fs/cgroup/cpu.max", "500000 100000");
    assert_eq!(quota(root.as_ref()), Some(5));
}

#[test]
fn quota_of_cgroup1_is_read() {
    let quota_of = |quota_us: &str| {
        let root = Root::new(&[
            ("proc/self/cgroup", "12:memory:/app\n7:cpu,cpuacct:/app\n3:cpuset:/\n0::/app\n"),
            (
                "proc/self/mountinfo",
                "40 30 0:35 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
                 41 30 0:36 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                 42 30 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            ),
            ("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "50000\n"),
        ]);
        root.write("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", quota_us);
        quota(root.as_ref())
    };
    assert_eq!(quota_of("300000\n"), Some(6));
    assert_eq!(quota_of("-1\n"), None);
}

#[test]
fn quota_that_cannot_be_read_is_none() {
    assert_eq!(quota(Path::new("/nowhere/at/all")), None);
    for text in ["", "max", "many 100000", "100000 0", "-5 100000", "99999999999999999999999 1"] {
        assert_eq!(quota(cgroup2("/", &[("sys/fs/cgroup/cpu.max", text)]).as_ref()), None, "{text:?}");
    }
    let root = cgroup2("/", &[("sys/fs/cgroup/cpu.max", "200000 100000")]);
    for mounts in ["", "nonsense", "1 2 3 - cgroup2", "31 24 0:27 / /elsewhere rw - cgroup2 a b"] {
        root.write("proc/self/mountinfo", mounts);
        assert_eq!(quota(root.as_ref()), None, "{mounts:?}");
    }
}

#[test]
fn processors_are_limited_by_quota_and_mask() {
    let root = cgroup2("/", &[("sys/fs/cgroup/cpu.max", "99900000 100000")]);
    assert_eq!(processors(root.as_ref()), mask());
    root.write("sys/fs/cgroup/cpu.max", "100000 100000");
    assert_eq!(processors(root.as_ref()), 1);
}
