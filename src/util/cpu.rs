//! The processor time of a thread, as another thread can read it.

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "cpu_linux.rs"]
pub(crate) mod platform;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "cpu_unknown.rs"]
pub(crate) mod platform;
use std::time::Duration;

use crate::primitive::is_simulated;

/// A thread's id in the operating system. After the thread has ended, another thread may get the
/// same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tid(u32);

impl Tid {
    /// Returns the id of the calling thread, or `None` on platforms without such ids. A simulated
    /// thread has none, because its processor time is not real.
    pub(crate) fn current() -> Option<Tid> {
        if is_simulated() { None } else { Tid::from_raw(crate::util::cpu::platform::current_tid()) }
    }

    /// Returns the id of this number; zero is none.
    pub(crate) fn from_raw(number: u32) -> Option<Tid> {
        (number != 0).then_some(Tid(number))
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }

    /// Returns the thread's processor time so far, or `None` if it has ended.
    pub(crate) fn time(self) -> Option<Duration> {
        crate::util::cpu::platform::time(self.0)
    }

    /// Returns whether the thread runs, or would run if it had a processor.
    pub(crate) fn is_ready(self) -> Option<bool> {
        crate::util::cpu::platform::is_ready(self.0)
    }

    /// Returns what the kernel's scheduler has recorded of the thread, or `None` if the thread has
    /// ended or the kernel records nothing.
    pub(crate) fn sched_times(self) -> Option<SchedTimes> {
        crate::util::cpu::platform::sched_times(self.0)
    }
}

/// What the kernel's scheduler has recorded of a thread since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchedTimes {
    /// The time on a processor.
    pub(crate) run: Duration,
    /// The run delay: the time for which the thread was ready and waited for a processor.
    pub(crate) delay: Duration,
}

/// Returns for how long the processors that the calling thread may use have been idle since the
/// machine started, added up. `None` if the operating system does not tell.
pub(crate) fn idle_time() -> Option<Duration> {
    platform::idle_time()
}

#[cfg(all(test, not(heist_loom), target_os = "linux"))]
mod tests {
    use std::time::Instant;

    use super::*;

    /// One thread waits, another computes. Both are observed from this one.
    #[test]
    fn thread_that_computes_uses_time_and_thread_that_waits_is_not_ready() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                tell.send(Tid::current().unwrap()).unwrap();
                let _ = ended.recv();
            });
            let waits = told.recv().unwrap();
            while waits.is_ready() != Some(false) {}
            let before = waits.time().unwrap();
            let me = Tid::current().unwrap();
            let (begun, mine) = (Instant::now(), me.time().unwrap());
            while me.time().unwrap() - mine < Duration::from_millis(5) {}
            assert!(begun.elapsed() >= Duration::from_millis(5));
            assert_eq!(me.is_ready(), Some(true));
            assert_eq!(waits.time(), Some(before));
            drop(end);
        });
    }
}
