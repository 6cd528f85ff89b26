//! Many changes.

use std::time::Duration;

use heist::time::sleep;

use super::{kit, one_each, until, workers};

/// Resizes up and down, 1,600 times, or 100,000 times if HEIST_STRESS is set. No thread, no file
/// and no memory is leaked.
#[test]
#[cfg(target_os = "linux")]
fn resizes_repeated_leak_no_thread_file_or_memory() {
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    kit::alone("steps::resizes_repeated_leak_no_thread_file_or_memory", None, || {
        let steps = if std::env::var_os("HEIST_STRESS").is_some() { 100_000 } else { 1_600 };
        let runtime = workers(1);
        // A timer that changes hands, and a task owned by a seat that is vacated and taken again.
        runtime.resize(4).wait().unwrap();
        let far = one_each(&runtime, 4, |_| async { sleep(Duration::from_secs(3600)).await });
        let mut before = (0, 0, 0);
        for step in 0..=steps {
            assert_eq!(runtime.resize([1, 4, 2, 3][step % 4]).wait().unwrap().version, step as u64 + 2);
            if step == 0 || step == steps / 4 || step == steps {
                assert_eq!(runtime.resize(1).wait().unwrap().to, 1);
                // The harness has two threads. One that has vacated its seat may not have ended
                // yet.
                until(|| count("task") == 3);
                before = match before {
                    (0, 0, 0) => (count("task"), count("fd"), 0),
                    (threads, files, 0) => (threads, files, resident()),
                    (threads, files, memory) => {
                        assert_eq!((threads, files), (count("task"), count("fd")));
                        assert!(resident() < memory + (4 << 20), "{memory} bytes, then {}", resident());
                        (threads, files, memory)
                    }
                };
            }
        }
        assert!(far.iter().all(|sleeper| !sleeper.is_finished()));
    });
}
