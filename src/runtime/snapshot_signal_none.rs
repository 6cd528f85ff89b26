//! A platform without `SIGUSR2`.

use std::io;

use crate::pool::Pool;
use crate::primitive::Weak;

/// Returns an error.
pub(super) fn listen(_: Weak<Pool>) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "snapshot_on(Signal): this platform has no SIGUSR2; call `Recorder::snapshot` on another event",
    ))
}
