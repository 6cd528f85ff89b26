//! The pipe and the counts through which the handler notifies the listeners of one runtime.

use std::ffi::c_int;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::task::Poll;

use mio::unix::pipe::{Receiver, Sender};
use signal_hook_registry::{FORBIDDEN, SigId, register, unregister};

use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Arc, Mutex, Weak, statics};
use crate::reactor::{Interest, Reactor, Ready, Registered, Source};

/// A number that is larger than each signal number of each operating system.
const KINDS: usize = 128;

/// The side of the handler: all that it touches.
#[derive(Debug)]
struct HandlerEnd {
    /// The number of signals of each kind that have come.
    counts: [AtomicU64; KINDS],
    outlet: Sender,
}

/// The side of the listeners.
pub(super) struct SignalPipe {
    handler_end: Arc<HandlerEnd>,
    inlet: Registered<Receiver>,
    /// The kinds with a handler, each with the id of its action.
    actions: Mutex<Vec<(c_int, SigId)>>,
}

/// The signal pipes that have listeners, each with the reactor that it is registered with.
static SIGNAL_PIPES: statics::Mutex<Vec<(Weak<Reactor>, Weak<SignalPipe>)>> = statics::Mutex::new(Vec::new());

impl HandlerEnd {
    /// Counts a signal, and wakes the listeners. It runs in a signal handler: no lock, no
    /// allocation, and nothing that could panic.
    fn on_signal(&self, signum: c_int) {
        // Ordering: Release — pairs with the Acquire in `SignalPipe::count`: a signal has come. The
        // count changes before the byte is written, so a listener that misses the byte sees the
        // count.
        self.counts[signum as usize].fetch_add(1, Ordering::Release);
        // SAFETY: the buffer has one byte, and `self` keeps the descriptor open. If the pipe is
        // full, the write fails, and the bytes in the pipe wake the listeners.
        unsafe { libc::write(self.outlet.as_raw_fd(), b"!".as_ptr().cast(), 1) };
    }
}

impl SignalPipe {
    /// Returns the signal pipe of the runtime to which `reactor` belongs.
    pub(super) fn for_reactor(reactor: &Arc<Reactor>) -> io::Result<Arc<SignalPipe>> {
        let mut pipes = SIGNAL_PIPES.lock();
        pipes.retain(|(_, pipe)| pipe.strong_count() > 0);
        let found = pipes.iter().find(|(owner, _)| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(reactor)));
        if let Some(pipe) = found.and_then(|(_, pipe)| pipe.upgrade()) {
            return Ok(pipe);
        }
        let (outlet, inlet) = mio::unix::pipe::new()?;
        let pipe = Arc::new(SignalPipe {
            handler_end: Arc::new(HandlerEnd { counts: std::array::from_fn(|_| AtomicU64::new(0)), outlet }),
            inlet: Registered::new(Arc::clone(reactor), inlet, Ready::EMPTY)?,
            actions: Mutex::new(Vec::new()),
        });
        pipes.push((Arc::downgrade(reactor), Arc::downgrade(&pipe)));
        Ok(pipe)
    }

    /// Lets the handler notify this pipe of signals of this kind from now on.
    pub(super) fn register_kind(&self, signum: c_int) -> io::Result<()> {
        if !(0..KINDS as c_int).contains(&signum) || FORBIDDEN.contains(&signum) {
            let text = format!(
                "signal {signum} cannot be listened for: pass a signal that exists, and that a handler may catch"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut actions = self.actions.lock();
        if actions.iter().any(|(registered, _)| *registered == signum) {
            return Ok(());
        }
        let handler_end = Arc::clone(&self.handler_end);
        // SAFETY: the action adds to an atomic and calls `write`. Both are async-signal-safe.
        let id = unsafe { register(signum, move || handler_end.on_signal(signum)) }?;
        actions.push((signum, id));
        Ok(())
    }

    /// Returns the number of signals of this kind that have come.
    pub(super) fn count(&self, signum: c_int) -> u64 {
        // Ordering: Acquire — pairs with the Release in `HandlerEnd::on_signal`: a signal has come.
        self.handler_end.counts[signum as usize].load(Ordering::Acquire)
    }

    /// Waits until the count of this kind differs from `seen`, and returns it. Returns `None` if
    /// the runtime has been shut down.
    pub(super) async fn wait_for_change(&self, signum: c_int, seen: u64) -> Option<u64> {
        wait_for_change(|| self.count(signum), seen, self.inlet.source(), || self.read_all()).await
    }

    /// Reads all bytes in the pipe. It never ends, because `self` has the other end.
    fn read_all(&self) {
        let mut bytes = [0; 256];
        while self.inlet.io().read(&mut bytes).is_ok_and(|count| count > 0) {}
    }
}

/// The event that ends one wait of a listener.
enum Wakeup {
    /// The count has changed.
    Signal(u64),
    /// The pipe has bytes: of a signal of any kind, which another listener may have received. The
    /// snapshot is the one with which the readiness is cleared.
    PipeReadable(io::Result<crate::reactor::Snapshot>),
}

/// Waits until `count` returns another number than `seen`, while other listeners wait for the same
/// pipe. See the page of the module.
pub(crate) async fn wait_for_change(
    count: impl Fn() -> u64,
    seen: u64,
    source: &Source,
    read_all: impl Fn(),
) -> Option<u64> {
    loop {
        let mut waiting = pin!(source.ready(Interest::READABLE));
        let wakeup = poll_fn(|cx| {
            let pipe_ready = waiting.as_mut().poll(cx);
            // The count is loaded after the wait has begun. Another listener may have read the byte
            // of an earlier signal.
            match count() {
                now if now != seen => Poll::Ready(Wakeup::Signal(now)),
                _ => pipe_ready.map(Wakeup::PipeReadable),
            }
        });
        match wakeup.await {
            Wakeup::Signal(now) => return Some(now),
            Wakeup::PipeReadable(Err(_)) => return None,
            Wakeup::PipeReadable(Ok(seen_ready)) => {
                read_all();
                source.clear(Interest::READABLE.mask(), seen_ready);
            }
        }
    }
}

impl Drop for SignalPipe {
    fn drop(&mut self) {
        for (_, id) in self.actions.lock().drain(..) {
            unregister(id);
        }
    }
}

impl fmt::Debug for SignalPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalPipe").field("actions", &self.actions).finish_non_exhaustive()
    }
}
