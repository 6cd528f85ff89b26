//! The clock and the counters of a measured pass: processor time, voluntary context switches,
//! system calls. [`Finish`] stops them when a workload ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::syscall_counters::{Counts, current_counts};

/// The clock and the counters at the beginning of the measured part.
#[derive(Clone, Copy)]
pub struct Meter {
    at: Instant,
    switches: i64,
    /// Processor time of this process, and of children that have ended.
    busy: [Duration; 2],
    calls: Option<Counts>,
}

/// Time and counts of the measured part.
#[derive(Clone, Copy)]
pub struct Reading {
    pub elapsed: Duration,
    /// Voluntary context switches of all threads of this process.
    pub switches: i64,
    /// Processor time of all threads of this process.
    pub busy: Duration,
    /// Processor time of children that have ended meanwhile.
    pub children: Duration,
    /// Its system calls, if they are counted.
    pub calls: Option<Counts>,
}

impl Meter {
    pub fn start() -> Meter {
        let (switches, calls) = (usage(libc::RUSAGE_SELF).ru_nvcsw, current_counts());
        let busy = [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(|whose| processor_time(&usage(whose)));
        Meter { at: Instant::now(), switches, busy, calls }
    }

    pub fn read(&self) -> Reading {
        let elapsed = self.at.elapsed();
        let calls = self.calls.zip(current_counts());
        let calls = calls.map(|(before, after)| std::array::from_fn(|kind| after[kind] - before[kind]));
        let (own, ended) = (usage(libc::RUSAGE_SELF), usage(libc::RUSAGE_CHILDREN));
        Reading {
            elapsed,
            switches: own.ru_nvcsw - self.switches,
            busy: processor_time(&own) - self.busy[0],
            children: processor_time(&ended) - self.busy[1],
            calls,
        }
    }
}

fn usage(whose: libc::c_int) -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to `usage`, which has the size that the call fills.
    unsafe { libc::getrusage(whose, usage.as_mut_ptr()) };
    // SAFETY: an rusage is plain numbers, and all-zero is a valid value of it.
    unsafe { usage.assume_init() }
}

/// Returns the processor time in user code and in the kernel.
fn processor_time(usage: &libc::rusage) -> Duration {
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Counts the ends of a workload's parts. The last end stops the clock, on the worker.
///
/// It is leaked on purpose: a task captures eight bytes, and touches no reference count of the
/// benchmark.
pub struct Finish {
    left: AtomicU64,
    meter: OnceLock<Meter>,
    result_tx: SyncSender<Reading>,
}

impl Finish {
    pub fn new(ends: u64) -> (&'static Finish, Receiver<Reading>) {
        let (result_tx, result_rx) = sync_channel(1);
        let finish = Finish { left: AtomicU64::new(ends), meter: OnceLock::new(), result_tx };
        (Box::leak(Box::new(finish)), result_rx)
    }

    /// Starts the clock.
    pub fn start(&self) {
        assert!(self.meter.set(Meter::start()).is_ok(), "the clock was started twice");
    }

    /// Records the end of one part.
    pub fn end_part(&self) {
        // Ordering: AcqRel — pairs with itself in other threads: the last end sees what the other
        // parts wrote, and the start of the clock.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let reading = self.meter.get().expect("the clock was never started").read();
            self.result_tx.send(reading).expect("the receiver of the reading is gone");
        }
    }
}
