//! The report comes at the deadline, whatever does not return. The grace is endless here; it
//! belongs to the shutdown alone.

use std::future::{Future, pending};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, DrainReport, LocalOptions, Runtime};
use heist::task::Id;

use crate::kit::{Door, OnDrop};
use crate::rig::{Blocker, LONG, blocks_when_dropped};

/// The place of the user code that blocks a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    FirstPoll,
    LaterPoll,
    Job,
    JobOutput,
    Destructor,
    SpawnHook,
    ParkHook,
    Waker,
}

const PLACES: [Place; 8] = [
    Place::FirstPoll,
    Place::LaterPoll,
    Place::Job,
    Place::JobOutput,
    Place::Destructor,
    Place::SpawnHook,
    Place::ParkHook,
    Place::Waker,
];

fn runtime(workers: usize, place: Place, blocker: &Blocker, armed: &Door) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).max_spare_workers(0).shutdown_grace(LONG).enable_all();
    let blocks_if = |at: Place| {
        let (blocker, armed) = (blocker.clone(), armed.clone());
        move || {
            if place == at && armed.is_open() {
                blocker.block();
            }
        }
    };
    let (spawn, park) = (blocks_if(Place::SpawnHook), blocks_if(Place::ParkHook));
    builder.on_task_spawn(move |_| spawn()).on_thread_park(park).build().unwrap()
}

/// Blocks a thread of the runtime, or a thread that spawns, at the place. Returns the task that the
/// report names for it, if there is one.
fn occupy(runtime: &Runtime, place: Place, blocker: &Blocker, armed: &Door) -> Option<Id> {
    let (blocks, handle) = (blocker.clone(), runtime.handle().clone());
    let task = match place {
        Place::FirstPoll => Some(runtime.spawn(async move { blocks.block() }).id()),
        Place::LaterPoll => {
            let task = runtime.spawn(async move {
                heist::time::sleep(Duration::from_millis(1)).await;
                blocks.block();
            });
            Some(task.id())
        }
        Place::Job => Some(runtime.spawn_blocking(move || blocks.block()).id()),
        // No handle wants the output, so the job's thread drops it.
        Place::JobOutput => {
            let detached = Door::new();
            let waits = detached.clone();
            let job = runtime.spawn_blocking(move || {
                waits.wait();
                OnDrop::new(move || blocks.block())
            });
            let id = job.id();
            drop(job);
            detached.open();
            Some(id)
        }
        // The destructor begins at the deadline.
        Place::Destructor => return Some(runtime.spawn(blocks_when_dropped(blocker)).id()),
        Place::SpawnHook => {
            armed.open();
            drop(thread::spawn(move || handle.spawn(pending::<()>())));
            None
        }
        Place::ParkHook => {
            armed.open();
            drop(runtime.spawn(async {}));
            None
        }
        Place::Waker => {
            struct Blocks(Blocker);
            impl Wake for Blocks {
                fn wake(self: Arc<Self>) {
                    self.0.block();
                }
            }
            // A worker calls the waker between two polls, when the timer fires.
            let _inside = runtime.enter();
            let timer = Box::leak(Box::new(Box::pin(heist::time::sleep(Duration::from_millis(1)))));
            let waker = Waker::from(Arc::new(Blocks(blocks)));
            assert!(timer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            None
        }
    };
    blocker.wait_until_blocked();
    task
}

#[test]
fn report_comes_at_the_deadline_and_names_what_runs() {
    for place in PLACES {
        for workers in [1, 2] {
            for deadline in [Duration::ZERO, Duration::from_millis(20)] {
                let (blocker, armed) = (Blocker::default(), Door::new());
                let runtime = runtime(workers, place, &blocker, &armed);
                let named = occupy(&runtime, place, &blocker, &armed);
                // The place returns when it is released, which is after the report.
                let report = runtime.drain(deadline).wait();
                assert_report(&report, named, place, deadline);
                blocker.release();
            }
        }
    }
}

fn assert_report(report: &DrainReport, named: Option<Id>, place: Place, deadline: Duration) {
    assert!(report.elapsed >= deadline || place == Place::ParkHook, "{place:?}: {report}");
    match named {
        Some(id) => {
            let straggler = report.stragglers.iter().find(|straggler| straggler.id == id).expect("it is named");
            // A poll or a job has been running since before the drain began.
            let least = if place == Place::Destructor { Duration::ZERO } else { deadline };
            assert!(straggler.running_for.is_some_and(|time| time >= least), "{place:?}: {report}");
            assert!(report.to_string().contains("running for"), "{report}");
        }
        None => assert!(report.stragglers.len() + report.unnamed as usize <= 1, "{place:?}: {report}"),
    }
}

/// No other thread may touch the tasks of a local runtime, and its own thread does not drive it.
#[test]
fn report_of_a_local_runtime_comes_at_the_deadline_whatever_its_thread_does() {
    let runtime = Builder::new_current_thread().shutdown_grace(LONG).build_local(LocalOptions::default()).unwrap();
    let task = runtime.spawn_local(pending::<()>());
    let drain = runtime.handle().drain(Duration::ZERO);
    let report = futures::executor::block_on(drain);
    assert!(report.stragglers.iter().all(|straggler| straggler.id == task.id()), "{report}");
    assert_eq!(report.stragglers.len() + report.unnamed as usize, 1, "{report}");
    assert!(!task.is_finished());
    runtime.shutdown_background();
    assert!(task.is_finished());
}

/// A task that the reaper has not reached by the time of the report is dropped afterwards.
#[test]
fn overdue_tasks_are_dropped_after_the_report_too() {
    let (blocker, armed) = (Blocker::default(), Door::new());
    let runtime = runtime(1, Place::FirstPoll, &blocker, &armed);
    occupy(&runtime, Place::FirstPoll, &blocker, &armed);
    let slow: Vec<_> = (0..40)
        .map(|_| {
            let guard = OnDrop::new(|| thread::sleep(Duration::from_millis(1)));
            runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
        })
        .collect();
    let report = runtime.drain(Duration::ZERO).wait();
    assert_eq!(report.stragglers.len(), 41, "{report}");
    while !slow.iter().all(heist::task::JoinHandle::is_finished) {
        thread::yield_now();
    }
    blocker.release();
}
