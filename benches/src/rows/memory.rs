//! Measures the memory of a million idle tasks. Each pass is a process of its own, so that no
//! runtime uses memory that another one has freed.

use std::future::poll_fn;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::contender::Contender;
use crate::sample::{Load, Sample};

const TASKS: u64 = 1_000_000;

/// The first argument of a child process that measures memory.
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

/// In the child: returns the growth of the resident set per task, and that of the bytes that malloc
/// has handed out.
///
/// The tasks' futures have no size, and their wakers are not kept. Their handles are kept, in
/// memory that has been touched before. Without the handles, a runtime without a list of its tasks
/// may free a task that can never be woken.
pub fn measure<C: Contender>(runtime: &C) -> (f64, f64) {
    // Without `black_box`, the compiler allocates zeroed memory, whose pages are mapped only later.
    let mut joins: Vec<Option<C::Join<()>>> = black_box(Vec::with_capacity(TASKS as usize));
    joins.resize_with(TASKS as usize, || None);
    let before = (resident(), handed_out());
    let spawner = runtime.spawn_outside(async move {
        for (n, join) in joins.iter_mut().enumerate() {
            *join = Some(C::spawn(poll_fn(|_| {
                POLLED.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            })));
            // The queues hold at most a few hundred tasks, because their growth is not measured.
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

/// Returns the resident bytes of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("no /proc/self/statm");
    let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("an odd /proc/self/statm");
    pages * 4096
}

/// Returns the bytes in use of all of glibc's arenas, chunk headers included.
fn handed_out() -> u64 {
    // SAFETY: the call has no arguments; it reads the allocator's statistics under its locks.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}
