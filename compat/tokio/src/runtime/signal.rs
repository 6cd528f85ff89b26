//! Delivery of signals: one thread per process reads the pipe that the handlers write to.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::{process, ptr, thread};

use crate::signal::registry::globals;

/// The handle by which signals are enabled. It belongs to no runtime.
#[derive(Debug)]
pub(crate) struct Handle(());

/// Returns the handle.
pub(crate) fn handle() -> &'static Handle {
    static HANDLE: Handle = Handle(());
    &HANDLE
}

impl Handle {
    /// Starts the thread that delivers signals, unless it runs. A child that was forked has no
    /// such thread, so it starts its own.
    pub(crate) fn check_inner(&self) -> io::Result<()> {
        static STARTED_IN: Mutex<Option<u32>> = Mutex::new(None);
        let mut started_in = STARTED_IN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *started_in != Some(process::id()) {
            start()?;
            *started_in = Some(process::id());
        }
        Ok(())
    }
}

fn start() -> io::Result<()> {
    let pipe = UnixStream::from(globals().receiver.as_fd().try_clone_to_owned()?);
    pipe.set_nonblocking(false)?;
    thread::Builder::new().name("heist-signals".into()).spawn(move || deliver(pipe))?;
    Ok(())
}

fn deliver(mut pipe: UnixStream) {
    block_signals();
    let mut bytes = [0; 128];
    loop {
        match pipe.read(&mut bytes) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // The writing end lives as long as the process.
            Ok(0) | Err(_) => return,
        }
        // Wakers are user code. A panic of one must not end the delivery, nor keep the others from
        // it.
        for _ in 0..8 {
            if contain(|| globals().broadcast()) {
                break;
            }
        }
        #[cfg(feature = "process")]
        contain(|| crate::process::unix::GlobalOrphanQueue::reap_orphans(handle()));
    }
}

/// Returns false if `f` has panicked.
fn contain<R>(f: impl FnOnce() -> R) -> bool {
    // The destructor of the payload is user code, too.
    catch_unwind(AssertUnwindSafe(f)).map_err(std::mem::forget).is_ok()
}

/// Lets other threads run the handlers, so that no read here is interrupted.
fn block_signals() {
    // SAFETY: a set of signals is plain data, which the next call fills.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a set of signals.
    unsafe { libc::sigfillset(&mut all) };
    // A fault in a waker still reaches its handler.
    for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
        // SAFETY: the pointer is to a set of signals.
        unsafe { libc::sigdelset(&mut all, fault) };
    }
    // SAFETY: the pointers are to a set of signals, and null for the one that is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &all, ptr::null_mut()) };
}

/// Makes the thread that delivers signals collect children whose `Child` is dropped before they
/// end. Called before a child can become an orphan: one that has ended by then is no orphan, and
/// the end of another raises a signal.
#[cfg(feature = "process")]
pub(crate) fn enable_reaping() {
    static ENABLED: Mutex<bool> = Mutex::new(false);
    let mut enabled = ENABLED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !*enabled {
        // A process without descriptors cannot enable it now; the next child tries again.
        contain(|| {
            let kind = crate::signal::unix::SignalKind::child();
            *enabled = crate::signal::unix::signal_with_handle(kind, handle()).is_ok();
        });
    }
}
