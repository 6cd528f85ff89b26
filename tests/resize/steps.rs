//! Many changes.

use std::time::Duration;

use heist::time::sleep;

use super::{kit, one_each, until, workers};

/// Up and down, sixteen hundred times, or a hundred thousand if HEIST_STRESS is set: no thread, no
/// file and no memory is left behind.
#[test]
#[cfg(target_os = "linux")]
fn many_steps_leave_nothing_behind() {
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    kit::alone("steps::many_steps_leave_nothing_behind", None, || {
        let steps = if std::env::var_os("HEIST_STRESS").is_some() { 100_000 } else { 1_600 };
        let runtime = workers(1);
        // A timer that is handed to and fro, and a task at home in a seat that comes and goes.
        runtime.resize(4).wait().unwrap();
        let far = one_each(&runtime, 4, |_| async { sleep(Duration::from_secs(3600)).await });
        let mut before = (0, 0, 0);
        for step in 0..=steps {
            assert_eq!(runtime.resize([1, 4, 2, 3][step % 4]).wait().unwrap().version, step as u64 + 2);
            if step == 0 || step == steps / 4 || step == steps {
                assert_eq!(runtime.resize(1).wait().unwrap().to, 1);
                // The harness has two threads, and one that has left its seat may not have ended
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
