//! Limits of numbers for which the operating system has fewer bits.

use std::io;
use std::time::Duration;

/// The longest linger, in seconds.
#[cfg(windows)]
const MOST_LINGER: Duration = Duration::from_secs(u16::MAX as u64);
#[cfg(not(windows))]
const MOST_LINGER: Duration = Duration::from_secs(i32::MAX as u64);

/// The most bytes that one system call asks for: some systems refuse more than 2 GiB.
#[cfg(unix)]
pub(super) const MOST_AT_ONCE: usize = 1 << 30;

/// Returns `value`, or an error if it does not fit into the one byte that each packet has for it.
///
/// A larger value would be truncated, or would have a special meaning: -1 means a default.
pub(super) fn one_byte(setter: &str, value: u32) -> io::Result<u32> {
    if value <= u8::MAX.into() {
        return Ok(value);
    }
    let text = format!("{setter}({value}): packets have one byte for it; pass at most 255");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Returns whole seconds, rounded up.
///
/// A fraction of a second must not become zero, because a linger of zero discards data.
pub(super) fn linger(linger: Option<Duration>) -> Option<Duration> {
    let rounded_up = |linger: Duration| linger.as_secs().saturating_add(u64::from(linger.subsec_nanos() > 0));
    linger.map(|linger| Duration::from_secs(rounded_up(linger)).min(MOST_LINGER))
}

/// Returns the size of a buffer as a number that stays positive in the system call.
pub(super) fn buffer_size(bytes: u32) -> usize {
    bytes.min(i32::MAX as u32) as usize
}
