//! Linux: a thread has an id, a clock of its processor time, and a file that shows its state.

use std::fs;
use std::time::Duration;

pub(super) fn current_tid() -> u32 {
    // SAFETY: the call has no arguments and cannot fail.
    let number = unsafe { libc::syscall(libc::SYS_gettid) };
    u32::try_from(number).unwrap_or(0)
}

pub(super) fn time(number: u32) -> Option<Duration> {
    // The clock of a thread's processor time, made of its id. Bit 2 means a thread's clock; the low
    // bits 2 mean the scheduler's.
    let clock = (!number << 3 | 0b110) as libc::clockid_t;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a local variable, which outlives the call. The clock of an ended thread is
    // an error.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
        return None;
    }
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

pub(super) fn is_ready(number: u32) -> Option<bool> {
    let stat = fs::read_to_string(format!("/proc/self/task/{number}/stat")).ok()?;
    // Id, name in parentheses (which may hold anything), state.
    Some(stat.rsplit_once(") ")?.1.starts_with('R'))
}
