//! Errors of timers.

use std::{error, fmt};

pub use heist::time::error::Elapsed;

/// An error of a timer. heist's timers fail only after a shutdown, and then their tasks are gone.
#[derive(Debug, Clone, Copy)]
pub struct Error(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shutdown,
    AtCapacity,
    Invalid,
}

impl Error {
    /// Returns the error of a timer whose runtime has been shut down.
    pub fn shutdown() -> Error {
        Error(Kind::Shutdown)
    }

    /// Returns whether the runtime of the timer has been shut down.
    pub fn is_shutdown(&self) -> bool {
        self.0 == Kind::Shutdown
    }

    /// Returns the error of a timer for which there is no room.
    pub fn at_capacity() -> Error {
        Error(Kind::AtCapacity)
    }

    /// Returns whether there was no room for the timer.
    pub fn is_at_capacity(&self) -> bool {
        self.0 == Kind::AtCapacity
    }

    /// Returns the error of a timer that is used in a wrong way.
    pub fn invalid() -> Error {
        Error(Kind::Invalid)
    }

    /// Returns whether the timer was used in a wrong way.
    pub fn is_invalid(&self) -> bool {
        self.0 == Kind::Invalid
    }
}

impl error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Shutdown => "the timer's runtime is shutting down; keep the `Runtime` until its timers are done",
            Kind::AtCapacity => "there is no room for another timer; drop some of them",
            Kind::Invalid => "the timer's duration is too long; use a shorter one",
        })
    }
}
