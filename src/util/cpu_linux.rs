//! Linux: a thread has an id, a clock of its processor time, and a file that shows its state.

use std::fs;
use std::time::Duration;

use super::SchedTimes;

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

pub(super) fn sched_times(number: u32) -> Option<SchedTimes> {
    // Time on a processor, run delay (both in nanoseconds), number of time slices.
    let text = fs::read_to_string(format!("/proc/self/task/{number}/schedstat")).ok()?;
    let mut fields = text.split_ascii_whitespace().map_while(|field| field.parse().ok());
    let (run, delay) = (Duration::from_nanos(fields.next()?), Duration::from_nanos(fields.next()?));
    // A kernel without these statistics shows zeroes, also for a thread that has run.
    (!run.is_zero()).then_some(SchedTimes { run, delay })
}

pub(super) fn idle_time() -> Option<Duration> {
    let allowed = allowed_processors()?;
    let text = fs::read_to_string("/proc/stat").ok()?;
    // "cpu3 user nice system idle iowait …", in ticks of the clock.
    let ticks = text.lines().filter_map(|line| {
        let (processor, times) = line.strip_prefix("cpu")?.split_once(' ')?;
        let processor: usize = processor.parse().ok()?;
        let is_allowed = processor < libc::CPU_SETSIZE as usize && allowed_processor(&allowed, processor);
        let times = times.split_ascii_whitespace().skip(3).take(2).map_while(|time| time.parse::<u64>().ok());
        is_allowed.then(|| times.sum::<u64>())
    });
    let ticks: u64 = ticks.sum();
    // SAFETY: the call has no memory to read or write.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|&ticks| ticks > 0)?;
    Some(Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second)))
}

/// Returns the processors that the calling thread may use, or `None` if the machine has more than
/// the set has bits. A thread inherits the set from the thread that starts it.
pub(crate) fn allowed_processors() -> Option<libc::cpu_set_t> {
    // SAFETY: `cpu_set_t` is a set of bits, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer and the size are those of `set`.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    (result == 0).then_some(set)
}

fn allowed_processor(set: &libc::cpu_set_t, processor: usize) -> bool {
    // SAFETY: the caller passes a processor below `CPU_SETSIZE`.
    unsafe { libc::CPU_ISSET(processor, set) }
}
