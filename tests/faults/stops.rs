//! A process that is stopped by SIGSTOP, and continued by SIGCONT.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, io, thread};

use heist::net::{TcpListener, TcpStream};
use heist::time::{Duration, Instant, MissedTickBehavior, interval, sleep};

use super::{builder, until};

/// Marks the process that is stopped.
const MARK: &str = "HEIST_TEST_STOPPED";

fn signal(child: &Child, signal: libc::c_int) {
    let process = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: no memory is passed. The child has not been waited for, so the id is its own.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

/// Returns the state of the child in the kernel, as `T` for stopped and `Z` for ended.
fn state_of(child: &Child) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    stat.rsplit(')').next().unwrap().trim().chars().next().unwrap()
}

/// Returns how often the threads of the child have been given a processor.
fn switches_of(child: &Child) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
    let of = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("status")).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains("ctxt_switches"));
        lines.filter_map(|line| line.rsplit('\t').next()?.parse::<usize>().ok()).sum::<usize>()
    };
    tasks.map(|task| of(task.path())).sum()
}

/// Stops and continues the process again and again, each time after it has run for a while.
#[test]
fn runtime_of_a_stopped_process_goes_on_where_it_was() {
    if env::var_os(MARK).is_some() {
        // SAFETY: the call has no requirements.
        unsafe { libc::alarm(240) };
        return work();
    }
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["stops::runtime_of_a_stopped_process_goes_on_where_it_was", "--exact", "--nocapture"])
        .env(MARK, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stops = 0;
    while state_of(&child) != 'Z' {
        signal(&child, libc::SIGSTOP);
        until(|| matches!(state_of(&child), 'T' | 'Z'));
        // Long enough for several timers to be overdue.
        thread::sleep(Duration::from_millis(15));
        let switches = switches_of(&child);
        signal(&child, libc::SIGCONT);
        stops += 1;
        until(|| state_of(&child) == 'Z' || switches_of(&child) > switches + 20);
    }
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    assert!(stops > 10, "{stops} stops");
}

/// What the stopped process does. It asserts counts, and that no timer is early.
fn work() {
    let runtime = builder(2).max_worker_threads(4).build().unwrap();
    let echoed = runtime.spawn(echo());
    let fired = Arc::new(AtomicUsize::new(0));
    let sleepers: Vec<_> = (0..100_u64)
        .map(|n| {
            let fired = Arc::clone(&fired);
            runtime.spawn(async move {
                let (start, span) = (Instant::now(), Duration::from_millis(n * 3));
                sleep(span).await;
                assert!(start.elapsed() >= span, "it woke early");
                fired.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    let ticks = runtime.spawn(ticks());
    for size in [4, 1, 3, 2].repeat(10) {
        assert_eq!(runtime.resize(size).wait().unwrap().to, size);
        runtime.block_on(async { sleep(Duration::from_millis(1)).await });
    }
    for sleeper in sleepers {
        runtime.block_on(sleeper).unwrap();
    }
    assert_eq!(fired.load(Ordering::SeqCst), 100);
    assert_eq!(runtime.block_on(ticks).unwrap(), 100);
    assert_eq!(runtime.block_on(echoed).unwrap().unwrap(), 300);
    let late = runtime.spawn(std::future::pending::<()>());
    let report = runtime.drain(Duration::from_millis(20)).wait();
    assert_eq!((report.completed, report.cancelled, report.stragglers.len()), (0, 1, 1), "{report}");
    assert!(runtime.block_on(late).unwrap_err().is_cancelled());
}

/// Returns how many ticks came, each at its own time.
async fn ticks() -> usize {
    let mut interval = interval(Duration::from_millis(2));
    interval.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let first = interval.tick().await;
    for n in 1..=100 {
        assert_eq!(interval.tick().await - first, Duration::from_millis(2) * n);
    }
    100
}

async fn echo() -> io::Result<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut client = TcpStream::connect(listener.local_addr()?).await?;
    let (mut server, _) = listener.accept().await?;
    let mut bytes = 0;
    for round in 0..100_u8 {
        client.write_all(&[round; 3]).await?;
        let mut buf = [0; 3];
        server.read_exact(&mut buf).await?;
        server.write_all(&buf).await?;
        bytes += client.read_exact(&mut buf).await?;
        assert_eq!(buf, [round; 3]);
        sleep(Duration::from_millis(1)).await;
    }
    Ok(bytes)
}
