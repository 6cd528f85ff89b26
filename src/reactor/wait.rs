//! How a poll waits until a deadline.
//!
//! mio counts in whole milliseconds on Linux and rounds up, which makes a timer of 100 µs late by
//! ten times its length.

use std::io;
use std::time::Duration;

use mio::{Events, Poll};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::poll_set;

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
    let found = poll_set::ppoll(&mut [poll_set::pollfd_for(poll)], Some(timeout))?;
    events.clear();
    if found > 0 { without_waiting(poll, events) } else { Ok(()) }
}

/// Waits for events, at most `timeout` long.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn at_most(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    turn(poll, events, Some(timeout))
}
