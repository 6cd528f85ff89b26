//! The stalled task is reported, once.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use heist::runtime::{StallCause, TaskState};
use heist::time::sleep;

use super::kit::{Door, OnDrop, panic_text, yield_now};
use super::warnings::{warned, warnings};
use super::{block, builder, reports, until};

#[test]
fn report_of_blocked_task_names_it() {
    warnings();
    let mut builder = builder(2);
    let received = reports(&mut builder);
    // Long enough for the task to have reached the door.
    let runtime = builder.stall_threshold(Duration::from_millis(100)).build().unwrap();
    let (door, begun) = (Door::new(), Door::new());
    let (opens, begins) = (door.clone(), begun.clone());
    let place = format!("tests/stalls/reports.rs:{}:25", line!() + 1);
    let stuck = runtime.spawn(async move {
        begins.open();
        opens.wait();
    });
    let report = received.of(Some(stuck.id()));
    assert_eq!((report.task, report.cause), (Some(stuck.id()), StallCause::Blocked));
    assert_eq!(report.location.unwrap().to_string(), place);
    assert!(report.lasted >= Duration::from_millis(100));
    assert!(report.worker < 2 && report.name.is_none());
    let message = format!(
        "worker {} has been in one poll for {:?} and is blocked: its thread waits in the operating system; task {}, spawned at {place}; \
         await what it waits for, or move that to `spawn_blocking`",
        report.worker,
        report.lasted,
        stuck.id(),
    );
    assert_eq!(report.to_string(), message);
    until(|| warned(&message) == 1);
    let line = warnings().lock().unwrap().iter().find(|line| line.contains(&message)).unwrap().clone();
    let fields = format!(
        "worker={} task={} location={place} lasted={:?} cause=blocked",
        report.worker,
        stuck.id(),
        report.lasted
    );
    assert!(line.starts_with("WARN") && line.contains(&fields), "{line}");
    #[cfg(target_os = "linux")]
    assert!(std::path::Path::new(&format!("/proc/self/task/{}", report.thread.unwrap())).exists());
    door.open();
    runtime.block_on(stuck).unwrap();
    until(|| runtime.metrics().stall_durations().iter().map(|(_, count)| count).sum::<u64>() == 1);
    let lasted = runtime.metrics().stall_durations().into_iter().find(|(_, count)| *count > 0).unwrap().0;
    assert!(lasted.end > report.lasted);
    assert_eq!(runtime.metrics().stall_count(), 1);
}

/// A task that computes is not reported as blocked.
#[test]
fn report_of_computing_task_is_not_blocked() {
    let mut builder = builder(1);
    let received = reports(&mut builder);
    let runtime = builder.stall_threshold(Duration::from_millis(30)).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&stop);
    let busy = runtime.spawn(async move { while !stops.load(Ordering::Relaxed) {} });
    let report = received.of(Some(busy.id()));
    stop.store(true, Ordering::Relaxed);
    assert_eq!(report.task, Some(busy.id()));
    assert!(report.lasted >= Duration::from_millis(30));
    // With other tests on the same processors, the thread may have had less than half of one.
    assert!(matches!(report.cause, StallCause::Busy | StallCause::Starved), "{report}");
    runtime.block_on(busy).unwrap();
}

/// A stall is reported once, however long it lasts. The next stall of the same task is reported
/// again.
#[test]
fn report_is_made_once_per_stall() {
    let mut builder = builder(1);
    let received = reports(&mut builder);
    let runtime = builder.build().unwrap();
    let (first, second) = (Door::new(), Door::new());
    let (one, two) = (first.clone(), second.clone());
    let stuck = runtime.spawn(async move {
        one.wait();
        yield_now().await;
        two.wait();
    });
    received.of(Some(stuck.id()));
    // Ten times the threshold. A spare runs this.
    runtime.block_on(runtime.spawn(async { sleep(Duration::from_millis(100)).await })).unwrap();
    assert_eq!(received.rest(Some(stuck.id())), 0);
    first.open();
    received.of(Some(stuck.id()));
    second.open();
    runtime.block_on(stuck).unwrap();
    assert_eq!(runtime.metrics().stall_count(), 2);
}

/// A task in a later poll, a task in its destructor, and no task at all.
#[test]
fn report_names_what_is_polled_or_no_task() {
    let mut builder = builder(1);
    let received = reports(&mut builder);
    let runtime = builder.max_spare_workers(0).build().unwrap();
    // In its second poll.
    let (door, go) = (Door::new(), Door::new());
    let (opens, goes) = (door.clone(), go.clone());
    let stuck = runtime.spawn(async move {
        goes.opened().await;
        opens.wait();
    });
    until(|| runtime.handle().dump().tasks.iter().any(|task| task.state == TaskState::Idle));
    go.open();
    received.of(Some(stuck.id()));
    door.open();
    runtime.block_on(stuck).unwrap();
    // In the destructor of a task that is cancelled.
    let door = Door::new();
    let opens = door.clone();
    let guard = OnDrop::new(move || opens.wait());
    let cancelled = runtime.spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    until(|| runtime.handle().dump().tasks.iter().any(|task| task.state == TaskState::Idle));
    cancelled.abort();
    received.of(Some(cancelled.id()));
    door.open();
    assert!(runtime.block_on(cancelled).unwrap_err().is_cancelled());
    // In a waker that a timer wheel calls.
    struct Stuck(Door);
    impl std::task::Wake for Stuck {
        fn wake(self: Arc<Self>) {
            self.0.wait();
        }
    }
    let door = Door::new();
    let waker = std::task::Waker::from(Arc::new(Stuck(door.clone())));
    let guard = runtime.enter();
    let mut sleep = Box::pin(sleep(Duration::from_millis(1)));
    assert!(sleep.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    drop(guard);
    let report = received.of(None);
    assert_eq!((report.task, report.location), (None, None));
    assert!(report.to_string().contains("; in no task"), "{report}");
    door.open();
}

/// The hook may use the runtime, and its panic is caught.
#[test]
fn stall_hook_may_panic_and_use_the_runtime() {
    let place: Arc<OnceLock<heist::runtime::Handle>> = Arc::default();
    let (sender, received) = mpsc::channel();
    let hooked = Arc::clone(&place);
    let runtime = builder(1)
        .max_worker_threads(2)
        .on_stall(move |report| {
            let handle = hooked.get().expect("the handle is set before a worker stalls");
            drop(handle.spawn(async {}));
            drop(handle.resize(1));
            let tasks = handle.dump().tasks;
            assert!(report.task.is_none_or(|stuck| tasks.iter().any(|task| task.id == stuck)));
            sender.send(report.task).unwrap();
            panic!("a hook of no worth");
        })
        .build()
        .unwrap();
    place.set(runtime.handle().clone()).unwrap();
    for _ in 0..3 {
        let door = Door::new();
        let stuck = block(&runtime, &door);
        assert!(received.iter().any(|task| task == Some(stuck.id())));
        door.open();
        runtime.block_on(stuck).unwrap();
    }
}

#[test]
fn builder_stall_settings_out_of_range_are_refused() {
    let text = panic_text(|| builder(1).stall_threshold(Duration::ZERO).build());
    assert!(text.contains("stall_threshold(0)"), "{text}");
    let error = builder(1).max_spare_workers(1 << 14).build().unwrap_err().to_string();
    assert!(error.contains("16384 spare workers") && error.contains("`max_spare_workers`"), "{error}");
    let error = builder(1).max_spare_workers(usize::MAX).build().unwrap_err().to_string();
    assert!(error.contains("`max_spare_workers`"), "{error}");
}
