//! System calls per operation, by kind, and useless wake-ups: counted apart from the timing, each
//! runtime and row in a process of its own.
//!
//! The kernel counts, by its tracepoints and a perf event for each: no debugger stands between,
//! which would slow each call down and so change how many there are. It needs tracefs and the right
//! to use it (root, or `CAP_PERFMON`); where that is missing the reports say so.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::OnceLock;
use std::{fs, io};

use crate::contenders::Entry;
use crate::plan::Plan;
use crate::rows::{Load, Row};

/// The first argument by which the program knows that it is such a process.
pub const CHILD: &str = "--calls-of";

/// How many kinds of calls are told apart.
pub const KINDS: usize = 7;

/// A heading, and the tracepoints that count under it. Those that the kernel does not have are left
/// out, but for the first.
const TABLE: [(&str, &[&str]); KINDS] = [
    ("futex", &["futex", "futex_wait", "futex_wake", "futex_waitv", "futex_requeue"]),
    ("epoll_wait, ppoll", &["epoll_wait", "epoll_pwait", "epoll_pwait2", "ppoll", "poll"]),
    ("epoll_ctl", &["epoll_ctl"]),
    // Sockets are served by the calls of the next line: std and all of its users call recv, send
    // and writev.
    ("eventfd (read, write)", &["write", "read"]),
    ("socket (recv, send)", &["recvfrom", "sendto", "readv", "writev", "recvmsg", "sendmsg"]),
    ("timerfd_settime", &["timerfd_settime"]),
    ("sched_yield", &["sched_yield"]),
];

/// The names of the kinds.
pub fn headings() -> [&'static str; KINDS] {
    TABLE.map(|(heading, _)| heading)
}

/// Calls of each kind.
pub type Calls = [u64; KINDS];

/// What one runtime did in one row, per operation.
#[derive(Clone, Debug, PartialEq)]
pub struct PerOperation {
    pub calls: [f64; KINDS],
    /// Sleeps of workers that ended with nothing to do, where the runtime counts them.
    pub useless: Option<f64>,
}

/// Opened once, before the process has a second thread; so a pass that is timed has none.
static COUNTERS: OnceLock<Vec<(usize, OwnedFd)>> = OnceLock::new();

/// The calls of this process until now, if they are counted.
pub fn until_now() -> Option<Calls> {
    let counters = COUNTERS.get()?;
    let mut calls = Calls::default();
    for (kind, counter) in counters {
        calls[*kind] += value(counter);
    }
    Some(calls)
}

fn value(counter: &OwnedFd) -> u64 {
    let mut value = 0_u64;
    let place = libc::iovec { iov_base: (&raw mut value).cast(), iov_len: 8 };
    // By a call that is not itself counted.
    // SAFETY: reads eight bytes, where the file stands, into a number of that size.
    let read = unsafe { libc::preadv2(counter.as_raw_fd(), &raw const place, 1, -1, 0) };
    assert_eq!(read, 8, "a counter could not be read: {}", io::Error::last_os_error());
    value
}

fn open() -> Result<(), String> {
    let mut counters = Vec::new();
    for (kind, (_, points)) in TABLE.iter().enumerate() {
        for (at, point) in points.iter().enumerate() {
            match tracepoint(point).map(counter) {
                Ok(opened) => counters.push((kind, opened?)),
                Err(missing) if at == 0 => return Err(missing),
                Err(_) => {}
            }
        }
    }
    assert!(COUNTERS.set(counters).is_ok(), "the counters are opened once");
    Ok(())
}

/// The number of a tracepoint at the entry of a system call.
fn tracepoint(call: &str) -> Result<u64, String> {
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
/// Threads that start later are counted too...
const INHERIT: u64 = 1 << 1;
/// ...but not the processes.
const INHERIT_THREAD: u64 = 1 << 35;

/// Not for `wrk`, which makes room for as many descriptors as it has connections.
const CLOSE_ON_EXEC: u64 = 1 << 3;

fn counter(tracepoint: u64) -> Result<OwnedFd, String> {
    let attributes = Attributes {
        kind: TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: tracepoint,
        flags: INHERIT | INHERIT_THREAD,
        ..Attributes::default()
    };
    let (this_process, any_cpu, no_group) = (0, -1, -1);
    // SAFETY: the attributes are of the size that they say, and live through the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw const attributes, this_process, any_cpu, no_group, CLOSE_ON_EXEC)
    };
    if fd < 0 {
        return Err(format!("perf_event_open: {}", io::Error::last_os_error()));
    }
    // SAFETY: it has just been opened, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Has a process count a row. `None` if the runtime lacks what the row needs.
///
/// # Errors
///
/// If this machine does not let us count.
pub fn of(row: &Row, entry: &Entry, plan: &Plan) -> Result<Option<PerOperation>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program).args([CHILD, entry.name, &plan.workers.to_string(), row.id]).output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.trim().lines().take(2).collect::<Vec<_>>().join(" "));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// In the child: counts a row and prints what [`parse`] reads.
///
/// # Errors
///
/// If this machine does not let us count.
pub fn count(entry: &Entry, workers: usize, row: &Row) -> Result<(), String> {
    open()?;
    let load = Load { workers, quick: true };
    let runtime = (entry.build)(workers);
    if !row.long {
        let _warm = runtime.run(row.id, &load);
    }
    let before = runtime.useless_wakes();
    let Some(sample) = runtime.run(row.id, &load) else { return Ok(()) };
    let useless = runtime.useless_wakes().zip(before).and_then(|(after, before)| after.checked_sub(before));
    let Some((calls, operations)) = sample.calls else { return Ok(()) };
    let mut words: Vec<String> = calls.iter().map(|count| format!("{:.6}", *count as f64 / operations)).collect();
    words.extend(useless.map(|count| format!("{:.6}", count as f64 / operations)));
    println!("{}", words.join(" "));
    // nio's workers cannot be stopped, and what is asked for is there.
    std::process::exit(0)
}

fn parse(line: &str) -> Option<PerOperation> {
    let numbers: Vec<f64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let calls = numbers.get(..KINDS)?.try_into().ok()?;
    Some(PerOperation { calls, useless: numbers.get(KINDS).copied() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_useless_wakes() {
        let with = parse("1 2 3 4 5 6 7 0.5\n").unwrap();
        assert_eq!((with.calls[6], with.useless), (7.0, Some(0.5)));
        assert_eq!(parse("1 2 3 4 5 6 7").unwrap().useless, None);
        assert_eq!(parse(""), None);
    }

    /// Where the machine lets us, a call that is made is a call that is counted.
    #[test]
    fn what_is_called_is_counted() {
        let Ok(opened) = tracepoint("sched_yield").and_then(counter) else { return };
        let other = std::thread::spawn(|| (0..10).for_each(|_| std::thread::yield_now()));
        (0..5).for_each(|_| std::thread::yield_now());
        other.join().unwrap();
        assert!(value(&opened) >= 15, "{}", value(&opened));
    }
}
