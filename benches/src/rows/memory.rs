//! What a million idle tasks cost in memory. Each row's pass is a process of its own, so that no
//! runtime lives off memory that another one has freed.

use std::future::poll_fn;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use super::{Load, Sample};
use crate::contender::Contender;

const TASKS: u64 = 1_000_000;

/// The first argument by which the program knows that it is such a process.
pub const CHILD: &str = "--memory-of";

/// How many of the idle tasks have been polled.
static POLLED: AtomicU64 = AtomicU64::new(0);

/// Starts this program again for the one measurement.
pub fn in_a_child<C: Contender>(_: &C, load: &Load) -> Option<Sample> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new(program).args([CHILD, C::NAME, &load.workers.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = text.split_whitespace().next().and_then(|word| word.parse().ok());
    let value = value.unwrap_or_else(|| panic!("{}: {text} {}", C::NAME, String::from_utf8_lossy(&output.stderr)));
    Some(Sample::plain(value))
}

/// In the child: the growth of the resident set per task, and of what malloc has handed out.
///
/// The tasks' futures have no size, nobody holds a waker of theirs, and their handles are kept (in
/// memory that has been touched before): without them a runtime that keeps no list of its tasks may
/// free what can never be woken.
pub fn measure<C: Contender>(runtime: &C) -> (f64, f64) {
    // Opaque, or else the compiler makes zeroed memory of it, whose pages come into being only
    // later.
    let mut joins: Vec<Option<C::Join<()>>> = black_box(Vec::with_capacity(TASKS as usize));
    joins.resize_with(TASKS as usize, || None);
    let before = (resident(), handed_out());
    let spawner = runtime.spawn_outside(async move {
        for (n, join) in joins.iter_mut().enumerate() {
            *join = Some(C::spawn(poll_fn(|_| {
                POLLED.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            })));
            // Not more than a few hundred in the queues: their growth is not what is measured.
            if n % 256 == 255 {
                C::yield_now().await;
            }
        }
        std::mem::forget(joins);
    });
    C::detach(spawner);
    while POLLED.load(Ordering::Relaxed) < TASKS {
        std::thread::sleep(Duration::from_millis(1));
    }
    let per_task = |before: u64, after: u64| after.saturating_sub(before) as f64 / TASKS as f64;
    (per_task(before.0, resident()), per_task(before.1, handed_out()))
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("no /proc/self/statm");
    let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("an odd /proc/self/statm");
    pages * 4096
}

/// Bytes of all of glibc's arenas that are in use, chunk headers included.
fn handed_out() -> u64 {
    // SAFETY: reads the allocator's own statistics under its locks.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}
