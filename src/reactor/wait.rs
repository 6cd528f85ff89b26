//! Waits at one poll, until a deadline if there is one.
//!
//! On Linux mio counts in whole milliseconds and rounds up, which makes a timer of 100 µs late by
//! ten times its length. So a wait with a timeout is a `ppoll` there.

use std::io;
use std::time::Duration;

use mio::{Events, Poll};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::poll_set;

/// Polls once. A signal that interrupts it counts as no events.
fn poll_once(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}

/// Collects the events that are there already.
pub(super) fn poll_now(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    poll_once(poll, events, Some(Duration::ZERO))
}

/// Waits for events without a time limit.
pub(super) fn poll_forever(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    poll_once(poll, events, None)
}

/// Waits for events, at most for `timeout`, which the kernel takes to the nanosecond.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn poll_timeout(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    let found = poll_set::ppoll(&mut [poll_set::pollfd_for(poll)], Some(timeout))?;
    events.clear();
    if found > 0 { poll_now(poll, events) } else { Ok(()) }
}

/// Waits for events, at most for `timeout`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn poll_timeout(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    poll_once(poll, events, Some(timeout))
}
