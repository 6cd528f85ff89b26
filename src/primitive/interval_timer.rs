//! A periodic timer that other threads may reprogram while its owner sleeps: a Linux timer file
//! descriptor.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::native::timespec;

/// Fires periodically while it is set. Its owner sleeps until it fires. Any thread may set it, and
/// setting it wakes no thread.
///
/// A wait on a word with a deadline would not do. Only the waiting thread can change that deadline,
/// so each change would have to wake it.
#[derive(Debug)]
pub(crate) struct IntervalTimer {
    timer: OwnedFd,
}

impl IntervalTimer {
    /// Tells that setting the timer wakes no thread.
    pub(crate) const IS_SILENT: bool = true;

    /// Creates a timer that is disarmed.
    ///
    /// # Errors
    ///
    /// The operating system's error if it refuses a file descriptor.
    pub(crate) fn new() -> io::Result<IntervalTimer> {
        // SAFETY: the call takes no pointer.
        let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
        if timer < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor has just been created, and has no other owner.
        Ok(IntervalTimer { timer: unsafe { OwnedFd::from_raw_fd(timer) } })
    }

    /// Fires after `first`, and then after each `every`.
    pub(crate) fn set(&self, first: Duration, every: Duration) {
        self.program(first, every);
    }

    /// Fires now, and then after each `every`.
    pub(crate) fn fire_now(&self, every: Duration) {
        self.program(Duration::from_nanos(1), every);
    }

    /// Stops the timer until it is set again. Discards an expiry that its owner has not waited for.
    pub(crate) fn disarm(&self) {
        self.program(Duration::ZERO, Duration::ZERO);
    }

    /// Sleeps until the timer fires, or returns at once if it has fired since the last wait. Called
    /// by the owner.
    pub(crate) fn wait(&self) {
        let mut rings = [0_u8; 8];
        // Every result is a reason to return: an expiry, or a signal.
        // SAFETY: the eight bytes are a local variable, which outlives the call.
        unsafe { libc::read(self.timer.as_raw_fd(), rings.as_mut_ptr().cast(), rings.len()) };
    }

    fn program(&self, first: Duration, every: Duration) {
        let plan = libc::itimerspec { it_interval: timespec(every), it_value: timespec(first) };
        // The call cannot fail: the descriptor is a timer, and the times are valid.
        // SAFETY: `plan` outlives the call, and the old plan is not requested.
        unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &plan, std::ptr::null_mut()) };
    }
}
