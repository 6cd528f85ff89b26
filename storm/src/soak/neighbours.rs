//! Two processes beside the soak: one stops and continues it, the other one keeps a processor busy
//! now and then.
//!
//! They are forked before the first thread starts, and end with the soak.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::failure::fail;

/// Memory that the soak and its neighbours share.
struct Shared {
    /// The neighbours have to end.
    over: AtomicBool,
    stops: AtomicU64,
    bursts: AtomicU64,
}

static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());
static PIDS: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];

fn shared() -> Option<&'static Shared> {
    // SAFETY: the pointer is null, or that of memory which is never unmapped.
    unsafe { SHARED.load(Ordering::Acquire).as_ref() }
}

/// Forks the neighbours. No other thread runs yet.
pub(crate) fn fork_all(dice: &mut Dice) {
    let (size, protection) = (size_of::<Shared>(), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping, anonymous and shared with the children.
    let memory =
        unsafe { libc::mmap(ptr::null_mut(), size, protection, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0) };
    if memory == libc::MAP_FAILED {
        fail("no shared memory");
    }
    // Zeroes are a valid `Shared`.
    SHARED.store(memory.cast(), Ordering::Release);
    // SAFETY: the call has no preconditions.
    let parent = unsafe { libc::getpid() };
    fork_one(0, dice.fork(), parent, stop_and_continue);
    fork_one(1, dice.fork(), parent, be_busy);
}

fn fork_one(index: usize, mut dice: Dice, parent: i32, run: fn(&Shared, &mut Dice, i32)) {
    // SAFETY: the process has one thread, so the child may do anything.
    match unsafe { libc::fork() } {
        -1 => fail("no process"),
        0 => {
            // SAFETY: the call takes no pointers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) };
            if let Some(shared) = shared() {
                // SAFETY: the call has no preconditions.
                while !shared.over.load(Ordering::SeqCst) && unsafe { libc::getppid() } == parent {
                    run(shared, &mut dice, parent);
                }
            }
            // SAFETY: the call has no preconditions.
            unsafe { libc::_exit(0) }
        }
        pid => PIDS[index].store(pid, Ordering::SeqCst),
    }
}

/// Stops the soak for up to 300 ms, and continues it.
fn stop_and_continue(shared: &Shared, dice: &mut Dice, parent: i32) {
    pause(shared, Duration::from_millis(500 + dice.below(4_000)));
    if shared.over.load(Ordering::SeqCst) {
        return;
    }
    // SAFETY: the call takes no pointers. The parent lives: else this process would be killed.
    unsafe { libc::kill(parent, libc::SIGSTOP) };
    sleep(Duration::from_micros(1_000 + dice.below(300_000)));
    // SAFETY: the call takes no pointers.
    unsafe { libc::kill(parent, libc::SIGCONT) };
    shared.stops.fetch_add(1, Ordering::Relaxed);
}

/// Keeps a processor busy for up to half a second, and then sleeps.
fn be_busy(shared: &Shared, dice: &mut Dice, _: i32) {
    let end = Instant::now() + Duration::from_millis(dice.below(500));
    while Instant::now() < end && !shared.over.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
    shared.bursts.fetch_add(1, Ordering::Relaxed);
    pause(shared, Duration::from_millis(dice.below(3_000)));
}

fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Sleeps, but not much longer than until the end of the soak.
fn pause(shared: &Shared, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end && !shared.over.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(10));
    }
}

/// Returns how often the soak was stopped, and how often a neighbour was busy.
pub(crate) fn counts() -> (u64, u64) {
    shared().map_or((0, 0), |shared| (shared.stops.load(Ordering::Relaxed), shared.bursts.load(Ordering::Relaxed)))
}

/// Ends the neighbours, and waits for them. None of them is killed, because one of them may be
/// about to continue this process.
pub(crate) fn stop_all() {
    let Some(shared) = shared() else { return };
    shared.over.store(true, Ordering::SeqCst);
    for pid in &PIDS {
        let pid = pid.swap(0, Ordering::SeqCst);
        if pid > 0 {
            // SAFETY: the status is not asked for.
            unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
        }
    }
}
