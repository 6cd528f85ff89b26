//! How a poll waits until a deadline.
//!
//! mio counts in whole milliseconds on Linux and rounds up, which makes a timer of 100 µs late by ten times its length.

use std::io;
use std::time::Duration;

use mio::{Events, Poll};

/// Turns the poll; a signal that interrupts it is no events.
fn turn(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}

/// Collects what has happened already.
pub(super) fn without_waiting(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    turn(poll, events, Some(Duration::ZERO))
}

/// Waits for events as long as it takes.
pub(super) fn for_ever(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    turn(poll, events, None)
}

/// Waits for events, at most `timeout` long: to the nanosecond as far as the kernel is concerned.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn at_most(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let mut watched = libc::pollfd { fd: poll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // An hour is as good as for ever: whoever rests looks at his deadline again.
    let timeout = timeout.min(Duration::from_secs(3600));
    let limit =
        libc::timespec { tv_sec: timeout.as_secs() as libc::time_t, tv_nsec: timeout.subsec_nanos() as libc::c_long };
    // SAFETY: one pollfd and one timespec that outlive the call; no signal mask.
    let found = unsafe { libc::ppoll(&raw mut watched, 1, &raw const limit, std::ptr::null()) };
    events.clear();
    match found {
        0 => Ok(()),
        1.. => without_waiting(poll, events),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
    }
}

/// Waits for events, at most `timeout` long.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn at_most(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    turn(poll, events, Some(timeout))
}
