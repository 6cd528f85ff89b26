//! Waiting for a thread to end, but not for ever.

use std::os::unix::thread::JoinHandleExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::thread::JoinHandle;

/// Waits for a thread to end, at most until `deadline`; then it is detached. So it is if it is this
/// one.
pub(crate) fn join_until(thread: JoinHandle<()>, deadline: Option<Instant>) {
    // SAFETY: it asks for nothing.
    let here = unsafe { libc::pthread_self() };
    // SAFETY: the names of this thread, and of one that has been neither joined nor detached.
    if unsafe { libc::pthread_equal(thread.as_pthread_t(), here) } != 0 {
        return;
    }
    // The system takes the time of day. If that is set back meanwhile the wait grows by as much,
    // once.
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let until = left.and_then(|left| SystemTime::now().checked_add(left)?.duration_since(UNIX_EPOCH).ok());
    let Some(until) = until else {
        // The thread catches its own panics.
        let _ = thread.join();
        return;
    };
    let thread = thread.into_pthread_t();
    let until = timespec(until);
    // SAFETY: the thread has been neither joined nor detached, since its handle was there; no
    // result is asked for.
    let joined = unsafe { libc::pthread_timedjoin_np(thread, std::ptr::null_mut(), &until) } == 0;
    if !joined {
        // SAFETY: as above, and it has not been joined.
        unsafe { libc::pthread_detach(thread) };
    }
}

/// Joins a thread if it is gone, the destructors of its locals included; else gives it back.
pub(crate) fn join_if_gone(thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
    // SAFETY: the thread has been neither joined nor detached, since its handle is there; no result
    // is asked for.
    let joined = unsafe { libc::pthread_tryjoin_np(thread.as_pthread_t(), std::ptr::null_mut()) } == 0;
    if joined {
        // It must not be detached any more.
        let _ = thread.into_pthread_t();
        return None;
    }
    Some(thread)
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::join_until;

    #[test]
    fn a_thread_does_not_wait_for_itself() {
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
