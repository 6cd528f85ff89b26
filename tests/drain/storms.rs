//! Many threads spawn while a drain begins or its deadline passes.

use std::future::Future;
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, Runtime};
use heist::task::{JoinHandle, spawn_blocking};

use crate::kit::{Count, Door, yield_now};
use crate::rig::{LONG, counts};

fn with_workers(count: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).enable_all().watchdog(false).drain_report_delay(LONG).build().unwrap()
}

/// Foreign threads spawn while the drain begins; those tasks spawn, block and wait. Each admitted
/// task has ended when the report is there, and none runs after it.
#[test]
fn spawn_storm_at_drain_is_counted_or_refused() {
    for round in 0..60 {
        let runtime = with_workers(1 + round % 4);
        let (accepted, ended, refused) = (Count::new(), Count::new(), Count::new());
        let start = Door::new();
        let storms: Vec<_> = (0..2)
            .map(|_| {
                let (handle, start) = (runtime.handle().clone(), start.clone());
                let (accepted, ended, refused) = (accepted.clone(), ended.clone(), refused.clone());
                thread::spawn(move || {
                    start.wait();
                    let mut tasks = Vec::new();
                    while refused.get() < 20 {
                        if tasks.len() > 300 {
                            thread::yield_now();
                        }
                        let (all, over) = (accepted.clone(), ended.clone());
                        let task = async move {
                            yield_now().await;
                            let last = over.clone();
                            all.add();
                            drop(heist::spawn(async move {
                                yield_now().await;
                                last.add();
                            }));
                            if over.get() % 16 == 0 {
                                let last = over.clone();
                                all.add();
                                drop(spawn_blocking(move || last.add()));
                            }
                            over.add();
                        };
                        match handle.try_spawn(task) {
                            Ok(task) => {
                                accepted.add();
                                tasks.push(task);
                            }
                            Err(_) => {
                                refused.add();
                            }
                        }
                    }
                    tasks
                })
            })
            .collect();
        start.open();
        while ended.get() < round {
            thread::yield_now();
        }
        let report = runtime.drain(LONG).wait();
        let then = ended.get();
        assert_eq!(counts(&report)[1..], [0, 0, 0], "{report}");
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        let tasks: Vec<_> = storms.into_iter().flat_map(|storm| storm.join().unwrap()).collect();
        assert!(tasks.iter().all(JoinHandle::is_finished));
        assert_eq!((accepted.get(), ended.get()), (then, then));
        assert!(report.completed <= then as u64);
    }
}

/// The deadline passes while tasks spawn tasks.
#[test]
fn spawn_storm_at_deadline_is_dropped() {
    for round in 0..100 {
        let runtime = with_workers(1 + round % 4);
        let (made, dropped) = (Count::new(), Count::new());
        fn breed(made: Count, dropped: Count) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            made.add();
            let guard = dropped.on_drop();
            Box::pin(async move {
                let _guard = guard;
                loop {
                    yield_now().await;
                    if made.get() < 500 {
                        drop(heist::spawn(breed(made.clone(), dropped.clone())));
                    } else {
                        heist::time::sleep(LONG).await;
                    }
                }
            })
        }
        for _ in 0..4 {
            drop(runtime.spawn(breed(made.clone(), dropped.clone())));
        }
        let report = runtime.drain(Duration::from_micros(round as u64 * 20)).wait();
        assert_eq!(made.get(), dropped.get());
        assert_eq!(report.stragglers.len() as u64, report.cancelled, "{report}");
        assert_eq!((report.completed, report.panicked), (0, 0));
    }
}
