//! Control groups as files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::worker_set::cpu_quota::{mask, processors, quota};

/// A file system of its own, gone with it.
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

const TWO: &str = "24 1 0:22 / /proc rw - proc proc rw\n\
                   31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

fn two(group: &str, files: &[(&str, &str)]) -> Root {
    let root = Root::new(files);
    root.write("proc/self/cgroup", &format!("0::{group}\n"));
    root.write("proc/self/mountinfo", TWO);
    root
}

#[test]
fn the_second_version() {
    let case = |text| quota(two("/app", &[("sys/fs/cgroup/app/cpu.max", text)]).as_ref());
    assert_eq!(case("400000 100000\n"), Some(4));
    assert_eq!(case("250000 100000\n"), Some(2), "whole processors");
    assert_eq!(case("50000 100000\n"), Some(1), "and one at least");
    assert_eq!(case("max 100000\n"), None);
}

#[test]
fn the_least_of_all_groups_above() {
    let root = two(
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

/// In a container without a namespace of its own the path is the host's, and the mount shows its
/// end.
#[test]
fn a_container() {
    let root = two("/docker/abc/inner", &[("sys/fs/cgroup/inner/cpu.max", "300000 100000")]);
    root.write("proc/self/mountinfo", &TWO.replace("0:27 / /sys", "0:27 /docker/abc /sys"));
    assert_eq!(quota(root.as_ref()), Some(3));
    // The path leads out of what is mounted.
    root.write("proc/self/cgroup", "0::/../elsewhere\n");
    root.write("sys/fs/cgroup/cpu.max", "500000 100000");
    assert_eq!(quota(root.as_ref()), Some(5));
}

#[test]
fn the_first_version() {
    let one = |quota_us: &str| {
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
    assert_eq!(one("300000\n"), Some(6));
    assert_eq!(one("-1\n"), None);
}

#[test]
fn what_cannot_be_read_is_no_quota() {
    assert_eq!(quota(Path::new("/nowhere/at/all")), None);
    for text in ["", "max", "many 100000", "100000 0", "-5 100000", "99999999999999999999999 1"] {
        assert_eq!(quota(two("/", &[("sys/fs/cgroup/cpu.max", text)]).as_ref()), None, "{text:?}");
    }
    let root = two("/", &[("sys/fs/cgroup/cpu.max", "200000 100000")]);
    for mounts in ["", "nonsense", "1 2 3 - cgroup2", "31 24 0:27 / /elsewhere rw - cgroup2 a b"] {
        root.write("proc/self/mountinfo", mounts);
        assert_eq!(quota(root.as_ref()), None, "{mounts:?}");
    }
}

#[test]
fn the_mask_is_a_limit_too() {
    let root = two("/", &[("sys/fs/cgroup/cpu.max", "99900000 100000")]);
    assert_eq!(processors(root.as_ref()), mask());
    root.write("sys/fs/cgroup/cpu.max", "100000 100000");
    assert_eq!(processors(root.as_ref()), 1);
}
