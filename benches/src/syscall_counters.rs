//! Counts the system calls of this process by kind.
//!
//! The kernel counts, by one perf event for each tracepoint. A debugger would slow each call down
//! and so change how many there are. The counters need tracefs and the right to use it (root, or
//! `CAP_PERFMON`). Where that is missing, the reports say so.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::{fs, io};

/// How many kinds of calls the counters distinguish.
pub const KINDS: usize = 7;

/// A heading, and the tracepoints that count under it. The first one must exist. The others are
/// left out if the kernel does not have them.
const TABLE: [(&str, &[&str]); KINDS] = [
    ("futex", &["futex", "futex_wait", "futex_wake", "futex_waitv", "futex_requeue"]),
    ("epoll_wait, ppoll", &["epoll_wait", "epoll_pwait", "epoll_pwait2", "ppoll", "poll"]),
    ("epoll_ctl", &["epoll_ctl"]),
    // Sockets are served by the calls of the next row: std calls recv, send and writev for them.
    ("eventfd (read, write)", &["write", "read"]),
    ("socket (recv, send)", &["recvfrom", "sendto", "readv", "writev", "recvmsg", "sendmsg"]),
    ("timerfd_settime", &["timerfd_settime"]),
    ("sched_yield", &["sched_yield"]),
];

/// Returns the headings of the kinds.
pub fn headings() -> [&'static str; KINDS] {
    TABLE.map(|(heading, _)| heading)
}

/// The number of calls of each kind.
pub type Counts = [u64; KINDS];

/// Opened once, before the process has a second thread. A process whose passes are timed has none.
static COUNTERS: OnceLock<Vec<(usize, OwnedFd)>> = OnceLock::new();

/// Returns the calls of this process until now, if they are counted.
pub fn current_counts() -> Option<Counts> {
    let counters = COUNTERS.get()?;
    let mut counts = Counts::default();
    for (kind, counter) in counters {
        counts[*kind] += read_counter(counter);
    }
    Some(counts)
}

fn read_counter(counter: &OwnedFd) -> u64 {
    let mut value = 0_u64;
    let place = libc::iovec { iov_base: (&raw mut value).cast(), iov_len: 8 };
    // `preadv2` is not itself among the counted calls.
    // SAFETY: `place` describes the eight bytes of `value`, which live through the call.
    let read = unsafe { libc::preadv2(counter.as_raw_fd(), &raw const place, 1, -1, 0) };
    assert_eq!(read, 8, "a counter could not be read: {}", io::Error::last_os_error());
    value
}

/// Opens the counters of this process. It may be called once.
///
/// # Errors
///
/// If this machine does not permit the count.
pub fn open_counters() -> Result<(), String> {
    let mut counters = Vec::new();
    for (kind, (_, points)) in TABLE.iter().enumerate() {
        for (at, point) in points.iter().enumerate() {
            match tracepoint_id(point).map(open_counter) {
                Ok(opened) => counters.push((kind, opened?)),
                Err(missing) if at == 0 => return Err(missing),
                Err(_) => {}
            }
        }
    }
    assert!(COUNTERS.set(counters).is_ok(), "the counters are opened once");
    Ok(())
}

/// Returns the number of the tracepoint at the entry of a system call.
fn tracepoint_id(call: &str) -> Result<u64, String> {
    let roots = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    let paths = roots.map(|root| format!("{root}/events/syscalls/sys_enter_{call}/id"));
    let text = paths.iter().find_map(|path| fs::read_to_string(path).ok());
    let number = text.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| format!("there is no readable {}", paths[0]))
}

/// The first version of the kernel's `perf_event_attr`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    address: u64,
}

const TRACEPOINT: u32 = 2;
/// Counts the threads that start later, too.
const INHERIT: u64 = 1 << 1;
/// Leaves out child processes.
const INHERIT_THREAD: u64 = 1 << 35;

/// `wrk` must not inherit the counters: it makes room for as many descriptors as it has
/// connections.
const CLOSE_ON_EXEC: u64 = 1 << 3;

fn open_counter(tracepoint: u64) -> Result<OwnedFd, String> {
    let attributes = Attributes {
        kind: TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: tracepoint,
        flags: INHERIT | INHERIT_THREAD,
        ..Attributes::default()
    };
    let (this_process, any_cpu, no_group) = (0, -1, -1);
    // SAFETY: `attributes.size` is the size of the attributes, which live through the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw const attributes, this_process, any_cpu, no_group, CLOSE_ON_EXEC)
    };
    if fd < 0 {
        return Err(format!("perf_event_open: {}", io::Error::last_os_error()));
    }
    // SAFETY: the call above has just opened the descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes without a check if the machine does not permit the count.
    #[test]
    fn counter_of_a_process_counts_calls_of_all_its_threads() {
        let Ok(opened) = tracepoint_id("sched_yield").and_then(open_counter) else { return };
        let other = std::thread::spawn(|| (0..10).for_each(|_| std::thread::yield_now()));
        (0..5).for_each(|_| std::thread::yield_now());
        other.join().unwrap();
        assert!(read_counter(&opened) >= 15, "{}", read_counter(&opened));
    }
}
