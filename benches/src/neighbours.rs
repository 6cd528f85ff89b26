//! Other work on the machine of a server: processes that spin, or a share of its time.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::child::{Job, Running};

/// The work beside a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Neighbours {
    None,
    /// One process for each core, pinned to it, that spins at the server's nice level.
    Spin,
    /// The server is stopped in a part of each period.
    Quota,
}

/// The period of a quota, and the part of it in which the server runs.
const PERIOD: Duration = Duration::from_millis(100);
const RUNNING: Duration = Duration::from_millis(70);

/// The nice level of the lowest priority.
const LOWEST: i32 = 19;

impl Neighbours {
    pub const ALL: [Neighbours; 3] = [Neighbours::None, Neighbours::Spin, Neighbours::Quota];

    pub fn name(self) -> &'static str {
        match self {
            Neighbours::None => "none",
            Neighbours::Spin => "spin",
            Neighbours::Quota => "quota",
        }
    }

    /// Starts one process for each core, pinned to it, that spins at the lowest priority.
    ///
    /// # Errors
    ///
    /// If a process cannot be started.
    pub fn start_at_lowest_priority() -> Result<Work, String> {
        Ok(Work { _spinning: spinning(LOWEST)?, _quota: None })
    }

    /// Starts the work beside the server with this process number.
    ///
    /// # Errors
    ///
    /// If a process cannot be started.
    pub fn start(self, server: &Running) -> Result<Work, String> {
        match self {
            Neighbours::None => Ok(Work { _spinning: Vec::new(), _quota: None }),
            Neighbours::Spin => Ok(Work { _spinning: spinning(0)?, _quota: None }),
            Neighbours::Quota => Ok(Work { _spinning: Vec::new(), _quota: Some(Quota::start(server.pid())) }),
        }
    }
}

/// The work beside a server. Dropping it ends the work, and lets the server run.
pub struct Work {
    _spinning: Vec<Running>,
    _quota: Option<Quota>,
}

/// Starts one process for each core, at this nice level.
fn spinning(nice: i32) -> Result<Vec<Running>, String> {
    allowed_cpus().into_iter().map(|cpu| Job::Spin { cpu, nice }.start()).collect()
}

/// A thread that stops a process for a part of each period, as `cpu.max` does with a group that has
/// used up its quota.
struct Quota {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Quota {
    fn start(pid: libc::pid_t) -> Quota {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = thread::spawn(move || {
            let mut period = Instant::now();
            while !ended.load(Ordering::Relaxed) {
                sleep_until(period + RUNNING);
                send(pid, libc::SIGSTOP);
                sleep_until(period + PERIOD);
                send(pid, libc::SIGCONT);
                period += PERIOD;
            }
        });
        Quota { end, thread: Some(thread) }
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread does not panic.
            let _ = thread.join();
        }
    }
}

fn sleep_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}

/// Sends a signal to a child that has not been waited for. If the child has ended, nothing happens.
fn send(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: the call takes numbers. The number of a child stays its own until the parent waits
    // for the child.
    unsafe { libc::kill(pid, signal) };
}

/// Returns the processors on which this process may run.
fn allowed_cpus() -> Vec<usize> {
    let mut set = empty_set();
    // SAFETY: the pointer is to a set of the size that is passed.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
    assert!(result == 0, "the kernel does not say on which processors this process may run");
    let limit = usize::try_from(libc::CPU_SETSIZE).expect("a positive constant");
    // SAFETY: the number is below the size of the set.
    (0..limit).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// In the child: keeps one processor busy until this process is killed.
///
/// # Errors
///
/// If the process may not run there, or not at this nice level.
pub fn spin(cpu: usize, nice: i32) -> Result<(), String> {
    let mut set = empty_set();
    let limit = usize::try_from(libc::CPU_SETSIZE).expect("a positive constant");
    if cpu >= limit {
        return Err(format!("there is no processor {cpu}"));
    }
    // SAFETY: the number is below the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer is to a set of the size that is passed.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    if result != 0 {
        return Err(format!("this process may not run on processor {cpu}"));
    }
    // SAFETY: the call takes numbers; zero is the calling process.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } != 0 {
        return Err(format!("this process may not have the nice level {nice}"));
    }
    loop {
        spin_loop();
    }
}

fn empty_set() -> libc::cpu_set_t {
    // SAFETY: a set of processors is plain numbers, and all-zero is the empty set.
    unsafe { std::mem::zeroed() }
}
