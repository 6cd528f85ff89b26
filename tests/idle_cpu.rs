//! Tests that an idle runtime uses no CPU: its threads are not scheduled at all. The process has no
//! other runtime meanwhile.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};
use heist::time::{Duration, sleep};

static ALONE: Mutex<()> = Mutex::new(());

/// Maps each thread's name to its context switches, voluntary and not, and to its time on a CPU.
type Activity = BTreeMap<String, (String, String)>;

/// Returns the activity of the runtime's threads so far.
fn activity() -> Activity {
    let mut all = Activity::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let read = |file| fs::read_to_string(path.join(file)).unwrap_or_default();
        let name = read("comm").trim().to_owned();
        if name.starts_with("idle-") || name == "heist-watchdog" {
            let switches = read("status").lines().filter(|line| line.contains("ctxt_switches")).collect();
            all.insert(format!("{name} {}", path.display()), (switches, read("schedstat")));
        }
    }
    all
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name("idle-worker").enable_all().build().unwrap()
}

/// Waits until the threads sleep, and asserts that they are not scheduled any more.
fn assert_idle() {
    let mut before = Activity::new();
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(50));
        let now = activity();
        if now.len() == 3 && std::mem::replace(&mut before, now.clone()) == now {
            break;
        }
    }
    assert_eq!(before.len(), 3, "expected two workers and the watchdog: {before:#?}");
    thread::sleep(Duration::from_secs(5));
    assert_eq!(activity(), before);
}

#[test]
fn idle_runtime_with_far_timer_uses_no_cpu() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = runtime();
    let far = [
        runtime.spawn(async { sleep(Duration::from_secs(3600)).await }),
        runtime.spawn(async { sleep(Duration::MAX).await }),
    ];
    runtime.block_on(async { sleep(Duration::from_millis(1)).await });
    assert_idle();
    assert!(far.iter().all(|sleep| !sleep.is_finished()));
}

#[test]
fn idle_runtime_with_open_sockets_uses_no_cpu() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = runtime();
    let sockets = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut pairs = Vec::new();
        for _ in 0..10 {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            pairs.push((client, listener.accept().await.unwrap().0));
        }
        let readers: Vec<_> = pairs
            .into_iter()
            .map(|(mut client, server)| {
                heist::spawn(async move {
                    let _open = server;
                    client.read(&mut [0]).await
                })
            })
            .collect();
        (listener, readers)
    });
    assert_idle();
    assert!(sockets.1.iter().all(|reader| !reader.is_finished()));
}
