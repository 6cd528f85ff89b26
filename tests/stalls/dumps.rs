//! Dumps of a runtime, wedged or not.

use std::collections::BTreeSet;

use heist::runtime::{Activity, Builder, RuntimePhase, TaskState};
use heist::task::JoinHandle;

use super::kit::Door;
use super::{block_all, builder, until};

/// All workers and all spares of the runtime are stuck.
#[test]
fn dump_of_wedged_runtime_lists_all_tasks() {
    let runtime = builder(2).max_spare_workers(1).build().unwrap();
    let (door, never) = (Door::new(), Door::new());
    let idle: Vec<_> = (0..10)
        .map(|_| {
            let never = never.clone();
            runtime.spawn(async move { never.opened().await })
        })
        .collect();
    until(|| runtime.handle().dump().tasks.iter().filter(|task| task.state == TaskState::Idle).count() == 10);
    let stuck = block_all(&runtime, 3, &door);
    let queued: Vec<_> = (0..5).map(|_| runtime.spawn(async {})).collect();
    let job = runtime.spawn_blocking({
        let door = door.clone();
        move || door.wait()
    });
    let dump = loop {
        let dump = runtime.handle().dump();
        let known =
            |seat: &heist::runtime::WorkerDump| matches!(seat.activity, Activity::Polling { since: Some(_), .. });
        if dump.workers.iter().all(known) {
            break dump;
        }
    };
    assert_eq!(
        (dump.worker_count, dump.spare_count, dump.phase, dump.global_queue_depth),
        (2, 1, RuntimePhase::Running, 5)
    );
    assert_eq!(dump.workers.len(), 3);
    let polled = dump.workers.iter().map(|seat| match seat.activity {
        Activity::Polling { task, .. } => task,
        other => panic!("{other}"),
    });
    assert_eq!(polled.collect::<BTreeSet<_>>(), stuck.iter().map(JoinHandle::id).collect());
    let of = |state| dump.tasks.iter().filter(|task| task.state == state).map(|task| task.id).collect::<BTreeSet<_>>();
    assert_eq!(of(TaskState::Running), stuck.iter().map(JoinHandle::id).collect());
    assert_eq!(of(TaskState::Idle), idle.iter().map(JoinHandle::id).collect());
    assert_eq!(of(TaskState::Queued), queued.iter().map(JoinHandle::id).collect());
    assert_eq!(of(TaskState::Job), BTreeSet::from([job.id()]));
    let text = dump.to_string();
    assert_eq!(text.lines().count(), 1 + 3 + 19, "{text}");
    assert!(
        text.starts_with("MultiThread runtime, running: 2 workers and 1 spares; 5 in the global queue; reactor "),
        "{text}"
    );
    let line = format!("  task {}: running, spawned at tests/stalls/main.rs:", stuck[0].id());
    assert!(text.contains(&line), "{text}");
    assert!(text.contains(&format!("polling task {} spawned at ", stuck[1].id())), "{text}");
    door.open();
    never.open();
    for task in stuck.into_iter().chain(idle).chain(queued).chain([job]) {
        runtime.block_on(task).unwrap();
    }
    until(|| runtime.handle().dump().tasks.is_empty());
}

/// A current-thread runtime is dumped from inside and from outside.
#[test]
fn dump_of_current_thread_runtime_names_the_polled_task() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.handle().dump().workers[0].activity, Activity::Vacant);
    let (handle, place) = (runtime.handle().clone(), line!() + 1);
    let task = runtime.spawn(async move { handle.dump() });
    let id = task.id();
    let dump = runtime.block_on(task).unwrap();
    let Activity::Polling { task, location, since: None } = dump.workers[0].activity else { panic!("{dump}") };
    assert_eq!((task, location.line()), (id, place));
    assert_eq!(dump.tasks.len(), 1);
    assert_eq!((dump.tasks[0].id, dump.tasks[0].state), (id, TaskState::Running));
    let ended = {
        let handle = runtime.handle().clone();
        drop(runtime);
        handle.dump()
    };
    assert_eq!(ended.phase, RuntimePhase::Closed);
}
