//! Calls that a signal interrupts, in storms.

use std::fs;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};
use heist::time::{Duration, Instant, interval, sleep};

use super::injection::{ACCEPT, Call, EPOLL_WAIT, PPOLL, RECV, SEND};
use super::kit::Count;
use super::{alone, builder, runtime};

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Sets a handler of SIGUSR1 that interrupts system calls.
fn handle_signals() {
    // SAFETY: every field of the structure may be zero.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the action is valid for the call. Its handler only changes an atomic.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) }, 0);
}

/// Returns the ids of this process's threads.
fn thread_ids() -> Vec<libc::pid_t> {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads.map(|thread| thread.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// Calls `f` while each thread of the process gets one signal after the other.
fn under_signals<R>(f: impl FnOnce() -> R) -> R {
    let done = AtomicBool::new(false);
    let storm = || {
        // SAFETY: the call has no requirements.
        let own = unsafe { libc::gettid() };
        while !done.load(Ordering::SeqCst) {
            for thread in thread_ids().into_iter().filter(|thread| *thread != own) {
                // SAFETY: no memory is passed. If the thread has ended, the call returns an error.
                unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, libc::SIGUSR1) };
            }
        }
    };
    thread::scope(|scope| {
        let stormy = scope.spawn(storm);
        let result = f();
        done.store(true, Ordering::SeqCst);
        stormy.join().unwrap();
        result
    })
}

const CLIENTS: usize = 8;
const ROUNDS: usize = 50;

/// Serves an echo to some clients. Returns how many bytes came back.
async fn echo() -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = heist::spawn(async move {
        for _ in 0..CLIENTS {
            let (mut stream, _) = listener.accept().await.unwrap();
            heist::spawn(async move {
                let mut buf = [0; 64];
                while let count @ 1.. = stream.read(&mut buf).await.unwrap() {
                    stream.write_all(&buf[..count]).await.unwrap();
                }
            });
        }
    });
    let client = |_| {
        heist::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut bytes = 0;
            for round in 0..ROUNDS {
                let sent = [round as u8; 16];
                stream.write_all(&sent).await.unwrap();
                let mut got = [0; 16];
                bytes += stream.read_exact(&mut got).await.unwrap();
                assert_eq!(got, sent);
            }
            bytes
        })
    };
    let mut bytes = 0;
    for client in (0..CLIENTS).map(client).collect::<Vec<_>>() {
        bytes += client.await.unwrap();
    }
    server.await.unwrap();
    bytes
}

/// Each sleep ends once, and not early. Each tick of an interval comes once.
async fn timers() -> usize {
    let sleeper = |n: u64| {
        heist::spawn(async move {
            let (start, span) = (Instant::now(), Duration::from_micros(n * 300));
            sleep(span).await;
            assert!(start.elapsed() >= span, "it woke early");
        })
    };
    let sleepers: Vec<_> = (0..30).map(sleeper).collect();
    let mut ticks = interval(Duration::from_millis(1));
    let mut ended = 0;
    let first = ticks.tick().await;
    for n in 1..=10 {
        assert_eq!(ticks.tick().await - first, Duration::from_millis(n));
        ended += 1;
    }
    for sleeper in sleepers {
        sleeper.await.unwrap();
        ended += 1;
    }
    ended
}

async fn jobs() -> usize {
    let ran = Count::new();
    let job = |_| {
        let ran = ran.clone();
        heist::task::spawn_blocking(move || {
            thread::sleep(Duration::from_millis(1));
            ran.add();
        })
    };
    for job in (0..30).map(job).collect::<Vec<_>>() {
        job.await.unwrap();
    }
    ran.get()
}

/// Runs sockets, timers and jobs at once.
fn run_all(runtime: &Runtime) {
    let spawned = |work: std::pin::Pin<Box<dyn Future<Output = usize> + Send>>| runtime.spawn(work);
    let all = [spawned(Box::pin(echo())), spawned(Box::pin(timers())), spawned(Box::pin(jobs()))];
    let counts = all.map(|work| runtime.block_on(work).unwrap());
    assert_eq!(counts, [CLIENTS * ROUNDS * 16, 40, 30]);
}

#[test]
fn runtime_under_a_storm_of_signals_loses_nothing() {
    alone("interrupts::runtime_under_a_storm_of_signals_loses_nothing", || {
        handle_signals();
        under_signals(|| {
            for workers in [1, 2, 4] {
                let runtime = builder(workers).max_worker_threads(8).build().unwrap();
                run_all(&runtime);
                assert_eq!(runtime.resize(3).wait().unwrap().to, 3);
                let report = runtime.drain(Duration::from_secs(60)).wait();
                assert_eq!((report.cancelled, report.stragglers.len()), (0, 0), "{report}");
            }
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            run_all(&runtime);
        });
        assert!(SIGNALS.load(Ordering::Relaxed) > 1_000, "{SIGNALS:?}");
    });
}

/// The same with injected interrupts: every second call of one kind fails.
#[test]
fn runtime_with_each_kind_of_call_interrupted_loses_nothing() {
    alone("interrupts::runtime_with_each_kind_of_call_interrupted_loses_nothing", || {
        let calls: [(&str, &Call, usize); 5] = [
            ("accept4", &ACCEPT, CLIENTS),
            ("epoll_wait", &EPOLL_WAIT, 1),
            ("ppoll", &PPOLL, 2),
            ("recv", &RECV, ROUNDS),
            ("send", &SEND, ROUNDS),
        ];
        for workers in [1, 2] {
            let runtime = runtime(workers);
            for (name, call, least) in calls {
                call.fail_each(2, 0..usize::MAX, libc::EINTR);
                run_all(&runtime);
                // Now the worker has nothing else to do. It sleeps in the kernel until the timer is
                // due, unless it gets its processor too late.
                while name == "ppoll" && call.refused() < least {
                    runtime.block_on(runtime.spawn(async { sleep(Duration::from_millis(2)).await })).unwrap();
                }
                let interrupted = call.heal();
                assert!(interrupted >= least, "{name}: {interrupted}");
            }
        }
    });
}
