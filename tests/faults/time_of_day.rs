//! A time of day that is set forward or back.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::SystemTime;

use heist::runtime::Builder;
use heist::time::{Duration, Instant, interval, sleep, timeout};

use super::injection::{CLOCK, step_time_of_day};
use super::{alone, builder};

const DAY: i64 = 86_400;

/// Timers, a deadline of a drain and the keep-alive of threads, while the time of day jumps.
#[test]
fn timers_while_the_time_of_day_jumps_are_neither_early_nor_lost() {
    alone("time_of_day::timers_while_the_time_of_day_jumps_are_neither_early_nor_lost", || {
        let before = SystemTime::now();
        step_time_of_day(DAY);
        assert!(before.elapsed().unwrap() >= Duration::from_secs(DAY as u64), "the step has no effect");
        let runtime = builder(2).thread_keep_alive(Duration::from_millis(1)).build().unwrap();
        let sleepers: Vec<_> = (0..50_u64)
            .map(|n| {
                runtime.spawn(async move {
                    let (start, span) = (Instant::now(), Duration::from_millis(n));
                    sleep(span).await;
                    assert!(start.elapsed() >= span, "it woke early");
                })
            })
            .collect();
        let far = runtime.spawn(async { timeout(Duration::from_secs(3600), std::future::pending::<()>()).await });
        runtime.block_on(async {
            let mut ticks = interval(Duration::from_millis(1));
            let first = ticks.tick().await;
            for n in 1..=40 {
                step_time_of_day(if n % 2 == 0 { 3 * DAY } else { -3 * DAY });
                assert_eq!(ticks.tick().await - first, Duration::from_millis(n));
                heist::task::spawn_blocking(|| ()).await.unwrap();
            }
        });
        for sleeper in sleepers {
            runtime.block_on(sleeper).unwrap();
        }
        assert!(!far.is_finished(), "an hour has not passed");
        step_time_of_day(-2 * DAY);
        let report = runtime.drain(Duration::from_millis(5)).wait();
        assert_eq!((report.cancelled, report.stragglers.len()), (1, 1), "{report}");
        step_time_of_day(5 * DAY);
        assert!(report.elapsed < Duration::from_secs(3600));
    });
}

/// Waits for a message when its thread ends, as a slow destructor does.
struct Slow(RefCell<Option<Receiver<()>>>);

impl Drop for Slow {
    fn drop(&mut self) {
        if let Some(wait) = self.0.get_mut().take() {
            let _ = wait.recv();
        }
    }
}

thread_local! {
    static SLOW: Slow = const { Slow(RefCell::new(None)) };
}

/// The drop of a runtime waits for its threads, for the grace at most. The thread does not end, and
/// the time of day is one of the past or of the future.
#[test]
fn shutdown_grace_does_not_depend_on_the_time_of_day() {
    alone("time_of_day::shutdown_grace_does_not_depend_on_the_time_of_day", || {
        for step in [DAY, -2 * DAY] {
            step_time_of_day(step);
            let grace = Duration::from_millis(50);
            let runtime = Builder::new_multi_thread().worker_threads(1).shutdown_grace(grace).build().unwrap();
            let (end, wait) = channel();
            let slow = runtime.spawn(async move { SLOW.with(|slow| *slow.0.borrow_mut() = Some(wait)) });
            runtime.block_on(slow).unwrap();
            let start = Instant::now();
            let reads = CLOCK.calls();
            drop(runtime);
            assert_eq!(CLOCK.calls(), reads, "the shutdown reads the time of day");
            assert!(start.elapsed() >= grace, "the thread has not been waited for");
            end.send(()).unwrap();
        }
    });
}

/// Files of `src/` that read the time of day, each with its reason.
const READERS: [(&str, &str); 2] = [
    ("primitive/join.rs", "a wait with a glibc older than 2.31"),
    ("scheduler/snapshot.rs", "the time of a snapshot, for its reader"),
];

#[test]
fn sources_that_read_the_time_of_day_are_known() {
    fn rust_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rust_files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 100, "only {} files were read", files.len());
    let reads = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        ["SystemTime", "UNIX_EPOCH", "CLOCK_REALTIME", "gettimeofday"].iter().any(|word| text.contains(word))
    };
    let mut readers: Vec<_> = files.iter().filter(|path| reads(path)).collect();
    readers.sort();
    let readers: Vec<_> = readers.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
    let known: Vec<_> = READERS.iter().map(|(file, _)| *file).collect();
    assert_eq!(readers, known, "use the monotonic clock, or add the file to READERS with its reason");
}
