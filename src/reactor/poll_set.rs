//! Waits until at least one of several polls has events.
//!
//! A poll of the operating system is a file descriptor, which is readable as long as there are
//! events to collect from it. Nothing is registered for the wait: each wait names all descriptors.
//! The page says, under "Rejected", what a registration would cost.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::Registry;

/// The polls that one wait covers, by number.
pub(super) struct PollSet {
    fds: Box<[libc::pollfd]>,
    /// The number of the poll that is served first.
    first: usize,
}

impl PollSet {
    /// The most polls that one wait can cover.
    pub(super) const MAX: usize = 1024;

    pub(super) fn new<'a>(polls: impl Iterator<Item = &'a Registry>) -> PollSet {
        PollSet { fds: polls.map(pollfd_for).collect(), first: 0 }
    }

    /// Waits until one of the polls is ready, at most for `timeout`. A signal ends the wait.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        ppoll(&mut self.fds, timeout).map(drop)
    }

    /// Returns the number of the poll that is served as number `step`.
    pub(super) fn nth(&self, step: usize) -> usize {
        (self.first + step) % self.fds.len()
    }

    /// Returns whether the poll was ready when the last wait ended.
    pub(super) fn is_ready(&self, index: usize) -> bool {
        self.fds[index].revents != 0
    }

    /// Makes this poll the first that is served after the next wait.
    pub(super) fn set_first(&mut self, index: usize) {
        self.first = index;
    }
}

impl std::fmt::Debug for PollSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PollSet").field("polls", &self.fds.len()).field("first", &self.first).finish()
    }
}

/// Returns the entry that waits until `poll` has events.
pub(super) fn pollfd_for(poll: &impl AsRawFd) -> libc::pollfd {
    libc::pollfd { fd: poll.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Waits until one of the descriptors is ready, at most for `timeout`, which the kernel takes to
/// the nanosecond. Returns how many are ready: none if a signal has ended the wait.
pub(super) fn ppoll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<usize> {
    // An hour is as good as no limit: the caller checks its deadline again before it sleeps again.
    let limit = timeout.map(|timeout| timeout.min(Duration::from_secs(3600))).map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos() as libc::c_long,
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the pointers are to `fds.len()` entries and to one timespec or none, all of which
    // outlive the call. There is no signal mask.
    let found = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, limit, std::ptr::null()) };
    if let Ok(found) = usize::try_from(found) {
        return Ok(found);
    }
    // After an error the kernel has not filled in which are ready.
    fds.iter_mut().for_each(|fd| fd.revents = 0);
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        error => Err(error),
    }
}
