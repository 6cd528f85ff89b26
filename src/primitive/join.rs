//! Joins a thread with a deadline.

use std::os::unix::thread::JoinHandleExt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::native::thread::JoinHandle;
use super::native::timespec;
use super::real_now;

/// Waits for a thread to end, at most until `deadline`, and then detaches it. The calling thread
/// itself is detached at once.
pub(crate) fn join_until(thread: JoinHandle<()>, deadline: Option<Instant>) {
    // SAFETY: the call has no requirements.
    let here = unsafe { libc::pthread_self() };
    // SAFETY: both ids are valid: this thread's own, and that of a thread neither joined nor
    // detached.
    if unsafe { libc::pthread_equal(thread.as_pthread_t(), here) } != 0 {
        return;
    }
    // The call takes the time of day. If the time of day is set back meanwhile, the wait grows by
    // as much, once.
    let left = deadline.map(|deadline| deadline.saturating_duration_since(real_now()));
    let until = left.and_then(|left| SystemTime::now().checked_add(left)?.duration_since(UNIX_EPOCH).ok());
    let Some(until) = until else {
        // The thread catches its own panics.
        let _ = thread.join();
        return;
    };
    let thread = thread.into_pthread_t();
    let until = timespec(until);
    // SAFETY: the handle existed until now, so the thread has been neither joined nor detached. No
    // result is requested.
    let joined = unsafe { libc::pthread_timedjoin_np(thread, std::ptr::null_mut(), &until) } == 0;
    if !joined {
        // SAFETY: as above, and the join has failed.
        unsafe { libc::pthread_detach(thread) };
    }
}

/// Joins a thread that has ended, the destructors of its thread-locals included. Otherwise returns
/// the handle.
pub(crate) fn join_if_gone(thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
    // SAFETY: the handle exists, so the thread has been neither joined nor detached. No result is
    // requested.
    let joined = unsafe { libc::pthread_tryjoin_np(thread.as_pthread_t(), std::ptr::null_mut()) } == 0;
    if joined {
        // The thread is joined, so the handle must not detach it.
        let _ = thread.into_pthread_t();
        return None;
    }
    Some(thread)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::join_until;

    #[test]
    fn join_until_on_own_thread_does_not_wait() {
        let (give, take) = channel();
        let (tell, told) = channel();
        let itself = thread::spawn(move || {
            join_until(take.recv().unwrap(), None);
            tell.send(()).unwrap();
        });
        give.send(itself).unwrap();
        told.recv().unwrap();
    }
}
