//! A thread's sleep whose end others set: a timer of the operating system that is a file
//! descriptor.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Rings again and again while it is set. Its owner sleeps until it rings; anybody may set it, and
/// that wakes nobody.
///
/// A wait on a word with a deadline would not do: only the one who waits can change the deadline,
/// so he would have to be woken for it.
#[derive(Debug)]
pub(crate) struct IntervalTimer {
    timer: OwnedFd,
}

impl IntervalTimer {
    /// An alarm that is off.
    ///
    /// # Errors
    ///
    /// What the operating system says if it refuses a file descriptor.
    pub(crate) fn new() -> io::Result<IntervalTimer> {
        // SAFETY: the call has no memory of ours to see.
        let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
        if timer < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor has just been made, and nobody else knows it.
        Ok(IntervalTimer { timer: unsafe { OwnedFd::from_raw_fd(timer) } })
    }

    /// Rings when `first` has passed, and then each time that `every` has passed.
    pub(crate) fn set(&self, first: Duration, every: Duration) {
        self.program(first, every);
    }

    /// Rings now, and then as [`IntervalTimer::set`] says.
    pub(crate) fn fire_now(&self, every: Duration) {
        self.program(Duration::from_nanos(1), every);
    }

    /// Does not ring any more until it is set again; a ringing that nobody has waited for is
    /// forgotten.
    pub(crate) fn disarm(&self) {
        self.program(Duration::ZERO, Duration::ZERO);
    }

    /// Sleeps until it rings, or has rung since the last time. Called by the owner.
    pub(crate) fn wait(&self) {
        let mut rings = [0_u8; 8];
        // Every result is a reason to return: it rang, or a signal came.
        // SAFETY: eight bytes of ours, which outlive the call.
        unsafe { libc::read(self.timer.as_raw_fd(), rings.as_mut_ptr().cast(), rings.len()) };
    }

    fn program(&self, first: Duration, every: Duration) {
        let plan = libc::itimerspec { it_interval: timespec(every), it_value: timespec(first) };
        // It cannot fail: the descriptor is a timer, and the times are sound.
        // SAFETY: the plan outlives the call, and the old one is not asked for.
        unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &plan, std::ptr::null_mut()) };
    }
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
