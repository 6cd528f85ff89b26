//! A word to sleep on: the Linux futex.

use std::sync::atomic::AtomicU32;
use std::time::Instant;

use super::native::timespec;
use super::real_now;

/// A word on which its owner can wait.
#[derive(Debug)]
pub(crate) struct Futex(AtomicU32);

impl Futex {
    pub(crate) const fn new(value: u32) -> Self {
        Futex(AtomicU32::new(value))
    }

    pub(crate) fn atomic(&self) -> &AtomicU32 {
        &self.0
    }

    /// Sleeps while the word is `value`. Returns on [`Futex::wake`], at the deadline, or
    /// spuriously.
    pub(crate) fn wait(&self, value: u32, deadline: Option<Instant>) {
        let left = match deadline.map(|deadline| deadline.saturating_duration_since(real_now())) {
            Some(left) if left.is_zero() => return,
            left => left,
        };
        let timeout = left.map(timespec);
        let timeout = timeout.as_ref().map_or(std::ptr::null(), |timeout| timeout as *const _);
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // Every result is a reason to return: a wake, a changed word, a signal, or the deadline.
        // SAFETY: the word and the timespec live through the call.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), operation, value, timeout) };
    }

    /// Wakes the owner if it waits.
    pub(crate) fn wake(&self) {
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the kernel only compares the address.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), operation, 1) };
    }
}
