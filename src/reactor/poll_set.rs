//! Waiting until one of several polls has something to tell.
//!
//! A poll of the operating system is a file descriptor, which is readable as long as there are
//! events to collect from it. Nothing is registered for that: each wait names all of them. The page
//! says, under "rejected", what a registration would cost.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::Registry;

/// The polls that are watched, by number.
pub(super) struct PollSet {
    fds: Box<[libc::pollfd]>,
    /// Which of them is served first.
    first: usize,
}

impl PollSet {
    /// So many can be watched at a time.
    pub(super) const MOST: usize = 1024;

    pub(super) fn new<'a>(polls: impl Iterator<Item = &'a Registry>) -> PollSet {
        PollSet { fds: polls.map(pollfd_for).collect(), first: 0 }
    }

    /// Waits until one of them is ready, at most so long. A signal ends it.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        ppoll(&mut self.fds, timeout).map(drop)
    }

    /// The one that is served as number `step`.
    pub(super) fn in_turn(&self, step: usize) -> usize {
        (self.first + step) % self.fds.len()
    }

    /// Whether it was ready when the last wait ended.
    pub(super) fn is_ready(&self, index: usize) -> bool {
        self.fds[index].revents != 0
    }

    /// After the next wait this one is served first.
    pub(super) fn begin_at(&mut self, index: usize) {
        self.first = index;
    }
}

impl std::fmt::Debug for PollSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("polls", &self.fds.len()).field("first", &self.first).finish()
    }
}

/// What to wait for at a poll: that there are events.
pub(super) fn pollfd_for(poll: &impl AsRawFd) -> libc::pollfd {
    libc::pollfd { fd: poll.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Waits until one of them is ready, at most so long: to the nanosecond as far as the kernel is
/// concerned. Answers how many are. None are if a signal has ended the wait.
pub(super) fn ppoll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<usize> {
    // An hour is as good as for ever: whoever rests looks at his deadline again.
    let limit = timeout.map(|timeout| timeout.min(Duration::from_secs(3600))).map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos() as libc::c_long,
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: so many pollfds, and one timespec or none, that outlive the call; no signal mask.
    let found = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, limit, std::ptr::null()) };
    if let Ok(found) = usize::try_from(found) {
        return Ok(found);
    }
    // The kernel has not said which are ready.
    fds.iter_mut().for_each(|fd| fd.revents = 0);
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        error => Err(error),
    }
}
