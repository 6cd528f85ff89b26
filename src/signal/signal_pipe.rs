//! What the handler rings, and the listeners of one runtime hear.

use std::ffi::c_int;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::task::Poll;

use mio::unix::pipe::{Receiver, Sender};
use signal_hook_registry::{FORBIDDEN, SigId, register, unregister};

use crate::reactor::{Interest, Reactor, Ready, Registered, Source};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, Weak, statics};

/// More than any operating system has signals.
const KINDS: usize = 128;

/// The handler's side: all that it touches.
#[derive(Debug)]
struct HandlerEnd {
    /// How often each kind has come.
    counts: [AtomicU64; KINDS],
    outlet: Sender,
}

/// The listeners' side.
pub(super) struct SignalPipe {
    handler_end: Arc<HandlerEnd>,
    inlet: Registered<Receiver>,
    /// The kinds that somebody has listened for, each with the handler's action.
    actions: Mutex<Vec<(c_int, SigId)>>,
}

/// The bells that have listeners, each with the reactor that it is registered with.
static BELLS: statics::Mutex<Vec<(Weak<Reactor>, Weak<SignalPipe>)>> = statics::Mutex::new(Vec::new());

impl HandlerEnd {
    /// A signal has come. Called in a handler: no lock, no allocation, and nothing of ours that
    /// could panic.
    fn on_signal(&self, signum: c_int) {
        // Ordering: Release, pairs with the Acquire in `changed`. Before the byte: who finds the
        // byte gone finds the count.
        self.counts[signum as usize].fetch_add(1, Ordering::Release);
        // SAFETY: one byte, of a descriptor that is open as long as `self` lives. A full pipe rings
        // in any case.
        unsafe { libc::write(self.outlet.as_raw_fd(), b"!".as_ptr().cast(), 1) };
    }
}

impl SignalPipe {
    /// The bell of the runtime to which `reactor` belongs.
    pub(super) fn for_reactor(reactor: &Arc<Reactor>) -> io::Result<Arc<SignalPipe>> {
        let mut bells = BELLS.lock();
        bells.retain(|(_, pipe)| pipe.strong_count() > 0);
        let found = bells.iter().find(|(owner, _)| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(reactor)));
        if let Some(pipe) = found.and_then(|(_, pipe)| pipe.upgrade()) {
            return Ok(pipe);
        }
        let (outlet, inlet) = mio::unix::pipe::new()?;
        let pipe = Arc::new(SignalPipe {
            handler_end: Arc::new(HandlerEnd { counts: std::array::from_fn(|_| AtomicU64::new(0)), outlet }),
            inlet: Registered::new(Arc::clone(reactor), inlet, Ready::EMPTY)?,
            actions: Mutex::new(Vec::new()),
        });
        bells.push((Arc::downgrade(reactor), Arc::downgrade(&pipe)));
        Ok(pipe)
    }

    /// Has the bell rung for signals of this kind from now on.
    pub(super) fn register_kind(&self, signum: c_int) -> io::Result<()> {
        if !(0..KINDS as c_int).contains(&signum) || FORBIDDEN.contains(&signum) {
            let text =
                format!("signal {signum} cannot be listened for: no such signal, or the operating system keeps it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut actions = self.actions.lock();
        if actions.iter().any(|(entry_state, _)| *entry_state == signum) {
            return Ok(());
        }
        let handler_end = Arc::clone(&self.handler_end);
        // SAFETY: the action moves a count and writes a byte, both of which are allowed in a
        // handler.
        let id = unsafe { register(signum, move || handler_end.on_signal(signum)) }?;
        actions.push((signum, id));
        Ok(())
    }

    /// How often signals of this kind have come.
    pub(super) fn count(&self, signum: c_int) -> u64 {
        // Ordering: Acquire, pairs with the Release in `pull`.
        self.handler_end.counts[signum as usize].load(Ordering::Acquire)
    }

    /// Waits until the count of this kind is another than `seen`. `None` if the runtime has been
    /// shut down.
    pub(super) async fn wait_for_change(&self, signum: c_int, seen: u64) -> Option<u64> {
        wait_for_change(|| self.count(signum), seen, self.inlet.source(), || self.read_all()).await
    }

    /// Takes out all that is in the pipe. The end does not come: we have the other end.
    fn read_all(&self) {
        let mut bytes = [0; 256];
        while self.inlet.io().read(&mut bytes).is_ok_and(|count| count > 0) {}
    }
}

/// What a listener heard.
enum Heard {
    /// The count is another one.
    Signal(u64),
    /// Somebody's signal, or its echo; the completion to take the readiness back.
    Ring(io::Result<crate::reactor::Snapshot>),
}

/// Waits until `count` gives another answer than `seen`, with others waiting at the same bell. See
/// the module's page.
pub(crate) async fn wait_for_change(
    count: impl Fn() -> u64,
    seen: u64,
    source: &Source,
    empty: impl Fn(),
) -> Option<u64> {
    loop {
        let mut waiting = pin!(source.ready(Interest::READABLE));
        let heard = poll_fn(|cx| {
            let rung = waiting.as_mut().poll(cx);
            // After the wait has begun: what came before it may have been taken from the pipe by
            // somebody else.
            match count() {
                now if now != seen => Poll::Ready(Heard::Signal(now)),
                _ => rung.map(Heard::Ring),
            }
        });
        match heard.await {
            Heard::Signal(now) => return Some(now),
            Heard::Ring(Err(_)) => return None,
            Heard::Ring(Ok(completion)) => {
                empty();
                source.clear(Interest::READABLE.mask(), completion);
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
        f.debug_struct("Bell").field("actions", &self.actions).finish_non_exhaustive()
    }
}
