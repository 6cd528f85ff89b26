//! Delivery of signals: one thread per process reads the pipe that the handlers write to.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::thread;

use crate::signal::registry::globals;

/// The state of the thread that delivers signals.
#[derive(Debug)]
pub(crate) struct Handle(Result<(), String>);

/// Returns the handle of the thread that delivers signals. The first call starts the thread.
pub(crate) fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| Handle(start().map_err(|error| error.to_string())))
}

impl Handle {
    /// Returns an error if signals cannot be delivered.
    pub(crate) fn check_inner(&self) -> io::Result<()> {
        self.0.clone().map_err(|error| io::Error::other(format!("the thread that delivers signals did not start: {error}")))
    }
}

fn start() -> io::Result<()> {
    let mut pipe = UnixStream::from(globals().receiver.as_fd().try_clone_to_owned()?);
    pipe.set_nonblocking(false)?;
    thread::Builder::new().name("heist-signals".into()).spawn(move || {
        let mut bytes = [0; 128];
        // The writing end lives as long as the process.
        while pipe.read(&mut bytes).is_ok_and(|count| count > 0) {
            globals().broadcast();
        }
    })?;
    Ok(())
}
