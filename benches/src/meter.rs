//! The clock, the counters of processor time, of voluntary context switches and of system calls,
//! and how a workload says that it is done.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::calls::{self, Calls};

/// The state of the clocks when the measured part began.
#[derive(Clone, Copy)]
pub struct Meter {
    at: Instant,
    switches: i64,
    /// Processor time of this process, and of children that have ended.
    busy: [Duration; 2],
    calls: Option<Calls>,
}

/// What the measured part took.
#[derive(Clone, Copy)]
pub struct Reading {
    pub elapsed: Duration,
    /// Voluntary context switches of all threads of this process.
    pub switches: i64,
    /// Processor time of all threads of this process...
    pub busy: Duration,
    /// ...and of children that have ended meanwhile.
    pub children: Duration,
    /// Its system calls, if they are counted.
    pub calls: Option<Calls>,
}

impl Meter {
    pub fn start() -> Meter {
        let (switches, calls) = (usage(libc::RUSAGE_SELF).ru_nvcsw, calls::until_now());
        let busy = [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(|whose| processor_time(&usage(whose)));
        Meter { at: Instant::now(), switches, busy, calls }
    }

    pub fn read(&self) -> Reading {
        let elapsed = self.at.elapsed();
        let calls = self.calls.zip(calls::until_now());
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
    // SAFETY: the pointer is to a rusage of ours, which the call fills.
    unsafe { libc::getrusage(whose, usage.as_mut_ptr()) };
    // SAFETY: a rusage is plain numbers; all-zero was a valid value already.
    unsafe { usage.assume_init() }
}

/// In user code and in the kernel.
fn processor_time(usage: &libc::rusage) -> Duration {
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Counts a workload's ends down; the last one stops the clock where it stands, on the worker.
///
/// It is leaked on purpose: a task captures eight bytes, and touches no reference count that is
/// ours.
pub struct Finish {
    left: AtomicU64,
    meter: OnceLock<Meter>,
    tell: SyncSender<Reading>,
}

impl Finish {
    pub fn of(ends: u64) -> (&'static Finish, Receiver<Reading>) {
        let (tell, told) = sync_channel(1);
        let finish = Finish { left: AtomicU64::new(ends), meter: OnceLock::new(), tell };
        (Box::leak(Box::new(finish)), told)
    }

    /// Starts the clock.
    pub fn start(&self) {
        assert!(self.meter.set(Meter::start()).is_ok(), "the clock was started twice");
    }

    pub fn one_done(&self) {
        // AcqRel: the last one sees what the others did, and the start of the clock.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let reading = self.meter.get().expect("the clock was never started").read();
            self.tell.send(reading).expect("nobody waits for the reading");
        }
    }
}
