//! Measures the memory of a million idle tasks. Each pass is a process of its own, so that no
//! runtime uses memory that another one has freed.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::child::Job;
use crate::contender::Contender;
use crate::sample::{Load, Sample};

const TASKS: u64 = 1_000_000;

/// The sizes of the futures of the table, in bytes. The row's futures have no size.
pub const SIZES: [usize; 6] = [8, 24, 40, 72, 136, 1_000];

/// How many of the idle tasks have been polled.
static POLLED: AtomicU64 = AtomicU64::new(0);

/// A future that is pending once it has been polled, and has `WORDS` times eight bytes.
struct Idle<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Idle<WORDS> {
    /// No word is zero, so that every page of the task is written.
    fn new() -> Self {
        Idle(black_box([1; WORDS]))
    }
}

impl<const WORDS: usize> Future for Idle<WORDS> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        black_box(&self.0);
        POLLED.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

/// Measures the row in a child.
pub fn in_a_child<C: Contender>(_: &C, load: &Load) -> Option<Sample> {
    let resident = resident_per_task(C::NAME, load.workers, 0);
    Some(Sample::plain(resident.unwrap_or_else(|problem| panic!("{}: {problem}", C::NAME))))
}

/// Returns the growth of the resident set per task, measured in a child.
///
/// # Errors
///
/// If the child fails.
pub fn resident_per_task(runtime: &str, workers: usize, bytes: usize) -> Result<f64, String> {
    let text = Job::Memory { runtime: runtime.to_owned(), workers, bytes }.output()?;
    let value = text.split_whitespace().next().and_then(|word| word.parse().ok());
    value.ok_or_else(|| format!("the child printed no number: {text}"))
}

/// In the child: returns the growth of the resident set per task, and that of the bytes that malloc
/// has handed out. Returns `None` if there are no futures of this size.
pub fn measure<C: Contender>(runtime: &C, bytes: usize) -> Option<(f64, f64)> {
    let measure: fn(&C) -> (f64, f64) = match bytes {
        0 => growth::<C, 0>,
        8 => growth::<C, 1>,
        24 => growth::<C, 3>,
        40 => growth::<C, 5>,
        72 => growth::<C, 9>,
        136 => growth::<C, 17>,
        1_000 => growth::<C, 125>,
        _ => return None,
    };
    Some(measure(runtime))
}

/// Measures the growth while a million tasks start and become idle.
///
/// The tasks' wakers are not kept. Their handles are kept, in memory that has been touched before.
/// Without the handles, a runtime without a list of its tasks may free a task that can never be
/// woken.
fn growth<C: Contender, const WORDS: usize>(runtime: &C) -> (f64, f64) {
    // Without `black_box`, the compiler allocates zeroed memory, whose pages are mapped only later.
    let mut joins: Vec<Option<C::Join<()>>> = black_box(Vec::with_capacity(TASKS as usize));
    joins.resize_with(TASKS as usize, || None);
    let before = (resident(), handed_out());
    let spawner = runtime.spawn_outside(async move {
        for (n, join) in joins.iter_mut().enumerate() {
            *join = Some(C::spawn(Idle::<WORDS>::new()));
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
