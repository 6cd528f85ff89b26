//! Joins a thread with a deadline.

use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::time::{Duration, Instant};

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
    let Some(deadline) = deadline else {
        // The thread catches its own panics.
        let _ = thread.join();
        return;
    };
    let left = deadline.saturating_duration_since(real_now());
    let thread = thread.into_pthread_t();
    // SAFETY: the handle existed until now, so the thread has been neither joined nor detached.
    let joined = unsafe { join_within(thread, left) };
    if !joined {
        // SAFETY: as above, and the join has failed.
        unsafe { libc::pthread_detach(thread) };
    }
}

/// The type of `pthread_clockjoin_np`.
type ClockJoin = unsafe extern "C" fn(
    libc::pthread_t,
    *mut *mut libc::c_void,
    libc::clockid_t,
    *const libc::timespec,
) -> libc::c_int;

/// The name of the function whose `timespec` is that of the crate `libc`. On a 32-bit system, glibc
/// has one for times of 32 bits and one for times of 64 bits.
#[cfg(not(heist_thread_sanitizer))]
const CLOCK_JOIN: &std::ffi::CStr =
    if size_of::<libc::time_t>() > size_of::<usize>() { c"__pthread_clockjoin_np64" } else { c"pthread_clockjoin_np" };

/// Waits for a thread to end, at most for `left`. Returns whether the thread has been joined.
///
/// The wait is one on the monotonic clock, which `pthread_clockjoin_np` takes. glibc has that
/// function since version 2.31, so it is looked up. With an older glibc, the wait is one on the
/// time of day. If that is set back meanwhile, the wait grows by as much, once.
///
/// # Safety
///
/// The thread has been neither joined nor detached.
unsafe fn join_within(thread: libc::pthread_t, left: Duration) -> bool {
    let Some(clock_join) = clock_join() else {
        let until = now_on(libc::CLOCK_REALTIME).saturating_add(left);
        // SAFETY: as for this function. No result is requested.
        return unsafe { libc::pthread_timedjoin_np(thread, ptr::null_mut(), &timespec(until)) } == 0;
    };
    let until = now_on(libc::CLOCK_MONOTONIC).saturating_add(left);
    // SAFETY: as for this function. No result is requested.
    unsafe { clock_join(thread, ptr::null_mut(), libc::CLOCK_MONOTONIC, &timespec(until)) == 0 }
}

/// Returns glibc's `pthread_clockjoin_np`, if it has one.
#[cfg(not(heist_thread_sanitizer))]
fn clock_join() -> Option<ClockJoin> {
    // SAFETY: the name ends with a zero byte.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, CLOCK_JOIN.as_ptr()) };
    // SAFETY: glibc has one function of this name, of this type. `None` is the null pointer.
    unsafe { std::mem::transmute::<*mut libc::c_void, Option<ClockJoin>>(found) }
}

/// Returns nothing: ThreadSanitizer does not know that `pthread_clockjoin_np` joins.
#[cfg(heist_thread_sanitizer)]
fn clock_join() -> Option<ClockJoin> {
    None
}

/// Returns the time since the origin of a clock.
fn now_on(clock: libc::clockid_t) -> Duration {
    let mut now = timespec(Duration::ZERO);
    // SAFETY: the place is valid for the call. Both clocks exist, so the call does not fail.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// Joins a thread that has ended, the destructors of its thread-locals included. Otherwise returns
/// the handle.
pub(crate) fn join_if_gone(thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
    // SAFETY: the handle exists, so the thread has been neither joined nor detached. No result is
    // requested.
    let joined = unsafe { libc::pthread_tryjoin_np(thread.as_pthread_t(), ptr::null_mut()) } == 0;
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
