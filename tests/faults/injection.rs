//! Counts calls of libc, and lets chosen ones fail.
//!
//! The linker prefers a function of this program to that of the C library. So the functions below
//! stand in front of those of libc for std, mio and heist alike. Each counts its calls. A call that
//! a test has chosen fails with an error of the operating system, and nothing happens. Every other
//! call goes on to libc.

use std::ffi::CStr;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicPtr, AtomicUsize, Ordering};

/// One function of libc.
pub(crate) struct Call {
    name: &'static CStr,
    /// The function of libc, once it has been found.
    real: AtomicPtr<libc::c_void>,
    calls: AtomicUsize,
    refused: AtomicUsize,
    /// The calls that fail, by number.
    first: AtomicUsize,
    end: AtomicUsize,
    /// If it is not 1, then of these calls only each one with a multiple of this number fails.
    stride: AtomicUsize,
    errno: AtomicI32,
}

impl Call {
    const fn new(name: &'static CStr) -> Call {
        Call {
            name,
            real: AtomicPtr::new(ptr::null_mut()),
            calls: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            first: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            stride: AtomicUsize::new(1),
            errno: AtomicI32::new(0),
        }
    }

    /// Returns the number of calls so far, failed ones included.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Returns the number of calls that have failed since the last [`Call::fail`].
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Lets calls fail from now on. The next call has the number 0.
    pub(crate) fn fail(&self, numbers: Range<usize>, errno: i32) {
        self.fail_each(1, numbers, errno);
    }

    /// Lets each call fail whose number is in the range, and a multiple of `stride`.
    pub(crate) fn fail_each(&self, stride: usize, numbers: Range<usize>, errno: i32) {
        self.end.store(0, Ordering::SeqCst);
        self.refused.store(0, Ordering::SeqCst);
        self.calls.store(0, Ordering::SeqCst);
        self.errno.store(errno, Ordering::SeqCst);
        self.stride.store(stride, Ordering::SeqCst);
        self.first.store(numbers.start, Ordering::SeqCst);
        self.end.store(numbers.end, Ordering::SeqCst);
    }

    /// Lets no call fail any more. Returns how many have failed.
    pub(crate) fn heal(&self) -> usize {
        self.end.store(0, Ordering::SeqCst);
        self.refused()
    }

    /// Counts a call. Returns the error if it has to fail.
    fn begin(&self) -> Option<i32> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let chosen = self.first.load(Ordering::SeqCst) <= number
            && number < self.end.load(Ordering::SeqCst)
            && number % self.stride.load(Ordering::SeqCst) == 0;
        chosen.then(|| {
            self.refused.fetch_add(1, Ordering::SeqCst);
            self.errno.load(Ordering::SeqCst)
        })
    }

    /// Returns the function of libc.
    fn real(&self) -> *mut libc::c_void {
        let known = self.real.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name ends with a zero byte. The handle is one that the call defines.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if found.is_null() {
            // A panic could call one of these functions.
            std::process::abort();
        }
        self.real.store(found, Ordering::Relaxed);
        found
    }
}

fn set_errno(errno: i32) {
    // SAFETY: the call has no requirements.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the place is this thread's, and valid while the thread lives.
    unsafe { place.write(errno) };
}

/// Defines a function of libc, and the static that stands for it. A failed call sets `errno` and
/// returns -1.
macro_rules! calls {
    ($($static:ident = $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => { $(
        pub(crate) static $static: Call = Call::new({
            const NAME: &str = concat!(stringify!($name), "\0");
            match CStr::from_bytes_with_nul(NAME.as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name without a zero byte"),
            }
        });

        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $type),*) -> $result {
            if let Some(errno) = $static.begin() {
                set_errno(errno);
                return -1;
            }
            // SAFETY: libc defines a function of this name with these parameters.
            let real: extern "C" fn($($type),*) -> $result = unsafe { std::mem::transmute($static.real()) };
            real($($argument),*)
        }
    )* };
}

calls! {
    ACCEPT = accept4(fd: i32, address: *mut libc::sockaddr, length: *mut libc::socklen_t, flags: i32) -> i32;
    EPOLL_CREATE = epoll_create1(flags: i32) -> i32;
    EPOLL_CTL = epoll_ctl(poll: i32, operation: i32, fd: i32, event: *mut libc::epoll_event) -> i32;
    EPOLL_WAIT = epoll_wait(poll: i32, events: *mut libc::epoll_event, room: i32, timeout: i32) -> i32;
    EVENTFD = eventfd(value: u32, flags: i32) -> i32;
    PPOLL = ppoll(
        fds: *mut libc::pollfd, count: libc::nfds_t, timeout: *const libc::timespec, mask: *const libc::sigset_t
    ) -> i32;
    RECV = recv(fd: i32, room: *mut libc::c_void, length: usize, flags: i32) -> isize;
    SEND = send(fd: i32, bytes: *const libc::c_void, length: usize, flags: i32) -> isize;
    SOCKET = socket(domain: i32, kind: i32, protocol: i32) -> i32;
}

/// Thread creation. It returns its error, instead of setting `errno`.
pub(crate) static THREAD: Call = Call::new(c"pthread_create");

type ThreadMain = extern "C" fn(*mut libc::c_void) -> *mut libc::c_void;

#[unsafe(no_mangle)]
extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    main: ThreadMain,
    argument: *mut libc::c_void,
) -> i32 {
    type Function =
        extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, ThreadMain, *mut libc::c_void) -> i32;
    if let Some(errno) = THREAD.begin() {
        return errno;
    }
    // SAFETY: libc defines a function of this name with these parameters.
    let real: Function = unsafe { std::mem::transmute(THREAD.real()) };
    real(thread, attributes, main, argument)
}

/// The function that reads clocks with seconds of 64 bits.
const CLOCK_NAME: &CStr = if cfg!(target_pointer_width = "32") { c"__clock_gettime64" } else { c"clock_gettime" };

/// The clocks. The time of day is set forward or back by [`step_time_of_day`].
pub(crate) static CLOCK: Call = Call::new(CLOCK_NAME);

static STEP: AtomicI64 = AtomicI64::new(0);

/// Sets the time of day forward or back, as this process sees it.
pub(crate) fn step_time_of_day(seconds: i64) {
    STEP.fetch_add(seconds, Ordering::SeqCst);
}

/// The clocks of libc. The seconds are the first field of the time.
#[cfg_attr(target_pointer_width = "32", unsafe(export_name = "__clock_gettime64"))]
#[cfg_attr(not(target_pointer_width = "32"), unsafe(export_name = "clock_gettime"))]
extern "C" fn stepped_clock(clock: libc::clockid_t, seconds: *mut i64) -> i32 {
    // SAFETY: libc defines a function of this name with these parameters.
    let real: extern "C" fn(libc::clockid_t, *mut i64) -> i32 = unsafe { std::mem::transmute(CLOCK.real()) };
    let result = real(clock, seconds);
    if result == 0 && clock == libc::CLOCK_REALTIME {
        CLOCK.begin();
        // SAFETY: the call has written to the place, so it is valid, and the caller's own.
        unsafe { *seconds += STEP.load(Ordering::SeqCst) };
    }
    result
}
